//! What the fuzz targets reach of this room: tokens that no fuzzer could sign, and key sets.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::claims;
use super::jwt::Jwt;
use super::key_set::KeySet;
use crate::config::{Algorithm, Issuer, IssuerKeys};

/// Reads a token as if its signature were right.
pub fn token(text: &str, now: Duration) {
    let Ok(jwt) = Jwt::parse(text) else {
        return;
    };
    let issuer = Issuer {
        url: Arc::from("https://issuer.example"),
        audiences: vec![Arc::from("us")],
        keys: IssuerKeys::Discovery { ca_file: None },
        algorithms: vec![Algorithm::Rs256],
        tags: true,
    };
    let now = SystemTime::UNIX_EPOCH + now;
    let Ok(checked) = claims::check(&jwt, &issuer, now) else {
        return;
    };
    let _read = (
        claims::pod(&jwt, &checked.subject),
        claims::flat(&jwt.claims),
        claims::tags(&jwt.claims),
    );
    assert!(checked.expires_at + claims::LEEWAY > now);
    assert!(!checked.subject.is_empty());
}

/// Reads a set of keys and verifies a token with it.
pub fn key_set(json: &[u8], text: &str) {
    if let (Ok(keys), Ok(jwt)) = (KeySet::parse(json), Jwt::parse(text))
        && let Some(algorithm) = Algorithm::parse(&jwt.header.alg)
    {
        let _verified = keys.verify(&jwt, algorithm);
    }
}
