//! The thread that talks to upstreams, with what its calls share.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use aws_smithy_async::time::TimeSource;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::base::Base;
use super::sts::Endpoint;
use super::transport::Transport;
use super::{Environment, OwnAddresses};
use crate::clock::Clock;
use crate::sessions::{FailureKind, FetchError};

/// Runs upstream calls on a thread of its own. One serves all configurations that a daemon loads;
/// the thread starts with the first call and ends with the last clone.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Shared>);

struct Shared {
    clock: Clock,
    environment: Environment,
    own: OwnAddresses,
    mark: Arc<str>,
    transport: Transport,
    running: Mutex<Option<Running>>,
    endpoints: Mutex<Vec<Weak<Endpoint>>>,
    bases: Mutex<Vec<Weak<Base>>>,
}

/// The thread's runtime. It ends when `_stop` is dropped.
struct Running {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that has not started yet. `own` are the addresses that the daemon listens on,
    /// which no call may lead to.
    pub fn new(clock: Clock, environment: Environment, own: OwnAddresses) -> Self {
        let mark: Arc<str> = Arc::from(uuid::Uuid::new_v4().simple().to_string());
        let ca_bundle = environment.get("AWS_CA_BUNDLE").map(PathBuf::from);
        Self(Arc::new(Shared {
            clock,
            environment,
            transport: Transport::new(own.clone(), Arc::clone(&mark), ca_bundle),
            mark,
            own,
            running: Mutex::default(),
            endpoints: Mutex::default(),
            bases: Mutex::default(),
        }))
    }

    /// What this process's requests to its own host carry in [`LOOP_HEADER`](super::LOOP_HEADER).
    /// A listener that gets it must refuse: a redirection leads the daemon to itself.
    pub fn mark(&self) -> &Arc<str> {
        &self.0.mark
    }

    /// Runs `work` on the upstream thread; it goes on to its end if the returned future is dropped.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, FetchError>> + Send + 'static,
    ) -> Result<T, FetchError> {
        let task = self.handle()?.spawn(work);
        task.await.unwrap_or_else(|error| {
            let message = format!("the upstream call did not end by itself: {error}");
            Err(FetchError::new(FailureKind::Unavailable, message))
        })
    }

    fn handle(&self) -> Result<Handle, FetchError> {
        let mut running = self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running {
            return Ok(running.handle.clone());
        }
        let started = start().map_err(|error| {
            let message = format!("the upstream thread could not be started: {error}");
            FetchError::new(FailureKind::Unavailable, message)
        })?;
        Ok(running.insert(started).handle.clone())
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.0.environment
    }

    pub(super) fn own(&self) -> &OwnAddresses {
        &self.0.own
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// The endpoint that equals this one, shared by all who call it.
    pub(super) fn endpoint(&self, new: Endpoint) -> Arc<Endpoint> {
        shared(&self.0.endpoints, new)
    }

    /// The base credentials that equal these, shared by all who sign with them.
    pub(super) fn base(&self, new: Base) -> Arc<Base> {
        shared(&self.0.bases, new)
    }
}

fn shared<T: PartialEq>(known: &Mutex<Vec<Weak<T>>>, new: T) -> Arc<T> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = known
        .iter()
        .filter_map(Weak::upgrade)
        .find(|old| **old == new)
    {
        return same;
    }
    known.retain(|old| old.strong_count() > 0);
    let new = Arc::new(new);
    known.push(Arc::downgrade(&new));
    new
}

fn start() -> std::io::Result<Running> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new()
        .name("upstream".to_owned())
        .spawn(move || {
            // Ends with an error when the sender is dropped, which is how it is told to end.
            let _ended = runtime.block_on(stopped);
            // A name look-up may hang in the system's resolver: nobody waits for it.
            runtime.shutdown_background();
        })?;
    Ok(Running {
        handle,
        _stop: stop,
    })
}

/// The injected clock, as the SDK asks for it.
#[derive(Clone, Debug)]
pub(super) struct SdkTime(pub(super) Clock);

impl TimeSource for SdkTime {
    fn now(&self) -> std::time::SystemTime {
        self.0.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> Engine {
        Engine::new(
            Clock::System,
            Environment::default(),
            OwnAddresses::default(),
        )
    }

    #[tokio::test]
    async fn work_runs_on_the_upstream_thread_and_goes_on_when_nobody_waits() {
        let engine = engine();
        let thread = engine.run(async { Ok(thread::current().name().map(str::to_owned)) });
        assert_eq!(thread.await.unwrap().as_deref(), Some("upstream"));
        let (done, seen) = oneshot::channel();
        let (start, started) = oneshot::channel::<()>();
        let mut work = Box::pin(engine.run(async move {
            started.await.unwrap();
            done.send(()).unwrap();
            Ok(())
        }));
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(work.as_mut().poll(context).is_pending())
        });
        assert!(polled.await);
        drop(work);
        start.send(()).unwrap();
        seen.await.unwrap();
    }

    #[tokio::test]
    async fn the_thread_ends_with_the_last_engine() {
        let engine = engine();
        let (held, dropped) = oneshot::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let other = engine.clone();
        let work = tokio::spawn(async move {
            let hangs = async move {
                let _held = held;
                begun.send(()).unwrap();
                std::future::pending::<Result<(), FetchError>>().await
            };
            other.run(hangs).await
        });
        begins.await.unwrap();
        work.abort();
        assert!(work.await.unwrap_err().is_cancelled());
        drop(engine);
        dropped.await.unwrap_err();
    }

    #[tokio::test]
    async fn work_that_panics_fails_alone() {
        let engine = engine();
        let failed = engine
            .run::<()>(async { panic!("a fault of the SDK") })
            .await;
        assert_eq!(failed.unwrap_err().kind, FailureKind::Unavailable);
        engine.run(async { Ok(()) }).await.unwrap();
    }
}
