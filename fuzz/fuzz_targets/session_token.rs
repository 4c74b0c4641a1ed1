//! No text that was not issued opens as a session token, and whatever lies under a seal is claims
//! or malformed.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rolecall::authority::{Authority, KeyRing, fuzzing};
use rolecall::clock::Clock;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let ring = KeyRing::in_memory().unwrap();
    Authority::new(ring, None, Clock::System).unwrap()
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(AUTHORITY.open(text).is_err());
    }
    if let Ok(claims) = fuzzing::session_claims(bytes) {
        assert!(claims.issued_at <= claims.expires_at);
    }
});
