//! A source that does what the test says, and the request and grant to reach it with.

use std::collections::VecDeque;
pub(super) use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
pub(super) use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::grants::{
    Decision, Facts, Grant, GrantId, Granted, Names, Select, Template, Wanted, When,
};
pub(super) use crate::sessions::*;
use crate::types::{AccessKeyId, RoleRef};

/// 2026-01-01, in the simulated world's wall time at its start.
pub(super) fn new_year() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(490_896)
}

pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// What one call does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Brings a session of the whole duration.
    Give,
    /// Brings a session of this life.
    GiveFor(Duration),
    /// Brings a session that ended this long ago.
    GiveEnded(Duration),
    /// Fails.
    Fail(FailureKind),
    /// Dies.
    Panic,
    /// Never ends.
    Hang,
}

/// A scripted upstream: queued acts first, then always the same.
#[derive(Debug)]
pub(super) struct Script {
    clock: Clock,
    takes: Mutex<Duration>,
    acts: Mutex<VecDeque<Act>>,
    then: Mutex<Act>,
    /// When each call began.
    calls: Mutex<Vec<Instant>>,
    running: AtomicUsize,
    /// How far upstream's clock is ahead of true time.
    ahead: Mutex<Option<Duration>>,
    /// True time: what upstream's clock shows, whatever this host's wall clock is set to.
    epoch: (Instant, SystemTime),
    /// The access key ids of the base sessions that signed the calls.
    signed_by: Mutex<Vec<String>>,
    duration: Duration,
    prefix: &'static str,
}

impl Script {
    pub(super) fn new(world: &World) -> Arc<Self> {
        Self::named(world, "ASIA", HOUR)
    }

    pub(super) fn named(world: &World, prefix: &'static str, duration: Duration) -> Arc<Self> {
        Arc::new(Self {
            clock: world.clock.clone(),
            takes: Mutex::new(SECOND),
            acts: Mutex::default(),
            then: Mutex::new(Act::Give),
            calls: Mutex::default(),
            running: AtomicUsize::new(0),
            ahead: Mutex::new(Some(Duration::ZERO)),
            epoch: (Instant::now(), world.clock.now()),
            signed_by: Mutex::default(),
            duration,
            prefix,
        })
    }

    pub(super) fn takes(&self, takes: Duration) {
        *self.takes.lock().unwrap() = takes;
    }

    /// What the next call does.
    pub(super) fn next(&self, act: Act) {
        self.acts.lock().unwrap().push_back(act);
    }

    /// What every call from now on does.
    pub(super) fn always(&self, act: Act) {
        self.acts.lock().unwrap().clear();
        *self.then.lock().unwrap() = act;
    }

    pub(super) fn fails(&self, kind: FailureKind) {
        self.always(Act::Fail(kind));
    }

    /// Tells no time of its own.
    pub(super) fn tells_no_time(&self) {
        *self.ahead.lock().unwrap() = None;
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub(super) fn call_times(&self) -> Vec<Instant> {
        self.calls.lock().unwrap().clone()
    }

    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    pub(super) fn signed_by(&self) -> Vec<String> {
        self.signed_by.lock().unwrap().clone()
    }

    async fn act(&self, base: Option<&Session>) -> Result<Fetched, FetchError> {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(Instant::now());
            calls.len()
        };
        if let Some(base) = base {
            let id = base.credentials.access_key_id.as_str().to_owned();
            self.signed_by.lock().unwrap().push(id);
        }
        let act = self.acts.lock().unwrap().pop_front();
        let act = act.unwrap_or_else(|| self.then.lock().unwrap().clone());
        let takes = *self.takes.lock().unwrap();
        sleep(takes).await;
        let told = *self.ahead.lock().unwrap();
        let upstream_now = told.map(|ahead| self.epoch.1 + self.epoch.0.elapsed() + ahead);
        let now = upstream_now.unwrap_or_else(|| self.clock.now());
        let expires_at = match act {
            Act::Give => now + self.duration,
            Act::GiveFor(life) => now + life,
            Act::GiveEnded(ago) => now - ago,
            Act::Fail(kind) => return Err(FetchError::new(kind, "scripted failure")),
            Act::Panic => panic!("scripted"),
            Act::Hang => std::future::pending().await,
        };
        let id = format!("{}{number:016}", self.prefix);
        Ok(Fetched {
            credentials: SessionCredentials {
                access_key_id: AccessKeyId::new(&id).unwrap(),
                secret_access_key: SecretString::from("secret"),
                session_token: SecretString::from("token"),
            },
            expires_at,
            upstream_now,
        })
    }
}

impl Source for Script {
    fn fetch<'a>(&'a self, base: Option<&'a Session>) -> FetchFuture<'a> {
        Box::pin(async move {
            let _running = Running::new(&self.running);
            self.act(base).await
        })
    }
}

/// Counts a call while it runs, however it ends.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn new(running: &'a AtomicUsize) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self(running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the observer was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) dropped: Mutex<Vec<Dropped>>,
    pub(super) renewed: Mutex<Vec<(Duration, bool)>>,
    pub(super) skews: Mutex<Vec<Skew>>,
    pub(super) slowed: Mutex<Vec<f64>>,
    pub(super) fetches: AtomicUsize,
    pub(super) failures: Mutex<Vec<FailureKind>>,
    pub(super) full: AtomicUsize,
}

impl Observer for Told {
    fn fetch_started(&self, _: &Request) {
        self.fetches.fetch_add(1, Ordering::Relaxed);
    }

    fn fetch_finished(&self, _: &Request, result: Result<&Session, &FetchError>, _: Duration) {
        if let Err(error) = result {
            self.failures.lock().unwrap().push(error.kind);
        }
    }

    fn skew(&self, _: &Upstream, skew: Skew) {
        self.skews.lock().unwrap().push(skew);
    }

    fn renewed(&self, _: &Request, remaining: Duration, behind: Duration) {
        self.renewed
            .lock()
            .unwrap()
            .push((remaining, !behind.is_zero()));
    }

    fn dropped(&self, _: &Request, why: Dropped) {
        self.dropped.lock().unwrap().push(why);
    }

    fn slowed(&self, _: &Upstream, per_second: f64) {
        self.slowed.lock().unwrap().push(per_second);
    }

    fn full(&self, _: &Request, _: usize) {
        self.full.fetch_add(1, Ordering::Relaxed);
    }
}

/// A cache with its clock, its observer and its scheduling task.
#[derive(Debug)]
pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) told: Arc<Told>,
    pub(super) sessions: Sessions,
    pub(super) stop: CancellationToken,
}

impl World {
    pub(super) fn new() -> Self {
        Self::holding(20_000)
    }

    pub(super) fn holding(capacity: usize) -> Self {
        Self::seeded(capacity, 0x5EED)
    }

    pub(super) fn seeded(capacity: usize, seed: u64) -> Self {
        Self::made(capacity, seed, Arc::new(()))
    }

    pub(super) fn kept_by(keeper: Arc<dyn Keeper>) -> Self {
        Self::made(20_000, 0x5EED, keeper)
    }

    fn made(capacity: usize, seed: u64, keeper: Arc<dyn Keeper>) -> Self {
        let clock = Clock::simulated(new_year());
        let told = Arc::new(Told::default());
        let observer: Arc<dyn Observer> = Arc::<Told>::clone(&told);
        let sessions = Sessions::seeded(clock.clone(), capacity, (observer, keeper), seed);
        let stop = CancellationToken::new();
        let (scheduler, stopped) = (sessions.clone(), stop.clone());
        tokio::spawn(async move { scheduler.run(stopped).await });
        Self {
            clock,
            told,
            sessions,
            stop,
        }
    }

    /// A lease of this request, as a caller whom a grant gives the role gets it.
    pub(super) fn lease(&self, request: &Arc<Request>) -> Lease {
        self.lease_of(&Arc::new(Allowance::new(usize::MAX)), request)
    }

    /// The same for a caller of this allowance.
    pub(super) fn lease_of(&self, allowance: &Arc<Allowance>, request: &Arc<Request>) -> Lease {
        let granted = granted(&request.role);
        self.sessions
            .lease(&granted, request, Arc::clone(allowance))
    }

    pub(super) fn dropped(&self) -> Vec<Dropped> {
        self.told.dropped.lock().unwrap().clone()
    }

    pub(super) fn set_wall(&self, wall: SystemTime) {
        match &self.clock {
            Clock::Simulated(simulation) => simulation.set_wall(wall),
            Clock::System => unreachable!(),
        }
    }

    pub(super) fn suspend(&self, asleep: Duration) {
        match &self.clock {
            Clock::Simulated(simulation) => simulation.suspend(asleep),
            Clock::System => unreachable!(),
        }
    }
}

pub(super) fn role(name: &str) -> RoleRef {
    RoleRef::parse(name).unwrap()
}

/// The proof that somebody may have this role.
pub(super) fn granted(role: &RoleRef) -> Granted {
    let when = When {
        anyone: true,
        ..When::default()
    };
    let grant = Grant::of(
        GrantId::Grant(1),
        role.clone(),
        when,
        Template::text("test"),
    );
    let facts = Facts::default();
    let grants = [Arc::new(grant)];
    match crate::grants::decide(&facts, &grants, &Wanted::First, Select::First) {
        Decision::Role(granted) => *granted,
        decision @ (Decision::Deny(_) | Decision::Needs(_)) => panic!("{decision:?}"),
    }
}

/// An upstream that lets everything through.
pub(super) fn unbounded() -> Arc<Upstream> {
    paced("unbounded", 1e9, 1_000_000)
}

pub(super) fn paced(name: &str, per_second: f64, burst: u32) -> Arc<Upstream> {
    Arc::new(Upstream {
        name: name.to_owned(),
        per_second,
        burst,
    })
}

/// The plain request of a role: an hour, let go after six.
pub(super) fn plain(name: &str, source: &Arc<Script>) -> Request {
    let source: Arc<dyn Source> = Arc::<Script>::clone(source);
    Request {
        key: KeyDigest::default().field("role", name.as_bytes()).finish(),
        role: role(name),
        role_arn: None,
        session_name: None,
        source_identity: None,
        upstream: unbounded(),
        duration: HOUR,
        idle: HOUR * 6,
        wish: Arc::new(Wish::declared(role(name), Names::default())),
        base: None,
        source,
    }
}

pub(super) fn request(name: &str, source: &Arc<Script>) -> Arc<Request> {
    Arc::new(plain(name, source))
}

pub(super) fn id(session: &Session) -> String {
    session.credentials.access_key_id.as_str().to_owned()
}

/// What only tests ask.
impl Sessions {
    /// How many keys are known, whether anything is held for them or not.
    pub(super) fn known(&self) -> usize {
        self.lock().records.len()
    }
}

impl Lease {
    /// Whether a session is held, without using it.
    pub(super) fn sessions_hold(&self) -> bool {
        self.entry.held.load().is_some()
    }
}
