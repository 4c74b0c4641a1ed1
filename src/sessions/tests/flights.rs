//! One flight for each key: who waits for it, and what they get.

use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};

use super::script::*;

type Answer = Result<Arc<Session>, NoSession>;

fn waiting(lease: Lease, patience: Duration) -> JoinHandle<Answer> {
    tokio::spawn(async move { lease.wait(patience).await })
}

fn kind(answer: &Answer) -> Option<FailureKind> {
    match answer {
        Err(NoSession::Failed(error)) => Some(error.kind),
        Ok(_) | Err(NoSession::NotYet | NoSession::Stopping) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_for_a_key_shares_one_fetch() {
    let world = World::new();
    let source = Script::new(&world);
    let mut waiters = Vec::new();
    for n in 0..10_000 {
        let request = request(&format!("prod/role{:03}", n % 100), &source);
        waiters.push(waiting(world.lease(&request), SECOND * 5));
    }
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(source.calls(), 100);
}

#[tokio::test(start_paused = true)]
async fn the_first_waiter_leaves_and_the_others_are_served() {
    let world = World::new();
    let source = Script::new(&world);
    let request = request("prod/web", &source);
    let first = waiting(world.lease(&request), SECOND * 5);
    tokio::task::yield_now().await;
    let others = [(); 3].map(|()| waiting(world.lease(&request), SECOND * 5));
    sleep(SECOND / 2).await;
    first.abort();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_everybody_has_left_still_lands() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    let answer = lease.wait(SECOND / 2).await;
    assert!(matches!(answer, Err(NoSession::NotYet)));
    assert!(lease.held().is_none());
    sleep(SECOND).await;
    assert!(lease.held().is_some());
    assert_eq!(source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_and_remembered() {
    let world = World::new();
    let source = Script::new(&world);
    source.fails(FailureKind::Denied);
    let request = request("prod/web", &source);
    let waiters = [(); 50].map(|()| waiting(world.lease(&request), SECOND * 5));
    for waiter in waiters {
        assert_eq!(kind(&waiter.await.unwrap()), Some(FailureKind::Denied));
    }
    assert_eq!(source.calls(), 1);

    let lease = world.lease(&request);
    let asked = Instant::now();
    assert_eq!(
        kind(&lease.wait(SECOND * 5).await),
        Some(FailureKind::Denied)
    );
    assert_eq!(asked.elapsed(), Duration::ZERO);
    assert_eq!(lease.failure().unwrap().kind, FailureKind::Denied);
    assert_eq!(source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_tried_again_when_asked_after_2_5_15_and_60_seconds() {
    let world = World::new();
    let source = Script::new(&world);
    source.takes(Duration::ZERO);
    source.fails(FailureKind::Denied);
    let lease = world.lease(&request("prod/web", &source));
    let mut calls = 0;
    for pause in [2, 5, 15, 60, 60] {
        assert!(lease.wait(SECOND).await.is_err());
        calls += 1;
        assert_eq!(source.calls(), calls);
        sleep(SECOND * pause - Duration::from_millis(10)).await;
        assert!(lease.wait(SECOND).await.is_err());
        assert_eq!(source.calls(), calls, "before {pause} s");
        sleep(Duration::from_millis(10)).await;
        assert!(lease.failure().is_none());
    }
    source.always(Act::Give);
    lease.wait(SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_and_a_failure_is_neither_tried_again_nor_kept() {
    let world = World::new();
    let source = Script::new(&world);
    source.fails(FailureKind::Unavailable);
    let lease = world.lease(&request("prod/web", &source));
    lease.begin();
    sleep(HOUR).await;
    assert_eq!(source.calls(), 1);
    assert!(world.sessions.report().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_first_sign_starts_the_flight_and_waits_for_nothing() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    assert_eq!(source.calls(), 0);
    let began = Instant::now();
    lease.begin();
    lease.begin();
    assert_eq!(began.elapsed(), Duration::ZERO);
    sleep(SECOND * 9 / 10).await;
    let answer = lease.wait(SECOND / 5).await;
    assert!(answer.is_ok());
    assert_eq!(source.calls(), 1);
    lease.begin();
    sleep(SECOND).await;
    assert_eq!(source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_or_hangs_is_a_failure_like_another() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    source.next(Act::Panic);
    let answer = lease.wait(SECOND * 5).await;
    assert_eq!(kind(&answer), Some(FailureKind::Unavailable));
    sleep(SECOND * 2).await;
    source.next(Act::Hang);
    let answer = lease.wait(MINUTE * 2).await;
    assert_eq!(kind(&answer), Some(FailureKind::Unavailable));
    sleep(SECOND * 4).await;
    lease.wait(SECOND * 2).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_can_not_be_handed_out_is_a_failure() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    for act in [
        Act::GiveEnded(MINUTE),
        Act::GiveFor(MINUTE),
        Act::GiveFor(Duration::ZERO),
    ] {
        source.next(act.clone());
        let answer = lease.wait(SECOND * 5).await;
        assert_eq!(kind(&answer), Some(FailureKind::Unavailable), "{act:?}");
        assert!(lease.held().is_none(), "{act:?}");
        world.sessions.clear_failures();
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_shorter_than_asked_is_served_for_its_real_life() {
    let world = World::new();
    let source = Script::new(&world);
    source.next(Act::GiveFor(MINUTE * 20));
    let lease = world.lease(&request("prod/web", &source));
    let session = lease.wait(SECOND * 5).await.unwrap();
    assert_eq!(session.life, MINUTE * 20);
    source.fails(FailureKind::Unavailable);
    sleep(MINUTE * 19 - SECOND).await;
    assert!(lease.held().is_some());
    sleep(SECOND).await;
    assert!(lease.held().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_proof_of_one_role_brings_no_other() {
    let world = World::new();
    let source = Script::new(&world);
    let request = request("prod/admin", &source);
    world.lease(&request).wait(SECOND * 5).await.unwrap();
    let lease = world.sessions.lease(
        &granted(&role("prod/web")),
        &request,
        Arc::new(Allowance::new(1)),
    );
    assert!(lease.held().is_none());
    let answer = lease.wait(SECOND * 5).await;
    assert_eq!(kind(&answer), Some(FailureKind::Misconfigured));
    assert_eq!(source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_the_daemon_stops_is_told_at_once() {
    let world = World::new();
    let source = Script::new(&world);
    let held = world.lease(&request("prod/held", &source));
    held.wait(SECOND * 5).await.unwrap();
    source.takes(SECOND * 30);
    let request = request("prod/web", &source);
    let waiter = waiting(world.lease(&request), MINUTE);
    sleep(SECOND).await;
    let stopped = Instant::now();
    world.stop.cancel();
    assert!(matches!(waiter.await.unwrap(), Err(NoSession::Stopping)));
    let late = world.lease(&request).wait(MINUTE).await;
    assert!(matches!(late, Err(NoSession::Stopping)));
    assert_eq!(stopped.elapsed(), Duration::ZERO);
    assert!(held.held().is_some());
}

#[tokio::test(start_paused = true)]
async fn forgetting_drops_what_is_held_and_what_is_under_way() {
    let world = World::new();
    let source = Script::new(&world);
    let web = request("prod/web", &source);
    let lease = world.lease(&web);
    let other = world.lease(&request("prod/other", &source));
    let first = lease.wait(SECOND * 5).await.unwrap();
    let untouched = other.wait(SECOND * 5).await.unwrap();
    assert_eq!(world.sessions.forget(&role("prod/web")).await.unwrap(), 1);
    assert!(lease.held().is_none());
    assert_eq!(world.dropped(), [Dropped::Forgotten]);
    let second = lease.wait(SECOND * 5).await.unwrap();
    assert_ne!(id(&first), id(&second));
    assert_eq!(id(&other.held().unwrap()), id(&untouched));

    // A flight under way: what it brings is lost, and who waits gets the next one's.
    assert_eq!(world.sessions.forget(&role("prod/web")).await.unwrap(), 1);
    let waiter = waiting(world.lease(&web), SECOND * 5);
    sleep(SECOND / 2).await;
    assert_eq!(source.calls(), 4);
    assert_eq!(world.sessions.forget(&role("prod/web")).await.unwrap(), 0);
    sleep(SECOND * 7 / 10).await;
    assert_eq!((source.calls(), source.running()), (5, 1));
    assert!(lease.held().is_none());
    let answer = waiter.await.unwrap().unwrap();
    assert_eq!(source.calls(), 5);
    assert_eq!(id(&answer), "ASIA0000000000000005");
    sleep(MINUTE).await;
    assert_eq!(id(&lease.held().unwrap()), "ASIA0000000000000005");
}

#[tokio::test(start_paused = true)]
async fn refreshing_tries_at_once_what_had_failed_and_keeps_what_it_can_not_better() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    source.next(Act::Fail(FailureKind::Misconfigured));
    assert!(lease.wait(SECOND * 5).await.is_err());
    let selector = Selector::Role(role("prod/web"));
    let results = world.sessions.refresh(&selector).await;
    assert_eq!(results.len(), 1);
    assert!(results[0].1.is_ok());
    let held = lease.held().unwrap();

    source.next(Act::Fail(FailureKind::Denied));
    let results = world.sessions.refresh(&Selector::All).await;
    assert_eq!(results[0].1.as_ref().unwrap_err().kind, FailureKind::Denied);
    assert_eq!(id(&lease.held().unwrap()), id(&held));
    let results = world.sessions.refresh(&selector).await;
    assert!(results[0].1.is_ok());
    assert_ne!(id(&lease.held().unwrap()), id(&held));
    let nobody = Selector::Role(role("prod/nobody"));
    assert!(world.sessions.refresh(&nobody).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_key_under_two_names_is_one_session_and_both_forget_it() {
    let world = World::new();
    let source = Script::new(&world);
    let web = request("prod/web", &source);
    let alias = Arc::new(Request {
        role: role("main/web"),
        ..plain("prod/web", &source)
    });
    world.lease(&web).wait(SECOND * 5).await.unwrap();
    let lease = world.lease(&alias);
    assert!(lease.held().is_some());
    assert_eq!(source.calls(), 1);
    let reports = world.sessions.report();
    let roles: Vec<String> = reports
        .iter()
        .map(|report| report.role.to_string())
        .collect();
    assert_eq!(roles, ["main/web", "prod/web"]);
    assert_eq!(world.sessions.forget(&role("prod/web")).await.unwrap(), 1);
    assert!(lease.held().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_report_tells_what_is_held_under_way_and_remembered() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/a-held", &source));
    lease.wait(SECOND * 5).await.unwrap();
    source.next(Act::Fail(FailureKind::Denied));
    let failed = world.lease(&request("prod/b-failed", &source));
    assert!(failed.wait(SECOND * 5).await.is_err());
    source.takes(SECOND * 30);
    let slow = request("prod/c-slow", &source);
    let _waiter = waiting(world.lease(&slow), MINUTE);
    advance(SECOND).await;
    let reports = world.sessions.report();
    let [held, failed, flying] = &reports[..] else {
        panic!("{reports:?}")
    };
    let session = held.held.as_ref().unwrap();
    assert_eq!(session.access_key_id.as_str(), "ASIA0000000000000001");
    assert_eq!(session.remaining, HOUR - SECOND * 2);
    assert!(session.renews_in >= MINUTE * 14 && session.renews_in <= MINUTE * 30);
    assert!(!held.in_flight);
    let failure = failed.failure.as_ref().unwrap();
    assert_eq!(failure.error.kind, FailureKind::Denied);
    assert_eq!(failure.age, SECOND);
    assert_eq!(failure.again_in, SECOND);
    assert!(flying.in_flight);
    assert_eq!(flying.waiters, 1);
    assert_eq!(flying.pace.unwrap().queued, 0);
}
