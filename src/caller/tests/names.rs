//! Host names by the system's resolver, which asks a name server of the test's own.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrStorage, bind, connect, socket,
};

use super::privileged::{can_test, run};
use super::{desk, identify};
use crate::grants::{Fact, Known, Template};

const A: u16 = 1;
const PTR: u16 = 12;

/// What a name server answers: names and numbers in DNS's own form.
enum Answer {
    Records(Vec<Vec<u8>>),
    NoName,
    Failure,
}

/// The zones of the test. Whoever has 192.0.2.2 writes a reverse zone that lies; the search
/// domain's owner has registered `db.valid.corp.valid`.
fn answer(name: &str, kind: u16) -> Answer {
    let ptr = |host: &str| Answer::Records(vec![labels(host)]);
    let a = |last: u8| Answer::Records(vec![vec![192, 0, 2, last]]);
    match (name, kind) {
        ("1.2.0.192.in-addr.arpa", PTR) => ptr("Web.valid"),
        ("2.2.0.192.in-addr.arpa", PTR) => ptr("web.valid"),
        ("3.2.0.192.in-addr.arpa", PTR) => ptr("db.valid"),
        ("4.2.0.192.in-addr.arpa", PTR) => ptr("gone.valid"),
        ("6.2.0.192.in-addr.arpa", PTR) => ptr("fails.valid"),
        ("8.2.0.192.in-addr.arpa", PTR) => ptr("web"),
        ("web.valid", A) => a(1),
        ("db.valid.corp.valid", A) => a(3),
        ("web.corp.valid" | "web", A) => a(8),
        ("5.2.0.192.in-addr.arpa" | "fails.valid", _) => Answer::Failure,
        // The name is there, and has no record of this kind.
        ("web.valid" | "web", _) => Answer::Records(Vec::new()),
        _ => Answer::NoName,
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// Answers one question.
fn reply(query: &[u8]) -> Vec<u8> {
    let mut name = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question = &query[12..at + 5];
    let (code, records) = match answer(&name.join(".").to_ascii_lowercase(), kind) {
        Answer::Records(records) => (0, records),
        Answer::NoName => (3, Vec::new()),
        Answer::Failure => (2, Vec::new()),
    };
    let count = u8::try_from(records.len()).unwrap();
    let mut reply = vec![
        query[0],
        query[1],
        0x81,
        0x80 | code,
        0,
        1,
        0,
        count,
        0,
        0,
        0,
        0,
    ];
    reply.extend(question);
    for record in records {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(record.len()).unwrap()]);
        reply.extend(record);
    }
    reply
}

/// Answers for as long as the test runs.
fn serve(server: UdpSocket) {
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = server.recv_from(&mut query) {
            server.send_to(&reply(&query[..length]), from).unwrap();
        }
    });
}

/// Gives this thread a network and an `/etc` of its own, which end with it.
fn own_network() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
    run("ip", &["link", "set", "lo", "up"]);
    for last in 1..=9 {
        let address = format!("192.0.2.{last}/32");
        run("ip", &["address", "add", &address, "dev", "lo"]);
    }
    let nothing = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(nothing, "/", nothing, private, nothing).unwrap();
    mount(nothing, "/etc", Some("tmpfs"), MsFlags::empty(), nothing).unwrap();
    let databases = "hosts: files dns\npasswd: files\ngroup: files\n";
    let resolver = "nameserver 127.0.0.1\nsearch corp.valid\noptions timeout:1 attempts:1\n";
    let hosts = "127.0.0.1 localhost\n192.0.2.7 listed.valid listed\n192.0.2.9 alone\n";
    fs::write("/etc/nsswitch.conf", databases).unwrap();
    fs::write("/etc/resolv.conf", resolver).unwrap();
    fs::write("/etc/hosts", hosts).unwrap();
}

/// Connects from this address.
fn connect_from(address: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let flags = SockFlag::SOCK_CLOEXEC;
    let client = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    let from = SockaddrIn::from(std::net::SocketAddrV4::new(address, 0));
    bind(client.as_raw_fd(), &from).unwrap();
    connect(client.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
    TcpStream::from(client)
}

#[test]
fn the_systems_resolver_must_confirm_a_name() {
    if !can_test(&["ip"]) {
        return;
    }
    own_network();
    serve(UdpSocket::bind("127.0.0.1:53").unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let desk = desk();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let host_of = |last: u8| {
        let address = Ipv4Addr::new(192, 0, 2, last);
        let to = SocketAddr::new(IpAddr::V4(address), port);
        let _client = connect_from(address, to);
        let caller = identify(&desk, &listener);
        runtime.block_on(desk.look_up(&caller, Fact::Host));
        let template = Template::parse("{host}").unwrap();
        let texts = [
            caller.all_evidence().to_string(),
            template.fill(&caller.names()),
        ];
        (caller.facts().host, texts)
    };
    let name = |name: &str| Known::Yes(Arc::from(name));
    let (host, [evidence, filled]) = host_of(1);
    assert_eq!((host, filled.as_str()), (name("web.valid"), "web.valid"));
    assert!(evidence.contains(" host web.valid"), "{evidence}");
    for (last, told, why) in [
        (
            2,
            Known::No,
            "the reverse zone names a host of another address",
        ),
        (3, Known::No, "only the search domain knows the name"),
        (4, Known::No, "the name is not there"),
        (5, Known::NotYet, "the reverse zone cannot be had"),
        (6, Known::NotYet, "the name's zone cannot be had"),
        (7, name("listed.valid"), "the hosts file lists it"),
        (8, Known::No, "it is a single word"),
        (9, Known::No, "it is a single word in the hosts file"),
    ] {
        assert_eq!(host_of(last).0, told, "{last}: {why}");
    }
}
