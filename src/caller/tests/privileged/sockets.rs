//! Whose a socket is: ports that change hands, processes that end, redirections.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};

use super::super::{desk, identify, listener};
use super::{ELSE, SOMEBODY, as_user, bash, can_test, end, run};
use crate::caller::Desk;
use crate::caller::own_addresses::OwnAddresses;
use crate::clock::Clock;

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
        let (free, its_address) = super::super::listener();
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

#[test]
fn a_socket_bound_to_an_interface_is_its_own_users_or_nobodys() {
    if !can_test(&[]) {
        return;
    }
    let desk = desk();
    let (listener, address) = listener();
    let flags = SockFlag::SOCK_CLOEXEC;
    let to = SockaddrIn::from(v4(address));
    let bound_from = |uid, port| {
        as_user(uid, || {
            let client = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
            setsockopt(&client, sockopt::ReuseAddr, &true).unwrap();
            setsockopt(&client, sockopt::BindToDevice, &"lo".into()).unwrap();
            let from = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
            bind(client.as_raw_fd(), &from).unwrap();
            connect(client.as_raw_fd(), &to).map(|()| TcpStream::from(client))
        })
    };
    for _ in 0..50 {
        // The kernel tells sockets of the same addresses apart by their interfaces: one of another
        // user must not answer for this one.
        let first = bound_from(SOMEBODY, 0).unwrap();
        let port = first.local_addr().unwrap().port();
        let pretender = as_user(ELSE, || {
            let client = socket(
                AddressFamily::Inet,
                SockType::Stream,
                flags | SockFlag::SOCK_NONBLOCK,
                None,
            )
            .unwrap();
            setsockopt(&client, sockopt::ReuseAddr, &true).unwrap();
            let from = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
            let tried =
                bind(client.as_raw_fd(), &from).and_then(|()| connect(client.as_raw_fd(), &to));
            (tried, client)
        });
        let uid = identify(&desk, &listener).evidence().uid();
        assert!(
            matches!(uid, None | Some(SOMEBODY)),
            "{uid:?} {:?}",
            pretender.0
        );
        assert!(matches!(
            pretender.0,
            Err(Errno::EINPROGRESS | Errno::EADDRNOTAVAIL | Errno::EADDRINUSE)
        ));
        reset(first);
    }
}
