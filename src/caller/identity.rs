//! Who is connected, and the evidence for it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use nix::errno::Errno;

use super::place::Container;
use super::process::PeerProcess;
use crate::grants::{
    ContainerId, ContainerPlace, Facts, HostPlace, Known, Names, Place, Placeholder,
};

/// The process at the other end of one connection.
#[derive(Debug)]
pub struct Caller {
    evidence: Evidence,
    reach: Reach,
    name: Box<str>,
    name_in_container: OnceLock<Box<str>>,
    hostname: Arc<str>,
    pub(super) container: OnceLock<Known<Container>>,
    pub(super) user: OnceLock<Known<Arc<str>>>,
}

/// How the caller is known.
#[derive(Debug)]
pub enum Evidence {
    /// The kernel's socket look-up found the other end of the TCP connection.
    SockDiag {
        /// Whose socket it is.
        uid: u32,
        /// The socket's inode.
        inode: u32,
        /// The control group that the socket was made in.
        cgroup: Option<u64>,
        /// Where the caller meant to connect, when the connection was redirected.
        redirected_from: Option<SocketAddr>,
    },
    /// The kernel's credentials of the process that connected a unix socket.
    PeerCredentials {
        /// Its uid.
        uid: u32,
        /// Its pid, 0 where it has none in the daemon's pid namespace.
        pid: i32,
        /// A handle of that very process, where one could be had.
        process: Option<Arc<PeerProcess>>,
    },
    /// There is none.
    None(Doubt),
}

/// Why a caller is not identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// There is no such socket in this network namespace.
    #[error("no socket of this host is the other end")]
    NoSocket,
    /// The answer is about something else.
    #[error("the kernel answered about another socket")]
    OtherSocket,
    /// Nobody holds the socket, or it is not open.
    #[error("the other end is closed or closing")]
    Closing,
    /// The uid cannot be told here.
    #[error("the uid has no number here")]
    OverflowUid,
    /// The connection ended while it was looked up.
    #[error("the connection ended during the look-up")]
    Ended,
    /// The question could not be asked.
    #[error("the look-up failed: {}", .0.desc())]
    Failed(Errno),
}

/// Where a caller connects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// From this host: its own addresses, or a unix socket.
    Here,
    /// From anywhere else.
    Elsewhere,
}

/// Whose connections share one bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallerKey {
    /// A user's.
    Uid(u32),
    /// Those of all who are not identified.
    Nobody,
}

/// What a token is bound to: the uid, and the container where the caller is in one. Never a pid or
/// a port, which change while the caller stays the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    uid: u32,
    place: PrincipalPlace,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum PrincipalPlace {
    Host,
    Container(ContainerId),
    Unknown,
}

impl Caller {
    pub(super) fn new(evidence: Evidence, reach: Reach, hostname: Arc<str>) -> Self {
        let name = match evidence.uid() {
            Some(uid) => format!("uid {uid}"),
            None => "not identified".to_owned(),
        };
        Self {
            evidence,
            reach,
            name: name.into_boxed_str(),
            name_in_container: OnceLock::new(),
            hostname,
            container: OnceLock::new(),
            user: OnceLock::new(),
        }
    }

    /// What grants may ask of it, as far as it has been looked up.
    pub fn facts(&self) -> Facts {
        Facts {
            uid: self.evidence.uid().map_or(Known::No, Known::Yes),
            place: match self.container.get() {
                Some(Known::Yes(Container::None)) => {
                    Known::Yes(Arc::new(Place::Host(HostPlace::default())))
                }
                Some(Known::Yes(Container::In(id))) => {
                    Known::Yes(Arc::new(Place::Container(ContainerPlace {
                        id: id.clone(),
                        owner: None,
                    })))
                }
                Some(Known::No) => Known::No,
                Some(Known::NotYet) | None => Known::NotYet,
            },
            ..Facts::default()
        }
    }

    /// Whether it has been looked up which container it is in.
    pub fn is_placed(&self) -> bool {
        self.container.get().is_some()
    }

    /// Where it connects from.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// The evidence, for the audit trail.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Where the caller meant to connect, when the connection was redirected here.
    pub const fn original_destination(&self) -> Option<SocketAddr> {
        match &self.evidence {
            Evidence::SockDiag {
                redirected_from, ..
            } => *redirected_from,
            Evidence::PeerCredentials { .. } | Evidence::None(_) => None,
        }
    }

    /// Whose connections are counted together.
    pub const fn key(&self) -> CallerKey {
        match self.evidence.uid() {
            Some(uid) => CallerKey::Uid(uid),
            None => CallerKey::Nobody,
        }
    }

    /// `uid 1000`, `uid 0 in container 3f4a9c0d1e2f` once that has been looked up, or `not
    /// identified`.
    pub fn name(&self) -> &str {
        match self.container.get() {
            Some(Known::Yes(Container::In(id))) => self
                .name_in_container
                .get_or_init(|| format!("{} in container {}", self.name, id.short()).into()),
            Some(Known::Yes(Container::None) | Known::No | Known::NotYet) | None => &self.name,
        }
    }

    /// What a token of this caller is bound to. `None` while it is not identified or its container
    /// has not been looked up.
    pub fn principal(&self) -> Option<Principal> {
        let place = match self.container.get()? {
            Known::Yes(Container::None) => PrincipalPlace::Host,
            Known::Yes(Container::In(id)) => PrincipalPlace::Container(id.clone()),
            Known::No => PrincipalPlace::Unknown,
            Known::NotYet => return None,
        };
        Some(Principal {
            uid: self.evidence.uid()?,
            place,
        })
    }

    /// What placeholders stand for, as far as it has been looked up.
    pub fn names(&self) -> Names {
        let place = match self.container.get() {
            Some(Known::Yes(Container::In(id))) => Some(id.as_str()),
            Some(_) | None => None,
        };
        let user = self.user.get().and_then(Known::yes);
        let uid = self.evidence.uid();
        Names::default()
            .with(Placeholder::Hostname, Arc::clone(&self.hostname))
            .with_known(Placeholder::Caller, place)
            .with_known(Placeholder::Uid, uid.map(|uid| uid.to_string()))
            .with_known(Placeholder::User, user.cloned())
    }
}

impl Principal {
    /// The principal of this uid on the host itself.
    pub const fn uid(uid: u32) -> Self {
        Self {
            uid,
            place: PrincipalPlace::Host,
        }
    }

    /// Appends bytes that no other principal gives.
    pub fn write_to(&self, context: &mut Vec<u8>) {
        context.extend_from_slice(&self.uid.to_be_bytes());
        match &self.place {
            PrincipalPlace::Host => context.push(0),
            PrincipalPlace::Unknown => context.push(1),
            PrincipalPlace::Container(id) => {
                context.push(2);
                context.extend_from_slice(id.as_str().as_bytes());
            }
        }
    }
}

impl Evidence {
    /// What kind of evidence it is, for the audit trail.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::SockDiag { .. } => "sock-diag",
            Self::PeerCredentials { .. } => "peer-credentials",
            Self::None(_) => "none",
        }
    }

    /// The uid that the kernel vouches for.
    pub const fn uid(&self) -> Option<u32> {
        match self {
            Self::SockDiag { uid, .. } | Self::PeerCredentials { uid, .. } => Some(*uid),
            Self::None(_) => None,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SockDiag {
                uid,
                inode,
                cgroup,
                redirected_from,
            } => {
                write!(f, "sock-diag uid {uid} inode {inode}")?;
                if let Some(cgroup) = cgroup {
                    write!(f, " cgroup {cgroup}")?;
                }
                match redirected_from {
                    Some(address) => write!(f, " redirected from {address}"),
                    None => Ok(()),
                }
            }
            Self::PeerCredentials { uid, pid, .. } => {
                write!(f, "peer-credentials uid {uid} pid {pid}")
            }
            Self::None(doubt) => write!(f, "none: {doubt}"),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}", self.uid)?;
        match &self.place {
            PrincipalPlace::Host => Ok(()),
            PrincipalPlace::Container(id) => write!(f, " in {}", id.as_str()),
            PrincipalPlace::Unknown => write!(f, " somewhere"),
        }
    }
}
