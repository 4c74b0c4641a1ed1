//! Sessions that outlive the process: what is told to whoever keeps them, and the legacy of an
//! earlier process, until somebody asks for them or their requests are made again.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::cache::BATCH;
use super::flight::Flight;
use super::lease::LONGEST_SLEEP;
use super::session::is_servable;
use super::{Catalogue, NoRequest, Request, Session, SessionKey, Sessions, Wish};
use crate::clock::{BootTime, Clock};

/// So long a fetch waits for what an earlier process held. Longer than any disk takes that works.
const READING: Duration = Duration::from_secs(1);

/// Nobody waits longer for it to be gone through.
const SORTING: Duration = Duration::from_secs(5);

/// What is waited for of a keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// All that was said so far is kept.
    Written,
    /// What was let go is nowhere any more.
    Erased,
    /// All is kept, and nothing more will be.
    Closed,
}

/// Ends when it is known whether it is so.
pub type Settled<'a> = Pin<Box<dyn Future<Output = Result<(), NotSettled>> + Send + 'a>>;

/// What should be kept is not, or what was let go may come back with the next process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotSettled(pub Arc<str>);

/// Keeps held sessions for the next process. Called outside all locks, on the thread that serves:
/// only [`Self::settled`] takes its time.
pub trait Keeper: Send + Sync + Debug {
    /// This session is held from now on, instead of the one before.
    fn keep(&self, _request: &Request, _session: &Arc<Session>) {}

    /// Nothing is held of this key any more.
    fn let_go(&self, _key: &SessionKey) {}

    /// Waits until it is so.
    fn settled(&self, _what: Settle) -> Settled<'_> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Keeps nothing.
impl Keeper for () {}

/// A session that was held by an earlier process.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What it was obtained for.
    pub key: SessionKey,
    /// What its request was made of, where that can be told again.
    pub wish: Option<Arc<Wish>>,
    /// The session. It ends when it says only if there is no `elsewhen`.
    pub session: Arc<Session>,
    /// When it ends, where the boot-time clock does not know: it is of another boot.
    pub elsewhen: Option<Elsewhen>,
}

/// A moment that is told by wall time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elsewhen {
    /// When it was written down.
    pub written: SystemTime,
    /// When the session ends, by the same clock.
    pub ends: SystemTime,
}

/// What became of a session when it was asked for.
enum Revived {
    /// It is as good as it was.
    Servable(Arc<Session>),
    /// It has ended.
    Ended,
    /// Nobody can tell before the clock is set.
    Unknown,
}

impl Kept {
    /// When it ends; `None` while nobody can tell. `wall` is wall time, where that can be believed.
    fn ends(&self, clock: &Clock, wall: impl FnOnce() -> Option<SystemTime>) -> Option<BootTime> {
        let Some(elsewhen) = self.elsewhen else {
            return Some(self.session.ends);
        };
        let left = elsewhen.ends.duration_since(wall()?).unwrap_or_default();
        Some(clock.boot().plus(left.min(self.session.life)))
    }

    fn revive(&self, clock: &Clock, newest: SystemTime) -> Revived {
        if !clock.is_plausible() {
            return Revived::Unknown;
        }
        let Some(ends) = self.ends(clock, || believed(clock, newest)) else {
            return Revived::Unknown;
        };
        if !is_servable(ends, clock.boot()) {
            return Revived::Ended;
        }
        Revived::Servable(match self.elsewhen {
            None => Arc::clone(&self.session),
            Some(_) => Arc::new(self.session.ending(ends)),
        })
    }
}

/// Wall time, where it tells how much later than in another boot it is.
fn believed(clock: &Clock, newest: SystemTime) -> Option<SystemTime> {
    let now = clock.now();
    (now >= newest && clock.is_told()).then_some(now)
}

/// How far what an earlier process held is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// It is being read.
    Reading,
    /// It can be asked for by its keys.
    Read,
    /// Whatever has a request is held again.
    Sorted,
}

/// What an earlier process held and nobody has asked for yet.
pub(super) struct Legacy {
    kept: Mutex<Left>,
    stage: watch::Sender<Stage>,
}

#[derive(Default)]
struct Left {
    kept: BTreeMap<SessionKey, Kept>,
    /// When the latest of them was written down. Before it no clock is right.
    newest: Option<SystemTime>,
    /// It was let go before it was known what there is.
    disowned: bool,
}

impl Left {
    fn newest(&self) -> SystemTime {
        self.newest.unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl Default for Legacy {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            stage: watch::Sender::new(Stage::Sorted),
        }
    }
}

impl Legacy {
    fn lock(&self) -> MutexGuard<'_, Left> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reached(&self, stage: Stage, patience: Duration) {
        let mut at = self.stage.subscribe();
        drop(timeout(patience, at.wait_for(|at| *at >= stage)).await);
    }

    fn remove(&self, key: &SessionKey) -> bool {
        self.lock().kept.remove(key).is_some()
    }

    /// Removes what has ended, as far as that is known; of which keys it was.
    fn remove_ended(&self, clock: &Clock) -> Vec<SessionKey> {
        if !clock.is_plausible() {
            return Vec::new();
        }
        let mut legacy = self.lock();
        let newest = legacy.newest();
        // It looks at files: once for all of them.
        let wall = LazyCell::new(|| believed(clock, newest));
        let has_ended = |kept: &Kept| {
            let ends = kept.ends(clock, || *wall);
            ends.is_some_and(|ends| !is_servable(ends, clock.boot()))
        };
        let ended = legacy.kept.extract_if(.., |_, kept| has_ended(kept));
        ended.map(|(key, _)| key).collect()
    }

    /// What is kept of this key, as far as it can be had now.
    fn take(&self, key: &SessionKey, clock: &Clock) -> Option<Revived> {
        let mut legacy = self.lock();
        let revived = legacy.kept.get(key)?.revive(clock, legacy.newest());
        if !matches!(revived, Revived::Unknown) {
            legacy.kept.remove(key);
        }
        Some(revived)
    }
}

impl Sessions {
    /// Fetches wait for [`Self::inherit`] from now on, though not for ever.
    pub fn expect_kept(&self) {
        self.0.legacy.stage.send_replace(Stage::Reading);
    }

    /// This is what an earlier process held. Each is handed out to whoever asks for the same once
    /// its end is known, and never after it.
    pub fn inherit(&self, kept: Vec<Kept>) {
        let legacy = &self.0.legacy;
        let disowned = {
            let mut left = legacy.lock();
            let written = kept.iter().filter_map(|kept| kept.elsewhen);
            left.newest = written.map(|elsewhen| elsewhen.written).max();
            left.kept = kept.into_iter().map(|kept| (kept.key, kept)).collect();
            // Under the lock: who lets go of it is here either before or after.
            legacy.stage.send_replace(Stage::Read);
            std::mem::take(&mut left.disowned)
        };
        if disowned {
            self.disinherit();
        }
    }

    /// How many sessions of an earlier process nobody has asked for yet.
    pub fn inherited(&self) -> usize {
        self.0.legacy.lock().kept.len()
    }

    /// Holds again what an earlier process held and this catalogue still makes for the same caller,
    /// and lets go of what it does not make any more. What cannot be told yet stays as it is.
    pub async fn resume(&self, catalogue: &dyn Catalogue) {
        let legacy = &self.0.legacy;
        legacy.reached(Stage::Read, Duration::MAX).await;
        let all: Vec<SessionKey> = legacy.lock().kept.keys().copied().collect();
        for batch in all.chunks(BATCH) {
            for key in batch {
                self.resume_one(key, catalogue);
            }
            yield_now().await;
        }
        legacy.stage.send_replace(Stage::Sorted);
        self.0.sooner.notify_one();
    }

    fn resume_one(&self, key: &SessionKey, catalogue: &dyn Catalogue) {
        let legacy = &self.0.legacy;
        let wish = legacy
            .lock()
            .kept
            .get(key)
            .and_then(|kept| kept.wish.clone());
        let Some(wish) = wish else {
            return;
        };
        let request = match catalogue.request(&wish) {
            Ok(request) if request.key == *key => request,
            Err(NoRequest::NotYet) => return,
            Ok(_) | Err(_) => {
                legacy.remove(key);
                return self.0.keeper.let_go(key);
            }
        };
        match legacy.take(key, self.clock()) {
            Some(Revived::Servable(session)) => self.hold_again(&request, &session),
            Some(Revived::Ended) => self.0.keeper.let_go(key),
            Some(Revived::Unknown) | None => {}
        }
    }

    fn hold_again(&self, request: &Arc<Request>, session: &Arc<Session>) {
        let now = self.clock().boot();
        let held = {
            let mut registry = self.lock();
            registry.enter(request, now);
            registry.resume(&request.key, session, now)
        };
        match held {
            // What was fetched meanwhile is newer.
            Some(newest) => self.0.keeper.keep(request, &newest),
            None => self.0.keeper.let_go(&request.key),
        }
    }

    /// Lets go of what has ended and nobody has asked for, for ever: nobody but its caller may be able
    /// to ask for it, and may be gone.
    pub(super) async fn let_go_of_ended(&self) -> ! {
        loop {
            sleep(LONGEST_SLEEP).await;
            for key in self.0.legacy.remove_ended(self.clock()) {
                self.0.keeper.let_go(&key);
            }
        }
    }

    /// What an earlier process held of this flight's key, if it may still be handed out. Nothing where
    /// the flight is a renewal.
    pub(super) async fn recover(&self, flight: &Flight) -> Option<Arc<Session>> {
        let (legacy, entry) = (&self.0.legacy, &flight.entry);
        if flight.renews {
            return None;
        }
        legacy.reached(Stage::Read, READING).await;
        // It may have been held again meanwhile.
        if let Some(session) = entry.servable(self.clock().boot()) {
            return Some(session);
        }
        match legacy.take(&entry.key, self.clock())? {
            Revived::Servable(session) => Some(session),
            Revived::Ended => {
                self.0.keeper.let_go(&entry.key);
                None
            }
            Revived::Unknown => None,
        }
    }

    /// Nothing that was kept of this key is of use any more.
    pub(super) fn outdate(&self, key: &SessionKey) {
        self.0.legacy.remove(key);
    }

    /// Waits until what an earlier process held is known by its roles.
    pub(super) async fn sorted(&self) {
        self.0.legacy.reached(Stage::Sorted, SORTING).await;
    }

    /// Lets go of all that nobody has asked for: whose it is was never known. Where it is not even
    /// known what there is, because the disk hangs, none of it will be held.
    pub(super) fn disinherit(&self) -> usize {
        let legacy = &self.0.legacy;
        let kept = {
            let mut left = legacy.lock();
            left.disowned = *legacy.stage.borrow() == Stage::Reading;
            std::mem::take(&mut left.kept)
        };
        for key in kept.keys() {
            self.0.keeper.let_go(key);
        }
        kept.len()
    }
}
