//! What is looked up off the path of requests: once for all who wait for it, few at once,
//! remembered for a while, and going on when nobody waits any more.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::{Semaphore, watch};

use crate::clock::{BootTime, Clock};

/// How much may be going on and be kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// So many look-ups run at once; others wait for one of them to end.
    pub at_once: usize,
    /// So many run or wait; what comes above is not looked up.
    pub open: usize,
    /// So many answers are remembered.
    pub remembered: usize,
}

/// Answers by what was asked.
pub struct Lookups<K, V>(Arc<Shared<K, V>>);

struct Shared<K, V> {
    clock: Clock,
    bounds: Bounds,
    turns: Semaphore,
    table: Mutex<Table<K, V>>,
}

struct Table<K, V> {
    /// Its hashes are cheap rather than strong: it is asked at each connection, and bounded.
    known: HashMap<K, Held<V>, RandomState>,
    open: HashMap<K, watch::Receiver<Option<V>>>,
}

struct Held<V> {
    answer: V,
    until: BootTime,
}

impl<K, V> fmt::Debug for Lookups<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups")
            .field("bounds", &self.0.bounds)
            .finish_non_exhaustive()
    }
}

impl<K, V> Lookups<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Nothing is known yet.
    pub fn new(clock: Clock, bounds: Bounds) -> Self {
        Self(Arc::new(Shared {
            clock,
            bounds,
            turns: Semaphore::new(bounds.at_once),
            table: Mutex::new(Table {
                known: HashMap::default(),
                open: HashMap::new(),
            }),
        }))
    }

    /// The answer that is remembered.
    pub fn remembered(&self, key: &K) -> Option<V> {
        self.0.remembered(key)
    }

    /// What [`Self::ask`] is told within this patience.
    pub async fn get(
        &self,
        key: K,
        patience: Duration,
        look: impl Future<Output = (V, Duration)> + Send + 'static,
    ) -> Option<V> {
        // Most answers are: no timer is set for those.
        if let Some(answer) = self.remembered(&key) {
            return Some(answer);
        }
        let told = self.ask(key, look).told();
        tokio::time::timeout(patience, told).await.ok().flatten()
    }

    /// Asks: the answer is the remembered one, or what the look-up that is going on says, or else
    /// what `look` says, which is begun now and remembered for as long as it says itself.
    pub fn ask(
        &self,
        key: K,
        look: impl Future<Output = (V, Duration)> + Send + 'static,
    ) -> Asked<V> {
        if let Some(answer) = self.remembered(&key) {
            return Asked::Known(answer);
        }
        let mut table = self.0.lock();
        if let Some(told) = table.open.get(&key) {
            return Asked::Open(told.clone());
        }
        if table.open.len() >= self.0.bounds.open {
            return Asked::TooMany;
        }
        let (tell, told) = watch::channel(None);
        table.open.insert(key.clone(), told.clone());
        drop(table);
        let open = Open {
            shared: Arc::clone(&self.0),
            key,
        };
        drop(tokio::spawn(async move {
            let turn = open.shared.turns.acquire().await;
            let (answer, age) = look.await;
            drop(turn);
            open.shared.remember(open.key.clone(), answer.clone(), age);
            drop(open);
            tell.send_replace(Some(answer));
        }));
        Asked::Open(told)
    }
}

/// A question that was asked.
#[derive(Debug)]
pub enum Asked<V> {
    /// The answer was remembered.
    Known(V),
    /// It is looked up.
    Open(watch::Receiver<Option<V>>),
    /// Too much is looked up already.
    TooMany,
}

impl<V: Clone> Asked<V> {
    /// The answer, once it is there; `None` where there will be none.
    pub async fn told(self) -> Option<V> {
        match self {
            Self::Known(answer) => Some(answer),
            Self::Open(mut told) => {
                let answer = told.wait_for(Option::is_some).await.ok()?;
                answer.clone()
            }
            Self::TooMany => None,
        }
    }
}

/// A look-up that is going on; it is over when this is dropped, in a panic too.
struct Open<K: Eq + Hash, V> {
    shared: Arc<Shared<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Open<K, V> {
    fn drop(&mut self) {
        self.shared.lock().open.remove(&self.key);
    }
}

impl<K: Eq + Hash, V> Shared<K, V> {
    fn lock(&self) -> MutexGuard<'_, Table<K, V>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, key: &K) -> Option<V>
    where
        V: Clone,
    {
        let table = self.lock();
        let held = table.known.get(key)?;
        (self.clock.boot() < held.until).then(|| held.answer.clone())
    }

    fn remember(&self, key: K, answer: V, age: Duration) {
        let now = self.clock.boot();
        let mut table = self.lock();
        if table.known.len() >= self.bounds.remembered {
            table.known.retain(|_, held| now < held.until);
        }
        // What is still in use comes back at the next look-up.
        if table.known.len() >= self.bounds.remembered {
            table.known.clear();
        }
        let until = now.plus(age);
        table.known.insert(key, Held { answer, until });
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::SystemTime;

    use tokio::sync::oneshot;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);
    const AGE: Duration = Duration::from_mins(1);

    fn lookups() -> Lookups<u8, u8> {
        let bounds = Bounds {
            at_once: 2,
            open: 3,
            remembered: 2,
        };
        Lookups::new(Clock::simulated(SystemTime::UNIX_EPOCH), bounds)
    }

    fn says(answer: u8) -> impl Future<Output = (u8, Duration)> {
        ready((answer, AGE))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_remembered_for_its_age() {
        let lookups = lookups();
        assert_eq!(lookups.get(1, PATIENCE, says(10)).await, Some(10));
        assert_eq!(lookups.get(1, PATIENCE, pending()).await, Some(10));
        tokio::time::advance(AGE).await;
        assert_eq!(lookups.remembered(&1), None);
        assert_eq!(lookups.get(1, PATIENCE, says(11)).await, Some(11));
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_meanwhile_gets_the_same_answer() {
        let lookups = lookups();
        let (tell, told) = oneshot::channel();
        let first = lookups.get(1, PATIENCE, async { (told.await.unwrap(), AGE) });
        let second = lookups.get(1, PATIENCE, says(11));
        let end = async { tell.send(10).unwrap() };
        let (first, second, ()) = tokio::join!(first, second, end);
        assert_eq!((first, second), (Some(10), Some(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_when_nobody_waits() {
        let lookups = lookups();
        let (tell, told) = oneshot::channel();
        let look = async { (told.await.unwrap(), AGE) };
        assert_eq!(lookups.get(1, PATIENCE, look).await, None);
        tell.send(10).unwrap();
        assert_eq!(lookups.get(1, PATIENCE, pending()).await, Some(10));
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_holds_up_itself_only() {
        let lookups = lookups();
        assert_eq!(lookups.get(1, PATIENCE, pending()).await, None);
        assert_eq!(lookups.get(2, PATIENCE, says(20)).await, Some(20));
        assert_eq!(lookups.get(3, PATIENCE, pending()).await, None);
        // Both turns are taken now: a third waits, a fourth is not looked up.
        let begun = tokio::time::Instant::now();
        assert_eq!(lookups.get(4, PATIENCE, says(40)).await, None);
        assert_eq!(begun.elapsed(), PATIENCE);
        assert_eq!(lookups.get(5, PATIENCE, says(50)).await, None);
        assert_eq!(begun.elapsed(), PATIENCE);
        assert_eq!(lookups.get(2, PATIENCE, pending()).await, Some(20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_no_answer_and_the_next_asks_again() {
        let lookups = lookups();
        let begun = tokio::time::Instant::now();
        let panics = async { panic!("a fault") };
        assert_eq!(lookups.get(1, PATIENCE, panics).await, None);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(lookups.get(1, PATIENCE, says(10)).await, Some(10));
    }

    #[tokio::test(start_paused = true)]
    async fn few_are_remembered() {
        let lookups = lookups();
        for key in 0..50 {
            let brief = ready((key, Duration::from_secs(u64::from(key))));
            assert_eq!(lookups.get(key, PATIENCE, brief).await, Some(key));
            assert!(lookups.0.lock().known.len() <= 2);
            assert!(lookups.0.lock().open.is_empty());
        }
        assert_eq!(lookups.remembered(&49), Some(49));
    }
}
