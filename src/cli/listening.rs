//! What listens on this host, and which process does.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::socket::{UnixCredentials, getsockopt, sockopt};

/// The kernel's number of the state LISTEN.
const LISTEN: &str = "0A";

/// ESTABLISHED, and SYN_RECV: made, and not yet accepted.
const MADE: [&str; 2] = ["01", "03"];

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) uid: u32,
    inode: u64,
}

/// An end of a connection, of this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    uid: u32,
    inode: u64,
}

/// All connections of this network namespace that are made, or about to be.
pub(super) fn connections() -> Vec<Connection> {
    let open = |(socket, state): &(Connection, String)| {
        MADE.contains(&state.as_str()) && socket.remote.port() != 0
    };
    let made = sockets().into_iter().filter(open);
    made.map(|(socket, _)| socket).collect()
}

/// All of this network namespace.
pub(super) fn listening() -> Vec<Listening> {
    of_listeners(sockets())
}

fn sockets() -> Vec<(Connection, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok());
    tables.flat_map(|table| parse(&table)).collect()
}

fn of_listeners(sockets: Vec<(Connection, String)>) -> Vec<Listening> {
    let listening = sockets.into_iter().filter(|(_, state)| state == LISTEN);
    listening
        .map(|(socket, _)| Listening::of(&socket))
        .collect()
}

impl Listening {
    /// The socket of a connection, to be asked whose it is.
    pub(super) const fn of(socket: &Connection) -> Self {
        Self {
            address: socket.local,
            uid: socket.uid,
            inode: socket.inode,
        }
    }

    /// Whether it takes connections to this address: its own, or any of its port.
    pub(super) fn takes(&self, address: SocketAddr) -> bool {
        let any =
            self.address.ip().is_unspecified() && (self.address.is_ipv6() || address.is_ipv4());
        self.address.port() == address.port() && (any || self.address.ip() == address.ip())
    }

    /// Whether nobody else can listen at this address meanwhile.
    pub(super) fn keeps_from(&self, address: SocketAddr) -> bool {
        let all = address.ip().is_unspecified() && self.address.is_ipv4() == address.is_ipv4();
        self.takes(address) || (all && self.address.port() == address.port())
    }

    /// `nginx (process 12, uid 33)`, as far as it can be seen.
    pub(super) fn holder(&self) -> String {
        match self.process() {
            Some((pid, name)) => told(&name, pid, self.uid),
            None => format!("a process of uid {}", self.uid),
        }
    }

    /// Whether this process holds it; `None` where that cannot be seen.
    pub(super) fn is_held_by(&self, pid: u32) -> Option<bool> {
        let folder = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        Some(self.is_among(folder))
    }

    /// The last of those that hold it: a service manager that passed it on has a lower number.
    pub(super) fn process(&self) -> Option<(u32, String)> {
        let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let holding = pids.filter(|pid| self.is_held_by(*pid) == Some(true));
        let pid = holding.max()?;
        Some((pid, name_of(pid)))
    }

    fn is_among(&self, descriptors: fs::ReadDir) -> bool {
        let own = format!("socket:[{}]", self.inode);
        let mut links = descriptors
            .filter_map(Result::ok)
            .filter_map(|entry| fs::read_link(entry.path()).ok());
        links.any(|link| link.as_os_str() == own.as_str())
    }
}

/// Who serves a unix socket. It is connected to, and nothing is sent.
pub(super) fn server(socket: &Path) -> io::Result<UnixCredentials> {
    let stream = UnixStream::connect(socket)?;
    Ok(getsockopt(&stream, sockopt::PeerCredentials)?)
}

/// What the kernel calls the program of this process.
pub(super) fn name_of(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// `nginx (process 12, uid 33)`.
pub(super) fn told(name: &str, pid: u32, uid: u32) -> String {
    format!("{name} (process {pid}, uid {uid})")
}

/// `sl local remote st tx:rx tr:when retrnsmt uid timeout inode …`, a socket a line.
fn parse(table: &str) -> Vec<(Connection, String)> {
    let sockets = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, local, remote, state, _, _, _, uid, _, inode, ..] = fields.as_slice() else {
            return None;
        };
        let socket = Connection {
            local: end(local)?,
            remote: end(remote)?,
            uid: uid.parse().ok()?,
            inode: inode.parse().ok()?,
        };
        Some((socket, (*state).to_owned()))
    });
    sockets.collect()
}

fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    Some(SocketAddr::new(
        ip(address)?,
        u16::from_str_radix(port, 16).ok()?,
    ))
}

/// Words of four bytes in the host's order, in hex.
fn ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hex.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if hex.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(bytes)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let header = "  sl  local_address rem_address   st tx_queue\n";
        let rest = "00000000:00000000 00:00000000 00000000    33        0 4711 1 0 100";
        let line =
            |local: &str, state: &str| format!("   0: {local} 00000000:0000 {state} {rest}\n");
        let all = line("00000000:0050", "0A");
        let table = [header, &all, &line("00000000:0051", "01"), "broken\n"].concat();
        let [only] = of_listeners(parse(&table)).try_into().unwrap();
        assert_eq!(only.address, "0.0.0.0:80".parse().unwrap());
        assert_eq!((only.uid, only.inode), (33, 4711));
        assert!(only.takes("169.254.169.254:80".parse().unwrap()));
        assert!(!only.takes("169.254.169.254:81".parse().unwrap()));
        assert!(!only.takes("[::1]:80".parse().unwrap()));
        let one = Listening {
            address: "127.0.0.1:80".parse().unwrap(),
            ..only
        };
        for (wanted, kept_from) in [
            ("127.0.0.1:80", true),
            ("0.0.0.0:80", true),
            ("[::]:80", false),
            ("0.0.0.0:81", false),
            ("127.0.0.2:80", false),
        ] {
            assert_eq!(
                one.keeps_from(wanted.parse().unwrap()),
                kept_from,
                "{wanted}"
            );
        }
    }

    #[test]
    fn who_listens_is_found() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(bind) else {
                assert_eq!(bind, "[::1]:0", "a host without IPv6");
                continue;
            };
            let address = listener.local_addr().unwrap();
            let all = listening();
            let found = all.iter().find(|found| found.address == address).unwrap();
            let own = std::process::id();
            assert_eq!(found.is_held_by(own), Some(true));
            assert!(found.holder().contains(&format!("process {own}, uid ")));
        }
    }
}
