//! Calls to one upstream are bounded, and who waits goes first.

use tokio::time::{Instant, sleep};

use super::script::*;

fn at(name: &str, upstream: &Arc<Upstream>, source: &Arc<Script>) -> Arc<Request> {
    Arc::new(Request {
        upstream: Arc::clone(upstream),
        ..plain(name, source)
    })
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
    let world = World::new();
    let source = Script::new(&world);
    let upstream = paced("prod", 10.0, 20);
    let started = Instant::now();
    for n in 0..120 {
        world
            .lease(&at(&format!("prod/role{n:03}"), &upstream, &source))
            .begin();
    }
    sleep(SECOND * 15).await;
    let times = source.call_times();
    assert_eq!(times.len(), 120);
    assert_eq!(times[19].duration_since(started), Duration::ZERO);
    for (n, time) in times.iter().enumerate().skip(20) {
        let expected = Duration::from_millis(u64::try_from(n - 19).unwrap() * 100);
        let late = time.duration_since(started).checked_sub(expected).unwrap();
        assert!(late < SECOND / 10, "call {n}: {late:?} late");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_callers_go_before_refreshes_and_those_before_prefetch() {
    let world = World::new();
    let source = Script::new(&world);
    source.takes(Duration::ZERO);
    let upstream = paced("prod", 1.0, 1);
    let held = world.lease(&at("prod/held", &upstream, &source));
    held.wait(SECOND).await.unwrap();
    let sessions = &world.sessions;
    let early = sessions.prefetch(at("prod/early", &upstream, &source));
    let hurried = sessions.prefetch(at("prod/hurried", &upstream, &source));
    let refreshing = sessions.clone();
    let refresh = tokio::spawn(async move { refreshing.refresh(&Selector::All).await });
    sleep(SECOND / 10).await;
    let caller = world.lease(&at("prod/caller", &upstream, &source));
    let mut order = Vec::new();
    let started = Instant::now();
    let (caller, hurried_caller, (), ()) = tokio::join!(
        async { caller.wait(MINUTE).await.map(|_| started.elapsed()) },
        async {
            sleep(SECOND / 10).await;
            let lease = world.lease(&at("prod/hurried", &upstream, &source));
            lease.wait(MINUTE).await.map(|_| started.elapsed())
        },
        async {
            let results = refresh.await.unwrap();
            assert!(results.iter().all(|(_, result)| result.is_ok()));
        },
        async { drop(early.obtained().await) },
    );
    order.extend([hurried_caller.unwrap(), caller.unwrap()]);
    // `hurried` began before `caller`, as a prefetch, and a caller made it urgent.
    assert_eq!(
        order.iter().map(Duration::as_secs).collect::<Vec<_>>(),
        [0, 1]
    );
    let renewed = held.held().unwrap();
    assert_eq!(id(&renewed), "ASIA0000000000000004");
    assert_eq!(id(&early.held().unwrap()), "ASIA0000000000000005");
    assert_eq!(id(&hurried.held().unwrap()), "ASIA0000000000000002");
}

#[tokio::test(start_paused = true)]
async fn a_caller_hurries_the_flights_of_the_base_roles_too() {
    let world = World::new();
    let source = Script::new(&world);
    source.takes(Duration::ZERO);
    let upstream = paced("prod", 1.0, 1);
    let mut prefetched = Vec::new();
    for n in 0..10 {
        prefetched.push(
            world
                .sessions
                .prefetch(at(&format!("prod/role{n}"), &upstream, &source)),
        );
    }
    let base = at("prod/base", &upstream, &source);
    let top = Arc::new(Request {
        base: Some(Arc::clone(&base)),
        ..plain("prod/top", &source)
    });
    let prefetch = world.sessions.prefetch(Arc::clone(&top));
    sleep(SECOND / 2).await;
    assert_eq!(source.calls(), 1);
    let asked = Instant::now();
    world.lease(&top).wait(SECOND * 5).await.unwrap();
    assert!(asked.elapsed() < SECOND, "{:?}", asked.elapsed());
    assert!(prefetch.held().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_throttle_slows_the_whole_bucket_which_recovers_slowly() {
    let world = World::new();
    let source = Script::new(&world);
    let upstream = paced("prod", 10.0, 10);
    for _ in 0..10 {
        source.next(Act::Fail(FailureKind::Throttled));
    }
    let lease = |n: u32| world.lease(&at(&format!("prod/role{n:03}"), &upstream, &source));
    for n in 0..10 {
        lease(n).begin();
    }
    sleep(SECOND + SECOND / 100).await;
    // Ten answers to calls that were made at once are one throttle.
    assert_eq!(*world.told.slowed.lock().unwrap(), [5.0]);
    for n in 100..200 {
        lease(n).begin();
    }
    sleep(SECOND * 10).await;
    let calls = source.calls() - 10;
    assert!((45..=55).contains(&calls), "{calls} calls in ten seconds");
    let pace = world.sessions.report()[0].pace.unwrap();
    assert!(
        pace.slowed && pace.per_second > 5.0 && pace.per_second < 6.0,
        "{pace:?}"
    );
    sleep(MINUTE * 5).await;
    let pace = world.sessions.report()[0].pace.unwrap();
    assert!(!pace.slowed, "{pace:?}");
}

#[tokio::test(start_paused = true)]
async fn one_throttled_upstream_slows_no_other() {
    let world = World::new();
    let source = Script::new(&world);
    source.takes(Duration::ZERO);
    source.next(Act::Fail(FailureKind::Throttled));
    let throttled = paced("prod", 0.1, 1);
    let first = world.lease(&at("prod/web", &throttled, &source));
    assert!(first.wait(SECOND).await.is_err());
    let other = world.lease(&at("test/web", &paced("test", 0.1, 1), &source));
    other.wait(Duration::from_millis(1)).await.unwrap();
}
