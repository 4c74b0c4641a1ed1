//! What is kept, for whom, and what makes room: capacity, prefetch, chains, reloads.

use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep, timeout};

use super::script::*;

fn message(answer: Result<Arc<Session>, NoSession>) -> String {
    match answer {
        Err(NoSession::Failed(error)) => format!("{}: {}", error.kind.as_str(), error.message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_sessions_are_in_use_a_new_one_is_refused_until_one_is_not() {
    let world = World::holding(3);
    let source = Script::new(&world);
    let lease = |name: &str| world.lease(&request(name, &source));
    let first = [lease("prod/aa"), lease("prod/bb"), lease("prod/cc")];
    for lease in &first {
        lease.wait(SECOND * 5).await.unwrap();
    }
    let fourth = lease("prod/dd");
    let refused = message(fourth.wait(SECOND * 5).await);
    assert_eq!(
        refused,
        "unavailable: all sessions that may be held are in use"
    );
    assert_eq!(source.calls(), 3);

    sleep(MINUTE * 2).await;
    assert!(first[0].held().is_some() && first[2].held().is_some());
    fourth.wait(SECOND * 5).await.unwrap();
    assert_eq!(world.dropped(), [Dropped::Evicted]);
    assert!(first[1].held().is_none());
    assert!(first[0].held().is_some() && first[2].held().is_some());
    assert_eq!(world.sessions.report().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn keys_that_failed_make_room_before_any_session_does() {
    let world = World::holding(2);
    let source = Script::new(&world);
    let held = world.lease(&request("prod/aa", &source));
    held.wait(SECOND * 5).await.unwrap();
    source.next(Act::Fail(FailureKind::Denied));
    let failed = world.lease(&request("prod/bb", &source));
    assert!(failed.wait(SECOND * 5).await.is_err());
    sleep(MINUTE * 2).await;
    let new = world.lease(&request("prod/cc", &source));
    new.wait(SECOND * 5).await.unwrap();
    assert!(held.held().is_some());
    assert!(world.dropped().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_prefetched_makes_room_for_nobody_and_needs_none() {
    let world = World::holding(1);
    let source = Script::new(&world);
    let kept = ["prod/aa", "prod/bb"].map(|name| world.sessions.prefetch(request(name, &source)));
    for prefetch in &kept {
        prefetch.obtained().await.unwrap();
    }
    sleep(MINUTE * 5).await;
    let refused = world.lease(&request("prod/cc", &source));
    assert!(refused.wait(SECOND * 5).await.is_err());
    assert!(kept.iter().all(|prefetch| prefetch.held().is_some()));
    assert_eq!(world.told.full.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn leases_that_are_never_used_hold_nothing() {
    let world = World::holding(3);
    let source = Script::new(&world);
    for n in 0..1000 {
        drop(world.lease(&request(&format!("prod/role{n}"), &source)));
    }
    let used = world.lease(&request("prod/web", &source));
    used.wait(SECOND * 5).await.unwrap();
    sleep(MINUTE * 2).await;
    assert_eq!(world.sessions.known(), 1);
    assert_eq!(source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_prefetched_role_is_ready_when_its_first_session_is_there_and_kept_unused() {
    let world = World::new();
    let source = Script::new(&world);
    source.next(Act::Fail(FailureKind::Unavailable));
    source.next(Act::Fail(FailureKind::Denied));
    let prefetch = world.sessions.prefetch(request("prod/web", &source));
    assert!(prefetch.held().is_none());
    let started = Instant::now();
    prefetch.obtained().await.unwrap();
    assert!(started.elapsed() < SECOND * 10);
    assert_eq!(source.calls(), 3);
    for _ in 0..48 {
        sleep(HOUR).await;
        assert!(world.lease(&request("prod/web", &source)).sessions_hold());
    }
    assert!(source.calls() > 48);

    // Forgotten, it comes back by itself; without its handle it idles like any other.
    world.sessions.forget(&role("prod/web")).await.unwrap();
    sleep(SECOND * 2).await;
    assert!(prefetch.held().is_some());
    drop(prefetch);
    sleep(HOUR * 7).await;
    assert_eq!(world.dropped(), [Dropped::Forgotten, Dropped::Idle]);
}

#[tokio::test(start_paused = true)]
async fn a_prefetch_waits_through_an_outage_without_anybody_asking() {
    let world = World::new();
    let source = Script::new(&world);
    source.fails(FailureKind::Unavailable);
    let prefetch = world.sessions.prefetch(request("prod/web", &source));
    assert!(timeout(MINUTE * 5, prefetch.obtained()).await.is_err());
    assert_eq!(prefetch.failure().unwrap().kind, FailureKind::Unavailable);
    source.always(Act::Give);
    sleep(SECOND * 25).await;
    assert!(prefetch.held().is_some());

    source.takes(SECOND * 30);
    let other = world.sessions.prefetch(request("prod/other", &source));
    let waiter = tokio::spawn(async move { other.obtained().await.is_none() });
    sleep(SECOND).await;
    world.stop.cancel();
    assert!(waiter.await.unwrap());
}

/// The request of a role on top of a base role.
fn chained(base: &Arc<Request>, source: &Arc<Script>) -> Arc<Request> {
    Arc::new(Request {
        base: Some(Arc::clone(base)),
        ..plain("prod/top", source)
    })
}

#[tokio::test(start_paused = true)]
async fn a_chained_role_is_signed_by_its_base_roles_held_session() {
    let world = World::new();
    let source = Script::new(&world);
    let base_source = Script::named(&world, "BASE", HOUR);
    let base = request("prod/base", &base_source);
    let top = world.lease(&chained(&base, &source));
    let also = Arc::new(Request {
        base: Some(Arc::clone(&base)),
        ..plain("prod/also", &source)
    });
    let also = world.lease(&also);
    let (first, second) = tokio::join!(top.wait(SECOND * 5), also.wait(SECOND * 5));
    first.unwrap();
    second.unwrap();
    assert_eq!(base_source.calls(), 1);
    assert_eq!(
        source.signed_by(),
        ["BASE0000000000000001", "BASE0000000000000001"]
    );
    assert!(world.lease(&base).held().is_some());

    // The base is used by every renewal on top of it, so it does not idle out.
    for _ in 0..24 {
        sleep(HOUR).await;
        assert!(top.held().is_some() && also.held().is_some());
    }
    assert!(world.lease(&base).sessions_hold());
    assert!(world.dropped().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_chained_role_fails_and_recovers_with_its_base() {
    let world = World::new();
    let source = Script::new(&world);
    let base_source = Script::named(&world, "BASE", HOUR);
    let top = world.lease(&chained(&request("prod/base", &base_source), &source));
    base_source.next(Act::Fail(FailureKind::Unavailable));
    let failed = message(top.wait(SECOND * 5).await);
    assert_eq!(failed, "unavailable: base role prod/base: scripted failure");
    sleep(SECOND * 2).await;

    // Two failures of its own would keep it waiting for 5 s, but the base may be tried after 2.
    for kind in [FailureKind::Denied, FailureKind::BaseCredentials] {
        base_source.next(Act::Fail(kind));
        let failed = message(top.wait(SECOND * 5).await);
        assert_eq!(
            failed,
            "base-credentials: base role prod/base: scripted failure"
        );
        sleep(SECOND * 2).await;
    }
    top.wait(SECOND * 5).await.unwrap();
    assert_eq!((base_source.calls(), source.calls()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_base_session_that_upstream_refuses_is_renewed() {
    let world = World::new();
    let source = Script::new(&world);
    let base_source = Script::named(&world, "BASE", HOUR);
    let base = request("prod/base", &base_source);
    world.lease(&base).wait(SECOND * 5).await.unwrap();
    sleep(MINUTE * 2).await;
    source.next(Act::Fail(FailureKind::BaseCredentials));
    let top = world.lease(&chained(&base, &source));
    assert!(top.wait(SECOND * 5).await.is_err());
    sleep(SECOND * 2).await;
    top.wait(SECOND * 5).await.unwrap();
    assert_eq!(
        source.signed_by(),
        ["BASE0000000000000001", "BASE0000000000000002"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_its_own_base_fails_instead_of_waiting_for_itself() {
    let world = World::new();
    let source = Script::new(&world);
    let again = request("prod/top", &source);
    let middle = Arc::new(Request {
        base: Some(again),
        ..plain("prod/middle", &source)
    });
    let failed = message(
        world
            .lease(&chained(&middle, &source))
            .wait(SECOND * 5)
            .await,
    );
    assert_eq!(
        failed,
        "misconfigured: the role is its own base credentials"
    );
    assert_eq!(source.calls(), 0);
}

/// A configuration: which key each of its roles makes.
#[derive(Debug)]
pub(super) struct Roles(pub(super) Vec<Arc<Request>>);

impl Catalogue for Roles {
    fn request(&self, wish: &Wish) -> Result<Arc<Request>, NoRequest> {
        self.0
            .iter()
            .find(|request| request.role == wish.role)
            .map(Arc::clone)
            .ok_or(NoRequest::NoRole)
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_configuration_makes_no_more_is_not_kept_by_an_old_handle() {
    let world = World::new();
    let source = Script::new(&world);
    let prefetch = world.sessions.prefetch(request("prod/web", &source));
    prefetch.obtained().await.unwrap();
    world.sessions.retain(&Roles(Vec::new())).await;
    assert!(prefetch.held().is_none());
    sleep(HOUR).await;
    assert_eq!(source.calls(), 1);
    assert!(world.sessions.report().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_a_reload_calls_off_does_not_bring_its_base_back() {
    let world = World::new();
    let source = Script::new(&world);
    source.takes(Duration::ZERO);
    let base = request("prod/base", &source);
    world.lease(&chained(&base, &source)).begin();
    world.sessions.retain(&Roles(Vec::new())).await;
    sleep(SECOND).await;
    assert_eq!(source.calls(), 0);
    assert!(world.sessions.report().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_equal_keys_and_lets_all_others_go() {
    let world = World::new();
    let (old, new) = (Script::new(&world), Script::named(&world, "NEWS", HOUR));
    let leases =
        ["prod/same", "prod/other", "prod/gone"].map(|name| world.lease(&request(name, &old)));
    for lease in &leases {
        lease.wait(SECOND * 5).await.unwrap();
    }
    let same = request("prod/same", &new);
    // The alias leads to another account now.
    let other = Arc::new(Request {
        key: KeyDigest::default().field("role", b"elsewhere").finish(),
        ..plain("prod/other", &new)
    });
    let roles = Roles(vec![Arc::clone(&same), Arc::clone(&other)]);
    world.sessions.retain(&roles).await;
    assert_eq!(world.dropped(), [Dropped::Retired, Dropped::Retired]);
    assert!(leases[0].held().is_some());
    assert!(leases[1].held().is_none() && leases[2].held().is_none());
    let refused = message(leases[1].wait(SECOND * 5).await);
    assert_eq!(
        refused,
        "unavailable: the configuration has changed meanwhile"
    );
    let session = world.lease(&other).wait(SECOND * 5).await.unwrap();
    assert_eq!(id(&session), "NEWS0000000000000001");

    // What is kept is renewed by the new configuration's source.
    sleep(MINUTE * 31).await;
    assert_eq!(old.calls(), 3);
    assert!(id(&leases[0].held().unwrap()).starts_with("NEWS"));

    // A key that comes back works for old leases too: it is the same call.
    let roles = Roles(vec![request("prod/gone", &new)]);
    world.sessions.retain(&roles).await;
    let back = world.lease(&request("prod/gone", &new));
    back.wait(SECOND * 5).await.unwrap();
    assert!(leases[2].held().is_some());
    assert!(leases[0].held().is_none());
}
