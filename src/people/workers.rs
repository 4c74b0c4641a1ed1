//! Where passwords are held against hashes: few threads of low priority, and a bounded number of
//! those who wait for one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::priority::give_way;

/// Threads at once. Each takes some 20 MiB while it works.
const AT_ONCE: usize = 2;

/// How many may wait for one.
const WAITING: usize = 64;

/// How long they do.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much the threads give way to the one that serves.
pub(super) const NICE: libc::c_int = 15;

/// So many wait already, or no thread could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("as many proofs are looked at as can be")]
pub(super) struct Busy;

/// The threads.
#[derive(Debug)]
pub(super) struct Workers {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Workers {
    /// Does this work on one of the threads; what has begun goes on to its end.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_full| Busy)?;
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_late| Busy)?.map_err(|_closed| Busy)?;
        let (tell, told) = oneshot::channel();
        let thread = std::thread::Builder::new().name("proof".to_owned());
        let spawned = thread.spawn(move || {
            give_way(NICE);
            let done = work();
            drop((turn, place));
            drop(tell.send(done));
        });
        spawned.map_err(|_no_thread| Busy)?;
        told.await.map_err(|_panicked| Busy)
    }
}

#[cfg(test)]
impl Workers {
    /// As if so many were looked at as can be.
    pub(super) fn occupied(&self) -> tokio::sync::SemaphorePermit<'_> {
        let all = u32::try_from(AT_ONCE + WAITING).unwrap();
        self.places.try_acquire_many(all).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_is_done_elsewhere_and_gives_way() {
        let workers = Workers::default();
        let stat = || std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let there = workers.run(stat).await.unwrap();
        // The fields after the name: nice is the 19th of all, the 17th of these.
        let nice = there.rsplit(')').next().unwrap().split_whitespace().nth(16);
        assert_eq!(nice, Some("15"), "{there}");
        assert_eq!(workers.run(|| panic!("a fault")).await, Err::<(), _>(Busy));
        assert_eq!(workers.run(|| 1).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn few_work_and_few_wait() {
        let workers = Arc::new(Workers::default());
        let mut ends = Vec::new();
        let mut waiting = Vec::new();
        for _ in 0..AT_ONCE + WAITING {
            let (end, ended) = mpsc::channel::<()>();
            let workers = Arc::clone(&workers);
            waiting.push(tokio::spawn(async move {
                workers.run(move || assert!(ended.recv().is_err())).await
            }));
            ends.push(end);
        }
        while workers.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(workers.run(|| ()).await, Err(Busy));
        let late = waiting.pop().unwrap();
        assert_eq!(late.await.unwrap(), Err(Busy), "nobody waits for ever");
        drop(ends);
        let first = waiting.remove(0);
        assert_eq!(first.await.unwrap(), Ok(()));
    }
}
