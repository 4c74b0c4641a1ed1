//! Whatever stands in a query and in a form is what is asked of STS, or is refused in well-formed XML;
//! what is read is what was signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rolecall::api::sts;

// The input is a query, a newline and a form.
fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let query = parts.next().unwrap_or_default();
    let form = parts.next().unwrap_or_default();
    let Ok(query) = std::str::from_utf8(query) else {
        return;
    };
    sts::fuzzing::request(query, form);
});
