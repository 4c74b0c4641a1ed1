//! What is held is renewed in time, served whatever upstream does, and never once it has ended.

use std::collections::BTreeMap;

use tokio::task::yield_now;
use tokio::time::{Instant, advance, sleep};

use super::script::*;

/// Asks each second of a time; how many seconds it was not served.
async fn unserved(lease: &Lease, time: Duration, clock: &crate::clock::Clock) -> u64 {
    let mut unserved = 0;
    for _ in 0..time.as_secs() {
        sleep(SECOND).await;
        match lease.held() {
            Some(session) => assert!(session.remaining(clock) > MINUTE),
            None => unserved += 1,
        }
    }
    unserved
}

#[tokio::test(start_paused = true)]
async fn a_session_in_use_is_renewed_with_30_to_45_minutes_of_its_hour_left() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    lease.wait(SECOND * 5).await.unwrap();
    for _ in 0..100 {
        sleep(MINUTE * 5).await;
        let session = lease.held().unwrap();
        assert!(session.remaining(&world.clock) >= MINUTE * 30 - SECOND);
    }
    let renewed = world.told.renewed.lock().unwrap().clone();
    assert!((16..=34).contains(&renewed.len()), "{renewed:?}");
    for (remaining, late) in renewed {
        assert!(
            remaining >= MINUTE * 30 - SECOND && remaining <= MINUTE * 45,
            "{remaining:?}"
        );
        assert!(!late);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_roles_obtained_together_are_not_renewed_together() {
    let world = World::new();
    let source = Script::new(&world);
    source.takes(Duration::ZERO);
    let mut leases = Vec::new();
    for n in 0..10_000 {
        let lease = world.lease(&request(&format!("prod/role{n:05}"), &source));
        lease.begin();
        leases.push(lease);
    }
    sleep(HOUR).await;
    let calls = source.call_times();
    let start = calls[0];
    let mut seconds = BTreeMap::<u64, usize>::new();
    for call in calls.iter().skip(10_000) {
        let second = call.duration_since(start).as_secs();
        *seconds.entry(second).or_default() += 1;
    }
    let renewals: usize = seconds.values().sum();
    let busiest: usize = (0..3600)
        .map(|from| seconds.range(from..from + 60).map(|(_, calls)| calls).sum())
        .max()
        .unwrap();
    let mean_times_60 = renewals;
    assert!(renewals >= 10_000);
    assert!(
        busiest * 60 <= 2 * mean_times_60,
        "{busiest} calls in one minute, {renewals} in the hour"
    );
    for lease in leases {
        assert!(lease.held().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_roles_that_are_due_together_leave_the_thread_to_others() {
    let world = World::new();
    let source = Script::new(&world);
    source.takes(Duration::ZERO);
    let mut leases = Vec::new();
    for n in 0..10_000 {
        let lease = world.lease(&request(&format!("prod/role{n:05}"), &source));
        lease.begin();
        leases.push(lease);
    }
    sleep(SECOND).await;
    assert_eq!(source.calls(), 10_000);
    world.suspend(MINUTE * 50);
    advance(MINUTE).await;
    // Another task, such as a caller's connection, has its turn after at most a few batches.
    let mut before = source.calls();
    let mut longest = 0;
    while before < 20_000 {
        yield_now().await;
        let calls = source.calls();
        longest = longest.max(calls - before);
        before = calls;
    }
    assert!(longest <= 256, "{longest} fetches began in one turn");
}

#[tokio::test(start_paused = true)]
async fn a_held_session_outlives_an_outage_to_its_last_minute_and_no_longer() {
    for failure in [
        FailureKind::Denied,
        FailureKind::Throttled,
        FailureKind::Unavailable,
        FailureKind::Misconfigured,
        FailureKind::BaseCredentials,
    ] {
        let world = World::new();
        let source = Script::new(&world);
        let lease = world.lease(&request("prod/web", &source));
        let first = lease.wait(SECOND * 5).await.unwrap();
        source.fails(failure);
        assert_eq!(
            unserved(&lease, MINUTE * 59 - SECOND, &world.clock).await,
            0
        );
        assert_eq!(id(&lease.held().unwrap()), id(&first));
        assert!(source.calls() > 10, "{failure:?}: {}", source.calls());
        assert_eq!(unserved(&lease, MINUTE * 30, &world.clock).await, 30 * 60);
        assert_eq!(world.dropped(), [Dropped::Expired]);
        assert!(world.told.renewed.lock().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_in_time_is_not_noticed() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    let first = lease.wait(SECOND * 5).await.unwrap();
    source.fails(FailureKind::Unavailable);
    assert_eq!(unserved(&lease, MINUTE * 50, &world.clock).await, 0);
    source.always(Act::Give);
    assert_eq!(unserved(&lease, SECOND * 30, &world.clock).await, 0);
    assert_ne!(id(&lease.held().unwrap()), id(&first));
    let renewed = world.told.renewed.lock().unwrap().clone();
    assert!(matches!(renewed[..], [(_, true)]), "{renewed:?}");
    assert_eq!(unserved(&lease, HOUR * 3, &world.clock).await, 0);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_that_lasted_too_long_callers_are_served_again() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    lease.wait(SECOND * 5).await.unwrap();
    source.fails(FailureKind::Unavailable);
    sleep(HOUR * 2).await;
    assert!(matches!(
        lease.wait(SECOND * 2).await,
        Err(NoSession::Failed(_))
    ));
    source.always(Act::Give);
    sleep(SECOND * 23).await;
    lease.wait(SECOND * 2).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn renewals_that_take_20_seconds_delay_nobody() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    lease.wait(SECOND * 5).await.unwrap();
    source.takes(SECOND * 20);
    let mut under_way = 0;
    for _ in 0..HOUR.as_secs() * 3 {
        sleep(SECOND).await;
        let asked = Instant::now();
        lease.wait(SECOND).await.unwrap();
        assert_eq!(asked.elapsed(), Duration::ZERO);
        under_way += source.running();
    }
    assert!(under_way >= 100, "asked {under_way} times during a renewal");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_changes_nothing_that_is_held() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    let first = lease.wait(SECOND * 5).await.unwrap();
    let calls = source.calls();
    for days in [1, 0] {
        world.set_wall(new_year() + HOUR * 24 * days);
        sleep(MINUTE).await;
        assert_eq!(id(&lease.held().unwrap()), id(&first));
    }
    assert_eq!(source.calls(), calls);
    // A day behind: what is renewed now lives an hour by upstream's clock, whatever ours says.
    world.set_wall(new_year() - HOUR * 24);
    sleep(HOUR).await;
    let renewed = lease.held().unwrap();
    assert_ne!(id(&renewed), id(&first));
    assert_eq!(renewed.life, HOUR);
    source.fails(FailureKind::Unavailable);
    assert_eq!(unserved(&lease, MINUTE * 25, &world.clock).await, 0);
    sleep(MINUTE * 40).await;
    assert!(lease.held().is_none());
}

#[tokio::test(start_paused = true)]
async fn skew_is_told_and_refuses_nothing() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    let levels = [
        (new_year() + SECOND * 55, true, SkewLevel::Fine),
        (new_year() + MINUTE * 5, true, SkewLevel::Warning),
        (new_year() - MINUTE * 5, false, SkewLevel::Warning),
        (new_year() + HOUR * 24, true, SkewLevel::Misconfigured),
    ];
    for (wall, ahead, level) in levels {
        world.set_wall(wall);
        lease.wait(SECOND * 5).await.unwrap();
        let skew = world.told.skews.lock().unwrap().pop().unwrap();
        assert_eq!((skew.ahead, skew.level()), (ahead, level), "{skew:?}");
        world.sessions.forget(&role("prod/web")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_tells_no_time_is_believed_by_this_hosts_clock() {
    let world = World::new();
    let source = Script::new(&world);
    source.tells_no_time();
    let lease = world.lease(&request("prod/web", &source));
    let session = lease.wait(SECOND * 5).await.unwrap();
    assert_eq!(session.life, HOUR);
    assert!(world.told.skews.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_suspend_nothing_ended_is_served_and_what_is_due_is_renewed_within_a_minute() {
    let world = World::new();
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    lease.wait(SECOND * 5).await.unwrap();

    // Short enough to be still valid, long enough to be due.
    world.suspend(MINUTE * 45);
    assert!(lease.held().is_some());
    sleep(MINUTE + SECOND * 2).await;
    assert_eq!(source.calls(), 2);

    // It has ended meanwhile: the first who asks is fetched for, without waiting for the scheduler.
    world.suspend(HOUR * 2);
    assert!(lease.held().is_none());
    lease.wait(SECOND * 2).await.unwrap();
    assert_eq!(source.calls(), 3);

    // Over a night: nobody has used it for its idle time.
    world.suspend(HOUR * 9);
    sleep(MINUTE * 2).await;
    assert_eq!(source.calls(), 3);
    assert!(world.sessions.report().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unused_session_is_let_go_after_its_idle_time() {
    let world = World::new();
    let source = Script::new(&world);
    let request = Arc::new(Request {
        idle: MINUTE * 90,
        ..plain("prod/web", &source)
    });
    let lease = world.lease(&request);
    lease.wait(SECOND * 5).await.unwrap();
    sleep(MINUTE * 89).await;
    assert!(lease.held().is_some());
    sleep(MINUTE * 89).await;
    assert!(world.dropped().is_empty());
    let calls = source.calls();
    assert!(calls > 3);
    sleep(MINUTE * 2).await;
    assert_eq!(world.dropped(), [Dropped::Idle]);
    assert!(lease.held().is_none());
    sleep(HOUR * 5).await;
    assert!(source.calls() <= calls + 1);

    // The lease still works, and signs alone keep nothing alive.
    lease.begin();
    sleep(SECOND * 2).await;
    for _ in 0..11 {
        lease.begin();
        sleep(MINUTE * 10).await;
    }
    assert_eq!(world.dropped(), [Dropped::Idle, Dropped::Idle]);
}
