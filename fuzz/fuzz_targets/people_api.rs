//! Any path has a route of AFP or an error, and any body is a connector or an account, or is refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rolecall::api::{accounts, connectors};

fuzz_target!(|input: (&str, &[u8])| {
    let (path, body) = input;
    accounts::fuzzing::path(path);
    accounts::fuzzing::path(&format!("/account/{path}"));
    connectors::fuzzing::body(body);
});
