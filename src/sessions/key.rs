//! The key of a session: a digest of the fully resolved request.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// Identifies one session: requests with equal keys are the same upstream call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey([u8; 32]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take(6) {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Digests named fields. Each is written with its name and length, so that no two lists of fields
/// give the same bytes.
pub struct KeyDigest(Context);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

impl Default for KeyDigest {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl KeyDigest {
    /// Adds one field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &[u8]) -> Self {
        self.part(name.as_bytes());
        self.part(value);
        self
    }

    /// Adds one field, where it is set; an absent field differs from an empty one.
    #[must_use]
    pub fn optional(self, name: &str, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// The key of all fields so far.
    pub fn finish(self) -> SessionKey {
        let mut key = [0; 32];
        let digest = self.0.finish();
        for (to, from) in key.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        SessionKey(key)
    }

    fn part(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(&length.to_be_bytes());
        self.0.update(bytes);
    }
}

impl SessionKey {
    /// The digest's bytes, to make it part of another key.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The digest, to write it down.
    pub const fn digest(&self) -> [u8; 32] {
        self.0
    }

    /// The key of a digest that was written down.
    pub const fn of_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_borders_give_other_keys() {
        let key = |a: &[u8], b: &[u8]| KeyDigest::default().field("a", a).field("b", b).finish();
        assert_eq!(key(b"x", b"y"), key(b"x", b"y"));
        assert_ne!(key(b"xy", b""), key(b"x", b"y"));
        let absent = KeyDigest::default().optional("a", None).finish();
        assert_ne!(
            absent,
            KeyDigest::default().optional("a", Some(b"")).finish()
        );
    }
}
