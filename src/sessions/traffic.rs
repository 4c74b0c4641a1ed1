//! Which flights depart, who boards them, and how they land.

use std::sync::{Arc, MutexGuard};

use super::allowance::Ticket;
use super::cache::unavailable;
use super::flight::{Flight, Outcome, fly};
use super::lease::LONGEST_SLEEP;
use super::pacing::Class;
use super::registry::{Departure, Entry, Registry};
use super::schedule::behind;
use super::{Dropped, FailureKind, FetchError, Request, Session, SessionKey, Sessions};
use crate::clock::BootTime;

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
    /// What somebody of this class who wants a session finds; starts a flight if that is all that
    /// is missing.
    pub(super) fn board(&self, entry: &Arc<Entry>, class: Class, ticket: Ticket) -> Boarding {
        if let Some(session) = entry.servable(self.clock().boot()) {
            return Boarding::Held(session);
        }
        let registry = self.lock();
        if let Some(found) = self.found(&registry, entry, class) {
            return found;
        }
        match self.depart(registry, &entry.key, class, ticket) {
            Some(flight) => Boarding::Flight(flight),
            None => Boarding::Refused(unavailable("all sessions that may be held are in use")),
        }
    }

    /// The same without starting a flight: `None` where one would have to be.
    pub(super) fn find(&self, entry: &Arc<Entry>, class: Class) -> Option<Boarding> {
        self.found(&self.lock(), entry, class)
    }

    fn found(&self, registry: &Registry, entry: &Arc<Entry>, class: Class) -> Option<Boarding> {
        let now = self.clock().boot();
        if let Some(session) = entry.servable(now) {
            return Some(Boarding::Held(session));
        }
        if registry.stopping {
            return Some(Boarding::Stopping);
        }
        let record = registry.records.get(&entry.key);
        let Some(record) = record.filter(|record| Arc::ptr_eq(&record.entry, entry)) else {
            return Some(Boarding::Refused(FetchError::new(
                FailureKind::Misconfigured,
                "the grant is for another role",
            )));
        };
        if record.retired {
            let changed = unavailable("the configuration has changed meanwhile");
            return Some(Boarding::Refused(changed));
        }
        if let Some(flight) = &record.flight {
            if class == Class::Waiting {
                self.hurry(registry, flight);
            }
            return Some(Boarding::Flight(Arc::clone(flight)));
        }
        let failure = record.standing_failure(now)?;
        Some(Boarding::Failed(failure.error.clone(), failure.again))
    }

    /// Puts a flight under way. `None` if there is no room for what it would bring.
    pub(super) fn depart(
        &self,
        mut registry: MutexGuard<'_, Registry>,
        key: &SessionKey,
        class: Class,
        ticket: Ticket,
    ) -> Option<Arc<Flight>> {
        let now = self.clock().boot();
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
            self.dropped(&evicted, Dropped::Evicted);
        }
        drop(tokio::spawn(fly(self.clone(), Arc::clone(&flight), ticket)));
        Some(flight)
    }

    /// Lets a flight, and the flights of the base roles it may be waiting for, go before others.
    fn hurry(&self, registry: &Registry, flight: &Flight) {
        if !flight.hurry() {
            return;
        }
        let request = flight.request();
        self.pacing().promote(&request.upstream, flight.number());
        let mut next = request.base.as_ref();
        while let Some(base) = next {
            let record = registry.records.get(&base.key);
            if let Some(under_it) = record.and_then(|record| record.flight.as_ref())
                && under_it.hurry()
            {
                self.pacing().promote(&base.upstream, under_it.number());
            }
            next = base.base.as_ref();
        }
    }

    /// The flight that renews this key now: the one under way, or a new one.
    pub(super) fn renew(&self, key: &SessionKey, class: Class) -> Option<Arc<Flight>> {
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
        self.depart(registry, key, class, Ticket::of_nobody())
    }

    /// The flight that renews this entry's session: the one under way, or a new one unless the last
    /// failed too lately.
    pub(super) fn freshen(&self, entry: &Entry, ticket: Ticket) -> Option<Arc<Flight>> {
        let now = self.clock().boot();
        let registry = self.lock();
        let record = registry.records.get(&entry.key)?;
        if record.retired || registry.stopping || record.standing_failure(now).is_some() {
            return None;
        }
        if let Some(flight) = &record.flight {
            let flight = Arc::clone(flight);
            self.hurry(&registry, &flight);
            return Some(flight);
        }
        self.depart(registry, &entry.key, Class::Waiting, ticket)
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
        if let Ok(session) = &result {
            self.outdate(&flight.entry.key);
            self.0.keeper.keep(flight.request(), session);
        }
        if let (Ok(session), Some(before)) = (&result, before)
            && !Arc::ptr_eq(session, &before)
        {
            let remaining = before.ends.since(now);
            let behind = behind(before.life, remaining);
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
        if same {
            let _on_its_way = self.depart(registry, &base.key, Class::Refresh, Ticket::of_nobody());
        }
    }
}
