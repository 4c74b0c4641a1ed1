//! What is known of every key: what is held, under way, remembered and due. No I/O, no waiting;
//! time is handed in. One plain mutex guards it, for microseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::failure::Failure;
use super::flight::Flight;
use super::pacing::Class;
use super::schedule::{Draw, Spread, renew_after};
use super::{Dropped, FetchError, Request, Session, SessionKey};
use crate::clock::BootTime;
use crate::types::RoleRef;

/// A key that holds nothing and that nobody asks for is looked at again after this long, and then
/// forgotten.
const LINGER: Duration = Duration::from_mins(1);

/// A failure that nobody asks about is forgotten this long after it may be tried again.
const FAILURE_LINGER: Duration = Duration::from_mins(5);

/// Who was used within this time is never evicted.
const RECENT: Duration = Duration::from_mins(1);

/// After a search for somebody to evict found nobody, the next one is made no sooner.
const FULL_FOR: Duration = Duration::from_secs(1);

/// What all leases of one key share: the hot path touches nothing else.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: SessionKey,
    pub(super) held: ArcSwapOption<Session>,
    /// The last use, in whole seconds since boot.
    used: AtomicU64,
}

impl Entry {
    pub(super) fn new(key: SessionKey, now: BootTime) -> Self {
        Self {
            key,
            held: ArcSwapOption::empty(),
            used: AtomicU64::new(now.since_boot().as_secs()),
        }
    }

    /// The held session, if it may still be handed out.
    pub(super) fn servable(&self, now: BootTime) -> Option<Arc<Session>> {
        let session = self.held.load();
        match session.as_ref() {
            Some(session) if session.is_servable_at(now) => Some(Arc::clone(session)),
            Some(_) | None => None,
        }
    }

    /// The held session, which is used now.
    pub(super) fn hand_out(&self, now: BootTime) -> Option<Arc<Session>> {
        let session = self.servable(now)?;
        self.touch(now);
        Some(session)
    }

    /// Marks a use.
    pub(super) fn touch(&self, now: BootTime) {
        let now = now.since_boot().as_secs();
        if self.used.load(Ordering::Relaxed) != now {
            self.used.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn used(&self) -> BootTime {
        BootTime::after_boot(Duration::from_secs(self.used.load(Ordering::Relaxed)))
    }
}

/// One key.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) entry: Arc<Entry>,
    /// The newest request of this key: a reload brings a new one with equal meaning.
    pub(super) request: Arc<Request>,
    /// Further names under which the same key was asked for.
    pub(super) aliases: Vec<RoleRef>,
    pub(super) flight: Option<Arc<Flight>>,
    pub(super) failure: Option<Box<Failure>>,
    /// When the held session is to be renewed.
    pub(super) renews: BootTime,
    /// Its place in the agenda.
    due: Option<BootTime>,
    /// How many prefetch handles want it kept.
    pub(super) kept: usize,
    /// Whether it counts against the capacity: it holds, fetches or remembers something.
    awake: bool,
    /// The configuration no longer makes it.
    pub(super) retired: bool,
}

impl Record {
    pub(super) fn roles(&self) -> impl Iterator<Item = &RoleRef> {
        std::iter::once(&self.request.role).chain(&self.aliases)
    }

    pub(super) fn is_called(&self, role: &RoleRef) -> bool {
        self.roles().any(|name| name == role)
    }

    pub(super) const fn is_awake(&self) -> bool {
        self.awake
    }

    pub(super) fn holds(&self) -> bool {
        self.entry.held.load().is_some()
    }

    /// When the held session ends.
    fn ends(&self) -> Option<BootTime> {
        self.entry.held.load().as_ref().map(|session| session.ends)
    }

    /// Whether a prefetch handle wants it kept, and it can still be had.
    pub(super) const fn is_kept(&self) -> bool {
        self.kept > 0 && !self.retired
    }

    fn idle_at(&self) -> BootTime {
        self.entry.used().plus(self.request.idle)
    }

    /// The failure that is told to whoever wants a session now.
    pub(super) fn standing_failure(&self, now: BootTime) -> Option<&Failure> {
        let failure = self.failure.as_deref();
        failure.filter(|failure| failure.stands(now, &self.request))
    }

    /// When to look at it again. A flight looks by itself when it lands.
    fn next_look(&self, now: BootTime) -> Option<BootTime> {
        if self.flight.is_some() {
            return None;
        }
        let again = self.failure.as_ref().map(|failure| failure.again);
        let wanted = match (self.ends(), again) {
            (Some(ends), again) => again.unwrap_or(self.renews).min(ends),
            (None, again) if self.is_kept() => again.unwrap_or(now),
            (None, Some(again)) => return Some(again.max(now).plus(FAILURE_LINGER)),
            (None, None) => return Some(now.plus(LINGER)),
        };
        if self.is_kept() {
            Some(wanted)
        } else {
            Some(wanted.min(self.idle_at()))
        }
    }
}

/// What came of a look at one key.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing to do now.
    Nothing,
    /// Its session is due: fetch it.
    Fetch(Class),
    /// Its session was let go.
    Dropped(Arc<Request>, Dropped),
}

/// A flight that has just been put under way, and whose session had to make room for it.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) flight: Arc<Flight>,
    pub(super) evicted: Option<Arc<Request>>,
}

/// The flight that would land is not its key's flight any more: what it brings is not wanted.
#[derive(Debug)]
pub(super) struct NotWanted;

/// There is no room for another session.
#[derive(Debug)]
pub(super) struct Full;

/// All keys.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) records: BTreeMap<SessionKey, Record>,
    agenda: BTreeSet<(BootTime, SessionKey)>,
    capacity: usize,
    awake: usize,
    full_until: BootTime,
    moments: Spread,
    pub(super) jitter: Spread,
    flights: u64,
    pub(super) stopping: bool,
}

impl Registry {
    pub(super) const fn new(capacity: usize, seed: u64) -> Self {
        Self {
            records: BTreeMap::new(),
            agenda: BTreeSet::new(),
            capacity,
            awake: 0,
            full_until: BootTime::after_boot(Duration::ZERO),
            moments: Spread::starting_at(seed),
            jitter: Spread::starting_at(!seed),
            flights: 0,
            stopping: false,
        }
    }

    /// The entry of this request's key, made if it is new.
    pub(super) fn enter(&mut self, request: &Arc<Request>, now: BootTime) -> Arc<Entry> {
        if let Some(record) = self.records.get_mut(&request.key) {
            record.retired = false;
            if !Arc::ptr_eq(&record.request, request) {
                let before = std::mem::replace(&mut record.request, Arc::clone(request));
                record.aliases.retain(|alias| *alias != request.role);
                if before.role != request.role {
                    record.aliases.push(before.role.clone());
                }
            }
            return Arc::clone(&record.entry);
        }
        let entry = Arc::new(Entry::new(request.key, now));
        let record = Record {
            entry: Arc::clone(&entry),
            request: Arc::clone(request),
            aliases: Vec::new(),
            flight: None,
            failure: None,
            renews: now,
            due: None,
            kept: 0,
            awake: false,
            retired: false,
        };
        self.records.insert(request.key, record);
        self.reschedule(&request.key, now);
        entry
    }

    /// Puts a flight under way for this key. Nothing if one is, or if there is no such key.
    pub(super) fn depart(
        &mut self,
        key: &SessionKey,
        class: Class,
        now: BootTime,
    ) -> Result<Option<Departure>, Full> {
        let evicted = self.wake(key, now)?;
        let number = self.flights + 1;
        let record = self.records.get_mut(key);
        let Some(record) = record.filter(|record| record.flight.is_none()) else {
            return Ok(None);
        };
        self.flights = number;
        let flight = Arc::new(Flight::new(number, record, class, now));
        record.flight = Some(Arc::clone(&flight));
        self.reschedule(key, now);
        Ok(Some(Departure { flight, evicted }))
    }

    /// Counts this key against the capacity, evicting another if need be.
    fn wake(&mut self, key: &SessionKey, now: BootTime) -> Result<Option<Arc<Request>>, Full> {
        let kept = match self.records.get(key) {
            Some(record) if !record.awake => record.is_kept(),
            Some(_) | None => return Ok(None),
        };
        let evicted = if self.awake < self.capacity {
            None
        } else {
            match self.evict(now) {
                Ok(evicted) => evicted,
                // What is to be kept is bounded by the configuration.
                Err(Full) if kept => None,
                Err(full) => return Err(full),
            }
        };
        if let Some(record) = self.records.get_mut(key) {
            record.awake = true;
            // It idles from here on, even if nobody ever uses what is fetched now.
            record.entry.touch(now);
            self.awake += 1;
        }
        Ok(evicted)
    }

    /// Lets the least recently used key go, those that hold nothing first. Its request, if it held
    /// a session.
    fn evict(&mut self, now: BootTime) -> Result<Option<Arc<Request>>, Full> {
        if now < self.full_until {
            return Err(Full);
        }
        let victim = self
            .records
            .values()
            .filter(|record| record.awake && !record.is_kept() && record.flight.is_none())
            .filter(|record| now.since(record.entry.used()) > RECENT)
            .min_by_key(|record| (record.holds(), record.entry.used()))
            .map(|record| record.entry.key);
        let Some(victim) = victim else {
            self.full_until = now.plus(FULL_FOR);
            return Err(Full);
        };
        Ok(self.sleep(&victim, now))
    }

    /// Lets go of all that this key holds and remembers. Its request, if it held a session.
    fn sleep(&mut self, key: &SessionKey, now: BootTime) -> Option<Arc<Request>> {
        let record = self.records.get_mut(key)?;
        let dropped = record
            .entry
            .held
            .swap(None)
            .map(|_| Arc::clone(&record.request));
        record.failure = None;
        if record.flight.is_none() && !record.is_kept() {
            if record.awake {
                record.awake = false;
                self.awake -= 1;
            }
            // Only the map can make further references to an entry that nobody else refers to.
            if Arc::strong_count(&record.entry) == 1 {
                if let Some(due) = record.due.take() {
                    self.agenda.remove(&(due, *key));
                }
                self.records.remove(key);
                return dropped;
            }
        }
        self.reschedule(key, now);
        dropped
    }

    /// Lands a flight. What was held before, if this is still the key's flight.
    pub(super) fn land(
        &mut self,
        flight: &Arc<Flight>,
        result: Result<&Arc<Session>, (&FetchError, Option<BootTime>)>,
        now: BootTime,
    ) -> Result<Option<Arc<Session>>, NotWanted> {
        let key = flight.entry.key;
        let record = self.records.get_mut(&key).ok_or(NotWanted)?;
        let current = record.flight.as_ref();
        if !current.is_some_and(|current| Arc::ptr_eq(current, flight)) {
            return Err(NotWanted);
        }
        record.flight = None;
        let before = match result {
            Ok(session) => {
                record.failure = None;
                record.renews = renewal(session, self.moments.draw());
                record.entry.held.swap(Some(Arc::clone(session)))
            }
            Err((error, again)) => {
                let before = record.failure.as_deref();
                let draw = self.jitter.draw();
                let mut failure =
                    Failure::remember(error.clone(), before, now, draw, flight.brought());
                failure.again = again.unwrap_or(failure.again);
                record.failure = Some(Box::new(failure));
                None
            }
        };
        self.reschedule(&key, now);
        Ok(before)
    }

    /// Holds what was held before, where nothing else is; what it holds then.
    pub(super) fn resume(
        &mut self,
        key: &SessionKey,
        session: &Arc<Session>,
        now: BootTime,
    ) -> Option<Arc<Session>> {
        let full = self.awake >= self.capacity;
        let renews = renewal(session, self.moments.draw());
        let record = self.records.get_mut(key)?;
        let holds = record.entry.servable(now);
        if holds.is_some() || (full && !record.awake) {
            return holds;
        }
        record.failure = None;
        record.renews = renews;
        record.entry.held.store(Some(Arc::clone(session)));
        record.entry.touch(now);
        if !record.awake {
            record.awake = true;
            self.awake += 1;
        }
        self.reschedule(key, now);
        Some(Arc::clone(session))
    }

    /// Forgets the failure of a key.
    pub(super) fn clear_failure(&mut self, key: &SessionKey, now: BootTime) {
        if let Some(record) = self.records.get_mut(key) {
            record.failure = None;
            self.reschedule(key, now);
        }
    }

    /// Drops what a key holds and remembers, and calls its flight off.
    pub(super) fn forget(&mut self, key: &SessionKey, now: BootTime) -> Option<Arc<Request>> {
        let record = self.records.get_mut(key)?;
        if let Some(flight) = record.flight.take() {
            flight.call_off();
        }
        self.sleep(key, now)
    }

    /// Puts the key at its place in the agenda.
    pub(super) fn reschedule(&mut self, key: &SessionKey, now: BootTime) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let due = record.next_look(now);
        if due == record.due {
            return;
        }
        if let Some(before) = std::mem::replace(&mut record.due, due) {
            self.agenda.remove(&(before, *key));
        }
        if let Some(due) = due {
            self.agenda.insert((due, *key));
        }
    }

    /// The first key on the agenda, and when it is due.
    pub(super) fn first_due(&self) -> Option<(BootTime, SessionKey)> {
        self.agenda.first().copied()
    }

    /// Looks at a key that is due.
    pub(super) fn look(&mut self, key: &SessionKey, now: BootTime) -> Look {
        let Some(record) = self.records.get(key) else {
            return Look::Nothing;
        };
        let request = Arc::clone(&record.request);
        let idle = !record.is_kept() && now >= record.idle_at();
        if record.holds() && idle {
            self.sleep(key, now);
            return Look::Dropped(request, Dropped::Idle);
        }
        if record.ends().is_some_and(|ends| ends <= now) {
            record.entry.held.store(None);
            self.reschedule(key, now);
            return Look::Dropped(request, Dropped::Expired);
        }
        let (class, due) = match (record.holds(), record.is_kept()) {
            (true, _) => (Class::Refresh, record.renews),
            (false, true) => (Class::Prefetch, now),
            (false, false) => {
                self.sleep(key, now);
                return Look::Nothing;
            }
        };
        if record.failure.as_ref().map_or(due, |failure| failure.again) <= now {
            return Look::Fetch(class);
        }
        self.reschedule(key, now);
        Look::Nothing
    }
}

/// When a session is to be renewed: at once, where that moment lies behind.
fn renewal(session: &Session, draw: Draw) -> BootTime {
    let left = session.life.saturating_sub(renew_after(session.life, draw));
    session.ends.minus(left)
}

#[cfg(test)]
impl Registry {
    /// Panics unless every key is in flight or on the agenda, once, and the sums are right.
    pub(super) fn assert_sound(&self) {
        for (key, record) in &self.records {
            assert_eq!(record.due.is_none(), record.flight.is_some(), "{key:?}");
            if let Some(due) = record.due {
                assert!(self.agenda.contains(&(due, *key)), "{key:?}");
            }
            let dormant = !record.holds() && record.flight.is_none() && record.failure.is_none();
            assert!(record.awake || dormant, "{key:?} is not counted");
        }
        let due = self.records.values().filter(|record| record.due.is_some());
        assert_eq!(self.agenda.len(), due.count());
        let awake = self.records.values().filter(|record| record.awake);
        assert_eq!(self.awake, awake.count());
    }
}
