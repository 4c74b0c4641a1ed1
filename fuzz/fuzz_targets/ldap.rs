//! Whatever bytes a directory sends, or somebody before TLS, they are a message, the beginning of
//! one, or refused; no message is longer than is believed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rolecall::people::fuzzing;

fuzz_target!(|bytes: &[u8]| fuzzing::ldap(bytes));
