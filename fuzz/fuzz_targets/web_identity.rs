//! Whatever text comes as a token, and whatever bytes as a set of keys, is read or refused; no token
//! that would count has expired or has no subject.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rolecall::people::fuzzing;

const NOW: Duration = Duration::from_secs(1_800_000_000);

/// A token's parts are base64: what is fuzzed is below that.
fn encoded(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(DIGITS[index as usize]));
        }
    }
    text
}

fuzz_target!(|input: (&[u8], &[u8], &[u8], &[u8], &str)| {
    let (header, claims, signature, keys, text) = input;
    let token = [header, claims, signature].map(encoded).join(".");
    for text in [token.as_str(), text] {
        fuzzing::token(text, NOW);
        fuzzing::key_set(keys, text);
    }
    let header: &[u8] = b"{\"alg\":\"RS256\"}";
    fuzzing::token(&[header, claims, b"x"].map(encoded).join("."), NOW);
});
