//! Seals small texts under the keys of a ring: tokens that are stateless and survive a restart.

use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::keys::{Kept, KeyId, KeyRing, KeyRingError, NamedKey, StateKey};
use crate::secret::{NotOurs, Seal};

/// How many bytes a sealed text is longer than its plain text: key id, nonce, tag.
pub const SEALED_OVERHEAD: usize = 4 + 12 + 16;

/// Seals with the current key of a ring, opens with the one before it too.
#[derive(Debug)]
pub struct Seals {
    keys: ArcSwap<Keys>,
    state_key: Option<StateKey>,
}

#[derive(Debug)]
struct Keys {
    ring: KeyRing,
    current: (KeyId, Seal),
    previous: Option<(KeyId, Seal)>,
}

impl Seals {
    /// Seals with the keys of this ring. `state_key` must be the one that it was opened with.
    pub fn new(ring: KeyRing, state_key: Option<StateKey>) -> Result<Self, KeyRingError> {
        Ok(Self {
            keys: ArcSwap::from_pointee(Keys::new(ring)?),
            state_key,
        })
    }

    /// Makes a fresh key; what the one before sealed still opens, what was sealed before that does
    /// not.
    pub fn rotate(&self) -> Result<(), KeyRingError> {
        let ring = self.keys.load().ring.rotated(self.state_key.as_ref())?;
        self.keys.store(std::sync::Arc::new(Keys::new(ring)?));
        Ok(())
    }

    /// How old the current key is by its file, beyond measure where the file is of the future; `None`
    /// where it is in no file.
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        match self.keys.load().ring.kept() {
            Kept::Memory => None,
            Kept::File(path) => {
                let written = std::fs::metadata(path)
                    .and_then(|file| file.modified())
                    .ok()?;
                // One that was written in the future, by a wrong clock, would never grow old.
                Some(now.duration_since(written).unwrap_or(Duration::MAX))
            }
        }
    }

    /// Key id, nonce, ciphertext, tag. `context` must be the same when it is opened.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyRingError> {
        let keys = self.keys.load();
        let (id, seal) = &keys.current;
        let mut sealed = id.to_vec();
        let text = seal.seal(context, plain);
        sealed.append(&mut text.map_err(|_unspecified| KeyRingError::Random)?);
        Ok(sealed)
    }

    /// Opens in place what [`Self::seal`] made; returns the plain text's part of `sealed`.
    pub fn open<'a>(&self, context: &[u8], sealed: &'a mut [u8]) -> Result<&'a [u8], NotOurs> {
        let keys = self.keys.load();
        let (id, text) = sealed.split_at_mut_checked(4).ok_or(NotOurs)?;
        let mut known = std::iter::once(&keys.current).chain(keys.previous.as_ref());
        let (_, seal) = known.find(|(known, _)| known == id).ok_or(NotOurs)?;
        seal.open(context, text)
    }
}

impl Keys {
    fn new(ring: KeyRing) -> Result<Self, KeyRingError> {
        let current = sealing(&ring.current)?;
        let previous = ring.previous.as_ref().map(sealing).transpose()?;
        Ok(Self {
            ring,
            current,
            previous,
        })
    }
}

fn sealing(key: &NamedKey) -> Result<(KeyId, Seal), KeyRingError> {
    let seal = Seal::new(&key.key).map_err(|_unspecified| KeyRingError::Random)?;
    Ok((key.id, seal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_keys_before_sealed_no_longer_opens() {
        let seals = Seals::new(KeyRing::in_memory().unwrap(), None).unwrap();
        let sealed = seals.seal(b"context", b"text").unwrap();
        assert_eq!(sealed.len(), b"text".len() + SEALED_OVERHEAD);
        let open = |opener: &Seals, context: &[u8]| {
            opener
                .open(context, &mut sealed.clone())
                .map(<[u8]>::to_vec)
                .ok()
        };
        assert_eq!(open(&seals, b"context"), Some(b"text".to_vec()));
        assert_eq!(open(&seals, b"another"), None);
        seals.rotate().unwrap();
        assert_eq!(open(&seals, b"context"), Some(b"text".to_vec()));
        seals.rotate().unwrap();
        assert_eq!(open(&seals, b"context"), None);
    }
}
