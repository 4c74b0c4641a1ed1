//! Asks the kernel who owns the other end of a TCP connection on this host.
//!
//! One exact question (`linux/sock_diag.h`, `linux/inet_diag.h`) on a netlink socket that is kept;
//! the kernel answers while it takes the question, so nothing here ever waits.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send,
    socket,
};

use super::evidence::Doubt;

const NLMSG_ERROR: u16 = 2;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const INET_DIAG_CGROUP_ID: u16 = 21;
const NLMSG_HEADER: usize = 16;
const QUESTION: usize = NLMSG_HEADER + 56;
/// `struct inet_diag_msg`, after which attributes follow.
const MESSAGE: usize = 72;
/// States of a connection whose owner still holds it open for reading and writing.
const ESTABLISHED: u8 = 1;
const CLOSE_WAIT: u8 = 8;
const LISTEN: u8 = 10;
/// Answers to other questions that may lie before the one that is awaited.
const STRAY_ANSWERS: u32 = 64;

/// The kept netlink socket.
#[derive(Debug)]
pub(super) struct SockDiag {
    socket: OwnedFd,
    sequence: u32,
}

/// What the kernel says of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    state: u8,
    own: SocketAddr,
    other: SocketAddr,
    uid: u32,
    inode: u32,
    cgroup: Option<u64>,
}

/// The owner of a live socket, as far as it counts as evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) inode: u32,
    pub(super) cgroup: Option<u64>,
}

impl SockDiag {
    pub(super) fn open() -> Result<Self, Errno> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkSockDiag,
        )?;
        // Connected to the kernel, so that no process can slip in an answer.
        connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// The socket whose own address is `own` and whose peer is `other`; `None` if there is none.
    pub(super) fn ask(
        &mut self,
        own: SocketAddr,
        other: SocketAddr,
    ) -> Result<Option<Answer>, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let question = question(self.sequence, own, other);
        send(self.socket.as_raw_fd(), &question, MsgFlags::MSG_DONTWAIT)?;
        let mut buffer = [0; 1024];
        for _ in 0..STRAY_ANSWERS {
            let length = match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => length,
                // The kernel dropped answers that nobody took; what is left can still be read.
                Err(Errno::ENOBUFS | Errno::EINTR) => continue,
                Err(error) => return Err(error),
            };
            match parse(buffer.get(..length).unwrap_or_default(), self.sequence) {
                Parsed::Answer(answer) => return Ok(Some(answer)),
                Parsed::Error(Errno::ENOENT) => return Ok(None),
                Parsed::Error(error) => return Err(error),
                Parsed::Stray => {}
            }
        }
        Err(Errno::EOVERFLOW)
    }
}

impl Answer {
    /// The owner, if this answer counts: it is about the very connection that was asked about, a
    /// process holds the socket, and the connection lives. A socket that nobody holds any more
    /// reads as uid 0.
    pub(super) fn owner(&self, own: SocketAddr, other: SocketAddr) -> Result<Owner, Doubt> {
        if canonical(self.own) != canonical(own) || canonical(self.other) != canonical(other) {
            // Where no connection is the one asked about, the kernel falls back to whoever listens
            // at that port: a container may have taken any port to connect from.
            return Err(match self.state {
                LISTEN => Doubt::NoSocket,
                _ => Doubt::OtherSocket,
            });
        }
        if self.inode == 0 || !matches!(self.state, ESTABLISHED | CLOSE_WAIT) {
            return Err(Doubt::Closing);
        }
        if is_overflow(self.uid) {
            return Err(Doubt::OverflowUid);
        }
        Ok(Owner {
            uid: self.uid,
            inode: self.inode,
            cgroup: self.cgroup,
        })
    }
}

/// Whether this is what the kernel shows for a uid that has no number in this user namespace.
pub(super) const fn is_overflow(uid: u32) -> bool {
    matches!(uid, 65534 | u32::MAX)
}

/// `address` with an IPv4-mapped address as what it is, so that both spellings compare equal.
pub(super) fn canonical(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// `struct nlmsghdr`, then `struct inet_diag_req_v2` for one socket.
fn question(sequence: u32, own: SocketAddr, other: SocketAddr) -> [u8; QUESTION] {
    let (own_ip, own_port) = canonical(own);
    let (other_ip, other_port) = canonical(other);
    let family = if own_ip.is_ipv4() { AF_INET } else { AF_INET6 };
    let mut bytes = [0; QUESTION];
    let mut to = Writer(&mut bytes);
    to.put(&72_u32.to_ne_bytes());
    to.put(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    to.put(&NLM_F_REQUEST.to_ne_bytes());
    to.put(&sequence.to_ne_bytes());
    to.put(&[0; 4]);
    // No extensions; every state: the answer's own state is looked at.
    to.put(&[family, IPPROTO_TCP, 0, 0]);
    to.put(&u32::MAX.to_ne_bytes());
    to.put(&own_port.to_be_bytes());
    to.put(&other_port.to_be_bytes());
    to.put(&address_bytes(own_ip));
    to.put(&address_bytes(other_ip));
    to.put(&scope(own).to_ne_bytes());
    // INET_DIAG_NOCOOKIE.
    to.put(&[0xff; 8]);
    bytes
}

/// The interface that a link-local address belongs to; its socket is bound to it.
const fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    }
}

fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some((head, tail)) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            head.copy_from_slice(bytes);
            self.0 = tail;
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Answer(Answer),
    Error(Errno),
    Stray,
}

/// One netlink message. Total, whatever the bytes.
fn parse(message: &[u8], sequence: u32) -> Parsed {
    let mut from = Reader(message);
    let header = (from.u32(), from.u16(), from.u16(), from.u32(), from.u32());
    let (Some(length), Some(kind), Some(_), Some(answered), Some(_)) = header else {
        return Parsed::Stray;
    };
    if answered != sequence {
        return Parsed::Stray;
    }
    if kind == NLMSG_ERROR {
        let code = from.array().map(i32::from_ne_bytes).unwrap_or_default();
        return Parsed::Error(Errno::from_raw(code.saturating_neg()));
    }
    let whole = usize::try_from(length)
        .ok()
        .and_then(|length| message.get(NLMSG_HEADER..length));
    match whole.and_then(parse_answer) {
        Some(answer) if kind == SOCK_DIAG_BY_FAMILY => Parsed::Answer(answer),
        Some(_) | None => Parsed::Error(Errno::EBADMSG),
    }
}

fn parse_answer(body: &[u8]) -> Option<Answer> {
    let mut from = Reader(body.get(..MESSAGE)?);
    let [family, state, _timer, _retransmits] = from.array()?;
    let own_port = from.array().map(u16::from_be_bytes)?;
    let other_port = from.array().map(u16::from_be_bytes)?;
    let own_ip = address(family, from.array()?)?;
    let other_ip = address(family, from.array()?)?;
    let _interface_cookie_expires_queues: [u8; 4 + 8 + 4 + 4 + 4] = from.array()?;
    Some(Answer {
        state,
        own: SocketAddr::new(own_ip, own_port),
        other: SocketAddr::new(other_ip, other_port),
        uid: from.u32()?,
        inode: from.u32()?,
        cgroup: cgroup_id(body.get(MESSAGE..)?),
    })
}

/// The attributes after the message: length, type, value, padded to four bytes.
fn cgroup_id(mut attributes: &[u8]) -> Option<u64> {
    loop {
        let mut from = Reader(attributes);
        let length = usize::from(from.u16()?);
        if from.u16()? == INET_DIAG_CGROUP_ID {
            return from.array().map(u64::from_ne_bytes);
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn address(family: u8, bytes: [u8; 16]) -> Option<IpAddr> {
    match family {
        AF_INET => {
            let [a, b, c, d, ..] = bytes;
            Some(IpAddr::from([a, b, c, d]))
        }
        AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(bytes))),
        _ => None,
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    const OWN: &str = "127.0.0.1:40000";
    const OTHER: &str = "127.0.0.1:80";

    /// An answer of the kernel with two attributes, as Linux 6.18 gives it.
    fn message(state: u8, uid: u32, inode: u32) -> Vec<u8> {
        let mut body = vec![AF_INET, state, 0, 0];
        body.extend(40_000_u16.to_be_bytes());
        body.extend(80_u16.to_be_bytes());
        for _ in 0..2 {
            body.extend([127, 0, 0, 1]);
            body.extend([0; 12]);
        }
        body.extend([0; 24]);
        body.extend(uid.to_ne_bytes());
        body.extend(inode.to_ne_bytes());
        // INET_DIAG_SHUTDOWN, one byte and its padding, then the control group.
        body.extend([5, 0, 8, 0, 0, 0, 0, 0]);
        body.extend([12, 0, 21, 0]);
        body.extend(4711_u64.to_ne_bytes());
        let length = u32::try_from(NLMSG_HEADER + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        message.extend([0, 0]);
        message.extend(7_u32.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(body);
        message
    }

    fn owner(message: &[u8], own: &str, other: &str) -> Result<Owner, Doubt> {
        match parse(message, 7) {
            Parsed::Answer(answer) => answer.owner(own.parse().unwrap(), other.parse().unwrap()),
            parsed @ (Parsed::Error(_) | Parsed::Stray) => panic!("{parsed:?}"),
        }
    }

    #[test]
    fn a_live_sockets_owner_counts() {
        let expected = Owner {
            uid: 1000,
            inode: 123,
            cgroup: Some(4711),
        };
        for state in [ESTABLISHED, CLOSE_WAIT] {
            let message = message(state, 1000, 123);
            assert_eq!(owner(&message, OWN, OTHER), Ok(expected));
            let mapped = "[::ffff:127.0.0.1]:40000";
            assert_eq!(owner(&message, mapped, OTHER), Ok(expected));
        }
    }

    #[test]
    fn no_other_state_and_no_orphan_counts() {
        for state in 0..=u8::MAX {
            if !matches!(state, ESTABLISHED | CLOSE_WAIT) {
                let message = message(state, 0, 123);
                assert_eq!(owner(&message, OWN, OTHER), Err(Doubt::Closing), "{state}");
            }
        }
        let orphan = message(ESTABLISHED, 0, 0);
        assert_eq!(owner(&orphan, OWN, OTHER), Err(Doubt::Closing));
    }

    #[test]
    fn the_overflow_uid_and_other_addresses_do_not_count() {
        for uid in [65_534, u32::MAX] {
            let message = message(ESTABLISHED, uid, 123);
            assert_eq!(owner(&message, OWN, OTHER), Err(Doubt::OverflowUid));
        }
        let message = message(ESTABLISHED, 1000, 123);
        for (own, other) in [
            ("127.0.0.1:40001", OTHER),
            ("127.0.0.2:40000", OTHER),
            (OWN, "127.0.0.1:81"),
            (OWN, "127.0.0.2:80"),
            (OTHER, OWN),
        ] {
            assert_eq!(owner(&message, own, other), Err(Doubt::OtherSocket));
        }
    }

    #[test]
    fn a_listener_at_the_same_port_is_no_connection() {
        let message = message(LISTEN, 0, 123);
        assert_eq!(
            owner(&message, "172.17.0.2:40000", OTHER),
            Err(Doubt::NoSocket)
        );
    }

    #[test]
    fn an_answer_to_another_question_is_stray() {
        assert_eq!(parse(&message(ESTABLISHED, 0, 1), 8), Parsed::Stray);
    }

    #[test]
    fn after_an_overrun_it_says_nothing_wrong_and_then_the_truth_again() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let other = listener.local_addr().unwrap();
        let client = TcpStream::connect(other).unwrap();
        let own = client.local_addr().unwrap();
        let elsewhere = address_of_nobody();
        let mut diag = SockDiag::open().unwrap();
        let truth = diag.ask(own, other).unwrap().unwrap();
        // Nobody takes the answers: the kernel drops what the socket has no room for.
        for _ in 0..10_000 {
            diag.sequence += 1;
            let question = question(diag.sequence, own, other);
            let _refused = send(diag.socket.as_raw_fd(), &question, MsgFlags::MSG_DONTWAIT);
        }
        let mut recovered = false;
        for _ in 0..1000 {
            match diag.ask(own, elsewhere) {
                Ok(None) => recovered = true,
                Ok(Some(answer)) => panic!("an answer to another question: {answer:?}"),
                Err(error) => assert!(!recovered, "{error}"),
            }
        }
        assert!(recovered);
        assert_eq!(diag.ask(own, other), Ok(Some(truth)));
    }

    fn address_of_nobody() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 9], 9))
    }

    #[test]
    fn a_cut_answer_is_an_error_or_lacks_the_group() {
        let whole = message(ESTABLISHED, 1000, 123);
        for length in NLMSG_HEADER..whole.len() {
            let parsed = parse(whole.get(..length).unwrap(), 7);
            assert_eq!(parsed, Parsed::Error(Errno::EBADMSG), "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_upset_the_parser(bytes: Vec<u8>, sequence: u32) {
            let _parsed = parse(&bytes, sequence);
        }

        #[test]
        fn no_body_upsets_the_parser(body: Vec<u8>) {
            let _answer = parse_answer(&body);
            let _group = cgroup_id(&body);
        }
    }
}
