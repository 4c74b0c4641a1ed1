//! The desk where every connection is asked who it is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Uid, gethostname};

use super::directory::Users;
use super::evidence::{Doubt, Evidence};
use super::host_names::{self, HostNames};
use super::identity::{Caller, Reach};
use super::own_addresses::OwnAddresses;
use super::places::{Places, Whereabouts};
use super::process::PeerProcess;
use super::process_id::ProcessId;
use super::redirect::original_destination;
use super::sock_diag::{Owner, SockDiag, is_overflow};
use crate::clock::Clock;
use crate::grants::{Fact, Known, Names, Person, Place, Placeholder, Way};
use crate::runtime::Containers;

/// How long a connection to loopback may take, of which microseconds are usual.
const LOOPBACK_PATIENCE: Duration = Duration::from_secs(1);

/// Identifies callers. One for each process, shared by all listeners.
#[derive(Debug)]
pub struct Desk {
    clock: Clock,
    diag: Mutex<SockDiag>,
    own_addresses: OwnAddresses,
    hostname: Arc<str>,
    places: Places,
    pub(super) users: Users,
    host_names: HostNames,
    /// Tells of containers, where there is a unit that does.
    pub(super) containers: Option<Containers>,
    /// How often what grants ask of containers has changed.
    pub(super) interest: Arc<AtomicU64>,
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

/// There is no one container to tell about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoContainer {
    /// None runs.
    #[error("no running container has an id that begins like this")]
    None,
    /// Several run.
    #[error("several running containers have ids that begin like this")]
    Several,
    /// The control groups cannot be looked through.
    #[error("the control groups of containers cannot be seen here")]
    Unseen,
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
            places: Places::new(clock.clone()),
            users: Users::new(&clock),
            host_names: HostNames::new(clock.clone()),
            containers: None,
            interest: Arc::default(),
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
        let caller = self.caller(evidence, Some(peer), reach);
        if let Some(found) = cgroup.and_then(|id| self.places.remembered(id)) {
            place(&caller, found);
        }
        caller
    }

    /// Who is at the other end of an accepted unix connection.
    pub fn identify_unix(&self, stream: BorrowedFd<'_>) -> Caller {
        let evidence = match getsockopt(&stream, sockopt::PeerCredentials) {
            Ok(peer) if !is_overflow(peer.uid()) => Evidence::PeerCredentials {
                uid: peer.uid(),
                gid: peer.gid(),
                pid: peer.pid(),
                process: PeerProcess::of_peer(stream, peer.pid()).map(Arc::new),
            },
            Ok(_) => Evidence::None(Doubt::OverflowUid),
            Err(error) => Evidence::None(Doubt::Failed(error)),
        };
        self.caller(evidence, None, Reach::Here)
    }

    /// Who the process of this number would be if it connected now over TCP: for `explain`. It is
    /// looked up where it runs, too.
    pub async fn of_process(&self, pid: u32) -> Caller {
        let seen = tokio::task::spawn_blocking(move || look_at(pid));
        let evidence = match seen.await.ok().flatten() {
            Some((uid, ..)) if is_overflow(uid) => Evidence::None(Doubt::OverflowUid),
            Some((uid, id, process)) => Evidence::Process { uid, id, process },
            None => Evidence::None(Doubt::NoProcess),
        };
        let caller = self.caller(evidence, None, Reach::Here);
        self.look_up(&caller, Fact::Place).await;
        caller
    }

    /// Who this user would be if it connected from the host itself, outside any unit: for
    /// `explain`.
    pub fn of_uid(&self, uid: u32) -> Caller {
        let caller = self.caller(Evidence::User(uid), None, Reach::Here);
        place(&caller, Arc::new(Whereabouts::on_the_host()));
        caller
    }

    /// Who the running container would be whose id begins like this, or that machined knows by this
    /// name, if it connected from a network of its own: for `explain`.
    pub async fn of_container(&self, id: &str) -> Result<Caller, NoContainer> {
        let found = self.places.containers(id).await;
        let mut found = found.ok_or(NoContainer::Unseen)?.into_iter();
        let only = found.next().ok_or(NoContainer::None)?;
        if found.next().is_some() {
            return Err(NoContainer::Several);
        }
        let Some(Place::Container(container)) = only.place.yes().map(AsRef::as_ref) else {
            return Err(NoContainer::None);
        };
        let evidence = Evidence::Container(container.id.clone());
        let caller = self.caller(evidence, None, Reach::Here);
        place(&caller, Arc::new(only));
        Ok(caller)
    }

    /// Who somebody would be who proves this name, wherever they ask: for `explain`.
    pub fn of_principal(&self, name: &Arc<str>) -> Caller {
        let person = Person {
            name: Arc::clone(name),
            groups: Vec::new(),
            way: Way::Supposed,
            administrator: false,
        };
        self.person(Arc::new(person), None)
    }

    /// Somebody who proved a name in a request over this caller's connection. What a proxy passes on
    /// comes from nowhere that is known.
    pub fn of_person(&self, person: Arc<Person>, connected: &Caller) -> Caller {
        self.person(person, Some(connected))
    }

    /// Somebody who showed a web identity in a request over this caller's connection: nothing else
    /// counts but where it comes from, which behind a proxy (`for_many`) is not known either.
    pub fn of_token(&self, connected: &Caller, for_many: bool) -> Caller {
        let peer = connected.peer().filter(|_| !for_many);
        let over = connected.all_evidence().to_string().into_boxed_str();
        let counted = connected.key();
        let evidence = Evidence::Token { counted, over };
        let caller = self.caller(evidence, peer, connected.reach());
        place(&caller, Arc::new(Whereabouts::UNKNOWN));
        caller
    }

    /// Somebody whose name was proved by what another party passed on: where it came from is not
    /// known.
    pub fn of_absent(&self, person: Arc<Person>) -> Caller {
        self.person(person, None)
    }

    fn person(&self, person: Arc<Person>, connected: Option<&Caller>) -> Caller {
        let is_proxy = person.way == Way::ProxyHeader;
        let peer = connected.filter(|_| !is_proxy).and_then(Caller::peer);
        let over = connected.map(|connected| connected.all_evidence().to_string());
        let reach = connected.map_or(Reach::Here, Caller::reach);
        let evidence = Evidence::Person {
            person,
            over: over.unwrap_or_default().into_boxed_str(),
        };
        let caller = self.caller(evidence, peer, reach);
        place(&caller, Arc::new(Whereabouts::UNKNOWN));
        caller
    }

    pub(super) fn caller(
        &self,
        evidence: Evidence,
        peer: Option<SocketAddr>,
        reach: Reach,
    ) -> Caller {
        let uid = evidence.uid();
        let caller = Caller::new(
            evidence,
            peer,
            reach,
            uid.map(|uid| self.users.subordinates.owner(uid)),
            Arc::clone(&self.hostname),
            &self.interest,
        );
        if let Some(uid) = uid {
            if let Some(name) = self.users.remembered_name(uid) {
                caller.user.get_or_init(|| name);
            }
            if let Some(membership) = self.users.remembered_membership(uid) {
                caller.membership.get_or_init(|| membership);
            }
        }
        caller
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
            Fact::Place => self.look_up_place(caller).await,
            Fact::Groups => self.look_up_groups(caller).await,
            Fact::Container => self.look_up_container(caller).await,
            Fact::Exe => self.look_up_exe(caller).await,
            Fact::Host => self.look_up_host(caller).await,
            // Nothing of the caller itself.
            Fact::Provided => {}
        }
    }

    /// Looks up where the caller runs, as [`Self::look_up`] does.
    pub async fn look_up_place(&self, caller: &Caller) {
        if caller.is_placed() {
            return;
        }
        let found = match caller.evidence() {
            Evidence::SockDiag {
                cgroup: Some(id),
                uid,
                ..
            } => {
                let asking = caller.counted_as.unwrap_or(*uid);
                self.places.look_up(*id, asking).await
            }
            Evidence::PeerCredentials {
                process: Some(process),
                ..
            } => Some(self.places.of_peer(process).await),
            Evidence::Process { process, .. } => Some(self.places.of_process(process).await),
            Evidence::SockDiag { cgroup: None, .. }
            | Evidence::PeerCredentials { process: None, .. }
            | Evidence::ContainerAddress { .. }
            | Evidence::User(_)
            | Evidence::Container(_)
            | Evidence::Person { .. }
            | Evidence::Token { .. }
            | Evidence::None(_) => Some(Arc::new(Whereabouts::UNKNOWN)),
        };
        if let Some(found) = found {
            place(caller, found);
        }
    }

    async fn look_up_groups(&self, caller: &Caller) {
        if caller.membership.get().is_some() {
            return;
        }
        let membership = match caller.evidence().uid() {
            Some(uid) => self.users.membership(uid).await,
            None => Known::No,
        };
        caller.membership.get_or_init(|| membership);
    }

    async fn look_up_exe(&self, caller: &Caller) {
        if caller.exe.get().is_some() {
            return;
        }
        let exe = match caller.evidence() {
            Evidence::PeerCredentials {
                process: Some(process),
                ..
            } => self.places.exe(process).await,
            Evidence::PeerCredentials { process: None, .. }
            | Evidence::SockDiag { .. }
            | Evidence::ContainerAddress { .. }
            | Evidence::Process { .. }
            | Evidence::User(_)
            | Evidence::Container(_)
            | Evidence::Person { .. }
            | Evidence::Token { .. }
            | Evidence::None(_) => None,
        };
        caller.exe.get_or_init(|| Known::from(exe));
    }

    async fn look_up_host(&self, caller: &Caller) {
        self.look_up_place(caller).await;
        if !caller.is_placed() || caller.host.get().is_some() {
            return;
        }
        let host = match host_names::address_of_its_own(caller) {
            Some(address) => self.host_names.look_up(address).await,
            None => Known::No,
        };
        if host != Known::NotYet {
            caller.host.get_or_init(|| host);
        }
    }

    /// What placeholders will stand for when this user asks from the host itself; without a user,
    /// what they stand for whoever asks.
    pub async fn names_of(&self, uid: Option<u32>) -> Names {
        let user = match uid {
            Some(uid) => self.users.name(uid).await,
            None => Known::No,
        };
        Names::default()
            .with(Placeholder::Hostname, Arc::clone(&self.hostname))
            .with_known(Placeholder::Uid, uid.map(|uid| uid.to_string()))
            .with_known(Placeholder::User, user.yes().cloned())
    }

    /// The name of this user in the system's database.
    pub async fn user(&self, uid: u32) -> Known<Arc<str>> {
        self.users.name(uid).await
    }

    /// What placeholders stand for; users' names, the place and the container are looked up if
    /// they are not remembered.
    pub async fn names(&self, caller: &Caller) -> Names {
        self.look_up_container(caller).await;
        if let Some(uid) = caller.evidence().uid()
            && caller.user.get().is_none()
        {
            let name = self.users.name(uid).await;
            caller.user.get_or_init(|| name);
        }
        if let Some(owner) = caller.container_owner()
            && caller.owner.get().is_none()
        {
            let name = self.users.name(owner).await;
            caller.owner.get_or_init(|| name);
        }
        caller.names()
    }
}

/// Remembers the place, and what it tells of a container where nobody else can tell more.
pub(super) fn place(caller: &Caller, found: Arc<Whereabouts>) {
    caller.whereabouts.get_or_init(|| found);
}

/// A process with its file-system user, if both are the same before and after.
fn look_at(pid: u32) -> Option<(u32, ProcessId, Arc<PeerProcess>)> {
    let id = ProcessId::of(pid)?;
    let process = PeerProcess::of_pid(pid)?;
    let uid = process.uid().ok()??;
    let same = process.started() == Some(id.started) && id.lives().ok()?;
    same.then(|| (uid, id, Arc::new(process)))
}

/// Whether the connection is neither reset nor closed on both sides.
pub(super) fn is_open(accepted: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(accepted, PollFlags::empty())];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0))
}

fn own_connection() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // Where loopback is not up yet the kernel would try for two minutes.
    let client = TcpStream::connect_timeout(&listener.local_addr()?, LOOPBACK_PATIENCE)?;
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
