//! The desk where every connection is asked who it is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Uid, gethostname};

use super::directory::{Places, Users};
use super::identity::{Caller, Doubt, Evidence, Reach};
use super::own_addresses::OwnAddresses;
use super::place::Container;
use super::process::PeerProcess;
use super::redirect::original_destination;
use super::sock_diag::{Owner, SockDiag, is_overflow};
use crate::clock::Clock;
use crate::grants::{Fact, Known, Names, Placeholder};

/// Identifies callers. One for each process, shared by all listeners.
#[derive(Debug)]
pub struct Desk {
    clock: Clock,
    diag: Mutex<SockDiag>,
    own_addresses: OwnAddresses,
    hostname: Arc<str>,
    places: Places,
    users: Users,
}

/// The daemon cannot tell who its callers are.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is no netlink socket.
    #[error(
        "the kernel's socket look-up is refused; a sandbox must allow AF_NETLINK sockets \
         (RestrictAddressFamilies=)"
    )]
    Refused(#[source] Errno),
    /// Users other than the daemon's own have no number here.
    #[error(
        "other users' ids cannot be seen in this user namespace; a service must not set \
         PrivateUsers=yes"
    )]
    PrivateUsers,
    /// The daemon's own connection is not found, or has another owner.
    #[error("the kernel's socket look-up does not find the daemon's own connection ({0})")]
    Blind(Doubt),
    /// The look-up names another user than the daemon's own for its own connection.
    #[error("the kernel's socket look-up says uid {0} of the daemon's own connection")]
    Wrong(u32),
}

impl Desk {
    /// Opens the desk, and makes sure that it sees: it looks a connection of its own up.
    pub fn open(clock: Clock) -> Result<Self, DeskError> {
        if hides_users(&std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default()) {
            return Err(DeskError::PrivateUsers);
        }
        let hostname = gethostname().unwrap_or_default();
        let desk = Self {
            diag: Mutex::new(SockDiag::open().map_err(DeskError::Refused)?),
            own_addresses: OwnAddresses::default(),
            hostname: Arc::from(hostname.to_string_lossy()),
            places: Places::new(),
            users: Users::new(clock.clone()),
            clock,
        };
        match own_connection() {
            Ok((accepted, client)) => desk.prove(&accepted, &client)?,
            Err(error) => tracing::warn!(
                error = %error,
                "cannot connect to loopback, so the look-up of callers is not tried"
            ),
        }
        Ok(desk)
    }

    fn prove(&self, accepted: &TcpStream, client: &TcpStream) -> Result<(), DeskError> {
        let addresses = accepted
            .local_addr()
            .and_then(|own| Ok((own, client.local_addr()?)));
        let Ok((local, peer)) = addresses else {
            return Ok(());
        };
        match self.owner(local, peer, accepted.as_fd()) {
            Ok((owner, _)) if owner.uid == Uid::effective().as_raw() => Ok(()),
            Ok((owner, _)) => Err(DeskError::Wrong(owner.uid)),
            Err(doubt) => Err(DeskError::Blind(doubt)),
        }
    }

    /// Who is at the other end of an accepted TCP connection. Never waits; to be asked once for
    /// each connection, right after it was accepted.
    pub fn identify_tcp(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        accepted: BorrowedFd<'_>,
    ) -> Caller {
        let (evidence, cgroup) = match self.owner(local, peer, accepted) {
            Ok((owner, redirected_from)) => {
                let evidence = Evidence::SockDiag {
                    uid: owner.uid,
                    inode: owner.inode,
                    cgroup: owner.cgroup,
                    redirected_from,
                };
                (evidence, owner.cgroup)
            }
            Err(doubt) => (Evidence::None(doubt), None),
        };
        let here = evidence.uid().is_some()
            || peer.ip().to_canonical() == local.ip().to_canonical()
            || self.own_addresses.contain(peer.ip(), &self.clock);
        let reach = if here { Reach::Here } else { Reach::Elsewhere };
        let caller = Caller::new(evidence, reach, Arc::clone(&self.hostname));
        let known = cgroup.and_then(|id| self.places.remembered(id));
        self.fill_remembered(&caller, known);
        caller
    }

    /// Who is at the other end of an accepted unix connection.
    pub fn identify_unix(&self, stream: BorrowedFd<'_>) -> Caller {
        let evidence = match getsockopt(&stream, sockopt::PeerCredentials) {
            Ok(peer) if !is_overflow(peer.uid()) => Evidence::PeerCredentials {
                uid: peer.uid(),
                pid: peer.pid(),
                process: PeerProcess::of_peer(stream, peer.pid()).map(Arc::new),
            },
            Ok(_) => Evidence::None(Doubt::OverflowUid),
            Err(error) => Evidence::None(Doubt::Failed(error)),
        };
        let caller = Caller::new(evidence, Reach::Here, Arc::clone(&self.hostname));
        self.fill_remembered(&caller, None);
        caller
    }

    fn fill_remembered(&self, caller: &Caller, container: Option<Known<Container>>) {
        if let Some(known) = container {
            caller.container.get_or_init(|| known);
        }
        if let Some(user) = caller
            .evidence()
            .uid()
            .and_then(|uid| self.users.remembered(uid))
        {
            caller.user.get_or_init(|| user);
        }
    }

    fn owner(
        &self,
        local: SocketAddr,
        peer: SocketAddr,
        accepted: BorrowedFd<'_>,
    ) -> Result<(Owner, Option<SocketAddr>), Doubt> {
        let found = match self.ask(peer, local) {
            Err(Doubt::NoSocket) => match original_destination(accepted, local) {
                Some(meant) => (self.ask(peer, meant)?, Some(meant)),
                None => return Err(Doubt::NoSocket),
            },
            answer => (answer?, None),
        };
        // The answer is about this connection only if it still lives: were it gone, the same
        // addresses and ports could already be another's. While it lives, the kernel lets nobody
        // connect between them.
        if is_open(accepted) {
            Ok(found)
        } else {
            Err(Doubt::Ended)
        }
    }

    fn ask(&self, peer: SocketAddr, meant: SocketAddr) -> Result<Owner, Doubt> {
        let mut diag = self.diag.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = diag.ask(peer, meant).map_err(Doubt::Failed)?;
        answer.ok_or(Doubt::NoSocket)?.owner(peer, meant)
    }

    /// Looks a fact up that [`Caller::facts`] says nobody has looked for; afterwards it is known or
    /// cannot be had, or is still not known where the look-up takes its time.
    pub async fn look_up(&self, caller: &Caller, fact: Fact) {
        match fact {
            Fact::Groups | Fact::Container | Fact::Exe | Fact::Host | Fact::Provided => {}
            Fact::Place => {
                if caller.container.get().is_none() {
                    let known = self.container(caller.evidence()).await;
                    if known != Known::NotYet {
                        caller.container.get_or_init(|| known);
                    }
                }
            }
        }
    }

    async fn container(&self, evidence: &Evidence) -> Known<Container> {
        match evidence {
            Evidence::SockDiag {
                cgroup: Some(id), ..
            } => self.places.look_up(*id).await,
            Evidence::PeerCredentials {
                process: Some(process),
                ..
            } => self.places.of_process(process).await,
            Evidence::SockDiag { cgroup: None, .. }
            | Evidence::PeerCredentials { process: None, .. }
            | Evidence::None(_) => Known::No,
        }
    }

    /// What placeholders will stand for when this user asks from the host itself; without a user,
    /// what they stand for whoever asks.
    pub async fn names_of(&self, uid: Option<u32>) -> Names {
        let user = match uid {
            Some(uid) => self.users.look_up(uid).await,
            None => Known::No,
        };
        Names::default()
            .with(Placeholder::Hostname, Arc::clone(&self.hostname))
            .with_known(Placeholder::Uid, uid.map(|uid| uid.to_string()))
            .with_known(Placeholder::User, user.yes().cloned())
    }

    /// What placeholders stand for; the user's name is looked up if it is not remembered.
    pub async fn names(&self, caller: &Caller) -> Names {
        if let Some(uid) = caller.evidence().uid()
            && caller.user.get().is_none()
        {
            let name = self.users.look_up(uid).await;
            caller.user.get_or_init(|| name);
        }
        caller.names()
    }
}

/// Whether the connection is neither reset nor closed on both sides.
fn is_open(accepted: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(accepted, PollFlags::empty())];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0))
}

fn own_connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (accepted, _) = listener.accept()?;
    Ok((accepted, client))
}

/// Whether a user namespace's map shows a handful of ids, each as itself: systemd's
/// `PrivateUsers=yes`. A container's map shows thousands, a developer's own shows one as another.
fn hides_users(uid_map: &str) -> bool {
    let mut ids = 0_u64;
    for line in uid_map.lines() {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(inside)), Some(Ok(outside)), Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        if inside != outside {
            return false;
        }
        ids = ids.saturating_add(count);
    }
    (1..1000).contains(&ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_systemds_private_users_are_refused() {
        for (map, hidden) in [
            ("         0          0 4294967295\n", false),
            // PrivateUsers=yes: root and the service's own user, as themselves.
            ("0 0 1\n998 998 1\n", true),
            ("0 0 1\n", true),
            // A rootless container, `unshare --map-root-user`, a container with a range.
            ("0 1000 1\n1 100000 65536\n", false),
            ("0 1000 1\n", false),
            ("0 100000 65536\n", false),
            ("", false),
            ("what\n", false),
        ] {
            assert_eq!(hides_users(map), hidden, "{map}");
        }
    }
}
