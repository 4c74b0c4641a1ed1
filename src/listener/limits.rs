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
    /// Connections that wait for a seat at once.
    pub waiting: usize,
    /// Connections served at once for each caller; a bounded surplus of each waits.
    pub connections_per_caller: usize,
    /// How long a request's head may take.
    pub head: Duration,
    /// How long a kept connection may be idle.
    pub idle: Duration,
    /// How long a request's body may take.
    pub body: Duration,
}

/// Descriptors that are not for connections: sockets, upstream, files, logs.
const OWN_DESCRIPTORS: usize = 128;

/// So many connections of one caller may wait at least, however few are served at once.
const LEAST_WAITING: usize = 256;

impl Limits {
    /// These numbers of connections, as far as the process may open as many descriptors, with the
    /// times that no SDK exceeds. A quarter of what there is stays for those who wait.
    pub fn new(connections: usize, connections_per_caller: usize, descriptors: usize) -> Self {
        let room = descriptors.saturating_sub(OWN_DESCRIPTORS).max(4);
        let connections = connections.min(room - room / 4).max(1);
        Self {
            connections,
            waiting: room.saturating_sub(connections),
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
    taken: Mutex<HashMap<CallerKey, CallerSeats>>,
}

/// One caller's seats, and its places to wait for one: a caller that opens connections without end
/// fills its own places only.
#[derive(Clone, Debug)]
pub(super) struct CallerSeats {
    pub(super) served: Arc<Semaphore>,
    pub(super) waiting: Arc<Semaphore>,
}

impl Seats {
    pub(super) fn new(each: usize) -> Self {
        Self {
            each: each.max(1),
            taken: Mutex::default(),
        }
    }

    /// The seats of this caller. Those of callers who are gone are forgotten on the way.
    pub(super) fn of(&self, caller: CallerKey) -> CallerSeats {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= 1024 {
            taken.retain(|_, seats| Arc::strong_count(&seats.served) > 1);
        }
        let seats = taken.entry(caller).or_insert_with(|| CallerSeats {
            served: Arc::new(Semaphore::new(self.each)),
            waiting: Arc::new(Semaphore::new(
                self.each.saturating_mul(4).max(LEAST_WAITING),
            )),
        });
        seats.clone()
    }
}

/// What a served connection holds while it lives.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) _of_all: OwnedSemaphorePermit,
    pub(super) _of_caller: OwnedSemaphorePermit,
}
