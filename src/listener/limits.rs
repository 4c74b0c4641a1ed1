//! How many connections and requests at once: of all callers together, and of each.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::turns::{Rounds, Turns};
use crate::caller::{CallerKey, PerCaller};

/// Bounds of a daemon's connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections served at once.
    pub connections: usize,
    /// Connections that wait for a seat at once.
    pub waiting: usize,
    /// What each caller may have.
    pub each: CallerLimits,
    /// How long a request's head may take.
    pub head: Duration,
    /// How long a kept connection may be idle.
    pub idle: Duration,
    /// How long a request's body may take.
    pub body: Duration,
}

/// What each caller may have at once; a bounded surplus waits.
#[derive(Clone, Copy, Debug)]
pub struct CallerLimits {
    /// Connections that are served.
    pub connections: usize,
    /// Requests that are answered, or were in the same round of the loop.
    pub requests: usize,
}

/// How long the surplus of one caller waits before it is told 503.
#[derive(Clone, Copy, Debug)]
pub struct Parking {
    /// A connection, for a seat.
    pub connection: Duration,
    /// A request, for its turn.
    pub request: Duration,
}

/// Descriptors that are not for connections: sockets, upstream, files, logs.
const OWN_DESCRIPTORS: usize = 128;

/// So many connections of one caller may wait at least, however few are served at once.
const LEAST_WAITING: usize = 256;

impl Limits {
    /// These numbers of connections, as far as the process may open as many descriptors, with the
    /// times that no SDK exceeds. A quarter of what there is stays for those who wait.
    pub fn new(connections: usize, each: CallerLimits, descriptors: usize) -> Self {
        let room = descriptors.saturating_sub(OWN_DESCRIPTORS).max(4);
        let served = connections.min(room - room / 4).max(1);
        let half = (served / 2).max(1);
        Self {
            connections: served,
            waiting: room.saturating_sub(served),
            each: CallerLimits {
                // Where there are fewer than were asked for, one caller still must not have all.
                connections: if served < connections {
                    each.connections.min(half)
                } else {
                    each.connections
                },
                requests: each.requests,
            },
            head: Duration::from_secs(5),
            idle: Duration::from_mins(1),
            body: Duration::from_secs(5),
        }
    }

    /// How many connections of one caller may wait at once: never all that may.
    fn waiting_of_each(&self) -> usize {
        let wanted = self.each.connections.saturating_mul(4).max(LEAST_WAITING);
        wanted.min(self.waiting / 2).max(1)
    }
}

impl Parking {
    /// For SDKs: the longest of them waits 5 s to be connected, and most a second for an answer.
    pub const PROGRAMS: Self = Self {
        connection: Duration::from_secs(5),
        request: Duration::from_millis(850),
    };

    /// For the command line, where somebody sits, or an SDK that gives it a minute.
    pub const PEOPLE: Self = Self {
        connection: Duration::from_secs(20),
        request: Duration::from_secs(20),
    };
}

/// What each caller has at a door: some listeners share one, so that a caller which uses its own up
/// there can still come in by another.
#[derive(Debug)]
pub struct Seats {
    limits: Limits,
    pub(super) parking: Parking,
    rounds: Arc<Rounds>,
    callers: PerCaller<CallerSeats>,
}

/// One caller's seats, its places to wait for one, and its requests' turns: a caller that opens
/// connections without end fills its own places only.
#[derive(Debug)]
pub(super) struct CallerSeats {
    served: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    pub(super) turns: Arc<Turns>,
}

impl Seats {
    pub(super) fn new(limits: Limits, parking: Parking, rounds: Arc<Rounds>) -> Self {
        Self {
            limits,
            parking,
            rounds,
            callers: PerCaller::default(),
        }
    }

    /// The seats of this caller.
    pub(super) fn of(&self, caller: CallerKey) -> Arc<CallerSeats> {
        self.callers.of(caller, || CallerSeats {
            served: semaphore(self.limits.each.connections),
            waiting: semaphore(self.limits.waiting_of_each()),
            turns: Arc::new(Turns::new(
                self.limits.each.requests,
                Arc::clone(&self.rounds),
            )),
        })
    }
}

fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)))
}

impl CallerSeats {
    /// A seat, if one of this caller's is free.
    pub(super) fn seat(
        self: &Arc<Self>,
        of_all: OwnedSemaphorePermit,
    ) -> Result<Seat, OwnedSemaphorePermit> {
        match Arc::clone(&self.served).try_acquire_owned() {
            Ok(of_caller) => Ok(Seat {
                own: Arc::clone(self),
                _of_all: of_all,
                _of_caller: of_caller,
            }),
            Err(_taken) => Err(of_all),
        }
    }

    /// A place to wait for a seat, if one of this caller's is free.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waiting).try_acquire_owned().ok()
    }

    /// A seat, in the order of asking: first one of this caller's, then one of all. `None` if the
    /// daemon ends.
    pub(super) async fn wait(self: &Arc<Self>, of_all: &Arc<Semaphore>) -> Option<Seat> {
        let of_caller = Arc::clone(&self.served).acquire_owned().await.ok()?;
        let of_all = Arc::clone(of_all).acquire_owned().await.ok()?;
        Some(Seat {
            own: Arc::clone(self),
            _of_all: of_all,
            _of_caller: of_caller,
        })
    }
}

/// What a served connection holds while it lives.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) own: Arc<CallerSeats>,
    _of_all: OwnedSemaphorePermit,
    _of_caller: OwnedSemaphorePermit,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: CallerLimits = CallerLimits {
        connections: 256,
        requests: 64,
    };

    #[test]
    fn one_caller_never_has_all_there_is() {
        for descriptors in [0, 130, 300, 1024, 4096, 100_000] {
            let limits = Limits::new(4096, EACH, descriptors);
            let one = limits.each.connections;
            assert!(one < limits.connections.max(2), "{descriptors}");
            let waits = limits.waiting_of_each();
            assert!(waits < limits.waiting.max(2), "{descriptors}");
        }
        let asked = CallerLimits {
            connections: 8,
            ..EACH
        };
        let limits = Limits::new(4, asked, 4096);
        assert_eq!(limits.each.connections, 8, "it was written so");
    }
}
