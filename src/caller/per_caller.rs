//! What each caller has of something, for as long as anybody uses it.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;

use super::CallerKey;

/// So many callers are kept before those are looked for whom nobody uses.
const FEW: usize = 1024;

/// One `T` for each caller, however callers are told apart: made at the first ask, the same one
/// while anybody holds it.
pub struct PerCaller<T, K = CallerKey>(Mutex<Callers<T, K>>);

struct Callers<T, K> {
    of: HashMap<K, Arc<T>, RandomState>,
    /// With so many those are let go whom nobody uses: seldom enough to cost nothing for each.
    full: usize,
}

impl<T, K> Default for PerCaller<T, K> {
    fn default() -> Self {
        Self(Mutex::new(Callers {
            of: HashMap::default(),
            full: FEW,
        }))
    }
}

impl<T, K> fmt::Debug for PerCaller<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PerCaller(..)")
    }
}

impl<T, K: Eq + Hash> PerCaller<T, K> {
    /// What this caller has; `make` makes it where nobody uses one.
    pub fn of(&self, caller: K, make: impl FnOnce() -> T) -> Arc<T> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.of.len() >= callers.full {
            callers.of.retain(|_, its| Arc::strong_count(its) > 1);
            callers.full = callers.of.len().saturating_mul(2).max(FEW);
        }
        let its = callers.of.entry(caller);
        Arc::clone(its.or_insert_with(|| Arc::new(make())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_the_same_and_the_rest_is_forgotten() {
        let all = PerCaller::default();
        let kept = all.of(CallerKey::Uid(0), || 0);
        for uid in 1..100_000 {
            drop(all.of(CallerKey::Uid(uid), || uid));
        }
        assert!(Arc::ptr_eq(&kept, &all.of(CallerKey::Uid(0), || 1)));
        assert!(all.0.lock().unwrap().of.len() <= FEW);
    }
}
