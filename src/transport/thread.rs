//! The thread that talks to others, so that neither TLS nor their documents delay an answer.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinError;

/// A thread with a runtime of its own. It starts with the first work and ends with the last clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Thread(Arc<Mutex<Option<Running>>>);

/// The thread's runtime. It ends when `_stop` is dropped.
#[derive(Debug)]
struct Running {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

/// The work has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThreadError {
    /// There is no thread.
    #[error("the upstream thread could not be started")]
    Start(#[source] io::Error),
    /// It panicked, or the thread was ended.
    #[error("the upstream call did not end by itself")]
    Ended(#[source] JoinError),
}

impl Thread {
    /// Runs `work` on the thread; it goes on to its end if the returned future is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ThreadError> {
        let task = self.handle().map_err(ThreadError::Start)?.spawn(work);
        task.await.map_err(ThreadError::Ended)
    }

    fn handle(&self) -> io::Result<Handle> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running {
            return Ok(running.handle.clone());
        }
        Ok(running.insert(start()?).handle.clone())
    }
}

fn start() -> io::Result<Running> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_the_thread_and_goes_on_when_nobody_waits() {
        let upstream = Thread::default();
        let name = upstream.run(async { thread::current().name().map(str::to_owned) });
        assert_eq!(name.await.unwrap().as_deref(), Some("upstream"));
        let (done, seen) = oneshot::channel();
        let (start, started) = oneshot::channel::<()>();
        let mut work = Box::pin(upstream.run(async move {
            started.await.unwrap();
            done.send(()).unwrap();
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
    async fn it_ends_with_the_last_clone() {
        let upstream = Thread::default();
        let (held, dropped) = oneshot::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let other = upstream.clone();
        let work = tokio::spawn(async move {
            let hangs = async move {
                let _held = held;
                begun.send(()).unwrap();
                std::future::pending::<()>().await;
            };
            other.run(hangs).await
        });
        begins.await.unwrap();
        work.abort();
        assert!(work.await.unwrap_err().is_cancelled());
        drop(upstream);
        dropped.await.unwrap_err();
    }

    #[tokio::test]
    async fn work_that_panics_fails_alone() {
        let upstream = Thread::default();
        let failed = upstream.run(async { panic!("a fault of the SDK") }).await;
        assert!(matches!(failed, Err(ThreadError::Ended(_))));
        upstream.run(async {}).await.unwrap();
    }
}
