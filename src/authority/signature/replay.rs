//! Signatures that were seen, each to be accepted once.
//!
//! Off unless its owner keeps one: a client that asks the same twice within a second makes the same
//! signature twice.

use std::collections::{BTreeSet, HashSet};
use std::time::SystemTime;

use super::{Verified, mac};

/// A signature was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature was used before")]
pub struct Replayed;

/// The signatures that were accepted and whose time is not over, as many as it may hold.
///
/// Only what was verified comes in, so that nobody without a key fills it. Where it is full, what
/// ends first is forgotten.
#[derive(Debug)]
pub struct Replays {
    most: usize,
    seen: HashSet<[u8; 32]>,
    ends: BTreeSet<(SystemTime, [u8; 32])>,
}

impl Replays {
    /// Remembers at most so many.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            seen: HashSet::new(),
            ends: BTreeSet::new(),
        }
    }

    /// Accepts a signature the first time. One whose date does not matter counts for ever, so it is
    /// not remembered.
    pub fn first(&mut self, verified: &Verified, now: SystemTime) -> Result<(), Replayed> {
        self.forget(now);
        let Some(until) = verified.until.filter(|_| self.most > 0) else {
            return Ok(());
        };
        let mark = mac::mark(&verified.which);
        if self.seen.contains(&mark) {
            return Err(Replayed);
        }
        if self.seen.len() >= self.most {
            self.forget_first();
        }
        self.seen.insert(mark);
        self.ends.insert((until, mark));
        Ok(())
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn forget(&mut self, now: SystemTime) {
        while self.ends.first().is_some_and(|(until, _)| *until < now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, mark)) = self.ends.pop_first() {
            self.seen.remove(&mark);
        }
    }
}
