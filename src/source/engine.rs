//! The thread that talks to upstreams, with what its calls share.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use aws_smithy_async::time::TimeSource;

use super::Environment;
use super::base::Base;
use super::sts::Endpoint;
use crate::clock::Clock;
use crate::sessions::{FailureKind, FetchError};
use crate::transport::{Client, OwnAddresses, Thread, Transport, causes};

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
    thread: Thread,
    endpoints: Mutex<Vec<Weak<Endpoint>>>,
    bases: Mutex<Vec<Weak<Base>>>,
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
            thread: Thread::default(),
            endpoints: Mutex::default(),
            bases: Mutex::default(),
        }))
    }

    /// What this process's requests to its own host carry in [`LOOP_HEADER`](crate::transport::LOOP_HEADER).
    /// A listener that gets it must refuse: a redirection leads the daemon to itself.
    pub fn mark(&self) -> &Arc<str> {
        &self.0.mark
    }

    /// A client for documents of others, on the same thread and connections.
    pub fn client(&self) -> Client {
        Client::new(self.0.thread.clone(), self.0.transport.clone())
    }

    /// Runs `work` on the upstream thread; it goes on to its end if the returned future is dropped.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, FetchError>> + Send + 'static,
    ) -> Result<T, FetchError> {
        self.0.thread.run(work).await.unwrap_or_else(|error| {
            let message = causes(&error);
            Err(FetchError::new(FailureKind::Unavailable, message))
        })
    }

    /// The time that it goes by.
    pub fn clock(&self) -> &Clock {
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

    #[tokio::test]
    async fn work_that_panics_is_unavailable() {
        let engine = Engine::new(
            Clock::System,
            Environment::default(),
            OwnAddresses::default(),
        );
        let failed = engine
            .run::<()>(async { panic!("a fault of the SDK") })
            .await;
        assert_eq!(failed.unwrap_err().kind, FailureKind::Unavailable);
    }
}
