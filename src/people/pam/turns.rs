//! How many stacks run at once, and how many hang.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many stacks run at once.
pub(super) const AT_ONCE: usize = 4;

/// So many that hang give their turn to others: each keeps a thread, and nothing ends it.
pub(super) const MOST_HANGING: usize = 28;

/// Whoever wants to know how many stacks hang.
#[derive(Clone)]
pub struct Hanging(Arc<dyn Fn(usize) + Send + Sync>);

impl Hanging {
    /// Is told the number whenever it changes.
    pub fn told(told: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }
}

impl fmt::Debug for Hanging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hanging(..)")
    }
}

/// Turns of stacks.
#[derive(Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    hanging: Arc<Mutex<usize>>,
    told: Hanging,
}

/// One stack's turn. It is over when this is dropped, or when the stack hangs and others may.
#[derive(Debug)]
pub(super) struct Turn {
    state: Mutex<State>,
    hanging: Arc<Mutex<usize>>,
    told: Hanging,
}

#[derive(Debug)]
enum State {
    Running(Option<OwnedSemaphorePermit>),
    Hanging { _kept: Option<OwnedSemaphorePermit> },
}

impl Turns {
    pub(super) fn new(told: Hanging) -> Self {
        Self {
            free: Arc::new(Semaphore::new(AT_ONCE)),
            hanging: Arc::default(),
            told,
        }
    }

    /// Waits for a turn.
    pub(super) async fn take(&self) -> Option<Turn> {
        let turn = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Turn {
            state: Mutex::new(State::Running(Some(turn))),
            hanging: Arc::clone(&self.hanging),
            told: self.told.clone(),
        })
    }

    /// How many stacks hang.
    pub(super) fn hanging(&self) -> usize {
        *self.hanging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so many hang that they keep all turns.
    pub(super) fn are_stuck(&self) -> bool {
        self.hanging() >= MOST_HANGING + AT_ONCE
    }
}

impl Turn {
    /// It takes longer than anybody waits: others may run, unless too many hang.
    pub(super) fn hangs(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Running(turn) = &mut *state else {
            return;
        };
        let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        *hanging += 1;
        (self.told.0)(*hanging);
        let kept = (*hanging > MOST_HANGING).then(|| turn.take()).flatten();
        *state = State::Hanging { _kept: kept };
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Hanging { .. } = state {
            let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
            *hanging = hanging.saturating_sub(1);
            (self.told.0)(*hanging);
        }
    }
}
