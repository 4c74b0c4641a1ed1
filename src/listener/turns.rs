//! Turns of requests: how many of one caller's are answered before others get theirs.
//!
//! One thread answers everybody, and a caller with many connections, or with many requests on one,
//! is ready more often than others. So each request takes a turn, of which a caller has a bounded
//! number, and gives it back when it is answered *and* the loop has gone round: by then whoever was
//! ready at the same time was polled. What has no turn waits in order.
//!
//! It costs an answered request two atomic operations, and each round of the loop one wake.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

/// The rounds of the serving thread's loop.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// Whose turns were used in this round.
    used: Mutex<Vec<Arc<Turns>>>,
    begun: Notify,
}

/// One caller's turns.
#[derive(Debug)]
pub(super) struct Turns {
    left: Semaphore,
    /// Those of requests that were answered in this round.
    used: AtomicUsize,
    rounds: Arc<Rounds>,
}

/// The turn of one request while it is answered.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Arc<Turns>);

impl Rounds {
    /// Gives used turns back whenever the loop has gone round, for ever. It has to be a task of its
    /// own: that of the round's first used turn is woken behind all that were ready before.
    pub(super) async fn run(&self) -> ! {
        loop {
            self.begun.notified().await;
            let used = {
                let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *used)
            };
            for turns in used {
                let number = turns.used.swap(0, Ordering::Relaxed);
                turns.left.add_permits(number);
            }
        }
    }

    fn begin(&self, turns: &Arc<Turns>) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.push(Arc::clone(turns));
        if used.len() == 1 {
            self.begun.notify_one();
        }
    }
}

impl Turns {
    /// So many at once.
    pub(super) fn new(number: usize, rounds: Arc<Rounds>) -> Self {
        Self {
            left: Semaphore::new(number.clamp(1, Semaphore::MAX_PERMITS)),
            used: AtomicUsize::new(0),
            rounds,
        }
    }

    /// A turn, if one is left.
    pub(super) fn take(self: &Arc<Self>) -> Option<Turn<'_>> {
        self.left.try_acquire().ok()?.forget();
        Some(Turn(self))
    }

    /// A turn, in the order of asking. `None` if there is none for this long.
    pub(super) async fn wait(self: &Arc<Self>, most: Duration) -> Option<Turn<'_>> {
        timeout(most, self.left.acquire())
            .await
            .ok()?
            .ok()?
            .forget();
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let turns = self.0;
        if turns.used.fetch_add(1, Ordering::Relaxed) == 0 {
            turns.rounds.begin(turns);
        }
    }
}
