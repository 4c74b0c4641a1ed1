//! Flights that one caller begins: bounded, and nobody else's matter.

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::script::*;

fn waiting(lease: Lease, patience: Duration) -> JoinHandle<Result<Arc<Session>, NoSession>> {
    tokio::spawn(async move { lease.wait(patience).await })
}

fn cold(source: &Arc<Script>, numbers: std::ops::Range<u32>) -> Vec<Arc<Request>> {
    numbers
        .map(|n| request(&format!("prod/role{n:04}"), source))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_caller_in_a_loop_begins_few_flights_and_another_is_served_at_once() {
    let world = World::new();
    let source = Script::new(&world);
    let (greedy, modest) = [(); 2].map(|()| Arc::new(Allowance::new(4))).into();
    let loops: Vec<_> = cold(&source, 0..1000)
        .iter()
        .map(|request| waiting(world.lease_of(&greedy, request), SECOND * 850))
        .collect();
    sleep(SECOND / 2).await;
    assert_eq!(source.running(), 4);
    let asked = Instant::now();
    let other = world.lease_of(&modest, &request("prod/web", &source));
    other.wait(SECOND * 5).await.unwrap();
    assert_eq!(asked.elapsed(), SECOND, "one fetch, no queue");
    for waiter in loops {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(source.calls(), 1001);
    let times = source.call_times();
    let crowded = times.iter().filter(|time| {
        let within =
            |other: &&Instant| **other <= **time && other.elapsed() < time.elapsed() + SECOND;
        times.iter().filter(within).count() > 5
    });
    assert_eq!(crowded.count(), 0, "never more than four and the other's");
}

#[tokio::test(start_paused = true)]
async fn the_surplus_waits_its_patience_and_is_then_not_ready() {
    let world = World::new();
    let source = Script::new(&world);
    let allowance = Arc::new(Allowance::new(1));
    let [first, second] = [0, 1].map(|n| request(&format!("prod/role{n}"), &source));
    let flying = waiting(world.lease_of(&allowance, &first), SECOND * 5);
    tokio::task::yield_now().await;
    let surplus = world.lease_of(&allowance, &second);
    let asked = Instant::now();
    let answer = surplus.wait(SECOND / 2).await;
    assert!(matches!(answer, Err(NoSession::NotYet)), "{answer:?}");
    assert_eq!(asked.elapsed(), SECOND / 2);
    assert!(surplus.failure().is_none());
    // A first sign never waits: without leave it begins nothing.
    surplus.begin();
    assert_eq!(source.running(), 1);
    flying.await.unwrap().unwrap();
    surplus.begin();
    sleep(SECOND * 2).await;
    assert!(surplus.held().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_flight_counts_for_who_began_it_and_whoever_joins_it_is_free() {
    let world = World::new();
    let source = Script::new(&world);
    let (beginner, joiner) = [(); 2].map(|()| Arc::new(Allowance::new(1))).into();
    let shared = request("prod/shared", &source);
    let began = waiting(world.lease_of(&beginner, &shared), SECOND * 5);
    tokio::task::yield_now().await;
    let second = waiting(world.lease_of(&joiner, &shared), SECOND * 5);
    tokio::task::yield_now().await;
    let own = waiting(
        world.lease_of(&joiner, &request("prod/own", &source)),
        SECOND * 5,
    );
    sleep(SECOND / 2).await;
    assert_eq!(source.running(), 2, "the joiner has its own flight as well");
    for waiter in [began, second, own] {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn prefetches_and_renewals_are_nobodys() {
    let world = World::new();
    let source = Script::new(&world);
    let allowance = Arc::new(Allowance::new(1));
    let kept: Vec<_> = cold(&source, 0..10)
        .into_iter()
        .map(|request| world.sessions.prefetch(request))
        .collect();
    let lease = world.lease_of(&allowance, &request("prod/web", &source));
    lease.wait(SECOND * 5).await.unwrap();
    for prefetch in &kept {
        assert!(prefetch.held().is_some());
    }
    let refreshed = world.sessions.refresh(&Selector::All);
    let (results, cold) = tokio::join!(refreshed, async {
        let lease = world.lease_of(&allowance, &request("prod/cold", &source));
        let asked = Instant::now();
        lease.wait(SECOND * 5).await.unwrap();
        asked.elapsed()
    });
    assert!(results.iter().all(|(_, result)| result.is_ok()));
    assert_eq!(cold, SECOND, "it waited for nobody");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_back_its_turn_and_a_flight_called_off_counts_to_its_end() {
    let world = World::new();
    let source = Script::new(&world);
    let allowance = Arc::new(Allowance::new(1));
    let requests = cold(&source, 0..3);
    let first = waiting(world.lease_of(&allowance, &requests[0]), SECOND * 5);
    tokio::task::yield_now().await;
    let leaves = waiting(world.lease_of(&allowance, &requests[1]), MINUTE);
    tokio::task::yield_now().await;
    leaves.abort();
    world.sessions.forget(&requests[0].role).await.unwrap();
    let asked = Instant::now();
    let next = world.lease_of(&allowance, &requests[2]);
    next.wait(SECOND * 5).await.unwrap();
    assert!(asked.elapsed() >= SECOND * 2, "after the call that went on");
    first.await.unwrap().unwrap();
}
