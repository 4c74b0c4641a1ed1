//! Keys of version 4 that were derived from secrets: of five HMACs that a verification costs, four
//! are the key's.
//!
//! What is remembered belongs to the secret that it was derived from, not to the id under which
//! that was found: where a key was deleted or has another secret there is nothing. Only whoever has
//! signed rightly is remembered, so that nobody without a key displaces others.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::Scope;
use super::mac::Mac;
use crate::secret::{ExposeSecret as _, SecretString, same_secret};

/// So many are remembered, of a kilobyte each.
pub(super) const MOST: usize = 512;

/// Keys that were derived lately.
pub struct DerivedKeys(Mutex<HashMap<u64, Held, RandomState>>);

struct Held {
    access_key_id: Box<str>,
    scope: Arc<Scope>,
    secret: SecretString,
    key: Arc<Mac>,
    /// Since it was last asked which are still of use.
    used: bool,
}

impl Held {
    fn is(&self, access_key_id: &str, scope: &Scope, secret: &SecretString) -> bool {
        let (own, other) = (self.secret.expose_secret(), secret.expose_secret());
        *self.access_key_id == *access_key_id
            && *self.scope == *scope
            && same_secret(own.as_bytes(), other.as_bytes())
    }
}

impl Default for DerivedKeys {
    fn default() -> Self {
        Self(Mutex::new(HashMap::default()))
    }
}

impl fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKeys(..)")
    }
}

impl DerivedKeys {
    /// What was derived from this secret for this scope.
    pub(super) fn recall(
        &self,
        access_key_id: &str,
        scope: &Scope,
        secret: &SecretString,
    ) -> Option<Arc<Mac>> {
        let mut known = self.lock();
        let place = known.hasher().hash_one((access_key_id, scope));
        let held = known.get_mut(&place)?;
        held.is(access_key_id, scope, secret).then(|| {
            held.used = true;
            Arc::clone(&held.key)
        })
    }

    /// This was derived from this secret for this scope, and a request was signed with it.
    pub(super) fn remember(
        &self,
        access_key_id: &str,
        scope: &Arc<Scope>,
        secret: &SecretString,
        key: &Arc<Mac>,
    ) {
        let mut known = self.lock();
        let place = known.hasher().hash_one((access_key_id, &**scope));
        // What is still of use comes back at once.
        if known.len() >= MOST && !known.contains_key(&place) {
            known.clear();
        }
        known.insert(
            place,
            Held {
                access_key_id: access_key_id.into(),
                scope: Arc::clone(scope),
                secret: secret.clone(),
                key: Arc::clone(key),
                used: true,
            },
        );
    }

    /// Forgets what was not used since it was last called.
    pub fn forget_unused(&self) {
        self.lock().retain(|_, held| std::mem::take(&mut held.used));
    }

    /// Forgets everything: keys may have been deleted.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Held, RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
