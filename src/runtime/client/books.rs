//! What is remembered of containers, and what is being asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::facts::{Interest, Told};
use crate::clock::{BootTime, Clock};
use crate::grants::{ContainerFacts, ContainerId, Known};

/// How many containers are remembered.
const REMEMBERED: usize = 4096;
/// How many questions are under way at once.
const FLIGHTS: usize = 1024;
/// That nothing runs under an id is remembered for so long: it may only begin.
const NOTHING_AGE: Duration = Duration::from_secs(1);

/// A container of a runtime of this owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) id: ContainerId,
    pub(super) owner: u32,
}

impl Key {
    pub(super) fn new(id: &ContainerId, owner: u32) -> Self {
        Self {
            id: id.clone(),
            owner,
        }
    }
}

/// What came of a question.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Told(Arc<Told>),
    /// Nothing that counts.
    Nothing,
    /// The unit could not be asked.
    Failed,
}

impl Answer {
    fn facts(&self) -> Known<Arc<ContainerFacts>> {
        match self {
            Self::Told(told) => Known::Yes(Arc::clone(&told.facts)),
            Self::Nothing => Known::No,
            Self::Failed => Known::NotYet,
        }
    }
}

impl From<Answer> for Known<Arc<ContainerFacts>> {
    fn from(answer: Answer) -> Self {
        answer.facts()
    }
}

pub(super) type Landing = watch::Receiver<Option<Answer>>;

/// A question under way, and which list had begun before it.
#[derive(Debug)]
struct Flight {
    after: u64,
    landing: Landing,
}

#[derive(Debug)]
pub(super) struct Books {
    clock: Clock,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    interest: Arc<Interest>,
    known: HashMap<Key, (Answer, BootTime)>,
    flights: HashMap<Key, Flight>,
}

/// What a question is to do.
pub(super) enum Boarding {
    /// Wait for one that is under way.
    Join(Landing),
    /// Ask, and tell those who join.
    Ask(watch::Sender<Option<Answer>>, Landing),
    /// There are too many.
    Full,
}

impl Books {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            pages: Mutex::default(),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn follow(&self, interest: Interest) -> bool {
        let mut pages = self.pages();
        let changes = *pages.interest != interest;
        if changes {
            *pages = Pages {
                interest: Arc::new(interest),
                ..Pages::default()
            };
        }
        changes
    }

    pub(super) fn interest(&self) -> Arc<Interest> {
        Arc::clone(&self.pages().interest)
    }

    pub(super) fn remembered(&self, key: &Key) -> Option<Known<Arc<ContainerFacts>>> {
        let pages = self.pages();
        let (answer, at) = pages.known.get(key)?;
        let is_old = || self.clock.boot().since(*at) >= NOTHING_AGE;
        let is_valid = !matches!(answer, Answer::Nothing) || !is_old();
        is_valid.then(|| answer.facts())
    }

    /// Joins a question that began after this list had begun, or begins one; `begun` is the last
    /// list that has.
    pub(super) fn board(&self, key: &Key, after: u64, begun: u64) -> Boarding {
        let mut pages = self.pages();
        if let Some(flight) = pages.flights.get(key).filter(|one| one.after >= after) {
            return Boarding::Join(flight.landing.clone());
        }
        if pages.flights.len() >= FLIGHTS {
            return Boarding::Full;
        }
        let (teller, landing) = watch::channel(None);
        let flight = Flight {
            after: begun,
            landing: landing.clone(),
        };
        pages.flights.insert(key.clone(), flight);
        Boarding::Ask(teller, landing)
    }

    /// Notes what a question brought; it is remembered unless the container changed meanwhile.
    pub(super) fn land(&self, key: &Key, landing: &Landing, answer: &Answer) {
        let mut pages = self.pages();
        let is_own = |flight: &Flight| flight.landing.same_channel(landing);
        if !pages.flights.get(key).is_some_and(is_own) {
            return;
        }
        pages.flights.remove(key);
        if matches!(answer, Answer::Failed) {
            return;
        }
        // A full memory is emptied: what is still in use comes back at the next question.
        if pages.known.len() >= REMEMBERED {
            pages.known.clear();
        }
        let entry = (answer.clone(), self.clock.boot());
        pages.known.insert(key.clone(), entry);
    }

    /// This container changed.
    pub(super) fn forget(&self, id: &str) {
        let mut pages = self.pages();
        pages.known.retain(|key, _| key.id.as_str() != id);
        pages.flights.retain(|key, _| key.id.as_str() != id);
    }

    /// Anything may have changed.
    pub(super) fn forget_all(&self) {
        let mut pages = self.pages();
        pages.known.clear();
        pages.flights.clear();
    }
}
