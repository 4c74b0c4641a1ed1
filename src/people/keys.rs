//! The keys of one issuer as they are held: fetched off the request's path, one fetch for all who
//! wait, never more often than the pace allows, and the last good ones kept whatever happens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::time::timeout;

use super::key_set::KeySet;
use super::origin::{NoKeys, Origin};
use crate::clock::{BootTime, Clock};
use crate::transport::causes;

/// How many fetches may follow each other at once before the pace holds.
const BURST: u32 = 3;

/// No keys that are newer than those held can be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoNewer;

/// The keys of one issuer. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Keys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    issuer: Arc<str>,
    origin: Box<dyn Origin>,
    clock: Clock,
    held: ArcSwapOption<KeySet>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The fetch under way: it tells whether it brought keys.
    fetch: Option<watch::Receiver<Option<bool>>>,
    /// When the last fetch began that brought keys.
    loaded: Option<BootTime>,
    /// When the next fetch would be due if all were spread evenly.
    due: BootTime,
    /// Whether the last fetch failed.
    failing: bool,
}

impl Keys {
    pub(super) fn new(issuer: Arc<str>, origin: Box<dyn Origin>, clock: Clock) -> Self {
        let state = State {
            fetch: None,
            loaded: None,
            due: clock.boot(),
            failing: false,
        };
        Self(Arc::new(Shared {
            issuer,
            origin,
            clock,
            held: ArcSwapOption::empty(),
            state: Mutex::new(state),
        }))
    }

    /// The keys held. Those that are old are fetched anew beside.
    pub(super) fn held(&self) -> Option<Arc<KeySet>> {
        let held = self.0.held.load_full();
        let loaded = self.0.state().loaded;
        let age = loaded.map(|loaded| self.0.clock.boot().since(loaded));
        if age.is_some_and(|age| age > self.0.origin.believed()) {
            let _under_way = self.fetch();
        }
        held
    }

    /// Fetches the keys if none are held; nobody waits.
    pub(super) fn prepare(&self) {
        if self.0.held.load().is_none() {
            let _under_way = self.fetch();
        }
    }

    /// Keys that are fetched now, for as long as somebody can wait.
    pub(super) async fn newer(&self, patience: Duration) -> Result<Arc<KeySet>, NoNewer> {
        let mut fetch = self.fetch().ok_or(NoNewer)?;
        let ended = timeout(patience, fetch.wait_for(Option::is_some)).await;
        match ended {
            Ok(Ok(brought)) if *brought == Some(true) => {}
            Ok(Ok(_) | Err(_)) | Err(_) => return Err(NoNewer),
        }
        self.0.held.load_full().ok_or(NoNewer)
    }

    /// The fetch under way, or one that begins now where the pace allows.
    fn fetch(&self) -> Option<watch::Receiver<Option<bool>>> {
        let now = self.0.clock.boot();
        let mut state = self.0.state();
        if let Some(fetch) = &state.fetch
            && fetch.has_changed().is_ok()
        {
            return Some(fetch.clone());
        }
        let pace = self.0.origin.pace();
        if state.due > now.plus(pace * (BURST - 1)) {
            return None;
        }
        state.due = state.due.max(now).plus(pace);
        let (tell, told) = watch::channel(None);
        state.fetch = Some(told.clone());
        drop(state);
        let shared = Arc::clone(&self.0);
        // Who asked may go: what comes is for all.
        tokio::spawn(async move {
            let loaded = shared.origin.load().await;
            let brought = loaded.is_ok();
            shared.land(now, loaded);
            tell.send_replace(Some(brought));
        });
        Some(told)
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn land(&self, begun: BootTime, loaded: Result<KeySet, NoKeys>) {
        let mut state = self.state();
        state.fetch = None;
        let failed_before = std::mem::replace(&mut state.failing, loaded.is_err());
        let set = match loaded {
            Ok(set) => set,
            Err(error) => {
                drop(state);
                self.tell(&error, failed_before);
                return;
            }
        };
        state.loaded = Some(begun);
        let before = self.held.load_full();
        let same = before.as_ref().is_some_and(|before| before.is_same(&set));
        if !same || failed_before {
            tracing::info!(issuer = %self.issuer, keys = set.len(), "an issuer's keys were loaded");
        }
        // What was verified with the same keys stays verified.
        if !same {
            self.held.store(Some(Arc::new(set)));
        }
    }

    /// Each failure is told once, until keys come again.
    fn tell(&self, error: &NoKeys, again: bool) {
        let error = causes(error);
        let held = self.held.load().is_some();
        if again {
            tracing::debug!(issuer = %self.issuer, held, error, "an issuer's keys cannot be had");
        } else {
            tracing::warn!(issuer = %self.issuer, held, error, "an issuer's keys cannot be had");
        }
    }
}
