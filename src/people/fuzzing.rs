//! What the fuzz targets reach of this room: tokens that no fuzzer could sign, key sets, the files of
//! users and groups, what a request shows, and what directories send.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};

use super::claims;
use super::directory::is_name;
use super::groups::Groups;
use super::jwt::Jwt;
use super::key_set::KeySet;
use super::shown::Shown;
use super::users::Users;
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
        introspection: None,
    };
    let now = SystemTime::UNIX_EPOCH + now;
    let Ok(checked) = claims::check(&jwt.claims, &issuer, now) else {
        return;
    };
    let _read = (
        claims::pod(&jwt.claims, &checked.subject),
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

/// Reads texts as users file and groups file; nobody is in them who cannot be.
pub fn files(users: &str, groups: &str) {
    let lines = users.lines().count().max(groups.lines().count());
    let mut wrong = |number: usize, why: String| assert!(number <= lines && !why.is_empty());
    let users = Users::read(users, &mut wrong);
    let groups = Groups::read(groups, &mut wrong);
    for name in ["", "a:b", "a\nb", "#"] {
        assert!(users.hash(name).is_none() || is_name(name), "{name:?}");
        assert!(groups.of(name).is_empty() || is_name(name), "{name:?}");
    }
}

/// Reads a header as `Authorization`; a name that it shows is one.
pub fn authorization(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    match Shown::of(&headers) {
        Shown::Password { name, .. } => assert!(is_name(&name), "{name:?}"),
        Shown::Bearer(token) => assert!(!token.is_empty()),
        Shown::Nothing | Shown::Other => {}
    }
}

/// Reads what a directory sends, message after message.
pub fn ldap(bytes: &[u8]) {
    super::ldap::fuzzing(bytes);
}
