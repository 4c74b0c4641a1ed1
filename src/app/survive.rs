//! Held sessions from one process to the next: kept while they are held, and held again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Daemon;
use crate::clock::Clock;
use crate::keeping::{Keeping, Place};
use crate::sessions::{
    Keeper, NotSettled, Observer, Request, Session, SessionKey, Sessions, Settle, Settled,
};

/// So long the end waits for what is held to be kept. It is while it comes and goes, so there is
/// seldom anything to wait for.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// A keeper that starts when there are sessions to hand what it read to.
#[derive(Debug, Default)]
struct Later(OnceLock<Keeping>);

impl Keeper for Later {
    fn keep(&self, request: &Request, session: &Arc<Session>) {
        if let Some(keeping) = self.0.get() {
            keeping.keep(request, session);
        }
    }

    fn let_go(&self, key: &SessionKey) {
        if let Some(keeping) = self.0.get() {
            keeping.let_go(key);
        }
    }

    fn settled(&self, what: Settle) -> Settled<'_> {
        match self.0.get() {
            Some(keeping) => keeping.settled(what),
            None => Box::pin(std::future::ready(Ok::<_, NotSettled>(()))),
        }
    }
}

/// A cache whose sessions are kept at this place. What is there is read beside the rest of the start.
pub(super) fn sessions(
    place: Option<Place>,
    clock: Clock,
    capacity: usize,
    observer: Arc<dyn Observer>,
) -> Sessions {
    let Some(place) = place else {
        return Sessions::new(clock, capacity, observer);
    };
    let keeper = Arc::new(Later::default());
    let kept_by: Arc<dyn Keeper> = Arc::<Later>::clone(&keeper);
    let sessions = Sessions::keeping(clock, capacity, observer, kept_by);
    sessions.expect_kept();
    let reader = sessions.clone();
    match Keeping::start(place, move |kept| reader.inherit(kept)) {
        Ok(keeping) => drop(keeper.0.set(keeping)),
        Err(error) => {
            tracing::warn!(%error, "held sessions are not kept for a restart: no thread for it");
            sessions.inherit(Vec::new());
        }
    }
    sessions
}

impl Daemon {
    /// Holds again what an earlier process held, whoever asks or not: what was renewed before is
    /// renewed again.
    pub(super) async fn resume(&self) {
        let policy = self.vending.policy();
        self.vending.sessions().resume(&*policy.catalogue).await;
    }

    /// Nothing more is kept once this has ended.
    pub(super) async fn keep_last(&self) {
        let closing = self.vending.sessions().settled(Settle::Closed);
        match tokio::time::timeout(LAST_WRITE, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "not all held sessions are kept"),
            Err(_elapsed) => tracing::warn!("held sessions may not all be kept: the disk hangs"),
        }
    }
}
