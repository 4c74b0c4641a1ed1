//! Whatever is shown as a signed request, as text or as JSON that Keystone is asked, is read or
//! refused; none that nobody signed is verified, and no session token is told.

#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use rolecall::authority::signature::{
    Age, Ec2Credentials, RequestText, S3Credentials, SignedRequest,
};
use rolecall::secret::{ExposeSecret, SecretString};

const AGE: Age = Age::Within(Duration::from_secs(900));

/// Shorter texts stand in requests by chance.
const SHORTEST_TOKEN: usize = 16;

fn look_at(signed: &SignedRequest) {
    // No fuzzer knows it.
    let secret = SecretString::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    assert!(signed.verify(&secret, SystemTime::UNIX_EPOCH, AGE).is_err());
    assert!(signed.verify(&secret, SystemTime::UNIX_EPOCH, Age::Any).is_err());
    assert!(signed.cause(&secret).is_none());
    let explained = signed.explain(Some(&secret));
    let canonical = explained.canonical_request.unwrap_or_default();
    if let Some(token) = signed.session_token().map(SecretString::expose_secret)
        && token.len() >= SHORTEST_TOKEN
    {
        assert!(!canonical.contains(token));
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = RequestText::read(bytes)
        && let Ok(Some(signed)) = text.signed(None)
    {
        look_at(&signed);
    }
    let told = serde_json::from_slice::<Ec2Credentials>(bytes);
    if let Ok(Ok(signed)) = told.map(|told| told.signed()) {
        look_at(&signed);
    }
    let stated = serde_json::from_slice::<S3Credentials>(bytes);
    if let Ok(Ok(signed)) = stated.map(|stated| stated.signed()) {
        look_at(&signed);
    }
});
