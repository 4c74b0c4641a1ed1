//! The cache itself: the one door to all sessions.

use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::yield_now;

use super::allowance::{Allowance, Ticket};
use super::failure::Failure;
use super::flight::Outcome;
use super::kept::{Keeper, Legacy, NotSettled, Settle};
use super::observer::{Dropped, Observer};
use super::pacing::{Class, Pacing};
use super::registry::{Entry, Record, Registry};
use super::report::Report;
use super::{Catalogue, FailureKind, FetchError, Lease, Prefetch, Request, SessionKey, Wish};
use crate::clock::Clock;
use crate::grants::Granted;
use crate::secret;
use crate::types::RoleRef;

/// So many keys are looked at before the thread is given to others.
pub(super) const BATCH: usize = 64;

/// Which sessions an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Those of one role.
    Role(RoleRef),
    /// All of them.
    All,
}

impl Selector {
    fn selects(&self, record: &Record) -> bool {
        match self {
            Self::Role(role) => record.is_called(role),
            Self::All => true,
        }
    }
}

/// All sessions of the daemon: held, under way, and due. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(pub(super) Arc<Shared>);

pub(super) struct Shared {
    clock: Clock,
    pub(super) capacity: usize,
    observer: Arc<dyn Observer>,
    pub(super) keeper: Arc<dyn Keeper>,
    pub(super) legacy: Legacy,
    pacing: Pacing,
    registry: Mutex<Registry>,
    /// Something is due sooner than the scheduling task knows.
    pub(super) sooner: Notify,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(..)")
    }
}

impl Sessions {
    /// An empty cache for at most `capacity` sessions.
    pub fn new(clock: Clock, capacity: usize, observer: Arc<dyn Observer>) -> Self {
        Self::keeping(clock, capacity, observer, Arc::new(()))
    }

    /// The same where somebody keeps what is held for the next process.
    pub fn keeping(
        clock: Clock,
        capacity: usize,
        observer: Arc<dyn Observer>,
        keeper: Arc<dyn Keeper>,
    ) -> Self {
        // Without randomness hosts only renew in step with each other.
        let seed = secret::random().map_or(0, u64::from_le_bytes);
        Self::seeded(clock, capacity, (observer, keeper), seed)
    }

    /// An empty cache whose moments and jitter follow from `seed`.
    pub(super) fn seeded(
        clock: Clock,
        capacity: usize,
        (observer, keeper): (Arc<dyn Observer>, Arc<dyn Keeper>),
        seed: u64,
    ) -> Self {
        Self(Arc::new(Shared {
            clock,
            capacity,
            observer,
            keeper,
            legacy: Legacy::default(),
            pacing: Pacing::default(),
            registry: Mutex::new(Registry::new(capacity, seed)),
            sooner: Notify::new(),
        }))
    }

    /// The door for callers: a lease of the session that this request obtains, whose flights count
    /// against this caller's allowance.
    ///
    /// A proof for another role than the request's gives a lease that never brings anything.
    pub fn lease(
        &self,
        granted: &Granted,
        request: &Arc<Request>,
        allowance: Arc<Allowance>,
    ) -> Lease {
        let entry = if *granted.role() == request.role {
            self.enter(request)
        } else {
            Arc::new(Entry::new(request.key, self.clock().boot()))
        };
        Lease::new(self.clone(), entry, allowance)
    }

    /// Fetches a session before anybody asks, and keeps it as long as the handle lives.
    pub fn prefetch(&self, request: Arc<Request>) -> Prefetch {
        let entry = self.enter(&request);
        if let Some(record) = self.lock().records.get_mut(&entry.key) {
            record.kept += 1;
        }
        let _on_its_way = self.board(&entry, Class::Prefetch, Ticket::of_nobody());
        Prefetch::new(self.clone(), entry, request)
    }

    /// Fetches what the selector means now, whatever failed before, and waits for the results: one
    /// for each key that is held, under way or remembered.
    pub async fn refresh(&self, selector: &Selector) -> Vec<(RoleRef, Result<(), FetchError>)> {
        let class = match selector {
            Selector::Role(_) => Class::Waiting,
            Selector::All => Class::Refresh,
        };
        let mut flights = Vec::new();
        let mut keys = Keys::new(self, |record| record.is_awake() && selector.selects(record));
        while let Some(batch) = keys.next() {
            for key in batch {
                flights.extend(self.renew(&key, class));
            }
            yield_now().await;
        }
        let mut results = Vec::with_capacity(flights.len());
        for flight in flights {
            let result = match flight.ended().await {
                Outcome::Landed(_) => Ok(()),
                Outcome::Failed(error) => Err(error),
                Outcome::CalledOff => Err(unavailable("the session was forgotten meanwhile")),
                Outcome::Stopping => Err(unavailable("the daemon stops")),
            };
            results.push((flight.request().role.clone(), result));
        }
        results
    }

    /// Drops the sessions of a role, and calls its flights off: who waits for them waits for new
    /// ones. How many sessions were dropped, once none of them is kept anywhere either.
    pub async fn forget(&self, role: &RoleRef) -> Result<usize, NotSettled> {
        self.sorted().await;
        let dropped = self.drop_held(role);
        self.disinherit();
        self.0
            .keeper
            .settled(Settle::Erased)
            .await
            .map(|()| dropped)
    }

    fn drop_held(&self, role: &RoleRef) -> usize {
        let now = self.clock().boot();
        let mut dropped = Vec::new();
        {
            let mut registry = self.lock();
            let called = registry
                .records
                .values()
                .filter(|record| record.is_called(role));
            let keys: Vec<SessionKey> = called.map(|record| record.entry.key).collect();
            for key in keys {
                dropped.extend(registry.forget(&key, now));
            }
        }
        for request in &dropped {
            self.dropped(request, Dropped::Forgotten);
        }
        self.0.sooner.notify_one();
        dropped.len()
    }

    /// Forgets all failures: the next who asks is fetched for at once.
    pub fn clear_failures(&self) {
        let now = self.clock().boot();
        let mut registry = self.lock();
        let failed = registry
            .records
            .values()
            .filter(|record| record.failure.is_some());
        let keys: Vec<SessionKey> = failed.map(|record| record.entry.key).collect();
        for key in keys {
            registry.clear_failure(&key, now);
        }
        drop(registry);
        self.0.sooner.notify_one();
    }

    /// Lets go of every session that this catalogue does not make any more for the same caller.
    /// Leases of such a session bring nothing from then on: callers get new leases after a reload.
    pub async fn retain(&self, catalogue: &dyn Catalogue) {
        let mut keys = Keys::new(self, |_| true);
        while let Some(batch) = keys.next() {
            for key in batch {
                if let Some(request) = self.retain_one(&key, catalogue) {
                    self.dropped(&request, Dropped::Retired);
                }
            }
            yield_now().await;
        }
    }

    fn retain_one(&self, key: &SessionKey, catalogue: &dyn Catalogue) -> Option<Arc<Request>> {
        let (wish, roles) = {
            let registry = self.lock();
            let record = registry.records.get(key)?;
            let roles: Vec<RoleRef> = record.roles().cloned().collect();
            (Arc::clone(&record.request.wish), roles)
        };
        let mut made = roles.iter().filter_map(|role| {
            let wish = Wish {
                role: role.clone(),
                ..Wish::clone(&wish)
            };
            let request = catalogue.request(&wish).ok()?;
            (request.key == *key).then_some(request)
        });
        let first = made.next();
        let aliases: Vec<RoleRef> = made.map(|request| request.role.clone()).collect();
        let now = self.clock().boot();
        let mut registry = self.lock();
        let Some(request) = first else {
            registry.records.get_mut(key)?.retired = true;
            return registry.forget(key, now);
        };
        let record = registry.records.get_mut(key)?;
        record.request = request;
        record.aliases = aliases;
        None
    }

    /// How many sessions are held.
    pub fn held(&self) -> usize {
        let registry = self.lock();
        let records = registry.records.values();
        records.filter(|record| record.holds()).count()
    }

    /// What is held, under way and remembered, by role.
    pub fn report(&self) -> Vec<Report> {
        self.report_of(|_| true)
    }

    /// The same of these roles only: most callers may see few of many.
    pub fn report_of(&self, wanted: impl Fn(&RoleRef) -> bool) -> Vec<Report> {
        let now = self.clock().boot();
        let registry = self.lock();
        let awake = registry.records.values().filter(|record| record.is_awake());
        let mut reports: Vec<Report> = awake
            .flat_map(|record| {
                let pace = self.0.pacing.pace(&record.request.upstream);
                let roles = record.roles().filter(|role| wanted(role));
                roles.map(move |role| Report::new(role, record, pace, now))
            })
            .collect();
        drop(registry);
        reports.sort_by(|a, b| a.role.cmp(&b.role));
        reports
    }
}

/// What the rest of the room does with the cache.
impl Sessions {
    pub(super) fn lock(&self) -> MutexGuard<'_, Registry> {
        let registry = &self.0.registry;
        registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn observer(&self) -> &dyn Observer {
        self.0.observer.as_ref()
    }

    /// A held session was let go.
    pub(super) fn dropped(&self, request: &Request, why: Dropped) {
        self.0.keeper.let_go(&request.key);
        self.observer().dropped(request, why);
    }

    /// Waits until what is held is kept for the next process.
    pub async fn settled(&self, what: Settle) -> Result<(), NotSettled> {
        self.0.keeper.settled(what).await
    }

    pub(super) fn pacing(&self) -> &Pacing {
        &self.0.pacing
    }

    /// The entry of this request's key.
    pub(super) fn enter(&self, request: &Arc<Request>) -> Arc<Entry> {
        let now = self.clock().boot();
        self.lock().enter(request, now)
    }

    /// The failure since this entry's last success.
    pub(super) fn last_failure(&self, entry: &Entry) -> Option<Failure> {
        let registry = self.lock();
        let record = registry.records.get(&entry.key)?;
        record.failure.as_deref().cloned()
    }

    /// The failure that is told to whoever wants this entry's session now.
    pub(super) fn standing_failure(&self, entry: &Entry) -> Option<FetchError> {
        let now = self.clock().boot();
        let registry = self.lock();
        let failure = registry.records.get(&entry.key)?.standing_failure(now)?;
        Some(failure.error.clone())
    }

    /// A prefetch handle is gone.
    pub(super) fn unkeep(&self, entry: &Entry) {
        let now = self.clock().boot();
        let mut registry = self.lock();
        if let Some(record) = registry.records.get_mut(&entry.key) {
            record.kept = record.kept.saturating_sub(1);
        }
        registry.reschedule(&entry.key, now);
    }
}

/// The keys of all records that are wanted, batch by batch, however the cache changes meanwhile.
struct Keys<'a, F> {
    sessions: &'a Sessions,
    wanted: F,
    from: Bound<SessionKey>,
}

impl<'a, F: Fn(&Record) -> bool> Keys<'a, F> {
    const fn new(sessions: &'a Sessions, wanted: F) -> Self {
        Self {
            sessions,
            wanted,
            from: Bound::Unbounded,
        }
    }

    fn next(&mut self) -> Option<Vec<SessionKey>> {
        let registry = self.sessions.lock();
        let range = registry.records.range((self.from, Bound::Unbounded));
        let batch: Vec<(SessionKey, bool)> = range
            .take(BATCH)
            .map(|(key, record)| (*key, (self.wanted)(record)))
            .collect();
        self.from = Bound::Excluded(batch.last()?.0);
        let wanted = batch.into_iter().filter(|(_, wanted)| *wanted);
        Some(wanted.map(|(key, _)| key).collect())
    }
}

pub(super) fn unavailable(message: &'static str) -> FetchError {
    FetchError::new(FailureKind::Unavailable, message)
}
