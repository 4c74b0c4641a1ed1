//! Connections out of another network namespace, and a small docker that says whose they are.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::gettid;
use tokio_util::sync::DropGuard;
use tokio_util::task::AbortOnDropHandle;

use super::super::desk;
use super::{can_test, run};
use crate::caller::{Caller, CallerKey, Desk, Reach};
use crate::grants::{Fact, Known};
use crate::runtime::tests::scripted_docker::Docker;
use crate::runtime::tests::{Host, container_id, id, until};
use crate::runtime::{At, EngineKind};

/// The host's end of the wire, and the other.
const HOST: &str = "192.0.2.1";
const INSIDE: &str = "192.0.2.2";
const PROGRAMS: [&str; 1] = ["ip"];

fn ip(arguments: &str) {
    run("ip", &arguments.split(' ').collect::<Vec<_>>());
}

/// A network namespace on a wire from this thread's. Connections from it are made by a thread.
struct Inside(Sender<(SocketAddr, Sender<TcpStream>)>);

impl Inside {
    /// Gives this thread a network namespace of its own, with another behind it.
    fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let (ask, asked) = channel::<(SocketAddr, Sender<TcpStream>)>();
        let (tell_thread, thread_told) = channel();
        let (wired, wire) = channel();
        thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            tell_thread.send(gettid()).unwrap();
            wire.recv().unwrap();
            ip(&format!("address add {INSIDE}/24 dev inside"));
            ip("link set inside up");
            for (to, answer) in asked {
                answer.send(TcpStream::connect(to).unwrap()).unwrap();
            }
        });
        let thread = thread_told.recv().unwrap();
        ip("link set lo up");
        ip(&format!(
            "link add outside type veth peer name inside netns {thread}"
        ));
        ip(&format!("address add {HOST}/24 dev outside"));
        ip("link set outside up");
        wired.send(()).unwrap();
        Self(ask)
    }

    fn connect(&self, to: SocketAddr) -> TcpStream {
        let (answer, connected) = channel();
        self.0.send((to, answer)).unwrap();
        connected.recv().unwrap()
    }
}

/// A desk that knows of the container `a` at [`INSIDE`], from a small docker that has `b` too as
/// soon as it is started, and a listener that both reach.
struct Scene {
    inside: Inside,
    docker: Docker,
    desk: Desk,
    listener: TcpListener,
    _unit: DropGuard,
    _running: AbortOnDropHandle<()>,
    _host: Host,
}

impl Scene {
    async fn set() -> Self {
        let inside = Inside::new();
        let host = Host::new();
        let docker = Docker::at(&host.path("docker"));
        docker.start_quietly('a', INSIDE);
        for (pid, digit) in [(1010, 'a'), (1011, 'b')] {
            host.process(pid, &format!("/docker/{}", id(digit)));
        }
        let unit = host.unit(&[(EngineKind::Docker, "docker")]);
        let (containers, running) = host.client();
        let address = INSIDE.parse().unwrap();
        until("the container is known", async || {
            containers.at(address) == At::One
        })
        .await;
        Self {
            inside,
            docker,
            desk: desk().asking(Some(containers)),
            listener: TcpListener::bind((HOST, 0)).unwrap(),
            _unit: unit,
            _running: running,
            _host: host,
        }
    }

    fn connect(&self) -> TcpStream {
        self.inside.connect(self.listener.local_addr().unwrap())
    }
}

/// Who connected, and what has become of it.
async fn confirmed(desk: &Desk, listener: &TcpListener) -> (Caller, Option<Caller>) {
    let (accepted, peer) = listener.accept().unwrap();
    let local = accepted.local_addr().unwrap();
    let caller = desk.identify_tcp(local, peer, accepted.as_fd());
    let confirmed = desk.confirm(&caller, local, accepted.as_fd()).await;
    (caller, confirmed)
}

#[tokio::test]
async fn a_connection_from_a_containers_network_is_that_containers() {
    if !can_test(&PROGRAMS) {
        return;
    }
    let scene = Scene::set().await;
    let (desk, docker) = (&scene.desk, &scene.docker);

    let _connection = scene.connect();
    let (caller, container) = confirmed(desk, &scene.listener).await;
    assert_eq!(caller.reach(), Reach::Elsewhere);
    assert_eq!(caller.name(), "not identified");
    let container = container.unwrap();
    assert_eq!(container.reach(), Reach::Here);
    assert_eq!(container.name(), "container aaaaaaaaaaaa");
    assert_eq!(container.key(), CallerKey::Container(container_id('a')));
    assert_eq!(container.facts().uid, Known::No);
    let place = container.facts();
    assert_eq!(place.container_place().unwrap().id, container_id('a'));
    let told = container.facts().container;
    assert_eq!(told.yes().unwrap().name.as_deref(), Some("name-a"));
    let evidence = container.all_evidence().to_string();
    assert!(
        evidence.starts_with(&format!("container-address container {}", id('a'))),
        "{evidence}"
    );
    assert!(evidence.contains(&format!(" from {INSIDE}:")), "{evidence}");

    // Another container gets the address, and nobody has said so yet.
    docker.end_quietly('a');
    docker.start_quietly('b', INSIDE);
    let _its_connection = scene.connect();
    let (_, other) = confirmed(desk, &scene.listener).await;
    let other = other.unwrap();
    assert_eq!(other.key(), CallerKey::Container(container_id('b')));
    assert_ne!(other.principal(), container.principal());
    assert!(other.principal().is_some());

    // One that is gone leaves its connection to nobody.
    let gone = scene.connect();
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&gone, sockopt::Linger, &at_once).unwrap();
    drop(gone);
    assert!(confirmed(desk, &scene.listener).await.1.is_none());
    docker.end_quietly('b');
    let _connection_of_nobody = scene.connect();
    assert!(confirmed(desk, &scene.listener).await.1.is_none());
}

#[tokio::test]
async fn who_listens_on_the_host_at_a_containers_port_is_not_in_its_way() {
    if !can_test(&PROGRAMS) {
        return;
    }
    let scene = Scene::set().await;
    let connection = scene.connect();
    let port = connection.local_addr().unwrap().port();
    let _listens = TcpListener::bind(("0.0.0.0", port)).unwrap();
    let (_, container) = confirmed(&scene.desk, &scene.listener).await;
    assert_eq!(container.unwrap().name(), "container aaaaaaaaaaaa");
}

#[tokio::test]
async fn without_the_unit_other_networks_are_elsewhere() {
    if !can_test(&PROGRAMS) {
        return;
    }
    let inside = Inside::new();
    let desk = desk();
    let listener = TcpListener::bind((HOST, 0)).unwrap();
    let _connection = inside.connect(listener.local_addr().unwrap());
    let (caller, container) = confirmed(&desk, &listener).await;
    assert_eq!(caller.reach(), Reach::Elsewhere);
    assert!(!desk.may_be_container(&caller));
    assert!(container.is_none());
    // A program of the host at the same address is itself, whatever a runtime says.
    let own = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (host, not_asked) = confirmed(&desk, &listener).await;
    assert_eq!(
        (host.reach(), host.evidence().uid()),
        (Reach::Here, Some(0))
    );
    assert!(not_asked.is_none());
    drop(own);
}

#[tokio::test]
async fn facts_are_asked_for_again_when_grants_ask_more() {
    use std::sync::Arc;

    use crate::grants::{
        ContainerFactsWhen, ContainerWhen, Grant, GrantId, Patterns, Template, When,
    };
    use crate::types::RoleRef;

    if !can_test(&PROGRAMS) {
        return;
    }
    let scene = Scene::set().await;
    let desk = &scene.desk;
    desk.follow(&[]);
    let _connection = scene.connect();
    let (_, container) = confirmed(desk, &scene.listener).await;
    let container = container.unwrap();
    let before = container.facts().container;
    assert!(before.yes().unwrap().labels.is_empty());

    let when = When {
        container: Some(ContainerWhen::Facts(Box::new(ContainerFactsWhen {
            labels: vec![(Arc::from("team"), Patterns::default())],
            ..ContainerFactsWhen::default()
        }))),
        ..When::default()
    };
    let role = RoleRef::parse("prod/web").unwrap();
    let grant = Grant::of(
        GrantId::Grant(1),
        role,
        when,
        Template::parse("a test").unwrap(),
    );
    desk.follow(&[Arc::new(grant)]);
    assert_eq!(container.facts().container, Known::NotYet);
    desk.look_up(&container, Fact::Container).await;
    let told = container.facts().container;
    let labels = &told.yes().unwrap().labels;
    assert_eq!(labels.get("team").map(|team| &**team), Some("build"));
}
