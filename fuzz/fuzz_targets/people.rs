//! Whatever stands in the files of users and groups, in `Authorization` and in a certificate is read
//! or refused; no name comes of it that is none.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rolecall::{listener, people};

fuzz_target!(|input: (&str, &str, &[u8], &[u8])| {
    let (users, groups, header, certificate) = input;
    people::fuzzing::files(users, groups);
    people::fuzzing::authorization(header);
    people::fuzzing::authorization(&[b"Basic ", header].concat());
    listener::fuzzing::subject(certificate);
});
