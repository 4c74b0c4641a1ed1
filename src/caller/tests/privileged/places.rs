//! Where callers run: real control groups, of root's making and of others'.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;

use super::super::{desk, identify, listener};
use super::{CONNECT, ELSE, Group, SOMEBODY, as_user, can_test, end, look_up_place};
use crate::caller::cgroup::Hierarchy;
use crate::caller::{Caller, CallerKey, Desk, Doubt, Evidence, ProcessId};
use crate::grants::{
    ContainerId, ContainerWhen, Decision, Fact, Grant, GrantId, Known, Place, Placeholder, Select,
    Template, UserIds, Wanted, When, decide,
};
use crate::types::RoleRef;

/// Neither of the users of these tests: the daemon runs as one of its own.
const STRANGER: u32 = 12_347;

/// Connects from this group as this user, and looks up where that is.
async fn connected(
    desk: &Desk,
    (listener, address): &(TcpListener, SocketAddr),
    group: &Group,
    uid: u32,
) -> (Caller, Child) {
    let child = group.spawn(uid, CONNECT, &address.port().to_string());
    let caller = identify(desk, listener);
    look_up_place(desk, &caller).await;
    (caller, child)
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

fn has_role(caller: &Caller, any_container: bool) -> bool {
    let grants = [grant_to_root(any_container)];
    let decision = decide(&caller.facts(), &grants, &Wanted::First, Select::First);
    matches!(decision, Decision::Role(_))
}

fn assert_contained(caller: &Caller, id: &str) {
    let facts = caller.facts();
    assert_eq!(facts.uid, Known::Yes(0));
    let container = facts.container_place().unwrap();
    assert_eq!(container.id, ContainerId::new(id));
    assert_eq!(container.owner, None);
    let principal = caller.principal().unwrap().to_string();
    assert_eq!(principal, format!("uid 0 in {id}"));
    let short = id.get(..12).unwrap();
    assert_eq!(caller.name(), format!("container {short} uid 0"));
    assert_eq!(caller.key(), CallerKey::Container(ContainerId::new(id)));
    assert!(!has_role(caller, false));
    assert!(has_role(caller, true));
}

fn hex_id() -> String {
    format!("{:064x}", std::process::id())
}

#[tokio::test]
async fn root_in_a_container_is_not_the_hosts_root() {
    if !can_test(&["bash", "setpriv"]) {
        return;
    }
    let group = Group::new(&format!("rolecall-{{}}/docker/{}", hex_id()));
    let (desk, listening) = (desk(), listener());
    let (caller, child) = connected(&desk, &listening, &group, 0).await;
    end(child);
    assert_contained(&caller, &hex_id());
    let evidence = caller.all_evidence().to_string();
    let path = format!(" cgroup path {} from 127.0.0.1:", group.path());
    assert!(evidence.contains(&path), "{evidence}");
    // Once the place of its group is known, the next connection is nobody else's from the start.
    let again = group.spawn(0, CONNECT, &listening.1.port().to_string());
    let known = identify(&desk, &listening.0);
    end(again);
    assert_contained(&known, &hex_id());
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
    let group = Group::new(&format!("rolecall-{{}}/docker/{}", hex_id()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let desk = desk();
    let listener = UnixListener::bind(&path).unwrap();
    let python = || {
        let mut command = Command::new("python3");
        command
            .args(["-c", CONNECT_UNIX])
            .arg(group.folder.join("cgroup.procs"))
            .arg(&path);
        command
    };
    let child = python().spawn().unwrap();
    let (stream, _) = listener.accept().unwrap();
    let caller = desk.identify_unix(stream.as_fd());
    desk.look_up(&caller, Fact::Place).await;
    desk.look_up(&caller, Fact::Exe).await;
    end(child);
    assert_contained(&caller, &hex_id());
    let exe = caller.facts().exe;
    let exe = exe.yes().unwrap();
    assert!(exe.contains("python3"), "{exe}");
    let evidence = caller.all_evidence().to_string();
    assert!(evidence.ends_with(&format!(" exe {exe}")), "{evidence}");
    // One that has ended cannot be placed any more, nor does it run anything.
    let mut ended = python().arg("at once").spawn().unwrap();
    let (late_stream, _) = listener.accept().unwrap();
    ended.wait().unwrap();
    let late = desk.identify_unix(late_stream.as_fd());
    desk.look_up(&late, Fact::Place).await;
    desk.look_up(&late, Fact::Exe).await;
    assert_eq!(late.facts().place, Known::No);
    assert_eq!(late.facts().exe, Known::No);
}

#[tokio::test]
async fn a_program_that_only_its_process_sees_is_none() {
    if !can_test(&["bash", "unshare", "mount"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let trusted = folder.path().join("trusted");
    fs::copy("/bin/true", &trusted).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    // In a mount namespace of its own, python stands at the path of another program.
    let script = format!(
        "mount --bind \"$(readlink -f \"/usr/bin/python3\")\" '{}' && exec '{}' -c \"$0\" \
         /dev/null '{}'",
        trusted.display(),
        trusted.display(),
        path.display()
    );
    let child = Command::new("unshare")
        .args(["--mount", "bash", "-c", &script, CONNECT_UNIX])
        .spawn()
        .unwrap();
    let (stream, _) = listener.accept().unwrap();
    let desk = desk();
    let caller = desk.identify_unix(stream.as_fd());
    desk.look_up(&caller, Fact::Exe).await;
    end(child);
    assert_eq!(caller.facts().exe, Known::No);
}

fn unit_of(caller: &Caller) -> Option<String> {
    match caller.facts().place.yes().map(AsRef::as_ref) {
        Some(Place::Host(host)) => host.unit.as_deref().map(str::to_owned),
        Some(Place::Container(_)) | None => None,
    }
}

#[tokio::test]
async fn a_system_unit_is_its_group() {
    if !can_test(&["bash", "setpriv"]) {
        return;
    }
    let group = Group::new("rolecall{}.slice/web.service/worker");
    let (desk, listening) = (desk(), listener());
    let (caller, child) = connected(&desk, &listening, &group, SOMEBODY).await;
    end(child);
    assert_eq!(unit_of(&caller).as_deref(), Some("web.service"));
    assert_eq!(caller.name(), format!("unit web.service uid {SOMEBODY}"));
    let principal = caller.principal().unwrap().to_string();
    assert_eq!(principal, format!("uid {SOMEBODY} in web.service"));
    assert_eq!(
        caller.key(),
        CallerKey::Unit(Arc::from("web.service"), SOMEBODY)
    );
    let names = desk.names(&caller).await;
    for placeholder in [Placeholder::Caller, Placeholder::Unit] {
        assert_eq!(
            names.get(placeholder).map(AsRef::as_ref),
            Some("web.service")
        );
    }
}

#[tokio::test]
async fn who_was_handed_a_group_names_no_system_unit_and_no_container_of_roots() {
    if !can_test(&["bash", "setpriv"]) {
        return;
    }
    let (desk, listening) = (desk(), listener());
    // A slice that was handed to a user, who makes a service in it.
    let imitation = Group::new("rolecall{}.slice/nginx.service").handed(1, SOMEBODY);
    let (caller, child) = connected(&desk, &listening, &imitation, SOMEBODY).await;
    end(child);
    assert_eq!(unit_of(&caller), None);
    assert_eq!(caller.name(), format!("uid {SOMEBODY}"));
    // Delegate=yes with User=: the service makes a group that is called like a container.
    let path = format!("rolecall{{}}.slice/ci.service/docker-{}.scope", hex_id());
    let forged = Group::new(&path).handed(1, SOMEBODY);
    let (own, other) = connected(&desk, &listening, &forged, SOMEBODY).await;
    end(other);
    let facts = own.facts();
    let container = facts.container_place().unwrap();
    assert_eq!(container.id, ContainerId::new(&hex_id()));
    assert_eq!(container.owner, Some(SOMEBODY));
    assert_eq!(own.key(), CallerKey::Uid(SOMEBODY));
    // The group of a container whose root is mapped is handed to that, and is root's all the same.
    let mapped = Group::new(&format!("rolecall{{}}/docker/{}", hex_id())).handed(0, SOMEBODY);
    let (within, third) = connected(&desk, &listening, &mapped, SOMEBODY).await;
    end(third);
    assert_eq!(within.facts().container_place().unwrap().owner, None);
}

#[tokio::test]
async fn a_process_is_what_its_connection_would_be() {
    if !can_test(&["bash", "setpriv"]) {
        return;
    }
    let group = Group::new("rolecall{}.slice/web.service");
    let (desk, listening) = (desk(), listener());
    let (connected, child) = connected(&desk, &listening, &group, SOMEBODY).await;
    let id = ProcessId::of(child.id()).unwrap();
    let asked = desk.of_process(child.id()).await;
    assert_eq!(asked.facts().uid, connected.facts().uid);
    assert_eq!(asked.facts().place, connected.facts().place);
    assert_eq!(asked.name(), connected.name());
    let evidence = asked.evidence().to_string();
    let expected = format!(
        "process uid {SOMEBODY} pid {} started {}",
        id.pid, id.started
    );
    assert_eq!(evidence, expected);
    end(child);
    let gone = desk.of_process(id.pid).await;
    assert!(matches!(gone.evidence(), Evidence::None(Doubt::NoProcess)));
    assert_eq!(gone.facts().uid, Known::No);
    let user = desk.of_uid(SOMEBODY);
    assert_eq!(user.facts().uid, Known::Yes(SOMEBODY));
    assert_eq!(user.name(), format!("uid {SOMEBODY}"));
    assert!(matches!(
        user.facts().place.yes().map(AsRef::as_ref),
        Some(Place::Host(_))
    ));
}

#[test]
fn what_a_user_hides_hides_nothing_of_others() {
    if !can_test(&[]) {
        return;
    }
    let user = "rolecall-{}/user";
    let hiding = Group::new(&format!("{user}-1/hidden")).handed(1, SOMEBODY);
    let other = Group::new(&format!("{user}-2/app.slice/x.service")).handed(2, ELSE);
    fs::set_permissions(&hiding.folder, Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(
        hiding.folder.parent().unwrap(),
        Permissions::from_mode(0o000),
    )
    .unwrap();
    let hierarchy = Hierarchy::find().unwrap();
    let found = as_user(STRANGER, || {
        let id = fs::metadata(&other.folder).unwrap().ino();
        hierarchy.path(id)
    });
    assert_eq!(found.unwrap().unwrap(), other.path().into_bytes());
    // That there is no such group nobody can say.
    assert!(as_user(STRANGER, || hierarchy.path(u64::MAX)).is_err());
}

#[tokio::test]
async fn a_user_gives_its_containers_no_names_but_its_own() {
    if !can_test(&["bash", "setpriv"]) {
        return;
    }
    // "nobody" is in every system's database.
    let owner = 65_534;
    let folder = format!(
        "rolecall-{{}}/machine.slice/machine-{}.scope",
        "nginx.service"
    );
    let group = Group::new(&folder).handed(2, owner);
    let (desk, listening) = (desk(), listener());
    let (caller, child) = connected(&desk, &listening, &group, SOMEBODY).await;
    let names = desk.names(&caller).await;
    end(child);
    assert_eq!(caller.container_owner(), Some(owner));
    assert_eq!(
        names.get(Placeholder::Caller).map(AsRef::as_ref),
        Some("nobody")
    );
    assert_eq!(names.get(Placeholder::Container), None);
}

/// On a hybrid host: a runtime that makes groups of version 1 only leaves its containers in the group
/// of the unified hierarchy in which it was started.
#[tokio::test]
async fn whom_version_1_has_in_a_container_is_not_on_the_host() {
    let pids = Path::new("/sys/fs/cgroup/pids");
    if !can_test(&["bash", "setpriv"]) || !pids.join("cgroup.procs").exists() {
        return;
    }
    let group = Group::new("rolecall{}.slice/session.scope").handed(0, SOMEBODY);
    let (desk, listening) = (desk(), listener());
    let (before, host) = connected(&desk, &listening, &group, SOMEBODY).await;
    assert!(matches!(
        before.facts().place.yes().map(AsRef::as_ref),
        Some(Place::Host(_))
    ));
    let docker = pids.join(format!("rolecall-{}", std::process::id()));
    let container = docker.join("docker").join(hex_id());
    fs::create_dir_all(&container).unwrap();
    fs::write(container.join("cgroup.procs"), host.id().to_string()).unwrap();
    let explained = desk.of_process(host.id()).await;
    // Whoever connects from there, while such a process is there.
    let (beside, other) = connected(&desk, &listening, &group, SOMEBODY).await;
    end(other);
    end(host);
    for folder in [&container, &docker.join("docker"), &docker] {
        fs::remove_dir(folder).unwrap();
    }
    assert_eq!(explained.facts().place, Known::No);
    assert_eq!(
        (beside.facts().place, beside.facts().uid),
        (Known::No, Known::No)
    );
    assert_eq!(before.facts().uid, Known::Yes(SOMEBODY));
}
