//! Whatever happens in whatever order: what is handed out is valid, and the registry is sound.

use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::time::sleep;

use super::script::*;

/// One event of a story. Numbers name roles.
#[derive(Clone, Debug)]
enum Event {
    Begin(u8),
    Wait(u8),
    Forget(u8),
    Refresh,
    ClearFailures,
    Keep(u8),
    LetGo,
    /// A reload after which only the roles below this number are there.
    Reload(u8),
    Reconnect,
    Sleep(u64),
    Suspend(u64),
    SetWall(u64),
    Upstream(Option<FailureKind>),
    UpstreamTakes(u64),
    UpstreamGives(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let kinds = prop_oneof![
        Just(FailureKind::Denied),
        Just(FailureKind::Throttled),
        Just(FailureKind::Unavailable),
        Just(FailureKind::Misconfigured),
        Just(FailureKind::BaseCredentials),
    ];
    prop_oneof![
        2 => (0..6_u8).prop_map(Event::Begin),
        4 => (0..6_u8).prop_map(Event::Wait),
        1 => (0..6_u8).prop_map(Event::Forget),
        1 => Just(Event::Refresh),
        1 => Just(Event::ClearFailures),
        1 => (0..6_u8).prop_map(Event::Keep),
        1 => Just(Event::LetGo),
        1 => (0..7_u8).prop_map(Event::Reload),
        1 => Just(Event::Reconnect),
        6 => (0..4000_u64).prop_map(Event::Sleep),
        1 => (0..30_000_u64).prop_map(Event::Suspend),
        1 => (0..200_000_u64).prop_map(Event::SetWall),
        2 => proptest::option::of(kinds).prop_map(Event::Upstream),
        1 => (0..70_u64).prop_map(Event::UpstreamTakes),
        1 => (0..4000_u64).prop_map(Event::UpstreamGives),
    ]
}

/// A configuration that has the roles below a number.
#[derive(Debug)]
struct Below(u8, Vec<Arc<Request>>);

impl Catalogue for Below {
    fn request(&self, wish: &Wish) -> Result<Arc<Request>, NoRequest> {
        let roles = self.1.iter().take(usize::from(self.0));
        roles
            .into_iter()
            .find(|request| request.role == wish.role)
            .map(Arc::clone)
            .ok_or(NoRequest::NoRole)
    }
}

struct Story {
    world: World,
    source: Arc<Script>,
    requests: Vec<Arc<Request>>,
    leases: Vec<Lease>,
    kept: Vec<Prefetch>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let world = World::seeded(4, seed);
        let source = Script::new(&world);
        let mut requests: Vec<Arc<Request>> = Vec::new();
        for n in 0..6 {
            // Every third role is chained on top of the one before it.
            let base = (n % 3 == 2)
                .then(|| requests.last().map(Arc::clone))
                .flatten();
            requests.push(Arc::new(Request {
                base,
                upstream: paced("prod", 1.0, 3),
                ..plain(&format!("prod/role{n}"), &source)
            }));
        }
        let leases = requests
            .iter()
            .map(|request| world.lease(request))
            .collect();
        Self {
            world,
            source,
            requests,
            leases,
            kept: Vec::new(),
        }
    }

    async fn happens(&mut self, event: &Event) {
        let sessions = &self.world.sessions;
        match event {
            Event::Begin(n) => self.leases[usize::from(*n)].begin(),
            Event::Wait(n) => {
                let answer = self.leases[usize::from(*n)].wait(SECOND).await;
                if let Ok(session) = answer {
                    assert!(session.is_servable_at(self.world.clock.boot()));
                }
            }
            Event::Forget(n) => {
                let role = &self.requests[usize::from(*n)].role;
                sessions.forget(role).await.unwrap();
                assert!(self.leases[usize::from(*n)].held().is_none());
            }
            Event::Refresh => drop(sessions.refresh(&Selector::All).await),
            Event::ClearFailures => sessions.clear_failures(),
            Event::Keep(n) => {
                let request = Arc::clone(&self.requests[usize::from(*n)]);
                self.kept.push(sessions.prefetch(request));
            }
            Event::LetGo => drop(self.kept.pop()),
            Event::Reload(n) => {
                sessions.retain(&Below(*n, self.requests.clone())).await;
                for lease in self.leases.iter().skip(usize::from(*n)) {
                    assert!(lease.held().is_none());
                }
            }
            Event::Reconnect => {
                let requests = self.requests.iter();
                self.leases = requests.map(|request| self.world.lease(request)).collect();
            }
            Event::Sleep(seconds) => sleep(Duration::from_secs(*seconds)).await,
            Event::Suspend(seconds) => self.world.suspend(Duration::from_secs(*seconds)),
            Event::SetWall(seconds) => {
                let around = new_year() - Duration::from_secs(100_000);
                self.world.set_wall(around + Duration::from_secs(*seconds));
            }
            Event::Upstream(None) => self.source.always(Act::Give),
            Event::Upstream(Some(kind)) => self.source.fails(*kind),
            Event::UpstreamTakes(seconds) => self.source.takes(Duration::from_secs(*seconds)),
            Event::UpstreamGives(life) => {
                self.source.always(Act::GiveFor(Duration::from_secs(*life)));
            }
        }
        self.world.sessions.lock().assert_sound();
        for session in self.leases.iter().filter_map(Lease::held) {
            assert!(session.remaining(&self.world.clock) > MINUTE);
        }
    }

    /// The world comes right again, and so must everything else.
    async fn ends_well(mut self) {
        self.source.takes(SECOND);
        self.source.always(Act::Give);
        self.kept.clear();
        self.happens(&Event::Reconnect).await;
        self.world.sessions.clear_failures();
        sleep(MINUTE * 10).await;
        for n in [0, 1, 2] {
            let answer = self.leases[n].wait(MINUTE * 2).await;
            assert!(answer.is_ok(), "role {n}: {answer:?}");
        }
        // Twice the idle time: a base role was last used by the last renewal on top of it.
        sleep(HOUR * 13).await;
        self.leases.clear();
        sleep(MINUTE * 10).await;
        self.world.sessions.lock().assert_sound();
        assert_eq!(self.world.sessions.known(), 0);
        assert_eq!(self.source.running(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_story_is_sound_and_ends_well(
        seed: u64,
        events in prop::collection::vec(event(), 1..60),
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let mut story = Story::new(seed);
            for event in &events {
                story.happens(event).await;
            }
            story.ends_well().await;
        });
    }
}
