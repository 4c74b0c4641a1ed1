//! What a day of renewals leaves behind: a thousand roles, in simulated time, with every allocation
//! counted. A program of its own, because the count is the whole process's.
#![cfg(test)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use rolecall::allocator;
use rolecall::authority::{KeyRing, Seals};
use rolecall::clock::Clock;
use rolecall::grants::Names;
use rolecall::keeping::{Keeping, Place, host};
use rolecall::sessions::{
    FetchFuture, Fetched, KeyDigest, Observer, Prefetch, Request, Session, SessionCredentials,
    Sessions, Settle, Slot, Source, Upstream, Wish,
};
use rolecall::telemetry::FetchRecorder;
use rolecall::telemetry::metrics::Metrics;
use rolecall::types::{AccessKeyId, RoleRef};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

const ROLES: usize = 1_000;
const HOUR: Duration = Duration::from_hours(1);

/// So many kilobytes more glibc may hold in pieces between what is allocated: of a program as small
/// as this one that is some hundredths, by how its threads come to take turns, and does not grow.
const PIECES: usize = 512;

/// Counts what is allocated and not yet freed.
struct Counting(AtomicUsize);

#[global_allocator]
static ALLOCATED: Counting = Counting(AtomicUsize::new(0));

#[expect(unsafe_code, reason = "there is no other way to count allocations")]
// SAFETY: everything is the system's allocator's, and counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.0.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Issues sessions of an hour, as long as AWS's are.
#[derive(Debug)]
struct Issues {
    clock: Clock,
    calls: AtomicUsize,
}

impl Source for Issues {
    fn fetch<'a>(&'a self, _base: Option<&'a Session>) -> FetchFuture<'a> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let number = self.calls.fetch_add(1, Ordering::Relaxed);
            Ok(Fetched {
                credentials: SessionCredentials {
                    access_key_id: AccessKeyId::new(&format!("ASIA{number:016}")).unwrap(),
                    secret_access_key: SecretString::from("s".repeat(40)),
                    session_token: SecretString::from("t".repeat(900)),
                },
                expires_at: self.clock.now() + HOUR,
                upstream_now: Some(self.clock.now()),
            })
        })
    }
}

fn request(number: usize, source: &Arc<Issues>, upstream: &Arc<Upstream>) -> Arc<Request> {
    let role = RoleRef::parse(&format!("prod/role{number}")).unwrap();
    let source: Arc<dyn Source> = Arc::<Issues>::clone(source);
    Arc::new(Request {
        key: KeyDigest::default()
            .field("role", &number.to_be_bytes())
            .finish(),
        wish: Arc::new(Wish::declared(role.clone(), Names::default())),
        role,
        role_arn: None,
        session_name: None,
        source_identity: None,
        upstream: Arc::clone(upstream),
        duration: HOUR,
        idle: HOUR * 6,
        base: None,
        source,
    })
}

/// Kilobytes that the process has of the machine's memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let size = line.and_then(|line| line.split_whitespace().nth(1));
    size.unwrap().parse().unwrap()
}

/// Everybody asks for a document, and what is held is kept: then what is allocated is counted.
async fn measured(sessions: &Sessions, roles: &[Prefetch]) -> (usize, usize) {
    for role in roles {
        let session = role.held().unwrap();
        drop(session.rendered(Slot::new(0), |_| Bytes::from(vec![0; 1_200])));
    }
    // The thread that keeps them lives in real time.
    tokio::time::resume();
    sessions.settled(Settle::Written).await.unwrap();
    tokio::time::pause();
    (ALLOCATED.0.load(Ordering::Relaxed), resident())
}

fn keeping(directory: &Path, clock: &Clock) -> Keeping {
    let ring = KeyRing::open(directory, "sessions", None).unwrap();
    let place = Place {
        directory: directory.to_owned(),
        seals: Seals::new(ring, None).unwrap(),
        host: host("test"),
        clock: clock.clone(),
        most: 64 * 1024 * 1024,
    };
    Keeping::start(place, |_nothing| {}).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_day_of_renewals_leaves_no_memory_behind() {
    // As the daemon does.
    allocator::give_back();
    let clock = Clock::simulated(SystemTime::UNIX_EPOCH + HOUR * 500_000);
    let directory = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new(Counter::default()));
    let observer: Arc<dyn Observer> = Arc::new(FetchRecorder::new(metrics));
    let keeper = Arc::new(keeping(directory.path(), &clock));
    let sessions = Sessions::keeping(clock.clone(), 20_000, observer, keeper);
    let scheduler = sessions.clone();
    let stop = CancellationToken::new();
    drop(tokio::spawn(async move { scheduler.run(stop).await }));
    let source = Arc::new(Issues {
        clock,
        calls: AtomicUsize::new(0),
    });
    let upstream = Arc::new(Upstream {
        name: "prod".to_owned(),
        per_second: 50.0,
        burst: 200,
    });
    let roles: Vec<Prefetch> = (0..ROLES)
        .map(|number| sessions.prefetch(request(number, &source, &upstream)))
        .collect();
    for role in &roles {
        role.obtained().await.unwrap();
    }
    tokio::time::sleep(HOUR).await;
    let (allocated, resident) = measured(&sessions, &roles).await;
    for _ in 1..24 {
        tokio::time::sleep(HOUR).await;
        measured(&sessions, &roles).await;
    }
    let (allocated_then, resident_then) = measured(&sessions, &roles).await;
    let calls = source.calls.load(Ordering::Relaxed);
    println!(
        "after one hour {allocated} B allocated, {resident} kB resident; after a day \
         {allocated_then} B, {resident_then} kB; {calls} calls"
    );
    assert!(calls > ROLES * 30, "{calls} renewals are too few");
    assert!(
        allocated_then * 100 <= allocated * 101,
        "{allocated} B, then {allocated_then} B"
    );
    assert!(
        resident_then * 10 <= resident * 11 + PIECES * 10,
        "{resident} kB, then {resident_then} kB"
    );
    let file = fs::metadata(directory.path().join("sessions.sealed")).unwrap();
    let length = usize::try_from(file.len()).unwrap();
    assert!(
        length < ROLES * 3_000 + 512 * 1024,
        "the file has {length} B"
    );
}
