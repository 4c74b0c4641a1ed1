//! Bounds the calls to each upstream: a token bucket with three classes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::Upstream;

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// A caller waits for it.
    Waiting,
    /// Renews what is held.
    Refresh,
    /// Fetches what nobody has asked for yet.
    Prefetch,
}

/// One throttle halves the rate; many leave at least this part of it.
const SLOWEST: f64 = 1.0 / 32.0;

/// From nothing back to the full rate.
const RECOVERY: Duration = Duration::from_mins(5);

/// The buckets of all upstreams, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Pacing(Arc<Mutex<HashMap<String, Bucket>>>);

/// What a bucket looks like now, for status.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Calls a second that are let through now.
    pub per_second: f64,
    /// Whether upstream has slowed us down.
    pub slowed: bool,
    /// Fetches that wait for their turn.
    pub queued: usize,
}

/// Leave to make one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass(Instant);

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    /// The part of the full rate that is let through, at `counted`.
    factor: f64,
    /// When tokens and factor were last brought up to date.
    counted: Instant,
    slowed: Option<Instant>,
    /// By class, then by age.
    queue: BTreeMap<(Class, u64), oneshot::Sender<Pass>>,
    pumped: bool,
}

impl Bucket {
    fn new(upstream: &Upstream, now: Instant) -> Self {
        let mut bucket = Self {
            per_second: 0.0,
            burst: 0.0,
            tokens: f64::from(upstream.burst),
            factor: 1.0,
            counted: now,
            slowed: None,
            queue: BTreeMap::new(),
            pumped: false,
        };
        bucket.measure(upstream);
        bucket
    }

    /// Takes over the measures, which a reload may have changed.
    fn measure(&mut self, upstream: &Upstream) {
        self.per_second = upstream.per_second.max(0.01);
        self.burst = f64::from(upstream.burst).max(1.0);
    }

    fn count(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.tokens = (self.tokens + passed * self.rate()).min((self.burst * self.factor).max(1.0));
        self.factor = (self.factor + passed / RECOVERY.as_secs_f64()).min(1.0);
    }

    fn rate(&self) -> f64 {
        self.per_second * self.factor
    }

    /// Lets through who may go now; how long until the next may, if any waits.
    fn pump(&mut self, now: Instant) -> Option<Duration> {
        self.count(now);
        while self.tokens >= 1.0 {
            let (_, waiting) = self.queue.pop_first()?;
            if waiting.send(Pass(now)).is_ok() {
                self.tokens -= 1.0;
            }
        }
        let missing = (1.0 - self.tokens) / self.rate();
        (!self.queue.is_empty()).then(|| {
            let pause = Duration::try_from_secs_f64(missing).unwrap_or(Duration::from_secs(1));
            pause.clamp(Duration::from_millis(1), Duration::from_mins(1))
        })
    }
}

impl Pacing {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Bucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for leave to make a call. `number` is the flight's, and `class` is asked for under
    /// the lock, so that a promotion is not lost between the two.
    pub(super) async fn pass(
        &self,
        upstream: &Arc<Upstream>,
        number: u64,
        class: impl FnOnce() -> Class,
    ) -> Pass {
        let now = Instant::now();
        let turn = {
            let mut buckets = self.lock();
            let bucket = buckets
                .entry(upstream.name.clone())
                .or_insert_with(|| Bucket::new(upstream, now));
            bucket.measure(upstream);
            bucket.count(now);
            if bucket.queue.is_empty() && bucket.tokens >= 1.0 {
                bucket.tokens -= 1.0;
                return Pass(now);
            }
            let (pass, turn) = oneshot::channel();
            bucket.queue.insert((class(), number), pass);
            if !bucket.pumped {
                bucket.pumped = true;
                drop(tokio::spawn(self.clone().pump(Arc::clone(upstream))));
            }
            turn
        };
        turn.await.unwrap_or(Pass(now))
    }

    /// Runs while anybody is queued.
    async fn pump(self, upstream: Arc<Upstream>) {
        loop {
            let pause = {
                let mut buckets = self.lock();
                let Some(bucket) = buckets.get_mut(&upstream.name) else {
                    return;
                };
                let Some(pause) = bucket.pump(Instant::now()) else {
                    bucket.pumped = false;
                    return;
                };
                pause
            };
            sleep(pause).await;
        }
    }

    /// A caller has begun to wait for this flight: it goes before the others, if it is queued.
    pub(super) fn promote(&self, upstream: &Upstream, number: u64) {
        let mut buckets = self.lock();
        let Some(bucket) = buckets.get_mut(&upstream.name) else {
            return;
        };
        for class in [Class::Refresh, Class::Prefetch] {
            if let Some(pass) = bucket.queue.remove(&(class, number)) {
                bucket.queue.insert((Class::Waiting, number), pass);
            }
        }
    }

    /// Upstream throttled the call made with this pass: everybody slows down. Calls that were
    /// under way when this was last heard do not slow it further. The new rate, where it changed.
    pub(super) fn throttled(&self, upstream: &Upstream, pass: Pass) -> Option<f64> {
        let now = Instant::now();
        let mut buckets = self.lock();
        let bucket = buckets.get_mut(&upstream.name)?;
        if bucket.slowed.is_some_and(|slowed| pass.0 <= slowed) {
            return None;
        }
        bucket.count(now);
        bucket.slowed = Some(now);
        bucket.tokens = 0.0;
        bucket.factor = (bucket.factor / 2.0).max(SLOWEST);
        Some(bucket.rate())
    }

    /// What this upstream's bucket looks like, if anything was ever asked of it.
    pub(super) fn pace(&self, upstream: &Upstream) -> Option<Pace> {
        let mut buckets = self.lock();
        let bucket = buckets.get_mut(&upstream.name)?;
        bucket.count(Instant::now());
        Some(Pace {
            per_second: bucket.rate(),
            slowed: bucket.factor < 1.0,
            queued: bucket.queue.len(),
        })
    }
}
