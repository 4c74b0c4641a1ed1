//! Tests with real sockets.

mod legacy;
mod names;
mod place;
mod privileged;
mod recorded;
mod units;

use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Uid;

use super::subordinates::Subordinates;
use super::*;
use crate::clock::Clock;
use crate::grants::{Fact, Known, Place, Placeholder};

fn desk() -> Desk {
    Desk::open(Clock::System).unwrap()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // Who never connects fails a test, and does not hold it up.
    setsockopt(&listener, sockopt::ReceiveTimeout, &TimeVal::seconds(20)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn identify(desk: &Desk, listener: &TcpListener) -> Caller {
    let (accepted, peer) = listener.accept().unwrap();
    desk.identify_tcp(accepted.local_addr().unwrap(), peer, accepted.as_fd())
}

fn own_uid() -> u32 {
    Uid::effective().as_raw()
}

#[test]
fn a_peer_on_this_host_is_its_user() {
    let desk = desk();
    let (listener, address) = listener();
    let _client = TcpStream::connect(address).unwrap();
    let caller = identify(&desk, &listener);
    assert_eq!(caller.evidence().uid(), Some(own_uid()));
    assert_eq!(caller.reach(), Reach::Here);
    assert_eq!(caller.name(), format!("uid {}", own_uid()));
    let evidence = caller.evidence().to_string();
    let expected = format!("sock-diag uid {} inode ", own_uid());
    assert!(evidence.starts_with(&expected), "{evidence}");
    assert!(evidence.contains(" cgroup "), "{evidence}");
}

#[test]
fn what_a_user_does_under_its_subordinate_uids_is_counted_as_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (ranges, users) = (folder.path().join("subuid"), folder.path().join("passwd"));
    std::fs::write(&users, "ann:x:12345:12345::/:/bin/sh\n").unwrap();
    std::fs::write(&ranges, format!("ann:{}:1\n", own_uid())).unwrap();
    let mut desk = desk();
    desk.users.subordinates = Subordinates::of(Clock::System, &ranges, &users);
    let (listener, address) = listener();
    let _client = TcpStream::connect(address).unwrap();
    let caller = identify(&desk, &listener);
    assert_eq!(caller.key(), CallerKey::Uid(12_345));
    assert_eq!(caller.evidence().uid(), Some(own_uid()));
}

#[tokio::test]
async fn the_database_is_not_asked_about_subordinate_uids() {
    let folder = tempfile::tempdir().unwrap();
    let (ranges, users) = (folder.path().join("subuid"), folder.path().join("passwd"));
    let other = desk();
    let known = other.of_uid(own_uid());
    other.look_up(&known, Fact::Groups).await;
    assert!(known.facts().groups.yes().is_some());
    assert!(other.user(own_uid()).await.yes().is_some());
    let mut desk = desk();
    std::fs::write(&users, "").unwrap();
    std::fs::write(&ranges, format!("12345:{}:1\n", own_uid())).unwrap();
    desk.users.subordinates = Subordinates::of(Clock::System, &ranges, &users);
    let subordinate = desk.of_uid(own_uid());
    desk.look_up(&subordinate, Fact::Groups).await;
    assert_eq!(subordinate.facts().groups, Known::No);
    let number = own_uid().to_string();
    for names in [
        desk.names(&desk.of_uid(own_uid())).await,
        desk.names_of(Some(own_uid())).await,
    ] {
        assert_eq!(
            names.get(Placeholder::User).map(AsRef::as_ref),
            Some(number.as_str())
        );
    }
    assert_eq!(desk.user(own_uid()).await, Known::No);
}

#[test]
fn ipv6_and_mapped_peers_are_their_users() {
    let desk = desk();
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    for address in ["[::1]", "127.0.0.1", "[::ffff:127.0.0.1]"] {
        let _client = TcpStream::connect(format!("{address}:{port}")).unwrap();
        let caller = identify(&desk, &listener);
        assert_eq!(caller.evidence().uid(), Some(own_uid()), "{address}");
        assert_eq!(caller.reach(), Reach::Here, "{address}");
    }
}

#[test]
fn a_client_that_closes_before_the_look_up_is_nobody() {
    let desk = desk();
    let (listener, address) = listener();
    for _ in 0..300 {
        drop(TcpStream::connect(address).unwrap());
        let caller = identify(&desk, &listener);
        assert_eq!(caller.evidence().uid(), None);
        assert_eq!(caller.name(), "not identified");
    }
}

#[test]
fn a_half_closed_client_is_nobody() {
    let desk = desk();
    let (listener, address) = listener();
    let client = TcpStream::connect(address).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let caller = identify(&desk, &listener);
    assert_eq!(caller.evidence().uid(), None);
}

#[test]
fn a_peer_of_another_host_is_elsewhere_and_nobody() {
    let desk = desk();
    let (listener, address) = listener();
    let _client = TcpStream::connect(address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let forged = SocketAddr::from(([192, 0, 2, 1], 1));
    let caller = desk.identify_tcp(address, forged, accepted.as_fd());
    assert_eq!(caller.evidence().uid(), None);
    assert_eq!(caller.reach(), Reach::Elsewhere);
}

#[tokio::test]
async fn the_container_is_looked_up_once_and_then_remembered() {
    let desk = desk();
    let (listener, address) = listener();
    let _first = TcpStream::connect(address).unwrap();
    let caller = identify(&desk, &listener);
    assert_eq!(caller.facts().place, Known::NotYet);
    assert_eq!(caller.principal(), None);
    desk.look_up(&caller, Fact::Place).await;
    assert!(is_on_host(&caller));
    let principal = caller.principal().unwrap();
    assert_eq!(principal.to_string(), format!("uid {}", own_uid()));
    let _second = TcpStream::connect(address).unwrap();
    let again = identify(&desk, &listener);
    assert!(is_on_host(&again));
    assert_eq!(again.principal(), Some(principal));
}

fn is_on_host(caller: &Caller) -> bool {
    matches!(
        caller.facts().place.yes().map(AsRef::as_ref),
        Some(Place::Host(_))
    )
}

#[tokio::test]
async fn the_users_name_is_looked_up() {
    let desk = desk();
    let (listener, address) = listener();
    let _client = TcpStream::connect(address).unwrap();
    let caller = identify(&desk, &listener);
    let placeholder = Placeholder::User;
    assert_eq!(caller.names().get(placeholder), None);
    desk.look_up(&caller, Fact::Place).await;
    assert_eq!(
        caller.names().get(placeholder).map(|name| name.parse()),
        Some(Ok(own_uid()))
    );
    let names = desk.names(&caller).await;
    let user = nix::unistd::User::from_uid(Uid::effective()).unwrap();
    assert_eq!(names.get(placeholder).unwrap().as_ref(), user.unwrap().name);
    assert!(!names.get(Placeholder::Hostname).unwrap().is_empty());
}

#[tokio::test]
async fn the_peer_of_a_unix_socket_is_its_user() {
    let desk = desk();
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let caller = desk.identify_unix(ours.as_fd());
    assert_eq!(caller.evidence().uid(), Some(own_uid()));
    assert_eq!(caller.reach(), Reach::Here);
    assert_eq!(
        caller.evidence().to_string(),
        format!(
            "peer-credentials uid {} gid {} pid {} started {}",
            own_uid(),
            nix::unistd::getgid(),
            std::process::id(),
            ProcessId::of(std::process::id()).unwrap().started
        )
    );
    desk.look_up(&caller, Fact::Place).await;
    assert!(is_on_host(&caller));
}
