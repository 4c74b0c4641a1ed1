//! Any path is a resource of Keystone's or none, and any body is a login, a key or a signature, or is
//! refused; nobody else reads anything else in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rolecall::api::keystone;

const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "HEAD"];

// The input is a path, a newline and a body.
fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let path = parts.next().unwrap_or_default();
    if let Ok(path) = std::str::from_utf8(path) {
        for method in METHODS {
            keystone::fuzzing::path(method, path);
        }
    }
    keystone::fuzzing::body(parts.next().unwrap_or_default());
});
