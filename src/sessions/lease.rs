//! What a caller's connection holds of a session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::allowance::{Allowance, Ticket};
use super::flight::Outcome;
use super::pacing::Class;
use super::registry::Entry;
use super::traffic::Boarding;
use super::{FetchError, Request, Session, Sessions};
use crate::clock::BootTime;

/// No sleep is longer without a look at the boot clock.
pub(super) const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// Why a wait brought no session.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoSession {
    /// The flight goes on: ask again.
    #[error("the session is not there yet")]
    NotYet,
    /// The flight failed, or one did that is remembered.
    #[error("the session could not be obtained")]
    Failed(#[source] FetchError),
    /// The daemon stops.
    #[error("the daemon stops")]
    Stopping,
}

/// One key of the cache, granted to one caller: made once, asked for each request.
pub struct Lease {
    sessions: Sessions,
    pub(super) entry: Arc<Entry>,
    allowance: Arc<Allowance>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", &self.entry.key)
            .finish_non_exhaustive()
    }
}

impl Lease {
    pub(super) const fn new(
        sessions: Sessions,
        entry: Arc<Entry>,
        allowance: Arc<Allowance>,
    ) -> Self {
        Self {
            sessions,
            entry,
            allowance,
        }
    }

    /// The held session, while it may be handed out. Waits for nothing and takes no lock.
    pub fn held(&self) -> Option<Arc<Session>> {
        self.held_at(self.sessions.clock().boot())
    }

    /// The same for who knows what time it is.
    pub fn held_at(&self, now: BootTime) -> Option<Arc<Session>> {
        self.entry.hand_out(now)
    }

    /// The first sign of a caller: starts the flight if nothing is held and the caller has not
    /// begun as many as it may. Never waits, and does not count as a use.
    pub fn begin(&self) {
        let (sessions, class) = (&self.sessions, Class::Waiting);
        let _on_its_way = match self.allowance.take() {
            Some(ticket) => Some(sessions.board(&self.entry, class, ticket)),
            None => sessions.find(&self.entry, class),
        };
    }

    /// The failure that is told to whoever waits now; `None` while a session is held and once the
    /// next try may be made.
    pub fn failure(&self) -> Option<FetchError> {
        let now = self.sessions.clock().boot();
        if self.entry.servable(now).is_some() {
            return None;
        }
        self.sessions.standing_failure(&self.entry)
    }

    /// The held session, or the one that the flight under way brings within `patience`; starts the
    /// flight if there is none, once the caller may begin another. Dropping the future cancels
    /// nothing but this wait.
    pub async fn wait(&self, patience: Duration) -> Result<Arc<Session>, NoSession> {
        let deadline = Instant::now() + patience;
        self.entry.touch(self.sessions.clock().boot());
        loop {
            let flight = match self.board_by(deadline).await.ok_or(NoSession::NotYet)? {
                Boarding::Held(session) => return Ok(session),
                Boarding::Failed(error, _) | Boarding::Refused(error) => {
                    return Err(NoSession::Failed(error));
                }
                Boarding::Stopping => return Err(NoSession::Stopping),
                Boarding::Flight(flight) => flight,
            };
            match timeout_at(deadline, flight.ended()).await {
                Ok(Outcome::Landed(session)) => return Ok(session),
                Ok(Outcome::Failed(error)) => return Err(NoSession::Failed(error)),
                Ok(Outcome::Stopping) => return Err(NoSession::Stopping),
                Ok(Outcome::CalledOff) => {}
                Err(_) => return Err(NoSession::NotYet),
            }
        }
    }

    /// The held session while most of the life asked for is left, else what one renewal brings
    /// within `patience`; the held one if that fails. People expect a full hour.
    pub async fn fresh(&self, patience: Duration) -> Result<Arc<Session>, NoSession> {
        let Some(held) = self.held() else {
            return self.wait(patience).await;
        };
        if held.is_fresh(self.sessions.clock()) {
            return Ok(held);
        }
        let ticket = self.allowance.take();
        let Some(flight) = ticket.and_then(|ticket| self.sessions.freshen(&self.entry, ticket))
        else {
            return Ok(held);
        };
        match timeout_at(Instant::now() + patience, flight.ended()).await {
            Ok(Outcome::Landed(session)) => Ok(session),
            Ok(Outcome::Failed(_) | Outcome::Stopping | Outcome::CalledOff) | Err(_) => Ok(held),
        }
    }

    /// What there is, or the flight that is begun once the caller may begin another.
    async fn board_by(&self, deadline: Instant) -> Option<Boarding> {
        let (sessions, class) = (&self.sessions, Class::Waiting);
        if let Some(found) = sessions.find(&self.entry, class) {
            return Some(found);
        }
        match timeout_at(deadline, self.allowance.wait()).await {
            Ok(ticket) => Some(sessions.board(&self.entry, class, ticket)),
            // Another caller may have begun it meanwhile.
            Err(_) => sessions.find(&self.entry, class),
        }
    }
}

/// A role that is fetched without being asked for, and kept as long as this handle lives.
#[derive(Debug)]
pub struct Prefetch {
    sessions: Sessions,
    entry: Arc<Entry>,
    request: Arc<Request>,
}

impl Prefetch {
    pub(super) const fn new(sessions: Sessions, entry: Arc<Entry>, request: Arc<Request>) -> Self {
        Self {
            sessions,
            entry,
            request,
        }
    }

    /// What is fetched.
    pub const fn request(&self) -> &Arc<Request> {
        &self.request
    }

    /// The held session.
    pub fn held(&self) -> Option<Arc<Session>> {
        self.entry.hand_out(self.sessions.clock().boot())
    }

    /// Whether there is none to hand out. Asking is no use of it.
    pub fn is_missing(&self) -> bool {
        let now = self.sessions.clock().boot();
        self.entry.servable(now).is_none()
    }

    /// Why nothing is held yet: the last failure, even while the next try is under way.
    pub fn failure(&self) -> Option<FetchError> {
        let failure = self.sessions.last_failure(&self.entry)?;
        self.is_missing().then_some(failure.error)
    }

    /// Waits, over any number of failures, until a session is held. `None` if the daemon stops.
    pub async fn obtained(&self) -> Option<Arc<Session>> {
        let sessions = &self.sessions;
        loop {
            match sessions.board(&self.entry, Class::Prefetch, Ticket::of_nobody()) {
                Boarding::Held(session) => return Some(session),
                Boarding::Stopping => return None,
                Boarding::Flight(flight) => match flight.ended().await {
                    Outcome::Landed(session) => return Some(session),
                    Outcome::Stopping => return None,
                    Outcome::Failed(_) | Outcome::CalledOff => {}
                },
                Boarding::Failed(_, again) => {
                    let pause = again.since(sessions.clock().boot());
                    sleep(pause.clamp(Duration::from_millis(1), LONGEST_SLEEP)).await;
                }
                Boarding::Refused(_) => sleep(LONGEST_SLEEP).await,
            }
        }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.sessions.unkeep(&self.entry);
    }
}
