//! A flight: one fetch that several wait for and that none of them can cancel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::allowance::Ticket;
use super::observer::Skew;
use super::pacing::Class;
use super::registry::{Entry, Record};
use super::traffic::Boarding;
use super::{FailureKind, FetchError, Fetched, MANDATORY_WINDOW, Request, Session, Sessions};
use crate::clock::BootTime;

/// A source ends by itself long before; this only keeps one that does not from blocking its role
/// for ever.
const LONGEST_FETCH: Duration = Duration::from_mins(1);

/// How often a clock that is not set is looked at.
const CLOCK_LOOK: Duration = Duration::from_secs(1);

/// How a flight ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// With a session.
    Landed(Arc<Session>),
    /// Without one.
    Failed(FetchError),
    /// What it would bring is not wanted any more: ask again.
    CalledOff,
    /// The daemon stops.
    Stopping,
}

/// One fetch under way.
#[derive(Debug)]
pub(super) struct Flight {
    /// Its age, compared with others: the pacing's order.
    number: u64,
    pub(super) entry: Arc<Entry>,
    request: Arc<Request>,
    class: Class,
    /// Whether a session was held when it began: a newer one is wanted then.
    pub(super) renews: bool,
    hurried: AtomicBool,
    /// What the caller had brought when it began.
    brought: u64,
    outcome: watch::Sender<Option<Outcome>>,
}

/// Why a flight failed, and when to try again where that is not the failure's own matter.
struct Fault {
    error: FetchError,
    again: Option<BootTime>,
}

impl From<FetchError> for Fault {
    fn from(error: FetchError) -> Self {
        Self { error, again: None }
    }
}

impl Flight {
    pub(super) fn new(number: u64, record: &Record, class: Class, now: BootTime) -> Self {
        Self {
            number,
            renews: record.entry.servable(now).is_some(),
            entry: Arc::clone(&record.entry),
            request: Arc::clone(&record.request),
            class,
            hurried: AtomicBool::new(class == Class::Waiting),
            brought: record.request.brought(),
            outcome: watch::Sender::new(None),
        }
    }

    pub(super) const fn request(&self) -> &Arc<Request> {
        &self.request
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) const fn brought(&self) -> u64 {
        self.brought
    }

    fn class(&self) -> Class {
        if self.hurried.load(Ordering::Relaxed) {
            Class::Waiting
        } else {
            self.class
        }
    }

    /// A caller waits for it now. Whether none did before.
    pub(super) fn hurry(&self) -> bool {
        !self.hurried.swap(true, Ordering::Relaxed)
    }

    /// How many wait for it.
    pub(super) fn waiters(&self) -> usize {
        self.outcome.receiver_count()
    }

    pub(super) fn call_off(&self) {
        self.end(Outcome::CalledOff);
    }

    /// Tells everybody who waits; the first ending stands.
    pub(super) fn end(&self, outcome: Outcome) {
        self.outcome.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(outcome);
            }
            first
        });
    }

    fn is_over(&self) -> bool {
        self.outcome.borrow().is_some()
    }

    /// Waits for its end.
    pub(super) fn ended(&self) -> impl Future<Output = Outcome> + Send + use<> {
        let mut outcome = self.outcome.subscribe();
        async move {
            match outcome.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(outcome)) => outcome.clone(),
                // The flight was let go without an ending: nobody knows anything, so ask again.
                Ok(None) | Err(_) => Outcome::CalledOff,
            }
        }
    }
}

/// Lands the flight as failed if its task dies.
struct Landing<'a> {
    sessions: &'a Sessions,
    flight: &'a Arc<Flight>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        if !self.flight.is_over() {
            let broken = FetchError::new(FailureKind::Unavailable, "the fetch broke off");
            self.sessions.land(self.flight, Err((broken, None)));
        }
    }
}

/// Runs a flight to its end, detached from everybody who waits for it. Its ticket is given back
/// then, even where it was called off meanwhile: the call goes on.
pub(super) async fn fly(sessions: Sessions, flight: Arc<Flight>, _ticket: Ticket) {
    let landing = Landing {
        sessions: &sessions,
        flight: &flight,
    };
    // What an earlier process obtained need not be fetched.
    let result = match sessions.recover(&flight).await {
        Some(session) => Ok(session),
        None => fetch(&sessions, &flight).await.map(Arc::new),
    };
    sessions.land(&flight, result.map_err(|fault| (fault.error, fault.again)));
    drop(landing);
}

async fn fetch(sessions: &Sessions, flight: &Arc<Flight>) -> Result<Session, Fault> {
    let request = flight.request();
    if !sessions.clock().is_plausible() {
        return Err(clock_not_set(sessions));
    }
    let base = match &request.base {
        // What nobody wants must not ask for its base: that would enter it again after a reload.
        Some(_) if flight.is_over() => return Err(called_off()),
        Some(base) => Some(base_session(sessions, flight, base).await?),
        None => None,
    };
    let pacing = sessions.pacing();
    let pass = pacing
        .pass(&request.upstream, flight.number, || flight.class())
        .await;
    if flight.is_over() {
        return Err(called_off());
    }
    let observer = sessions.observer();
    observer.fetch_started(request);
    let started = Instant::now();
    let fetched = timeout(LONGEST_FETCH, request.source.fetch(base.as_deref())).await;
    let result = match fetched {
        Ok(Ok(fetched)) => accept(sessions, request, fetched),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(FetchError::new(
            FailureKind::Unavailable,
            "no answer within a minute",
        )),
    };
    observer.fetch_finished(request, result.as_ref(), started.elapsed());
    if let Err(error) = &result {
        match error.kind {
            FailureKind::Throttled => {
                if let Some(rate) = pacing.throttled(&request.upstream, pass) {
                    observer.slowed(&request.upstream, rate);
                }
            }
            FailureKind::BaseCredentials => {
                if let (Some(base), Some(session)) = (&request.base, &base) {
                    sessions.doubt(base, session);
                }
            }
            FailureKind::Denied | FailureKind::Unavailable | FailureKind::Misconfigured => {}
        }
    }
    Ok(result?)
}

/// Whatever is signed or issued by such a clock is wrong. It is looked at again each second.
fn clock_not_set(sessions: &Sessions) -> Fault {
    let message = "this machine's clock has not been set yet: nothing is fetched before it is";
    Fault {
        error: FetchError::new(FailureKind::Unavailable, message),
        again: Some(sessions.clock().boot().plus(CLOCK_LOOK)),
    }
}

/// Nobody is told: the flight has ended already.
fn called_off() -> Fault {
    FetchError::new(FailureKind::Unavailable, "called off").into()
}

/// The session that signs this flight's request: held, or fetched by a flight of its own, which
/// goes in the class of this one.
async fn base_session(
    sessions: &Sessions,
    flight: &Flight,
    base: &Arc<Request>,
) -> Result<Arc<Session>, Fault> {
    if is_chained_to_itself(flight.request()) {
        return Err(FetchError::new(
            FailureKind::Misconfigured,
            "the role is its own base credentials",
        )
        .into());
    }
    let entry = sessions.enter(base);
    entry.touch(sessions.clock().boot());
    loop {
        let outcome = match sessions.board(&entry, flight.class(), Ticket::of_nobody()) {
            Boarding::Held(session) => return Ok(session),
            Boarding::Flight(under_way) => under_way.ended().await,
            Boarding::Failed(error, again) => {
                return Err(of_base(base, &error, Some(again)));
            }
            Boarding::Refused(error) => return Err(of_base(base, &error, None)),
            Boarding::Stopping => Outcome::Stopping,
        };
        match outcome {
            Outcome::Landed(session) => return Ok(session),
            Outcome::Failed(error) => {
                let again = sessions.last_failure(&entry).map(|failure| failure.again);
                return Err(of_base(base, &error, again));
            }
            Outcome::CalledOff => {}
            Outcome::Stopping => {
                return Err(FetchError::new(FailureKind::Unavailable, "stopping").into());
            }
        }
    }
}

/// What a failure of the base role means for the role on top: it passes if the base's would, and
/// is tried again when the base is.
fn of_base(base: &Request, error: &FetchError, again: Option<BootTime>) -> Fault {
    let kind = match error.kind {
        FailureKind::Throttled | FailureKind::Unavailable => error.kind,
        FailureKind::Denied | FailureKind::Misconfigured | FailureKind::BaseCredentials => {
            FailureKind::BaseCredentials
        }
    };
    let message = format!("base role {}: {}", base.role, error.message);
    Fault {
        error: FetchError::new(kind, message),
        again,
    }
}

/// Requests are trees, so this is a matter of equal keys. `check` refuses such a chain; here it
/// must only not wait for itself.
fn is_chained_to_itself(request: &Request) -> bool {
    let mut next = request.base.as_ref();
    while let Some(base) = next {
        if base.key == request.key {
            return true;
        }
        next = base.base.as_ref();
    }
    false
}

/// Makes the session of an answer, unless it can never be handed out. A session shorter than asked
/// is one like any other.
fn accept(sessions: &Sessions, request: &Request, fetched: Fetched) -> Result<Session, FetchError> {
    let clock = sessions.clock();
    if let Some(upstream_now) = fetched.upstream_now {
        let (by, ahead) = match clock.now().duration_since(upstream_now) {
            Ok(ahead) => (ahead, true),
            Err(behind) => (behind.duration(), false),
        };
        let skew = Skew { by, ahead };
        sessions.observer().skew(&request.upstream, skew);
    }
    let told = fetched.upstream_now.is_some();
    let session = Session::obtained(fetched, request.duration, clock);
    if session.life > MANDATORY_WINDOW {
        return Ok(session);
    }
    let message = match (session.life.is_zero(), told) {
        (true, true) => "upstream's session had expired when it came".to_owned(),
        (true, false) => "upstream's session had expired when it came, by this host's clock, for \
                          the answer told no time"
            .to_owned(),
        (false, _) => format!(
            "upstream's session ends in {} s, too soon to be handed out",
            session.life.as_secs()
        ),
    };
    Err(FetchError::new(FailureKind::Unavailable, message))
}
