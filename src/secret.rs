//! Values that must not leak: what holds them, compares them, and seals them.
//!
//! A secret type has no `Display`, no `Serialize` and no `==`; its `Debug` prints nothing of it.
//! [`ExposeSecret::expose_secret`] marks each place that reads one.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
pub use secrecy::{ExposeSecret, SecretBox, SecretString};

/// Compares in a time that depends on the lengths only.
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

/// A token that its bearer renews: the newest one that was seen.
pub struct LatestToken(Mutex<Seen>);

struct Seen {
    token: SecretString,
    expires_at: SystemTime,
    times: u64,
}

impl std::fmt::Debug for LatestToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LatestToken(..)")
    }
}

impl LatestToken {
    /// This one, so far.
    pub const fn new(token: SecretString, expires_at: SystemTime) -> Self {
        Self(Mutex::new(Seen {
            token,
            expires_at,
            times: 1,
        }))
    }

    /// Another one was seen. The one that expires last is kept.
    pub fn see(&self, token: &str, expires_at: SystemTime) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if expires_at > seen.expires_at {
            *seen = Seen {
                token: SecretString::from(token),
                expires_at,
                times: seen.times.saturating_add(1),
            };
        }
    }

    /// The newest one, and when it expires.
    pub fn newest(&self) -> (SecretString, SystemTime) {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.token.clone(), seen.expires_at)
    }

    /// How many tokens were kept, each for the one before.
    pub fn times(&self) -> u64 {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.times
    }
}

/// Length of the key of a [`Seal`], in bytes.
pub const SEAL_KEY_LEN: usize = 32;

/// The sealed text could not be opened: another key, another context, or not ours at all.
#[derive(Debug, thiserror::Error)]
#[error("the sealed text does not open with this key in this context")]
pub struct NotOurs;

/// Seals and opens small texts with AES-256-GCM under a random nonce.
pub struct Seal(LessSafeKey);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(..)")
    }
}

impl Seal {
    /// A seal with this key.
    pub fn new(key: &SecretBox<[u8; SEAL_KEY_LEN]>) -> Result<Self, Unspecified> {
        let key = UnboundKey::new(&AES_256_GCM, key.expose_secret())?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Nonce, then ciphertext, then tag. `context` must be the same when it is opened.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let nonce = random::<NONCE_LEN>()?;
        let mut text = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(unique, Aad::from(context), &mut text)?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + text.len());
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Opens in place what [`Self::seal`] made; returns the plain text's part of `sealed`.
    pub fn open<'a>(&self, context: &[u8], sealed: &'a mut [u8]) -> Result<&'a [u8], NotOurs> {
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(NotOurs)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|Unspecified| NotOurs)?;
        let plain = self.0.open_in_place(nonce, Aad::from(context), text);
        plain.map(|plain| &*plain).map_err(|Unspecified| NotOurs)
    }
}

/// Fresh random bytes from the operating system. Not from the crypto library's own generator, which
/// takes twenty milliseconds to seed itself at the first use: longer than the whole start.
pub fn random<const N: usize>() -> Result<[u8; N], Unspecified> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_no_entropy| Unspecified)?;
    Ok(bytes)
}
