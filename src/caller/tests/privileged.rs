//! Tests that need root: sockets of other users, control groups, network namespaces.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};
use nix::unistd::{Uid, setfsuid};

use super::{desk, identify, listener};
use crate::caller::cgroup::Hierarchy;
use crate::caller::own_addresses::OwnAddresses;
use crate::caller::{Caller, Desk};
use crate::clock::Clock;
use crate::grants::{
    ContainerId, ContainerWhen, Decision, Fact, Grant, GrantId, Known, Select, Template, UserIds,
    Wanted, When, decide,
};
use crate::types::RoleRef;

const SOMEBODY: u32 = 12_345;
const ELSE: u32 = 12_346;

/// Whether this can be tested here. In CI it must be.
pub(super) fn can_test(programs: &[&str]) -> bool {
    let missing = if Uid::effective().is_root() {
        let folders = || ["/usr/sbin", "/usr/bin"].map(PathBuf::from).into_iter();
        let is_there = |program: &&&str| folders().any(|folder| folder.join(program).exists());
        programs.iter().find(|program| !is_there(program)).copied()
    } else {
        Some("root")
    };
    let Some(missing) = missing else {
        return true;
    };
    assert!(
        std::env::var_os("CI").is_none(),
        "this test needs {missing}, and CI must run it"
    );
    eprintln!("nothing is tested: this test needs {missing}");
    false
}

/// Makes something as this user. A thread has a file-system uid of its own, which becomes the
/// owner of the sockets that it makes.
fn as_user<T>(uid: u32, make: impl FnOnce() -> T) -> T {
    let before = setfsuid(Uid::from_raw(uid));
    let value = make();
    setfsuid(before);
    value
}

/// Connects from this port, once the other owners of the port are gone.
fn connect_from(port: u16, to: SocketAddrV4) -> TcpStream {
    let flags = SockFlag::SOCK_CLOEXEC;
    let client = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    setsockopt(&client, sockopt::ReuseAddr, &true).unwrap();
    let from = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    bind(client.as_raw_fd(), &from).unwrap();
    connect(client.as_raw_fd(), &SockaddrIn::from(to)).unwrap();
    TcpStream::from(client)
}

/// Closes as a program does that throws its connection away: with a reset.
fn reset(client: TcpStream) {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&client, sockopt::Linger, &at_once).unwrap();
    drop(client);
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match address {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address}"),
    }
}

#[test]
fn another_users_socket_is_that_users() {
    if !can_test(&[]) {
        return;
    }
    let desk = desk();
    let (listener, address) = listener();
    for uid in [1, SOMEBODY, 4_000_000_000] {
        let _client = as_user(uid, || TcpStream::connect(address).unwrap());
        let caller = identify(&desk, &listener);
        assert_eq!(caller.evidence().uid(), Some(uid));
    }
    let _client = as_user(65_534, || TcpStream::connect(address).unwrap());
    let caller = identify(&desk, &listener);
    assert_eq!(caller.evidence().uid(), None);
    let evidence = caller.evidence().to_string();
    assert_eq!(evidence, "none: the uid has no number here");
}

#[test]
fn a_port_that_another_user_takes_at_once_lends_nobody_its_uid() {
    if !can_test(&[]) {
        return;
    }
    let desk = desk();
    let (listener, address) = listener();
    let port = {
        let (free, its_address) = super::listener();
        drop(free);
        its_address.port()
    };
    for _ in 0..200 {
        let first = as_user(SOMEBODY, || connect_from(port, v4(address)));
        reset(first);
        let second = as_user(ELSE, || connect_from(port, v4(address)));
        let gone = identify(&desk, &listener);
        assert_eq!(gone.evidence().uid(), None, "{}", gone.evidence());
        let there = identify(&desk, &listener);
        assert_eq!(there.evidence().uid(), Some(ELSE), "{}", there.evidence());
        reset(second);
    }
}

/// A bash with this uid that runs `script` with the listener's port as `$0`.
fn bash(script: &str, address: SocketAddr, uid: u32) -> Child {
    Command::new("bash")
        .args(["-c", script, &address.port().to_string()])
        .uid(uid)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_process_that_closes_while_it_is_looked_up_is_itself_or_nobody() {
    if !can_test(&["bash"]) {
        return;
    }
    let desk = desk();
    let (listener, address) = listener();
    let script = "for _ in {1..500}; do exec 3<>/dev/tcp/127.0.0.1/$0; exec 3>&-; done";
    let child = bash(script, address, SOMEBODY);
    for _ in 0..500 {
        let caller = identify(&desk, &listener);
        let uid = caller.evidence().uid();
        assert!(matches!(uid, None | Some(SOMEBODY)), "{uid:?}");
    }
    end(child);
}

#[test]
fn a_process_that_ended_is_nobody() {
    if !can_test(&["bash"]) {
        return;
    }
    let desk = desk();
    let (listener, address) = listener();
    for _ in 0..20 {
        let mut child = bash("exec 3<>/dev/tcp/127.0.0.1/$0", address, SOMEBODY);
        assert!(child.wait().unwrap().success());
        assert_eq!(identify(&desk, &listener).evidence().uid(), None);
    }
}

/// A control group of this test's own, with a container's group in it.
struct Groups {
    top: PathBuf,
    id: String,
}

impl Groups {
    fn new(name: &str) -> Self {
        let hierarchy = Hierarchy::find().unwrap();
        let id = format!("{:064x}", std::process::id());
        let top = hierarchy
            .mount
            .join(format!("rolecall-{name}-{}", std::process::id()));
        fs::create_dir_all(top.join("docker").join(&id)).unwrap();
        Self { top, id }
    }

    fn procs(&self) -> String {
        let folder = self.top.join("docker").join(&self.id);
        folder.join("cgroup.procs").display().to_string()
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for group in [
            format!("docker/{}", self.id),
            "docker".to_owned(),
            String::new(),
        ] {
            fs::remove_dir(self.top.join(group)).unwrap();
        }
    }
}

fn grant_to_root(any_container: bool) -> Arc<Grant> {
    let when = When {
        users: Some(UserIds::new(vec![0])),
        container: any_container.then_some(ContainerWhen::Any),
        ..When::default()
    };
    let role = RoleRef::parse("local/demo").unwrap();
    let reason = Template::text("a test");
    Arc::new(Grant::of(GrantId::Grant(1), role, when, reason))
}

fn assert_contained(caller: &Caller, id: &str) {
    let facts = caller.facts();
    assert_eq!(facts.uid, Known::Yes(0));
    assert_eq!(facts.container_place().unwrap().id, ContainerId::new(id));
    let principal = caller.principal().unwrap().to_string();
    assert_eq!(principal, format!("uid 0 in {id}"));
    let short = id.get(..12).unwrap();
    assert_eq!(caller.name(), format!("container {short} uid 0"));
    let denied = decide(
        &facts,
        &[grant_to_root(false)],
        &Wanted::First,
        Select::First,
    );
    assert!(matches!(denied, Decision::Deny(_)), "{denied:?}");
    let granted = decide(
        &facts,
        &[grant_to_root(true)],
        &Wanted::First,
        Select::First,
    );
    assert!(matches!(granted, Decision::Role(_)), "{granted:?}");
}

#[tokio::test]
async fn root_in_a_container_is_not_the_hosts_root() {
    if !can_test(&["bash"]) {
        return;
    }
    let groups = Groups::new("tcp");
    let desk = desk();
    let (listener, address) = listener();
    let script = format!(
        "echo $$ > '{}' && exec 3<>/dev/tcp/127.0.0.1/$0 && read -r _ <&3",
        groups.procs()
    );
    let child = bash(&script, address, 0);
    let caller = identify(&desk, &listener);
    desk.look_up(&caller, Fact::Place).await;
    end(child);
    assert_contained(&caller, &groups.id);
}

const CONNECT_UNIX: &str = "
import os, socket, sys
open(sys.argv[1], 'w').write(str(os.getpid()))
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[2])
if len(sys.argv) == 3: s.recv(1)
";

#[tokio::test]
async fn root_in_a_container_is_not_the_hosts_root_on_a_unix_socket_either() {
    if !can_test(&["python3"]) {
        return;
    }
    let groups = Groups::new("unix");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let desk = desk();
    let listener = UnixListener::bind(&path).unwrap();
    let python = || {
        let mut command = Command::new("python3");
        command
            .args(["-c", CONNECT_UNIX, &groups.procs()])
            .arg(&path);
        command
    };
    let child = python().spawn().unwrap();
    let (stream, _) = listener.accept().unwrap();
    let caller = desk.identify_unix(stream.as_fd());
    desk.look_up(&caller, Fact::Place).await;
    end(child);
    assert_contained(&caller, &groups.id);
    // One that has ended cannot be placed any more.
    let mut ended = python().arg("at once").spawn().unwrap();
    let (late_stream, _) = listener.accept().unwrap();
    ended.wait().unwrap();
    let late = desk.identify_unix(late_stream.as_fd());
    desk.look_up(&late, Fact::Place).await;
    assert_eq!(late.facts().place, Known::No);
}

pub(super) fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_comes_or_goes_is_noticed() {
    if !can_test(&["ip"]) {
        return;
    }
    // The namespace is this thread's own, and ends with it.
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
    let own = OwnAddresses::default();
    let address = "192.0.2.7".parse().unwrap();
    assert!(own.contain("127.0.0.1".parse().unwrap(), &clock));
    assert!(own.contain("::ffff:127.0.0.1".parse().unwrap(), &clock));
    assert!(!own.contain(address, &clock));
    run("ip", &["address", "add", "192.0.2.7/32", "dev", "lo"]);
    assert!(!own.contain(address, &clock), "it was just looked for");
    tokio::time::advance(Duration::from_millis(100)).await;
    assert!(own.contain(address, &clock));
    assert!(own.contain("::ffff:192.0.2.7".parse().unwrap(), &clock));
    run("ip", &["address", "del", "192.0.2.7/32", "dev", "lo"]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!own.contain(address, &clock));
}

#[test]
fn a_redirected_connection_is_followed_to_where_it_was_meant_to_go() {
    if !can_test(&["ip", "nft"]) {
        return;
    }
    // The namespace is this thread's own, and ends with it.
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["address", "add", "169.254.169.254/32", "dev", "lo"]);
    run(
        "ip",
        &["address", "add", "fd00:ec2::254/128", "dev", "lo", "nodad"],
    );
    let desk = Desk::open(Clock::System).unwrap();
    let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
    let v6 = TcpListener::bind("[::1]:0").unwrap();
    let rules = format!(
        "add table inet metadata;
         add chain inet metadata output {{ type nat hook output priority -100; }};
         add rule inet metadata output ip daddr 169.254.169.254 tcp dport 80 dnat ip to {};
         add rule inet metadata output ip6 daddr fd00:ec2::254 tcp dport 80 dnat ip6 to {}",
        v4.local_addr().unwrap(),
        v6.local_addr().unwrap()
    );
    run("nft", &[&rules]);
    for (listener, meant) in [(v4, "169.254.169.254:80"), (v6, "[fd00:ec2::254]:80")] {
        let _client = as_user(SOMEBODY, || TcpStream::connect(meant).unwrap());
        let caller = identify(&desk, &listener);
        assert_eq!(
            caller.evidence().uid(),
            Some(SOMEBODY),
            "{}",
            caller.evidence()
        );
        let evidence = caller.evidence().to_string();
        let redirected = format!(" redirected from {meant} ");
        assert!(evidence.contains(&redirected), "{evidence}");
        drop(as_user(SOMEBODY, || TcpStream::connect(meant).unwrap()));
        assert_eq!(identify(&desk, &listener).evidence().uid(), None);
    }
}
