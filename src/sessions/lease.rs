//! What a caller's connection holds of a session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::flight::Outcome;
use super::pacing::Class;
use super::registry::Entry;
use super::traffic::Boarding;
use super::{FetchError, Request, Session, Sessions};

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
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", &self.entry.key)
            .finish_non_exhaustive()
    }
}

impl Lease {
    pub(super) const fn new(sessions: Sessions, entry: Arc<Entry>) -> Self {
        Self { sessions, entry }
    }

    /// The held session, while it may be handed out. Waits for nothing and takes no lock.
    pub fn held(&self) -> Option<Arc<Session>> {
        let now = self.sessions.clock().boot();
        let session = self.entry.servable(now)?;
        self.entry.touch(now);
        Some(session)
    }

    /// The first sign of a caller: starts the flight if nothing is held. Never waits, and does not
    /// count as a use.
    pub fn begin(&self) {
        let _on_its_way = self.sessions.board(&self.entry, Class::Waiting);
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
    /// flight if there is none. Dropping the future cancels nothing but this wait.
    pub async fn wait(&self, patience: Duration) -> Result<Arc<Session>, NoSession> {
        let deadline = Instant::now() + patience;
        self.entry.touch(self.sessions.clock().boot());
        loop {
            let flight = match self.sessions.board(&self.entry, Class::Waiting) {
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
}

/// A role that is fetched without being asked for, and kept as long as this handle lives.
#[derive(Debug)]
pub struct Prefetch {
    lease: Lease,
    request: Arc<Request>,
}

impl Prefetch {
    pub(super) const fn new(lease: Lease, request: Arc<Request>) -> Self {
        Self { lease, request }
    }

    /// What is fetched.
    pub const fn request(&self) -> &Arc<Request> {
        &self.request
    }

    /// The held session.
    pub fn held(&self) -> Option<Arc<Session>> {
        self.lease.held()
    }

    /// Why nothing is held yet: the last failure, even while the next try is under way.
    pub fn failure(&self) -> Option<FetchError> {
        let failure = self.lease.sessions.last_failure(&self.lease.entry)?;
        self.held().is_none().then_some(failure.error)
    }

    /// Waits, over any number of failures, until a session is held. `None` if the daemon stops.
    pub async fn obtained(&self) -> Option<Arc<Session>> {
        let sessions = &self.lease.sessions;
        loop {
            match sessions.board(&self.lease.entry, Class::Prefetch) {
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
        self.lease.sessions.unkeep(&self.lease.entry);
    }
}
