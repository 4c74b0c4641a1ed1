//! Who is slow: each connection's phase, looked at once a second for all of them together, and the
//! word to all of them that the daemon ends, first softly: each answer is its connection's last.
//!
//! A timer for each request would cost more than the request.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Limits;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing is under way.
    Idle,
    /// A head is being received.
    Head,
    /// A request is being answered.
    Busy,
    /// A body is being received.
    Body,
}

impl Phase {
    const fn number(self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::Head => 1,
            Self::Busy => 2,
            Self::Body => 3,
        }
    }

    const fn of(number: u8) -> Self {
        match number {
            0 => Self::Idle,
            1 => Self::Head,
            3 => Self::Body,
            _ => Self::Busy,
        }
    }
}

/// What all connections have in common.
#[derive(Debug, Default)]
struct OfAll {
    ticks: AtomicU32,
    /// Whether each answer is the last of its connection.
    last: AtomicBool,
    /// Whether every connection ends, those too that are still to come.
    over: AtomicBool,
}

/// One connection's phase, and since when.
#[derive(Debug)]
pub(super) struct Activity {
    phase: AtomicU8,
    since: AtomicU32,
    all: Arc<OfAll>,
    ending: AtomicBool,
    /// Whether anything was told since the connection last listened.
    news: AtomicBool,
    told: Notify,
    /// Where it stands among all.
    index: AtomicUsize,
}

/// What a connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It has been too long in a phase: close it.
    Overdue,
    /// The daemon ends: answer what is under way and close.
    Ending,
}

impl Activity {
    pub(super) fn enter(&self, phase: Phase) {
        let now = self.all.ticks.load(Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
        self.phase.store(phase.number(), Ordering::Relaxed);
    }

    /// Bytes came in: an idle connection begins a head.
    pub(super) fn received(&self) {
        if self.phase.load(Ordering::Relaxed) == Phase::Idle.number() {
            self.enter(Phase::Head);
        }
    }

    /// What the connection is told, when it is told something. A request that came in while it was
    /// told that nothing does is answered all the same.
    pub(super) async fn told(&self) -> Told {
        loop {
            self.told.notified().await;
            self.news.store(false, Ordering::Relaxed);
            if self.ending.load(Ordering::Relaxed) {
                return Told::Ending;
            }
            if Phase::of(self.phase.load(Ordering::Relaxed)) != Phase::Busy {
                return Told::Overdue;
            }
        }
    }

    /// Whether a request is to come: its head is being received, or it is the connection's first.
    pub(super) fn awaits_request(&self) -> bool {
        Phase::of(self.phase.load(Ordering::Relaxed)) == Phase::Head
    }

    /// Whether the next answer is the last.
    pub(super) fn answers_last(&self) -> bool {
        self.all.last.load(Ordering::Relaxed)
    }

    /// Whether [`Self::told`] has something to say.
    pub(super) fn has_news(&self) -> bool {
        self.news.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.tell();
    }

    fn tell(&self) {
        self.news.store(true, Ordering::Relaxed);
        self.told.notify_one();
    }

    fn check(&self, now: u32, limits: &Limits) {
        let allowed = match Phase::of(self.phase.load(Ordering::Relaxed)) {
            Phase::Idle => limits.idle,
            Phase::Head => limits.head,
            Phase::Body => limits.body,
            Phase::Busy => return,
        };
        let passed = now.saturating_sub(self.since.load(Ordering::Relaxed));
        if Duration::from_secs(u64::from(passed)) > allowed {
            self.tell();
        }
    }
}

/// All connections of the daemon.
#[derive(Debug, Default)]
pub(super) struct Watch {
    of_all: Arc<OfAll>,
    connections: Arc<All>,
}

/// Those that are open, in no order.
#[derive(Debug, Default)]
struct All(Mutex<Vec<Arc<Activity>>>);

/// One connection among those that are watched, until it is dropped.
#[derive(Debug)]
pub(super) struct OnWatch {
    activity: Arc<Activity>,
    all: Arc<All>,
}

impl Deref for OnWatch {
    type Target = Arc<Activity>;

    fn deref(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for OnWatch {
    fn drop(&mut self) {
        self.all.remove(&self.activity);
    }
}

impl All {
    fn add(&self, activity: &Arc<Activity>) {
        let mut all = self.lock();
        activity.index.store(all.len(), Ordering::Relaxed);
        all.push(Arc::clone(activity));
    }

    /// The last one takes its place.
    fn remove(&self, activity: &Activity) {
        let mut all = self.lock();
        let index = activity.index.load(Ordering::Relaxed);
        if index < all.len() {
            drop(all.swap_remove(index));
        }
        if let Some(moved) = all.get(index) {
            moved.index.store(index, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Activity>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    pub(super) fn connection(&self) -> OnWatch {
        let activity = Arc::new(Activity {
            phase: AtomicU8::new(Phase::Head.number()),
            since: AtomicU32::new(self.of_all.ticks.load(Ordering::Relaxed)),
            all: Arc::clone(&self.of_all),
            ending: AtomicBool::new(false),
            news: AtomicBool::new(false),
            told: Notify::new(),
            index: AtomicUsize::new(0),
        });
        self.connections.add(&activity);
        if self.of_all.over.load(Ordering::Relaxed) {
            activity.end();
        }
        OnWatch {
            activity,
            all: Arc::clone(&self.connections),
        }
    }

    /// Looks at every connection, each second, for ever.
    pub(super) async fn run(&self, limits: Limits) -> ! {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            second.tick().await;
            self.look(&limits);
        }
    }

    /// Each answer is the last of its connection from now on. Whether there is any connection.
    pub(super) fn answer_last(&self) -> bool {
        self.of_all.last.store(true, Ordering::Relaxed);
        !self.connections.lock().is_empty()
    }

    /// Tells every connection that the daemon ends.
    pub(super) fn end(&self) {
        self.of_all.over.store(true, Ordering::Relaxed);
        for activity in self.connections.lock().iter() {
            activity.end();
        }
    }

    fn look(&self, limits: &Limits) {
        let ticks = &self.of_all.ticks;
        let now = ticks.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        for activity in self.connections.lock().iter() {
            activity.check(now, limits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::CallerLimits;
    use super::*;

    fn limits() -> Limits {
        let each = CallerLimits {
            connections: 10,
            requests: 10,
        };
        Limits::new(10, each, 1024)
    }

    /// How long a connection may stay in this phase.
    async fn bears(phase: Phase) -> Option<Duration> {
        let watch = Watch::default();
        let activity = watch.connection();
        activity.enter(phase);
        let begun = tokio::time::Instant::now();
        tokio::select! {
            _ = watch.run(limits()) => None,
            told = activity.told() => {
                assert_eq!(told, Told::Overdue);
                Some(begun.elapsed())
            }
            () = tokio::time::sleep(Duration::from_hours(1)) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_time() {
        let near = |told: Option<Duration>, seconds: u64| {
            told.is_some_and(|told| told.as_secs().abs_diff(seconds) <= 2)
        };
        assert!(near(bears(Phase::Head).await, 5));
        assert!(near(bears(Phase::Body).await, 5));
        assert!(near(bears(Phase::Idle).await, 60));
        assert_eq!(bears(Phase::Busy).await, None, "an answer takes its time");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_begins_a_head_and_the_end_is_told_to_all() {
        let watch = Watch::default();
        let (one, other) = (watch.connection(), watch.connection());
        one.enter(Phase::Idle);
        one.received();
        assert_eq!(Phase::of(one.phase.load(Ordering::Relaxed)), Phase::Head);
        watch.end();
        assert_eq!(
            (one.told().await, other.told().await),
            (Told::Ending, Told::Ending)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_have_ended_are_kept_nowhere_and_the_others_are_still_told() {
        let watch = Watch::default();
        let mut open: Vec<_> = (0..100).map(|_| watch.connection()).collect();
        let mut number = 0;
        open.retain(|_| {
            number += 1;
            number % 3 == 0
        });
        open.push(watch.connection());
        assert_eq!(watch.connections.lock().len(), open.len());
        watch.end();
        for connection in open.drain(..) {
            assert_eq!(connection.told().await, Told::Ending);
        }
        assert!(watch.connections.lock().is_empty());
    }
}
