//! Sockets: addresses bound, unix paths made, passed ones taken.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, sockopt,
};
use tokio::net::{TcpListener, UnixListener};

use crate::config::Bind;
use crate::socket_file;

/// How many connections wait in the kernel; it cuts this to its own limit.
const BACKLOG: i32 = 4096;

/// Answers of metadata sockets must not leave the host: one hop.
const ONE_HOP: i32 = 1;

/// Why a socket could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has it.
    #[error("{0} is in use")]
    InUse(String),
    /// It is an address of another host, or of none.
    #[error("no interface of this host has the address of {0}")]
    Missing(String),
    /// Ports below 1024 and some paths are for the privileged.
    #[error(
        "no permission for {0}: let systemd pass the socket (`passed:NAME`), or give CAP_NET_BIND_SERVICE"
    )]
    Permission(String),
    /// The folder of a unix socket is not ours to write in.
    #[error("no permission to make {0}: choose a folder that this user may write in")]
    Folder(String),
    /// No socket of this name was handed over.
    #[error(
        "no socket named {0:?} was handed over: is its FileDescriptorName in the socket unit {0:?}?"
    )]
    NotPassed(String),
    /// A passed descriptor is no listening stream socket.
    #[error(
        "the socket named {0:?} that was handed over is no listening TCP or unix stream socket"
    )]
    NotAListener(String),
    /// This host has no IPv6.
    #[error("{0} cannot be bound: this host has no IPv6")]
    NoIpv6(String),
    /// Anything else.
    #[error("{address} cannot be bound: {error}")]
    Other {
        /// What was to be bound.
        address: String,
        /// What the system says.
        error: io::Error,
    },
}

/// What is served at a socket decides how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Credentials for programs of this host: answers make one hop.
    Metadata,
    /// Anything else.
    Other,
}

/// A socket that accepts.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A unix stream socket.
    Unix(UnixListener),
}

/// A socket, and what it is called in logs and status.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub socket: Socket,
    /// `127.0.0.1:1338`, `unix:/path`.
    pub address: String,
    /// How many hops its answers make, of TCP.
    pub hop_limit: Option<u8>,
    /// The file to remove at the end: a unix socket's that was made here.
    pub made: Option<PathBuf>,
}

/// The sockets that systemd handed over, by name.
#[derive(Debug, Default)]
pub struct Passed(HashMap<String, Vec<PassedSocket>>);

/// A socket handed over by the service manager.
#[derive(Debug)]
pub enum PassedSocket {
    /// TCP.
    Tcp(StdTcpListener),
    /// A unix stream socket.
    Unix(StdUnixListener),
    /// Something that nothing here can accept on.
    Unknown,
}

impl Passed {
    /// These sockets, each with its name.
    pub fn new(sockets: impl IntoIterator<Item = (String, PassedSocket)>) -> Self {
        let mut by_name: HashMap<String, Vec<PassedSocket>> = HashMap::new();
        for (name, socket) in sockets {
            by_name.entry(name).or_default().push(socket);
        }
        Self(by_name)
    }

    /// Takes the unix socket at this path, whatever its name.
    pub fn take_at(&mut self, path: &Path) -> Option<Result<Bound, BindError>> {
        let is_there = |socket: &PassedSocket| {
            matches!(socket, PassedSocket::Unix(listener)
            if listener.local_addr().is_ok_and(|address| address.as_pathname() == Some(path)))
        };
        let (name, index) = self.0.iter().find_map(|(name, sockets)| {
            let index = sockets.iter().position(is_there)?;
            Some((name.clone(), index))
        })?;
        let sockets = self.0.get_mut(&name)?;
        let socket = sockets.swap_remove(index);
        if sockets.is_empty() {
            self.0.remove(&name);
        }
        Some(take(&name, Kind::Other, socket))
    }

    /// The names that nobody took.
    pub fn left(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Has the sockets of one `bind` entry.
pub fn bind(bind: &Bind, kind: Kind, passed: &mut Passed) -> Result<Vec<Bound>, BindError> {
    match bind {
        Bind::Tcp(address) => bind_tcp(*address, kind).map(|bound| vec![bound]),
        Bind::Unix(path) => bind_unix(path).map(|bound| vec![bound]),
        Bind::Passed(name) => {
            let sockets = passed
                .0
                .remove(name)
                .ok_or_else(|| BindError::NotPassed(name.clone()))?;
            sockets
                .into_iter()
                .map(|socket| take(name, kind, socket))
                .collect()
        }
    }
}

fn bind_tcp(address: SocketAddr, kind: Kind) -> Result<Bound, BindError> {
    let failed = |errno: Errno| failed(&address.to_string(), address.is_ipv6(), errno);
    let family = if address.is_ipv6() {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket::socket(family, SockType::Stream, flags, None).map_err(failed)?;
    socket::setsockopt(&fd, sockopt::ReuseAddr, &true).map_err(failed)?;
    if address.is_ipv6() {
        socket::setsockopt(&fd, sockopt::Ipv6V6Only, &true).map_err(failed)?;
    }
    if kind == Kind::Metadata {
        // The address may come later than the daemon does; it is a fixed, link-local one.
        if is_metadata_address(address.ip()) {
            socket::setsockopt(&fd, sockopt::IpFreebind, &true).map_err(failed)?;
        }
        one_hop(&fd, address.is_ipv6()).map_err(failed)?;
    }
    socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address)).map_err(failed)?;
    let backlog = Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN);
    socket::listen(&fd, backlog).map_err(failed)?;
    tcp(StdTcpListener::from(fd)).map_err(|error| other(&address.to_string(), error))
}

fn tcp(listener: StdTcpListener) -> io::Result<Bound> {
    listener.set_nonblocking(true)?;
    // Accepted connections inherit it: an answer is one small write, and waiting for more only
    // adds the peer's delayed ACK to it.
    socket::setsockopt(&listener, sockopt::TcpNoDelay, &true)?;
    if let Err(error) = defer_accept(&listener) {
        tracing::debug!(%error, "connections are accepted before they say anything");
    }
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    Ok(Bound {
        hop_limit: hop_limit(&listener, address.is_ipv6()),
        socket: Socket::Tcp(listener),
        address: address.to_string(),
        made: None,
    })
}

/// Makes the socket at this path; everybody may connect to it.
pub fn bind_unix(path: &Path) -> Result<Bound, BindError> {
    let address = format!("unix:{}", path.display());
    socket_file::remove_stale(path).map_err(|error| other(&address, error))?;
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| io_failed(&address, error))?;
    }
    let listener = StdUnixListener::bind(path).map_err(|error| io_failed(&address, error))?;
    // Everybody may connect: the kernel says who does, and grants decide.
    socket_file::give_mode(path, 0o666).map_err(|error| other(&address, error))?;
    let mut bound = unix(listener).map_err(|error| other(&address, error))?;
    bound.made = Some(path.to_owned());
    Ok(bound)
}

fn unix(listener: StdUnixListener) -> io::Result<Bound> {
    listener.set_nonblocking(true)?;
    let path = listener
        .local_addr()?
        .as_pathname()
        .map(|path| path.display().to_string());
    let listener = UnixListener::from_std(listener)?;
    let address = format!("unix:{}", path.as_deref().unwrap_or("(unnamed)"));
    Ok(Bound {
        socket: Socket::Unix(listener),
        address,
        hop_limit: None,
        made: None,
    })
}

fn take(name: &str, kind: Kind, socket: PassedSocket) -> Result<Bound, BindError> {
    let listens = match &socket {
        PassedSocket::Tcp(listener) => socket::getsockopt(listener, sockopt::AcceptConn),
        PassedSocket::Unix(listener) => socket::getsockopt(listener, sockopt::AcceptConn),
        PassedSocket::Unknown => Ok(false),
    };
    if !listens.is_ok_and(|listens| listens) {
        return Err(BindError::NotAListener(name.to_owned()));
    }
    let bound = match socket {
        PassedSocket::Tcp(listener) => {
            if kind == Kind::Metadata {
                let ipv6 = listener.local_addr().is_ok_and(|address| address.is_ipv6());
                one_hop(&listener, ipv6).map_err(|errno| failed(name, ipv6, errno))?;
            }
            tcp(listener)
        }
        PassedSocket::Unix(listener) => unix(listener),
        PassedSocket::Unknown => return Err(BindError::NotAListener(name.to_owned())),
    };
    bound.map_err(|error| other(name, error))
}

/// Connections are handed over together with their first bytes, so that accepting one and reading
/// its request is one wake-up. One that stays silent is handed over after about a second.
fn defer_accept(listener: &StdTcpListener) -> io::Result<()> {
    let seconds: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&seconds)).unwrap_or_default();
    #[expect(unsafe_code, reason = "nix has no TCP_DEFER_ACCEPT")]
    // SAFETY: the descriptor is open, and the pointer is to a c_int that outlives the call and
    // has the length that is given.
    let set = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            length,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Accepted connections inherit it.
fn one_hop(fd: &impl AsFd, ipv6: bool) -> nix::Result<()> {
    if ipv6 {
        socket::setsockopt(fd, sockopt::Ipv6Ttl, &ONE_HOP)
    } else {
        socket::setsockopt(fd, sockopt::Ipv4Ttl, &ONE_HOP)
    }
}

fn hop_limit(fd: &impl AsFd, ipv6: bool) -> Option<u8> {
    let hops = if ipv6 {
        socket::getsockopt(fd, sockopt::Ipv6Ttl)
    } else {
        socket::getsockopt(fd, sockopt::Ipv4Ttl)
    };
    u8::try_from(hops.ok()?).ok()
}

fn is_metadata_address(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn io_failed(address: &str, error: io::Error) -> BindError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return BindError::Folder(address.to_owned());
    }
    match error.raw_os_error() {
        Some(code) => failed(address, false, Errno::from_raw(code)),
        None => other(address, error),
    }
}

fn failed(address: &str, ipv6: bool, errno: Errno) -> BindError {
    let address = address.to_owned();
    if errno == Errno::EADDRINUSE {
        BindError::InUse(address)
    } else if matches!(errno, Errno::EACCES | Errno::EPERM) {
        BindError::Permission(address)
    } else if errno == Errno::EAFNOSUPPORT && ipv6
        || errno == Errno::EADDRNOTAVAIL && ipv6 && !has_ipv6()
    {
        BindError::NoIpv6(address)
    } else if errno == Errno::EADDRNOTAVAIL {
        BindError::Missing(address)
    } else {
        other(&address, io::Error::from(errno))
    }
}

/// Whether this host has any address of that family.
fn has_ipv6() -> bool {
    std::fs::read("/proc/net/if_inet6").is_ok_and(|addresses| !addresses.is_empty())
}

fn other(address: &str, error: io::Error) -> BindError {
    BindError::Other {
        address: address.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::net::UnixStream;

    use nix::sys::socket::getsockopt;

    use super::*;

    fn only(bind_to: &Bind, kind: Kind) -> Result<Bound, BindError> {
        let mut bound = bind(bind_to, kind, &mut Passed::default())?;
        assert_eq!(bound.len(), 1);
        Ok(bound.remove(0))
    }

    #[tokio::test]
    async fn answers_of_metadata_sockets_make_one_hop() {
        for (kind, hops) in [(Kind::Metadata, 1), (Kind::Other, 64)] {
            let bound = only(&Bind::Tcp("127.0.0.1:0".parse().unwrap()), kind).unwrap();
            assert_eq!(bound.hop_limit, Some(hops.try_into().unwrap()), "{kind:?}");
            let client = TcpStream::connect(&bound.address).unwrap();
            (&client).write_all(b"x").unwrap();
            let Socket::Tcp(listener) = &bound.socket else {
                panic!("{bound:?}")
            };
            let (accepted, _) = listener.accept().await.unwrap();
            assert_eq!(
                getsockopt(&accepted, sockopt::Ipv4Ttl).unwrap(),
                hops,
                "{kind:?}"
            );
            assert!(accepted.nodelay().unwrap());
        }
    }

    #[tokio::test]
    async fn a_metadata_address_may_come_after_the_daemon() {
        // No host has this link-local address by chance.
        let absent = Bind::Tcp("169.254.233.254:0".parse().unwrap());
        assert!(only(&absent, Kind::Metadata).is_ok());
        for missing in ["169.254.233.254:0", "192.0.2.1:0", "[2001:db8::1]:0"] {
            let error = only(&Bind::Tcp(missing.parse().unwrap()), Kind::Other).unwrap_err();
            let named = matches!(&error, BindError::Missing(address) if address == missing);
            let alone = missing.starts_with('[') && !has_ipv6();
            assert!(named || alone, "{error:?}");
        }
    }

    #[tokio::test]
    async fn who_has_the_address_is_not_pushed_aside() {
        let first = only(&Bind::Tcp("127.0.0.1:0".parse().unwrap()), Kind::Other).unwrap();
        let same = Bind::Tcp(first.address.parse().unwrap());
        assert!(matches!(only(&same, Kind::Other), Err(BindError::InUse(_))));
        let directory = tempfile::tempdir().unwrap();
        let path = Bind::Unix(directory.path().join("socket"));
        let listening = only(&path, Kind::Other).unwrap();
        assert!(matches!(only(&path, Kind::Other), Err(BindError::InUse(_))));
        drop(listening);
        assert!(
            only(&path, Kind::Other).is_ok(),
            "one that a killed daemon left is replaced"
        );
    }

    #[tokio::test]
    async fn everybody_may_connect_to_a_socket_that_was_made_here() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _listening = only(&Bind::Unix(path.clone()), Kind::Other).unwrap();
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o666);
    }

    #[tokio::test]
    async fn passed_sockets_are_taken_by_name_all_of_one_name_at_once() {
        let listener = || PassedSocket::Tcp(StdTcpListener::bind("127.0.0.1:0").unwrap());
        let mut passed = Passed::new([
            ("metadata".to_owned(), listener()),
            ("other".to_owned(), listener()),
            ("metadata".to_owned(), listener()),
            ("odd".to_owned(), PassedSocket::Unknown),
        ]);
        let metadata = Bind::Passed("metadata".to_owned());
        assert_eq!(
            bind(&metadata, Kind::Metadata, &mut passed).unwrap().len(),
            2
        );
        let again = bind(&metadata, Kind::Metadata, &mut passed);
        assert!(matches!(again, Err(BindError::NotPassed(_))));
        let odd = bind(&Bind::Passed("odd".to_owned()), Kind::Other, &mut passed);
        assert!(matches!(odd, Err(BindError::NotAListener(_))));
        assert_eq!(passed.left().collect::<Vec<_>>(), ["other"]);
    }

    #[tokio::test]
    async fn a_passed_socket_that_does_not_listen_is_refused() {
        let flags = SockFlag::SOCK_CLOEXEC;
        let bound = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        let tcp = PassedSocket::Tcp(StdTcpListener::from(bound));
        let (connected, _) = UnixStream::pair().unwrap();
        let unix = PassedSocket::Unix(StdUnixListener::from(OwnedFd::from(connected)));
        for socket in [tcp, unix] {
            let mut passed = Passed::new([("odd".to_owned(), socket)]);
            let odd = bind(&Bind::Passed("odd".to_owned()), Kind::Other, &mut passed);
            assert!(matches!(odd, Err(BindError::NotAListener(_))), "{odd:?}");
        }
    }

    #[tokio::test]
    async fn a_passed_socket_is_found_by_its_path_and_its_file_left_to_who_made_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let elsewhere = directory.path().join("other.sock");
        let unix = |at| PassedSocket::Unix(StdUnixListener::bind(at).unwrap());
        let mut passed = Passed::new([
            ("admin".to_owned(), unix(&elsewhere)),
            ("admin".to_owned(), unix(&path)),
        ]);
        let bound = passed.take_at(&path).unwrap().unwrap();
        assert_eq!(bound.address, format!("unix:{}", path.display()));
        assert_eq!(bound.made, None);
        assert!(passed.take_at(&path).is_none(), "it is taken once");
        assert_eq!(passed.left().collect::<Vec<_>>(), ["admin"]);
    }
}
