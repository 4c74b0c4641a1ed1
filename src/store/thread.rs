//! The store's thread: it alone writes, and publishes what it has written.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use super::backing::Backing;
use super::work::{ReservedNames, Work};
use super::{Fault, Kept, Objects, StoreError};
use crate::clock::Clock;

/// Opens what is kept.
pub type Open = Box<dyn FnMut() -> Result<Box<dyn Backing>, Fault> + Send>;

/// A write: its rules are held first, then it is told whether what they allow was kept.
pub(super) type Job = Box<dyn FnOnce(Result<&mut Work, StoreError>) -> Told + Send>;

/// Tells who asked.
type Told = Box<dyn FnOnce(Result<(), Fault>) + Send>;

/// How many writes are kept at once: one costs a copy of all that they touch, and a wait for the disk.
const BATCH: usize = 1024;

/// How often a store that could not be opened is tried again, and past moments are looked at.
const AGAIN: Duration = Duration::from_secs(1);

/// Where writes are asked for. The thread is started with the first one.
pub(super) struct Desk {
    asked: Option<Sender<Job>>,
    waiting: Option<Thread>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) const fn new(
        open: Open,
        published: Published,
        reserved: Arc<ArcSwap<ReservedNames>>,
        clock: Clock,
    ) -> Self {
        let thread = Thread {
            open,
            backing: None,
            published,
            reserved,
            clock,
            told: None,
        };
        Self {
            asked: None,
            waiting: Some(thread),
        }
    }

    pub(super) fn start(&mut self) {
        let Some(mut thread) = self.waiting.take() else {
            return;
        };
        let (ask, asked) = channel();
        let started = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || thread.run(&asked));
        match started {
            Ok(_detached) => self.asked = Some(ask),
            Err(error) => tracing::error!(%error, "the store's thread could not be started"),
        }
    }

    pub(super) fn ask(&mut self, job: Job) -> Result<(), Fault> {
        self.start();
        let asked = self.asked.as_ref().ok_or(Fault::Ended)?;
        asked.send(job).ok().ok_or(Fault::Ended)
    }
}

/// The thread ends when it has done what was asked of it.
pub(super) fn end(desk: &mut Desk) {
    desk.asked = None;
}

struct Thread {
    open: Open,
    backing: Option<Box<dyn Backing>>,
    published: Published,
    reserved: Arc<ArcSwap<ReservedNames>>,
    clock: Clock,
    /// Why it could not be written last: told once, however many try.
    told: Option<Fault>,
}

/// What is done at each next moment.
pub(super) type Hook = Arc<ArcSwapOption<Box<dyn Fn() + Send + Sync>>>;

/// The moment that everybody sees, and past ones.
pub(super) struct Published {
    now: watch::Sender<Result<Arc<Objects>, Fault>>,
    /// Whether it was tried to open it, and everybody follows what came of that.
    settled: watch::Sender<bool>,
    hook: Hook,
    /// Past moments that somebody still reads. The last one to let go of a hundred thousand objects
    /// takes a while: that is never who serves.
    past: Vec<Arc<Objects>>,
}

impl Published {
    pub(super) const fn new(
        now: watch::Sender<Result<Arc<Objects>, Fault>>,
        settled: watch::Sender<bool>,
        hook: Hook,
    ) -> Self {
        Self {
            now,
            settled,
            hook,
            past: Vec::new(),
        }
    }

    fn now(&self) -> Result<Arc<Objects>, Fault> {
        self.now.borrow().clone()
    }

    fn publish(&mut self, next: Result<Objects, Fault>) {
        let past = self.now.send_replace(next.map(Arc::new));
        self.past.extend(past);
        if let Some(hook) = &*self.hook.load() {
            hook();
        }
        self.settled
            .send_if_modified(|settled| !std::mem::replace(settled, true));
    }

    /// Lets go of what nobody reads any more.
    fn forget(&mut self) {
        self.past.retain(|past| Arc::strong_count(past) > 1);
    }
}

impl Thread {
    fn run(&mut self, asked: &Receiver<Job>) {
        if let Err(fault) = self.opened() {
            tracing::error!(error = %fault, "what was made through APIs is not served");
        }
        loop {
            match self.next(asked) {
                Ok(first) => {
                    let further = asked.try_iter().take(BATCH);
                    let jobs: Vec<Job> = std::iter::once(first).chain(further).collect();
                    self.work(jobs);
                }
                Err(RecvTimeoutError::Timeout) => {
                    // It was told when it failed first.
                    drop(self.opened());
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.published.forget();
        }
    }

    fn next(&self, asked: &Receiver<Job>) -> Result<Job, RecvTimeoutError> {
        if self.backing.is_some() && self.published.past.is_empty() {
            return asked.recv().map_err(RecvTimeoutError::from);
        }
        asked.recv_timeout(AGAIN)
    }

    /// Opens it where it is not open.
    fn opened(&mut self) -> Result<(), Fault> {
        if self.backing.is_some() {
            return Ok(());
        }
        let opened = (self.open)().and_then(|mut backing| {
            let kept = backing.read()?;
            Ok((backing, Objects::from(kept)))
        });
        match opened {
            Ok((backing, objects)) => {
                self.backing = Some(backing);
                self.published.publish(Ok(objects));
                Ok(())
            }
            Err(fault) => {
                // What was read once is served on.
                if self.published.now().is_err_and(|last| last != fault) {
                    self.published.publish(Err(fault.clone()));
                }
                Err(fault)
            }
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let objects = match (self.opened(), self.published.now()) {
            (Ok(()), Ok(objects)) => objects,
            (Err(fault), _) | (Ok(()), Err(fault)) => {
                for job in jobs {
                    job(Err(StoreError::Unavailable(fault.clone())))(Err(fault.clone()));
                }
                return;
            }
        };
        let mut work = Work {
            objects: Objects::clone(&objects),
            changes: Vec::new(),
            reserved: self.reserved.load_full(),
            now: self.clock.now(),
        };
        let told: Vec<Told> = jobs.into_iter().map(|job| job(Ok(&mut work))).collect();
        let kept = match &mut self.backing {
            Some(backing) if !work.changes.is_empty() => backing.write(&work.changes),
            Some(_) => Ok(()),
            None => Err(Fault::Ended),
        };
        match &kept {
            Ok(()) if work.changes.is_empty() => {}
            Ok(()) => {
                self.published.publish(Ok(work.objects));
                if self.told.take().is_some() {
                    tracing::info!("the store can be written again");
                }
            }
            Err(fault) => {
                if self.told.as_ref() != Some(fault) {
                    tracing::error!(error = %fault, "the store could not be written");
                    self.told = Some(fault.clone());
                }
                if !fault.is_passing() {
                    // What is kept now is what is read when it is opened again.
                    self.backing = None;
                }
            }
        }
        for tell in told {
            tell(kept.clone());
        }
    }
}

impl From<Kept> for Objects {
    fn from(kept: Kept) -> Self {
        let mut objects = Self::default();
        for account in kept.accounts {
            objects.put_account(Arc::new(account));
        }
        let mut connectors = kept.connectors;
        // Each is then the last of those that are there: it is found where the one before it was.
        connectors.sort_unstable_by(|one, other| one.draft.name.cmp(&other.draft.name));
        for connector in connectors {
            objects.put_connector(Arc::new(connector));
        }
        for token in kept.tokens {
            objects.put_token(Arc::new(token));
        }
        for key in kept.keys {
            objects.put_key(Arc::new(key));
        }
        for device in kept.devices {
            objects.put_device(Arc::new(device));
        }
        for (audit, until) in kept.revoked {
            objects.put_revoked(audit, until);
        }
        objects
    }
}
