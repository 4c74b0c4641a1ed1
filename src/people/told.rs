//! When the operator was told of what: the log says the same once a minute.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::BootTime;

/// The same is told once in this time.
const AGAIN: Duration = Duration::from_mins(1);

/// When each matter was told last.
#[derive(Debug)]
pub(super) struct Told<K = ()>(Mutex<BTreeMap<K, BootTime>>);

impl<K> Default for Told<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> Told<K> {
    /// Whether this is to be told now; it counts as told then.
    pub(super) fn is_due(&self, matter: K, now: BootTime) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = told
            .get(&matter)
            .is_some_and(|told| now.since(*told) < AGAIN);
        if !lately {
            told.insert(matter, now);
        }
        !lately
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_matter_is_told_once_a_minute() {
        let told = Told::default();
        let begun = crate::clock::Clock::System.boot();
        assert!(told.is_due("a", begun));
        assert!(told.is_due("b", begun));
        assert!(!told.is_due("a", begun.plus(Duration::from_secs(59))));
        assert!(told.is_due("a", begun.plus(AGAIN)));
        assert!(!told.is_due("a", begun.plus(AGAIN)));
    }
}
