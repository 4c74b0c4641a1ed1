//! Tokens that were verified, so that the next request with one costs no signature; and the marks
//! by which secrets are remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::hmac;

use super::key_set::KeySet;
use crate::grants::{Way, WebIdentity};
use crate::secret;

/// How many tokens of an issuer are remembered: a host runs some hundred pods at most.
const MOST: usize = 1024;

/// A token, by a keyed hash: the memory holds no index of secrets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark([u8; 32]);

impl std::fmt::Debug for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mark(..)")
    }
}

/// Makes marks. Without randomness there are none, and every token is verified.
#[derive(Debug)]
pub(super) struct Marker(Option<hmac::Key>);

impl Default for Marker {
    fn default() -> Self {
        let random = secret::random::<32>().ok();
        Self(random.map(|bytes| hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl Marker {
    pub(super) fn mark(&self, token: &str) -> Option<Mark> {
        let tag = hmac::sign(self.0.as_ref()?, token.as_bytes());
        tag.as_ref().try_into().ok().map(Mark)
    }

    /// A number that nobody else can tell for this text.
    pub(super) fn number_of(&self, text: &str) -> Option<u64> {
        let Mark(bytes) = self.mark(text)?;
        let first = bytes.first_chunk()?;
        Some(u64::from_be_bytes(*first))
    }

    /// The mark of a proof that this user of the host showed, and that was held against these ways:
    /// to others it is another proof.
    pub(super) fn mark_for(&self, ways: &[Way], uid: Option<u32>, proof: &[u8]) -> Option<Mark> {
        let mut context = hmac::Context::with_key(self.0.as_ref()?);
        if let Some(uid) = uid {
            context.update(&uid.to_be_bytes());
        }
        context.update(b"\n");
        for way in ways {
            context.update(way.as_str().as_bytes());
            context.update(b" ");
        }
        context.update(b"\n");
        context.update(proof);
        context.sign().as_ref().try_into().ok().map(Mark)
    }
}

/// The tokens of one issuer that were verified lately.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<Mark, Verified>>);

#[derive(Debug)]
struct Verified {
    identity: Arc<WebIdentity>,
    /// The keys that it was verified with: with others it must be verified again.
    keys: Arc<KeySet>,
}

impl Memory {
    /// The identity of a token that was verified with these keys.
    pub(super) fn recall(&self, mark: &Mark, keys: &Arc<KeySet>) -> Option<Arc<WebIdentity>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let verified = known.get(mark)?;
        Arc::ptr_eq(&verified.keys, keys).then(|| Arc::clone(&verified.identity))
    }

    /// Before it is full, what has expired goes, or else what expires first.
    pub(super) fn remember(
        &self,
        mark: Mark,
        identity: &Arc<WebIdentity>,
        keys: &Arc<KeySet>,
        now: SystemTime,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, verified| {
                verified.identity.expires_at > now && Arc::ptr_eq(&verified.keys, keys)
            });
        }
        if known.len() >= MOST {
            let soonest = known
                .iter()
                .min_by_key(|(_, verified)| verified.identity.expires_at)
                .map(|(soonest, _)| *soonest);
            if let Some(soonest) = soonest {
                known.remove(&soonest);
            }
        }
        let verified = Verified {
            identity: Arc::clone(identity),
            keys: Arc::clone(keys),
        };
        known.insert(mark, verified);
    }
}
