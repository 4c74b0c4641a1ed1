//! How many connections at once: of all callers together, and of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::caller::CallerKey;

/// Bounds of a listener's connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections served at once.
    pub connections: usize,
    /// Connections served at once for each caller; the surplus waits, up to as many again as are
    /// served in all.
    pub connections_per_caller: usize,
    /// How long a request's head may take.
    pub head: Duration,
    /// How long a kept connection may be idle.
    pub idle: Duration,
    /// How long a request's body may take.
    pub body: Duration,
}

impl Limits {
    /// These numbers of connections, with the times that no SDK exceeds.
    pub const fn new(connections: usize, connections_per_caller: usize) -> Self {
        Self {
            connections,
            connections_per_caller,
            head: Duration::from_secs(5),
            idle: Duration::from_mins(1),
            body: Duration::from_secs(5),
        }
    }
}

/// The seats that each caller has.
#[derive(Debug)]
pub(super) struct Seats {
    each: usize,
    taken: Mutex<HashMap<CallerKey, Arc<Semaphore>>>,
}

impl Seats {
    pub(super) fn new(each: usize) -> Self {
        Self {
            each: each.max(1),
            taken: Mutex::default(),
        }
    }

    /// The seats of this caller. Those of callers who are gone are forgotten on the way.
    pub(super) fn of(&self, caller: CallerKey) -> Arc<Semaphore> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= 1024 {
            taken.retain(|_, seats| Arc::strong_count(seats) > 1);
        }
        let seats = taken
            .entry(caller)
            .or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Arc::clone(seats)
    }
}

/// What a served connection holds while it lives.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) _of_all: OwnedSemaphorePermit,
    pub(super) _of_caller: OwnedSemaphorePermit,
}
