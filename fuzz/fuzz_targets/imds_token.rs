//! No bytes that were not issued open as a token, and no issued one with a changed byte.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rolecall::api::container::AuthorizationTokens;
use rolecall::api::imds::Tokens;
use rolecall::authority::{KeyRing, Seals};
use rolecall::caller::Principal;
use rolecall::clock::Clock;

struct Fixture {
    imds: Tokens,
    issued: String,
    container: AuthorizationTokens,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let seals = || Seals::new(KeyRing::in_memory().unwrap(), None).unwrap();
    let imds = Tokens::new(Clock::System, "boot", seals());
    Fixture {
        issued: imds.issue(Some(&Principal::uid(1000)), 21_600).unwrap(),
        imds,
        container: AuthorizationTokens::new(seals()),
    }
});

fuzz_target!(|input: (usize, u8, &[u8])| {
    let (place, change, bytes) = input;
    let fixture = &*FIXTURE;
    let caller = Principal::uid(1000);
    assert!(fixture.imds.open(Some(&caller), bytes).is_err());
    let mut changed = fixture.issued.clone().into_bytes();
    let place = place % changed.len();
    changed[place] ^= change;
    let opened = fixture.imds.open(Some(&caller), &changed);
    assert_eq!(opened.is_ok(), change == 0, "byte {place} ^ {change}");
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(fixture.container.open(text).is_err());
        assert!(fixture.container.open_id(text).is_err());
    }
});
