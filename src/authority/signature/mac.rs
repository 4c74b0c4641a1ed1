//! What a text is signed with.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Scope;

/// The last part of a credential scope.
pub(super) const TERMINATOR: &str = "aws4_request";

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// How a text becomes a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// HMAC-SHA1 in base64.
    Sha1,
    /// HMAC-SHA256 in base64.
    Sha256,
    /// HMAC-SHA256 in hex, with a key derived for this scope.
    V4(Scope),
}

impl Algorithm {
    pub(super) fn signature(&self, secret: &[u8], text: &[u8]) -> String {
        match self {
            Self::Sha1 => {
                let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
                STANDARD.encode(hmac::sign(&key, text))
            }
            Self::Sha256 => STANDARD.encode(sign(secret, text)),
            Self::V4(scope) => hex(sign(signing_key(secret, scope).as_ref(), text).as_ref()),
        }
    }
}

fn sign(key: &[u8], text: &[u8]) -> Tag {
    hmac::sign(&Key::new(HMAC_SHA256, key), text)
}

fn signing_key(secret: &[u8], scope: &Scope) -> Tag {
    let first = Zeroizing::new([b"AWS4", secret].concat());
    let date = sign(&first, scope.date.as_bytes());
    let region = sign(date.as_ref(), scope.region.as_bytes());
    let service = sign(region.as_ref(), scope.service.as_bytes());
    sign(service.as_ref(), TERMINATOR.as_bytes())
}

/// The SHA-256 of a text, in hex.
pub(super) fn hash(text: &[u8]) -> String {
    hex(digest(&SHA256, text).as_ref())
}

/// What tells a key's signature from all others.
pub(super) fn mark(access_key_id: &str, signature: &str) -> [u8; 32] {
    let text = [access_key_id, "\n", signature].concat();
    let mut mark = [0; 32];
    let digest = digest(&SHA256, text.as_bytes());
    for (to, from) in mark.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    mark
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(DIGITS.get(usize::from(digit)).copied().map(char::from));
        }
    }
    text
}
