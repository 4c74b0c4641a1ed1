//! What a text is signed with.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, Key, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Scope;
use crate::secret::same_secret;

/// The last part of a credential scope.
pub(super) const TERMINATOR: &str = "aws4_request";

/// How a text becomes a signature, where no scope belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    /// HMAC-SHA1 in base64.
    Sha1,
    /// HMAC-SHA256 in base64.
    Sha256,
}

/// What texts are signed with: made of a secret, and as secret.
pub(super) struct Mac {
    key: Key,
    form: Form,
}

/// How a signature is written.
enum Form {
    Base64,
    Hex,
}

impl Mac {
    /// The secret itself.
    pub(super) fn plain(kind: Digest, secret: &[u8]) -> Self {
        let algorithm = match kind {
            Digest::Sha1 => HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Digest::Sha256 => HMAC_SHA256,
        };
        Self {
            key: Key::new(algorithm, secret),
            form: Form::Base64,
        }
    }

    /// The key of version 4 that is derived for this scope.
    pub(super) fn derived(secret: &[u8], scope: &Scope) -> Self {
        let first = Zeroizing::new([b"AWS4", secret].concat());
        let date = sign(&first, scope.date.as_bytes());
        let region = sign(date.as_ref(), scope.region.as_bytes());
        let service = sign(region.as_ref(), scope.service.as_bytes());
        let last = sign(service.as_ref(), TERMINATOR.as_bytes());
        Self {
            key: Key::new(HMAC_SHA256, last.as_ref()),
            form: Form::Hex,
        }
    }

    /// Whether this is the text's signature.
    pub(super) fn is_of(&self, signature: &str, text: &[u8]) -> bool {
        same_secret(self.signature(text).as_bytes(), signature.as_bytes())
    }

    pub(super) fn signature(&self, text: &[u8]) -> String {
        let tag = hmac::sign(&self.key, text);
        match self.form {
            Form::Base64 => STANDARD.encode(tag),
            Form::Hex => hex(tag.as_ref()),
        }
    }
}

fn sign(key: &[u8], text: &[u8]) -> Tag {
    hmac::sign(&Key::new(HMAC_SHA256, key), text)
}

/// The SHA-256 of a text, in hex.
pub(super) fn hash(text: &[u8]) -> String {
    hex(digest(&SHA256, text).as_ref())
}

/// What tells a text from all others.
pub(super) fn mark(text: &str) -> [u8; 32] {
    let mut mark = [0; 32];
    let digest = digest(&SHA256, text.as_bytes());
    for (to, from) in mark.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    mark
}

fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2];
    let (pairs, _) = text.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    String::from_utf8(text).unwrap_or_default()
}

const fn digit(four: u8) -> u8 {
    match four {
        0..10 => b'0' + four,
        _ => b'a' + (four - 10),
    }
}
