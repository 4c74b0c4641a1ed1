//! What an earlier process held: handed out to whoever asks for the same, and only while it lives.

use std::sync::Mutex;

use secrecy::SecretString;
use tokio::time::sleep;

use super::keeping::Roles;
use super::script::*;
use crate::types::AccessKeyId;

/// A session of the process before, which has this much left of its hour.
fn before(world: &World, request: &Request, left: Duration) -> Kept {
    let credentials = SessionCredentials {
        access_key_id: AccessKeyId::new("ASIABEFORE0000000001").unwrap(),
        secret_access_key: SecretString::from("secret"),
        session_token: SecretString::from("token"),
    };
    let now = world.clock.now();
    let ends = world.clock.boot().plus(left);
    Kept {
        key: request.key,
        wish: Some(Arc::clone(&request.wish)),
        session: Arc::new(Session::kept(
            credentials,
            (now - (HOUR - left), now + left),
            ends,
            HOUR,
        )),
        elsewhen: None,
    }
}

/// The same of another boot.
fn boot_before(world: &World, request: &Request, left: Duration) -> Kept {
    let now = world.clock.now();
    Kept {
        elsewhen: Some(Elsewhen {
            written: now,
            ends: now + left,
        }),
        ..before(world, request, left)
    }
}

fn is_of_before(session: &Session) -> bool {
    id(session) == "ASIABEFORE0000000001"
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_the_same_is_given_what_was_held() {
    let world = World::new();
    let source = Script::new(&world);
    let web = request("prod/web", &source);
    world
        .sessions
        .inherit(vec![before(&world, &web, MINUTE * 40)]);
    let session = world.lease(&web).wait(SECOND).await.unwrap();
    assert!(is_of_before(&session));
    assert_eq!(source.calls(), 0);
    assert!(world.told.renewed.lock().unwrap().is_empty());
    // It is renewed when the process before would have.
    sleep(MINUTE * 12).await;
    assert_eq!(source.calls(), 1);
    assert_eq!(world.sessions.inherited(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_something_else_is_not() {
    let world = World::new();
    let source = Script::new(&world);
    let web = request("prod/web", &source);
    world
        .sessions
        .inherit(vec![before(&world, &web, MINUTE * 40)]);
    let changed = Arc::new(Request {
        key: KeyDigest::default().field("role", b"changed").finish(),
        ..plain("prod/web", &source)
    });
    let session = world.lease(&changed).wait(SECOND * 2).await.unwrap();
    assert!(!is_of_before(&session));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_due_is_served_while_it_is_renewed() {
    let world = World::new();
    let source = Script::new(&world);
    let web = request("prod/web", &source);
    world
        .sessions
        .inherit(vec![before(&world, &web, MINUTE * 5)]);
    let lease = world.lease(&web);
    assert!(is_of_before(&lease.wait(SECOND).await.unwrap()));
    sleep(SECOND * 2).await;
    assert!(!is_of_before(&lease.held().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_never_comes_back() {
    for left in [Duration::ZERO, MINUTE] {
        for of in [before, boot_before] {
            let world = World::new();
            let source = Script::new(&world);
            let web = request("prod/web", &source);
            world.sessions.inherit(vec![of(&world, &web, left)]);
            let session = world.lease(&web).wait(SECOND * 2).await.unwrap();
            assert!(!is_of_before(&session));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fetches_wait_for_what_is_being_read_but_not_for_ever() {
    let world = World::new();
    let source = Script::new(&world);
    let (web, db) = (request("prod/web", &source), request("prod/db", &source));
    world.sessions.expect_kept();
    let lease = world.lease(&web);
    lease.begin();
    sleep(Duration::from_millis(900)).await;
    assert_eq!(source.calls(), 0);
    world
        .sessions
        .inherit(vec![before(&world, &web, MINUTE * 40)]);
    assert!(is_of_before(&lease.wait(SECOND).await.unwrap()));
    assert_eq!(source.calls(), 0);

    world.sessions.expect_kept();
    world.lease(&db).wait(SECOND * 3).await.unwrap();
    assert_eq!(source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_asks_just_before_it_is_held_again_has_nothing_fetched() {
    let world = World::new();
    let source = Script::new(&world);
    let web = request("prod/web", &source);
    world.sessions.expect_kept();
    let lease = world.lease(&web);
    // The flight has not begun to look for anything when it is held again.
    lease.begin();
    world
        .sessions
        .inherit(vec![before(&world, &web, MINUTE * 40)]);
    world.sessions.resume(&Roles(vec![Arc::clone(&web)])).await;
    sleep(SECOND * 2).await;
    assert!(is_of_before(&lease.held().unwrap()));
    assert_eq!(source.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_meanwhile_is_not_replaced() {
    let hears = Arc::new(Hears::default());
    let keeper: Arc<dyn Keeper> = Arc::<Hears>::clone(&hears);
    let world = World::kept_by(keeper);
    let source = Script::new(&world);
    let web = request("prod/web", &source);
    let lease = world.lease(&web);
    lease.wait(SECOND * 2).await.unwrap();
    world
        .sessions
        .inherit(vec![before(&world, &web, MINUTE * 40)]);
    world.sessions.resume(&Roles(vec![Arc::clone(&web)])).await;
    assert!(!is_of_before(&lease.held().unwrap()));
    // Nor for the next process.
    let kept = hears.0.lock().unwrap().clone();
    assert_eq!(kept.last().unwrap(), "prod/web ASIA0000000000000001");
    sleep(HOUR).await;
    assert!(!is_of_before(&lease.held().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_served_or_fetched_while_the_clock_cannot_be_right() {
    let world = World::new();
    let source = Script::new(&world);
    let web = request("prod/web", &source);
    world
        .sessions
        .inherit(vec![before(&world, &web, MINUTE * 40)]);
    world.set_wall(SystemTime::UNIX_EPOCH);
    let lease = world.lease(&web);
    for _ in 0..3 {
        let failed = lease.wait(SECOND).await.unwrap_err();
        assert!(matches!(failed, NoSession::Failed(_)), "{failed:?}");
        sleep(SECOND * 2).await;
    }
    assert_eq!(source.calls(), 0);
    world.set_wall(new_year() + MINUTE);
    assert!(is_of_before(&lease.wait(SECOND).await.unwrap()));
    assert_eq!(source.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_machine_whose_clock_is_not_set_fetches_when_it_is() {
    let world = World::new();
    let source = Script::new(&world);
    world.set_wall(SystemTime::UNIX_EPOCH);
    let prefetch = world.sessions.prefetch(request("prod/web", &source));
    sleep(HOUR).await;
    assert_eq!(source.calls(), 0);
    let told = prefetch.failure().unwrap();
    assert!(told.message.contains("clock has not been set"), "{told}");
    world.set_wall(new_year() + HOUR);
    sleep(SECOND * 4).await;
    assert!(prefetch.held().is_some());
}

#[tokio::test(start_paused = true)]
async fn of_another_boot_is_served_by_a_clock_that_can_be_believed() {
    let story = async |wall: SystemTime, told: bool| {
        let world = World::new();
        let source = Script::new(&world);
        let web = request("prod/web", &source);
        let kept = boot_before(&world, &web, MINUTE * 40);
        world.sessions.inherit(vec![kept]);
        if let crate::clock::Clock::Simulated(simulation) = &world.clock {
            simulation.reboot(Duration::ZERO);
            simulation.set_told(told);
        }
        world.set_wall(wall);
        let session = world.lease(&web).wait(SECOND * 3).await.unwrap();
        (is_of_before(&session), session.remaining(&world.clock))
    };
    let (kept, left) = story(new_year() + MINUTE * 30, true).await;
    assert!(kept && left <= MINUTE * 10 && left > MINUTE * 9);
    assert!(!story(new_year() + MINUTE * 39, true).await.0, "it ends");
    let back = story(new_year() - MINUTE, true).await;
    assert!(!back.0, "the clock went back: nobody knows when it ends");
    let untold = story(new_year() + MINUTE, false).await;
    assert!(!untold.0, "the clock may have stood still meanwhile");
}

#[tokio::test(start_paused = true)]
async fn what_its_catalogue_still_makes_is_renewed_though_nobody_asks() {
    let world = World::new();
    let source = Script::new(&world);
    let (web, db) = (request("prod/web", &source), request("prod/db", &source));
    let kept = vec![
        before(&world, &web, MINUTE * 40),
        before(&world, &db, MINUTE * 40),
    ];
    world.sessions.inherit(kept);
    world.sessions.resume(&Roles(vec![Arc::clone(&web)])).await;
    assert_eq!(world.sessions.held(), 1);
    assert_eq!(world.sessions.inherited(), 0, "nobody makes the other");
    let report = world.sessions.report();
    assert_eq!(report[0].role, web.role);
    sleep(MINUTE * 12).await;
    assert_eq!(source.calls(), 1);
}

/// Of callers that brought a web identity, say: nobody else can ask for them.
#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_let_go_when_it_has_ended() {
    let hears = Arc::new(Hears::default());
    let keeper: Arc<dyn Keeper> = Arc::<Hears>::clone(&hears);
    let world = World::kept_by(keeper);
    let source = Script::new(&world);
    let (web, db) = (request("prod/web", &source), request("prod/db", &source));
    let mut kept = vec![
        before(&world, &web, MINUTE * 40),
        boot_before(&world, &db, MINUTE * 40),
    ];
    for one in &mut kept {
        one.wish = None;
    }
    world.sessions.inherit(kept);
    world.sessions.resume(&Roles(Vec::new())).await;
    let let_go = || hears.0.lock().unwrap().clone();
    sleep(MINUTE * 38).await;
    assert_eq!((world.sessions.inherited(), let_go()), (2, Vec::new()));
    sleep(MINUTE * 2).await;
    assert_eq!(world.sessions.inherited(), 0);
    assert_eq!(let_go(), ["gone", "gone"]);
}

/// Hears what is to be kept.
#[derive(Debug, Default)]
struct Hears(Mutex<Vec<String>>);

impl Keeper for Hears {
    fn keep(&self, request: &Request, session: &Arc<Session>) {
        let told = format!("{} {}", request.role, id(session));
        self.0.lock().unwrap().push(told);
    }

    fn let_go(&self, _key: &SessionKey) {
        self.0.lock().unwrap().push("gone".to_owned());
    }

    fn settled(&self, what: Settle) -> Settled<'_> {
        self.0.lock().unwrap().push(format!("{what:?}"));
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test(start_paused = true)]
async fn who_keeps_hears_of_all_that_comes_and_goes() {
    let hears = Arc::new(Hears::default());
    let keeper: Arc<dyn Keeper> = Arc::<Hears>::clone(&hears);
    let world = World::kept_by(keeper);
    let source = Script::new(&world);
    let lease = world.lease(&request("prod/web", &source));
    lease.wait(SECOND * 2).await.unwrap();
    let db = request("prod/db", &source);
    world
        .sessions
        .inherit(vec![before(&world, &db, MINUTE * 40)]);
    assert_eq!(world.sessions.forget(&role("prod/web")).await.unwrap(), 1);
    let all = hears.0.lock().unwrap().clone();
    // Whose the second was is not known: it is let go too.
    let wanted = ["prod/web ASIA0000000000000001", "gone", "gone", "Erased"];
    assert_eq!(all, wanted);
    drop(world.lease(&db).wait(SECOND * 2).await.unwrap());
    assert_eq!(source.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn forgetting_waits_until_it_is_known_what_there_was() {
    let world = World::new();
    let source = Script::new(&world);
    let (web, db) = (request("prod/web", &source), request("prod/db", &source));
    world.sessions.expect_kept();
    let roles = Roles(vec![Arc::clone(&web), Arc::clone(&db)]);
    let read = async {
        sleep(SECOND).await;
        let kept = vec![
            before(&world, &web, MINUTE * 40),
            before(&world, &db, MINUTE * 40),
        ];
        world.sessions.inherit(kept);
    };
    let web_role = role("prod/web");
    let (forgotten, (), ()) = tokio::join!(
        world.sessions.forget(&web_role),
        world.sessions.resume(&roles),
        read
    );
    assert_eq!(forgotten.unwrap(), 1);
    assert_eq!(world.sessions.held(), 1, "the other role's is held");
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_before_it_could_be_read_does_not_come_back() {
    let hears = Arc::new(Hears::default());
    let keeper: Arc<dyn Keeper> = Arc::<Hears>::clone(&hears);
    let world = World::kept_by(keeper);
    let source = Script::new(&world);
    let web = request("prod/web", &source);
    world.sessions.expect_kept();
    world.sessions.forget(&role("prod/web")).await.unwrap();
    // The disk answers at last.
    world
        .sessions
        .inherit(vec![before(&world, &web, MINUTE * 40)]);
    assert_eq!(world.sessions.inherited(), 0);
    assert_eq!(hears.0.lock().unwrap().last().unwrap(), "gone");
    let session = world.lease(&web).wait(SECOND * 2).await.unwrap();
    assert!(!is_of_before(&session));
}
