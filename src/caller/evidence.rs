//! How a caller is known, or why it is not.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use nix::errno::Errno;

use super::principal::CallerKey;
use super::process::PeerProcess;
use super::process_id::ProcessId;
use crate::grants::{ContainerId, Person};

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
        /// Its primary group.
        gid: u32,
        /// Its pid, 0 where it has none in the daemon's pid namespace.
        pid: i32,
        /// A handle of that very process, where one could be had.
        process: Option<Arc<PeerProcess>>,
    },
    /// The TCP connection comes from an address that one running container, or pod, holds: by what
    /// its runtime said after the connection was accepted.
    ContainerAddress {
        /// Which.
        id: ContainerId,
        /// Where the caller meant to connect, when the connection was redirected.
        redirected_from: Option<SocketAddr>,
    },
    /// Nobody connected: `explain` asks what would be if this process did.
    Process {
        /// Its file-system uid, which its sockets would have.
        uid: u32,
        /// Which process.
        id: ProcessId,
        /// A handle of it.
        process: Arc<PeerProcess>,
    },
    /// Nobody connected: `explain` asks what would be if this user did, from the host itself.
    User(u32),
    /// Nobody connected: `explain` asks what would be if this container did, from a network of its
    /// own.
    Container(ContainerId),
    /// Somebody proved a name in a request.
    Person {
        /// Who.
        person: Arc<Person>,
        /// The evidence of the connection that it came over.
        over: Box<str>,
    },
    /// Somebody showed a token in a request of which nothing else counts: what it says, the request
    /// brings.
    Token {
        /// With whom it is counted: who is connected.
        counted: CallerKey,
        /// The evidence of the connection that it came over.
        over: Box<str>,
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
    /// There is no such process, it ended, or it changed while it was looked at.
    #[error("the process is not there, or changed during the look-up")]
    NoProcess,
    /// The question could not be asked.
    #[error("the look-up failed: {}", .0.desc())]
    Failed(Errno),
}

impl Evidence {
    /// What kind of evidence it is.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::SockDiag { .. } => "sock-diag",
            Self::PeerCredentials { .. } => "peer-credentials",
            Self::ContainerAddress { .. } => "container-address",
            Self::Process { .. } => "process",
            Self::User(_) => "user",
            Self::Container(_) => "container",
            Self::Person { .. } => "person",
            Self::Token { .. } => "token",
            Self::None(_) => "none",
        }
    }

    /// The uid that the kernel vouches for.
    pub const fn uid(&self) -> Option<u32> {
        match self {
            Self::SockDiag { uid, .. }
            | Self::PeerCredentials { uid, .. }
            | Self::Process { uid, .. }
            | Self::User(uid) => Some(*uid),
            Self::ContainerAddress { .. }
            | Self::Container(_)
            | Self::Person { .. }
            | Self::Token { .. }
            | Self::None(_) => None,
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::SockDiag {
                uid,
                inode,
                cgroup,
                redirected_from,
            } => {
                write!(f, " uid {uid} inode {inode}")?;
                if let Some(address) = redirected_from {
                    write!(f, " redirected from {address}")?;
                }
                match cgroup {
                    Some(cgroup) => write!(f, " cgroup {cgroup}"),
                    None => Ok(()),
                }
            }
            Self::PeerCredentials {
                uid,
                gid,
                pid,
                process,
            } => {
                write!(f, " uid {uid} gid {gid} pid {pid}")?;
                match process.as_ref().and_then(|process| process.started()) {
                    Some(started) => write!(f, " started {started}"),
                    None => Ok(()),
                }
            }
            Self::ContainerAddress {
                id,
                redirected_from,
            } => {
                write!(f, " container {}", id.as_str())?;
                match redirected_from {
                    Some(address) => write!(f, " redirected from {address}"),
                    None => Ok(()),
                }
            }
            Self::Process { uid, id, .. } => {
                write!(f, " uid {uid} pid {} started {}", id.pid, id.started)
            }
            Self::User(uid) => write!(f, " uid {uid}"),
            Self::Container(id) => write!(f, " {}", id.as_str()),
            Self::Person { person, over } => {
                write!(f, " {} by {}", person.name, person.way.as_str())?;
                if over.is_empty() {
                    Ok(())
                } else {
                    write!(f, " over {over}")
                }
            }
            Self::Token { over, .. } => write!(f, " over {over}"),
            Self::None(doubt) => write!(f, ": {doubt}"),
        }
    }
}
