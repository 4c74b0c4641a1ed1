//! The cache itself: the one door to all sessions.

use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::flight::{Flight, Outcome, fly};
use super::lease::LONGEST_SLEEP;
use super::observer::{Dropped, Observer};
use super::pacing::{Class, Pacing};
use super::registry::{Departure, Entry, Look, Record, Registry};
use super::report::Report;
use super::schedule::line;
use super::{Catalogue, FailureKind, FetchError, Lease, Prefetch, Request, Session, SessionKey};
use crate::clock::{BootTime, Clock};
use crate::grants::Granted;
use crate::secret;
use crate::types::RoleRef;

/// So many keys are looked at before the thread is given to others.
const BATCH: usize = 64;

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
pub struct Sessions(Arc<Shared>);

struct Shared {
    clock: Clock,
    capacity: usize,
    observer: Arc<dyn Observer>,
    pacing: Pacing,
    registry: Mutex<Registry>,
    /// Something is due sooner than the scheduling task knows.
    sooner: Notify,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(..)")
    }
}

/// What somebody who wants a session finds.
pub(super) enum Boarding {
    /// A held session.
    Held(Arc<Session>),
    /// The flight that brings one, perhaps just started.
    Flight(Arc<Flight>),
    /// A failure that stands until this moment.
    Failed(FetchError, BootTime),
    /// Nothing is fetched for this lease.
    Refused(FetchError),
    /// The daemon stops.
    Stopping,
}

impl Sessions {
    /// An empty cache for at most `capacity` sessions.
    pub fn new(clock: Clock, capacity: usize, observer: Arc<dyn Observer>) -> Self {
        // Without randomness hosts only renew in step with each other.
        let seed = secret::random().map_or(0, u64::from_le_bytes);
        Self(Arc::new(Shared {
            clock,
            capacity,
            observer,
            pacing: Pacing::default(),
            registry: Mutex::new(Registry::new(capacity, seed)),
            sooner: Notify::new(),
        }))
    }

    /// The door for callers: a lease of the session that this request obtains.
    ///
    /// A proof for another role than the request's gives a lease that never brings anything.
    pub fn lease(&self, granted: &Granted, request: &Arc<Request>) -> Lease {
        let entry = if *granted.role() == request.role {
            self.enter(request)
        } else {
            Arc::new(Entry::new(request.key, self.clock().boot()))
        };
        Lease::new(self.clone(), entry)
    }

    /// Fetches a session before anybody asks, and keeps it as long as the handle lives.
    pub fn prefetch(&self, request: Arc<Request>) -> Prefetch {
        let entry = self.enter(&request);
        if let Some(record) = self.lock().records.get_mut(&entry.key) {
            record.kept += 1;
        }
        let _on_its_way = self.board(&entry, Class::Prefetch);
        Prefetch::new(Lease::new(self.clone(), entry), request)
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
    /// ones. How many sessions were dropped.
    pub fn forget(&self, role: &RoleRef) -> usize {
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
            self.observer().dropped(request, Dropped::Forgotten);
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
                    self.observer().dropped(&request, Dropped::Retired);
                }
            }
            yield_now().await;
        }
    }

    fn retain_one(&self, key: &SessionKey, catalogue: &dyn Catalogue) -> Option<Arc<Request>> {
        let (names, roles) = {
            let registry = self.lock();
            let record = registry.records.get(key)?;
            let roles: Vec<RoleRef> = record.roles().cloned().collect();
            (Arc::clone(&record.request), roles)
        };
        let mut made = roles.iter().filter_map(|role| {
            let request = catalogue.request(role, &names.names)?;
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

    /// What is held, under way and remembered, by role.
    pub fn report(&self) -> Vec<Report> {
        let now = self.clock().boot();
        let registry = self.lock();
        let awake = registry.records.values().filter(|record| record.is_awake());
        let mut reports: Vec<Report> = awake
            .flat_map(|record| {
                let pace = self.0.pacing.pace(&record.request.upstream);
                record
                    .roles()
                    .map(move |role| Report::new(role, record, pace, now))
            })
            .collect();
        drop(registry);
        reports.sort_by(|a, b| a.role.cmp(&b.role));
        reports
    }

    /// The one scheduling task: renews what is due and lets go of what is idle, until `stop`. Then
    /// whoever waits is told so at once; what is held is still handed out.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            let pause = self.look_at_due();
            if pause.is_zero() {
                yield_now().await;
                if !stop.is_cancelled() {
                    continue;
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.0.sooner.notified() => {}
                () = sleep(pause) => {}
            }
        }
        let mut registry = self.lock();
        registry.stopping = true;
        for record in registry.records.values() {
            if let Some(flight) = &record.flight {
                flight.end(Outcome::Stopping);
            }
        }
    }

    /// Looks at one batch of what is due. How long until the next.
    fn look_at_due(&self) -> Duration {
        for _ in 0..BATCH {
            let now = self.clock().boot();
            let (key, look) = {
                let mut registry = self.lock();
                let Some((due, key)) = registry.first_due() else {
                    return LONGEST_SLEEP;
                };
                if due > now {
                    return due.since(now).min(LONGEST_SLEEP);
                }
                (key, registry.look(&key, now))
            };
            match look {
                Look::Nothing => {}
                Look::Fetch(class) => drop(self.depart(&key, class)),
                Look::Dropped(request, why) => self.observer().dropped(&request, why),
            }
        }
        Duration::ZERO
    }
}

/// What the rest of the room does with the cache.
impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Registry> {
        let registry = &self.0.registry;
        registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn observer(&self) -> &dyn Observer {
        self.0.observer.as_ref()
    }

    pub(super) fn pacing(&self) -> &Pacing {
        &self.0.pacing
    }

    /// The entry of this request's key.
    pub(super) fn enter(&self, request: &Arc<Request>) -> Arc<Entry> {
        let now = self.clock().boot();
        self.lock().enter(request, now)
    }

    /// What somebody of this class who wants a session finds; starts a flight if that is all that
    /// is missing.
    pub(super) fn board(&self, entry: &Arc<Entry>, class: Class) -> Boarding {
        let now = self.clock().boot();
        if let Some(session) = entry.servable(now) {
            return Boarding::Held(session);
        }
        let registry = self.lock();
        if registry.stopping {
            return Boarding::Stopping;
        }
        let record = registry.records.get(&entry.key);
        let Some(record) = record.filter(|record| Arc::ptr_eq(&record.entry, entry)) else {
            return Boarding::Refused(FetchError::new(
                FailureKind::Misconfigured,
                "the grant is for another role",
            ));
        };
        if record.retired {
            return Boarding::Refused(unavailable("the configuration has changed meanwhile"));
        }
        if let Some(flight) = &record.flight {
            let flight = Arc::clone(flight);
            if class == Class::Waiting {
                self.hurry(&registry, &flight);
            }
            return Boarding::Flight(flight);
        }
        if let Some(failure) = record
            .failure
            .as_ref()
            .filter(|failure| failure.again > now)
        {
            return Boarding::Failed(failure.error.clone(), failure.again);
        }
        drop(registry);
        match self.depart(&entry.key, class) {
            Some(flight) => Boarding::Flight(flight),
            None => Boarding::Refused(unavailable("all sessions that may be held are in use")),
        }
    }

    /// Puts a flight under way. `None` if there is no room for what it would bring.
    fn depart(&self, key: &SessionKey, class: Class) -> Option<Arc<Flight>> {
        let now = self.clock().boot();
        let mut registry = self.lock();
        let departed = registry.depart(key, class, now);
        let request = registry
            .records
            .get(key)
            .map(|record| Arc::clone(&record.request));
        drop(registry);
        let Ok(departed) = departed else {
            self.observer().full(request.as_ref()?, self.0.capacity);
            return None;
        };
        let Departure { flight, evicted } = departed?;
        if let Some(evicted) = evicted {
            self.observer().dropped(&evicted, Dropped::Evicted);
        }
        drop(tokio::spawn(fly(self.clone(), Arc::clone(&flight))));
        Some(flight)
    }

    /// Lets a flight, and the flights of the base roles it may be waiting for, go before others.
    fn hurry(&self, registry: &Registry, flight: &Flight) {
        if !flight.hurry() {
            return;
        }
        let request = flight.request();
        self.0.pacing.promote(&request.upstream, flight.number());
        let mut next = request.base.as_ref();
        while let Some(base) = next {
            let record = registry.records.get(&base.key);
            if let Some(under_it) = record.and_then(|record| record.flight.as_ref())
                && under_it.hurry()
            {
                self.0.pacing.promote(&base.upstream, under_it.number());
            }
            next = base.base.as_ref();
        }
    }

    /// The flight that renews this key now: the one under way, or a new one.
    fn renew(&self, key: &SessionKey, class: Class) -> Option<Arc<Flight>> {
        let now = self.clock().boot();
        let mut registry = self.lock();
        registry.clear_failure(key, now);
        let record = registry.records.get(key)?;
        if record.retired || registry.stopping {
            return None;
        }
        if let Some(flight) = &record.flight {
            let flight = Arc::clone(flight);
            if class == Class::Waiting {
                self.hurry(&registry, &flight);
            }
            return Some(flight);
        }
        drop(registry);
        self.depart(key, class)
    }

    /// Ends a flight: keeps what it brought or remembers why not, and tells who waits.
    pub(super) fn land(
        &self,
        flight: &Arc<Flight>,
        result: Result<Arc<Session>, (FetchError, Option<BootTime>)>,
    ) {
        let now = self.clock().boot();
        let landed = {
            let mut registry = self.lock();
            registry.land(
                flight,
                result.as_ref().map_err(|(error, again)| (error, *again)),
                now,
            )
        };
        let Ok(before) = landed else {
            return flight.call_off();
        };
        if let (Ok(_), Some(before)) = (&result, before) {
            let remaining = before.ends.since(now);
            let behind = line(before.life).saturating_sub(remaining);
            self.observer().renewed(flight.request(), remaining, behind);
        }
        flight.end(match result {
            Ok(session) => Outcome::Landed(session),
            Err((error, _)) => Outcome::Failed(error),
        });
        self.0.sooner.notify_one();
    }

    /// Upstream refused what this session of a base role signed: it is renewed, unless it has been
    /// meanwhile or is so new that another could not be better.
    pub(super) fn doubt(&self, base: &Request, session: &Arc<Session>) {
        let age = session.life.saturating_sub(session.remaining(self.clock()));
        if age < LONGEST_SLEEP {
            return;
        }
        let registry = self.lock();
        let record = registry.records.get(&base.key);
        let same = record.is_some_and(|record| {
            let held = record.entry.held.load();
            record.flight.is_none() && held.as_ref().is_some_and(|held| Arc::ptr_eq(held, session))
        });
        drop(registry);
        if same {
            let _on_its_way = self.depart(&base.key, Class::Refresh);
        }
    }

    /// The failure that stands in the way of this entry's session.
    pub(super) fn failure(&self, entry: &Entry) -> Option<FetchError> {
        let now = self.clock().boot();
        if entry.servable(now).is_some() {
            return None;
        }
        let registry = self.lock();
        let failure = registry.records.get(&entry.key)?.failure.as_ref()?;
        (failure.again > now).then(|| failure.error.clone())
    }

    /// When this entry's fetch is tried again, if it has failed.
    pub(super) fn tried_again(&self, entry: &Entry) -> Option<BootTime> {
        let registry = self.lock();
        let failure = registry.records.get(&entry.key)?.failure.as_ref()?;
        Some(failure.again)
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

fn unavailable(message: &'static str) -> FetchError {
    FetchError::new(FailureKind::Unavailable, message)
}
