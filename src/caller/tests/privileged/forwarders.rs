//! User-mode forwarders: real ones, with a program behind them in a network namespace of its own.

use std::fs;
use std::net::TcpListener;

use nix::sched::{CloneFlags, unshare};

use super::super::{desk, identify, listener};
use super::{CONNECT, Group, SOMEBODY, can_test, end, look_up_place, run};
use crate::caller::{Caller, CallerKey, Desk};
use crate::grants::Known;

/// Runs a forwarder (`$1`) for a network namespace of a user (of the process `INNER`), and connects from there through the
/// forwarder's gateway (`$2`) to this port (`$0`), as soon as that works.
const BEHIND: &str = r#"
mount -t tmpfs -o mode=755 none /dev/net
mknod -m 666 /dev/net/tun c 10 200
as_user="setpriv --reuid 12345 --regid 12345 --clear-groups"
$as_user unshare --user --map-root-user --net sleep 60 & inner=$!
until [ "$(cat /proc/$inner/comm)" = sleep ]; do kill -0 $inner || exit 1; done
$as_user ${1/INNER/$inner} & forwarder=$!
trap 'kill $inner $forwarder' EXIT
until nsenter --target $inner --user --net --preserve-credentials bash -c \
    "exec 3<>/dev/tcp/$2/$0 && kill -STOP \$\$" 2>/dev/null; do kill -0 $forwarder || exit 1; done
"#;

async fn placed(desk: &Desk, listener: &TcpListener) -> Caller {
    let caller = identify(desk, listener);
    look_up_place(desk, &caller).await;
    caller
}

fn assert_nobody(caller: &Caller) {
    assert_eq!(caller.evidence().uid(), Some(SOMEBODY));
    assert_eq!(caller.facts().uid, Known::No);
    assert_eq!(caller.facts().place, Known::No);
    assert_eq!(caller.name(), "not identified");
    assert_eq!(caller.key(), CallerKey::Nobody);
    assert_eq!(caller.principal(), None);
    let evidence = caller.all_evidence().to_string();
    let why = " where connections of containers are forwarded ";
    assert!(evidence.contains(why), "{evidence}");
}

/// A network namespace of this thread's own, from which a gateway can be seen.
fn own_network() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for arguments in [
        "link set lo up",
        "link add outside type veth peer name gateway",
        "address add 192.0.2.2/24 dev outside",
        "link set outside up",
        "link set gateway up",
        "route add default via 192.0.2.1",
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        run("ip", &arguments);
    }
}

async fn forwarded(forwarder: &str, gateway: &str) {
    own_network();
    let group = Group::new("rolecall{}.slice/session.scope").handed(0, SOMEBODY);
    let (desk, (listener, address)) = (desk(), listener());
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("behind");
    fs::write(&script, BEHIND).unwrap();
    let run = format!(
        "exec unshare --mount bash -c \"$(cat '{}')\" \"$0\" '{forwarder}' {gateway}",
        script.display()
    );
    // Somebody of the same user and group, before the forwarder is there.
    let port = address.port().to_string();
    let before = group.spawn(SOMEBODY, CONNECT, &port);
    assert_eq!(
        placed(&desk, &listener).await.facts().uid,
        Known::Yes(SOMEBODY)
    );
    let behind = group.spawn(0, &run, &port);
    assert_nobody(&placed(&desk, &listener).await);
    // Nobody can tell it from the others of its group while it runs.
    let beside = group.spawn(SOMEBODY, CONNECT, &port);
    assert_nobody(&placed(&desk, &listener).await);
    // Another group of that user is not concerned.
    let elsewhere = Group::new("rolecall{}.slice/session.scope").handed(0, SOMEBODY);
    let other = elsewhere.spawn(SOMEBODY, CONNECT, &port);
    assert_eq!(
        placed(&desk, &listener).await.facts().uid,
        Known::Yes(SOMEBODY)
    );
    for child in [before, beside, other] {
        end(child);
    }
    assert!(group.end_all());
    end(behind);
}

#[tokio::test]
async fn what_slirp4netns_forwards_is_nobodys() {
    if !can_test(&["bash", "ip", "nsenter", "setpriv", "slirp4netns", "unshare"]) {
        return;
    }
    forwarded("slirp4netns --configure --mtu=65520 INNER tap0", "10.0.2.2").await;
}

#[tokio::test]
async fn what_pasta_forwards_is_nobodys() {
    if !can_test(&["bash", "ip", "nsenter", "pasta", "setpriv", "unshare"]) {
        return;
    }
    let pasta = "pasta --foreground --config-net -t none -u none -T none -U none INNER";
    forwarded(pasta, "192.0.2.1").await;
}
