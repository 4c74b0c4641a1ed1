//! Who is connected, with all that is known of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use super::containers::Told;
use super::directory::Membership;
use super::evidence::Evidence;
use super::places::Whereabouts;
use super::principal::{CallerKey, Principal};
use crate::grants::Placeholder;
use crate::grants::{
    ContainerFacts, ContainerPlace, Facts, HostPlace, Known, Names, Person, Place, Pod,
};

/// The process at the other end of one connection.
#[derive(Debug)]
pub struct Caller {
    evidence: Evidence,
    peer: Option<SocketAddr>,
    reach: Reach,
    hostname: Arc<str>,
    name: OnceLock<Box<str>>,
    /// Its name before it has been looked up where it runs.
    name_before: OnceLock<Box<str>>,
    pub(super) whereabouts: OnceLock<Arc<Whereabouts>>,
    pub(super) container: Told,
    pub(super) user: OnceLock<Known<Arc<str>>>,
    pub(super) membership: OnceLock<Known<Membership>>,
    pub(super) exe: OnceLock<Known<Arc<str>>>,
    pub(super) host: OnceLock<Known<Arc<str>>>,
    /// The name of the user who made the container that it runs in.
    pub(super) owner: OnceLock<Known<Arc<str>>>,
    /// The uid that its own is a subordinate one of, or its own.
    pub(super) counted_as: Option<u32>,
}

/// What beside its facts tells a caller from others: by what its sessions are named, and as whom it
/// is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Particulars {
    pub(super) reach: Reach,
    pub(super) user: Option<Known<Arc<str>>>,
    pub(super) owner: Option<Known<Arc<str>>>,
    /// The uid that its own is a subordinate one of, or its own.
    pub counted_as: Option<u32>,
}

/// Where a caller connects from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// From this host: its own addresses, a unix socket, or a container on it.
    #[default]
    Here,
    /// From anywhere else.
    Elsewhere,
}

impl Caller {
    pub(super) fn new(
        evidence: Evidence,
        peer: Option<SocketAddr>,
        reach: Reach,
        counted_as: Option<u32>,
        hostname: Arc<str>,
        interest: &Arc<AtomicU64>,
    ) -> Self {
        Self {
            evidence,
            peer,
            reach,
            hostname,
            name: OnceLock::new(),
            name_before: OnceLock::new(),
            whereabouts: OnceLock::new(),
            container: Told::new(interest),
            user: OnceLock::new(),
            membership: OnceLock::new(),
            exe: OnceLock::new(),
            host: OnceLock::new(),
            owner: OnceLock::new(),
            counted_as,
        }
    }

    /// What grants may ask of it, as far as it has been looked up.
    pub fn facts(&self) -> Facts {
        let membership = known(&self.membership);
        Facts {
            uid: self.uid(),
            gid: match &self.evidence {
                Evidence::PeerCredentials { gid, .. } => Known::Yes(*gid),
                Evidence::SockDiag { .. }
                | Evidence::ContainerAddress { .. }
                | Evidence::Process { .. }
                | Evidence::User(_)
                | Evidence::Container(_)
                | Evidence::Person { .. }
                | Evidence::Token { .. }
                | Evidence::None(_) => membership.clone().map(|user| user.gid),
            },
            groups: membership.map(|user| user.groups),
            place: self.place(),
            container: self.container(),
            exe: known(&self.exe),
            address: self.address(),
            host: known(&self.host),
            person: self.person().cloned(),
            ..Facts::default()
        }
    }

    /// What beside its facts tells it from others, as far as it has been looked up.
    pub fn particulars(&self) -> Particulars {
        Particulars {
            reach: self.reach,
            user: self.user.get().cloned(),
            owner: self.owner.get().cloned(),
            counted_as: self.counted_as,
        }
    }

    /// Whether there is evidence of its user, as far as it has been looked up.
    pub fn has_uid(&self) -> bool {
        self.uid() != Known::No
    }

    /// Over TCP a uid counts only once it is known that no forwarder's socket has it.
    fn uid(&self) -> Known<u32> {
        let Some(uid) = self.evidence.uid() else {
            return Known::No;
        };
        match (&self.evidence, self.whereabouts.get()) {
            (_, Some(found)) if found.forwards => Known::No,
            (Evidence::SockDiag { .. } | Evidence::Process { .. }, None) => Known::NotYet,
            _ => Known::Yes(uid),
        }
    }

    /// Who proved a name.
    pub const fn person(&self) -> Option<&Arc<Person>> {
        match &self.evidence {
            Evidence::Person { person, .. } => Some(person),
            Evidence::SockDiag { .. }
            | Evidence::PeerCredentials { .. }
            | Evidence::ContainerAddress { .. }
            | Evidence::Process { .. }
            | Evidence::User(_)
            | Evidence::Container(_)
            | Evidence::Token { .. }
            | Evidence::None(_) => None,
        }
    }

    /// What is told of its container: of who runs outside any, nothing.
    pub(super) fn container(&self) -> Known<Arc<ContainerFacts>> {
        let place = self.whereabouts.get().and_then(|found| found.place.yes());
        match place.map(AsRef::as_ref) {
            Some(Place::Host(_)) => Known::No,
            Some(Place::Container(_)) | None => self.container.get(),
        }
    }

    fn place(&self) -> Known<Arc<Place>> {
        match self.whereabouts.get() {
            Some(found) => found.place.clone(),
            None => Known::NotYet,
        }
    }

    /// Its end of the connection; unix sockets have none.
    pub(super) const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The address that it connects from; unix sockets have none.
    pub fn address(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip().to_canonical())
    }

    /// Whether it has been looked up where it runs.
    pub fn is_placed(&self) -> bool {
        self.whereabouts.get().is_some()
    }

    /// Where it connects from.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// The evidence for it.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// All evidence, as far as it has been looked up: for the audit trail and `explain`.
    pub const fn all_evidence(&self) -> AllEvidence<'_> {
        AllEvidence(self)
    }

    /// Where the caller meant to connect, when the connection was redirected here.
    pub const fn original_destination(&self) -> Option<SocketAddr> {
        match &self.evidence {
            Evidence::SockDiag {
                redirected_from, ..
            }
            | Evidence::ContainerAddress {
                redirected_from, ..
            } => *redirected_from,
            Evidence::PeerCredentials { .. }
            | Evidence::Process { .. }
            | Evidence::User(_)
            | Evidence::Container(_)
            | Evidence::Person { .. }
            | Evidence::Token { .. }
            | Evidence::None(_) => None,
        }
    }

    /// Whose connections are counted together.
    pub fn key(&self) -> CallerKey {
        let forwards = self.whereabouts.get().is_some_and(|found| found.forwards);
        match &self.evidence {
            Evidence::ContainerAddress { id, .. } => return CallerKey::Container(id.clone()),
            Evidence::Person { person, .. } => return CallerKey::Person(Arc::clone(&person.name)),
            Evidence::Token { counted, .. } => return counted.clone(),
            Evidence::SockDiag { .. }
            | Evidence::PeerCredentials { .. }
            | Evidence::Process { .. }
            | Evidence::User(_)
            | Evidence::Container(_)
            | Evidence::None(_) => {}
        }
        match self.counted_as {
            Some(uid) if !forwards => CallerKey::new(uid, self.place().yes().map(AsRef::as_ref)),
            Some(_) => CallerKey::Nobody,
            None => match self.address().filter(|_| self.reach == Reach::Elsewhere) {
                Some(address) => CallerKey::elsewhere(address),
                None => CallerKey::Nobody,
            },
        }
    }

    /// `uid 1000`, `unit nginx.service uid 33`, `container 3f4a9c0d1e2f uid 0`, `not identified`:
    /// as far as it has been looked up.
    pub fn name(&self) -> &str {
        match self.whereabouts.get() {
            None => self.name_before.get_or_init(|| self.unplaced_name()),
            Some(found) => self.name.get_or_init(|| self.placed_name(found)),
        }
    }

    fn unplaced_name(&self) -> Box<str> {
        let name = match (&self.evidence, self.evidence.uid()) {
            (Evidence::Person { person, .. }, _) => person.name.to_string(),
            (Evidence::Token { .. }, _) => "by token".to_owned(),
            (_, Some(uid)) => format!("uid {uid}"),
            (_, None) => not_identified(),
        };
        name.into_boxed_str()
    }

    fn placed_name(&self, found: &Whereabouts) -> Box<str> {
        let name = match (self.uid(), found.place.yes().map(AsRef::as_ref)) {
            (Known::No, Some(Place::Container(ContainerPlace { id, .. }))) => {
                format!("container {}", id.short())
            }
            (Known::No | Known::NotYet, _) => match (self.person(), self.reach) {
                (Some(person), _) => person.name.to_string(),
                (None, Reach::Elsewhere) => self
                    .address()
                    .map_or_else(not_identified, |address| format!("address {address}")),
                (None, Reach::Here) => not_identified(),
            },
            (Known::Yes(uid), Some(Place::Container(ContainerPlace { id, owner }))) => {
                let owner = owner.map(|owner| format!(" of uid {owner}"));
                let owner = owner.unwrap_or_default();
                format!("container {}{owner} uid {uid}", id.short())
            }
            (Known::Yes(uid), Some(Place::Host(host))) => match own_unit(host) {
                Some(unit) => format!("unit {unit} uid {uid}"),
                None => format!("uid {uid}"),
            },
            (Known::Yes(uid), None) => format!("uid {uid}"),
        };
        name.into_boxed_str()
    }

    /// The host that asks, where no process of this one does: its name, or its address.
    fn elsewhere(&self) -> Option<Arc<str>> {
        if self.reach == Reach::Here {
            return None;
        }
        let name = self.host.get().and_then(Known::yes).cloned();
        name.or_else(|| Some(Arc::from(self.address()?.to_string())))
    }

    /// What a token of this caller is bound to. `None` while it is not identified or it has not
    /// been looked up where it runs.
    pub fn principal(&self) -> Option<Principal> {
        let place = match self.place() {
            Known::NotYet => return None,
            Known::Yes(place) => Some(place),
            Known::No => None,
        };
        if let Evidence::ContainerAddress { id, .. } = &self.evidence {
            return Some(Principal::of_container(id));
        }
        let uid = *self.uid().yes()?;
        Some(Principal::new(uid, place.as_deref()))
    }

    /// The user who made the container that it runs in, where that was not root.
    pub(super) fn container_owner(&self) -> Option<u32> {
        match self.place().yes()?.as_ref() {
            Place::Container(place) => place.owner,
            Place::Host(_) => None,
        }
    }

    /// What placeholders stand for, as far as it has been looked up.
    pub fn names(&self) -> Names {
        let uid = self.uid();
        let principal = self.person().map(|person| Arc::clone(&person.name));
        let names = Names::default()
            .with(Placeholder::Hostname, Arc::clone(&self.hostname))
            .with_known(
                Placeholder::Host,
                self.host.get().and_then(Known::yes).cloned(),
            )
            .with_known(Placeholder::Uid, uid.yes().map(ToString::to_string))
            .with_known(
                Placeholder::User,
                self.user.get().and_then(Known::yes).cloned(),
            );
        let names = names
            .with_known(Placeholder::Caller, self.elsewhere())
            .with_known(Placeholder::Caller, principal.clone())
            .with_known(Placeholder::Principal, principal);
        match self.place().yes().map(AsRef::as_ref) {
            None => names,
            Some(Place::Host(host)) => names
                .with_known(Placeholder::Caller, own_unit(host).cloned())
                .with_known(Placeholder::Unit, host.unit.clone())
                .with_known(Placeholder::UserUnit, host.user_unit.clone())
                .with_known(Placeholder::Slice, host.slice.clone()),
            // Whoever made it chose its id, and what a runtime of its own says.
            Some(Place::Container(ContainerPlace {
                id,
                owner: Some(owner),
            })) => {
                let name = self.owner.get().and_then(Known::yes).cloned();
                names
                    .with(Placeholder::Caller, owner.to_string())
                    .with_known(Placeholder::Caller, name)
                    .with(Placeholder::ContainerId, id.as_str())
            }
            Some(Place::Container(ContainerPlace { id, owner: None })) => {
                let told = self.container.get();
                let told = told.yes().filter(|told| told.owner == 0);
                names_of_container(names, id.as_str(), told.map(AsRef::as_ref))
            }
        }
    }
}

fn not_identified() -> String {
    "not identified".to_owned()
}

/// What a container's own facts say; without any it is its id.
fn names_of_container(names: Names, id: &str, told: Option<&ContainerFacts>) -> Names {
    let name = told.and_then(|told| told.name.clone());
    let name = name.unwrap_or_else(|| Arc::from(id));
    let pod = told.and_then(|told| told.pod.as_ref());
    // Containers of all pods have the same few names.
    let caller = match pod {
        Some(Pod {
            namespace,
            name: Some(pod),
            ..
        }) => Arc::from(format!("{namespace}/{pod}")),
        Some(_) | None => Arc::clone(&name),
    };
    names
        .with(Placeholder::Caller, caller)
        .with(Placeholder::Container, name)
        .with(Placeholder::ContainerId, id)
        .with_known(Placeholder::Image, told.and_then(|told| told.image.clone()))
        .with_known(
            Placeholder::Namespace,
            pod.map(|pod| Arc::clone(&pod.namespace)),
        )
        .with_known(Placeholder::Pod, pod.and_then(|pod| pod.name.clone()))
        .with_known(
            Placeholder::ServiceAccount,
            pod.and_then(|pod| pod.service_account.clone()),
        )
}

/// The unit that a caller is more than its user: a user's sessions and manager are the user.
pub(super) const fn own_unit(host: &HostPlace) -> Option<&Arc<str>> {
    match host.user_slice {
        None => host.unit.as_ref(),
        Some(_) => None,
    }
}

fn known<T: Clone>(fact: &OnceLock<Known<T>>) -> Known<T> {
    fact.get().cloned().unwrap_or(Known::NotYet)
}

/// All evidence for a caller.
#[derive(Debug)]
pub struct AllEvidence<'a>(&'a Caller);

impl fmt::Display for AllEvidence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caller = self.0;
        write!(f, "{}", caller.evidence)?;
        if let Some(found) = caller.whereabouts.get() {
            if let Some(path) = &found.path {
                write!(f, " cgroup path {}", path.escape_ascii())?;
            }
            if found.forwards {
                f.write_str(" where connections of containers are forwarded")?;
            }
        }
        if let Some(Known::Yes(exe)) = caller.exe.get() {
            write!(f, " exe {}", exe.as_bytes().escape_ascii())?;
        }
        if let Some(Known::Yes(host)) = caller.host.get() {
            write!(f, " host {host}")?;
        }
        match caller.peer {
            Some(peer) => write!(f, " from {peer}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Doubt;
    use super::*;

    #[test]
    fn a_host_elsewhere_is_called_by_its_address_and_by_its_name_where_it_has_one() {
        let peer = "[::ffff:192.0.2.1]:5000".parse().unwrap();
        let called = |reach, host: Option<&str>| {
            let nobody = Evidence::None(Doubt::NoSocket);
            let caller = Caller::new(
                nobody,
                Some(peer),
                reach,
                None,
                Arc::from("here"),
                &Arc::default(),
            );
            let unknown = Arc::new(Whereabouts::UNKNOWN);
            caller.whereabouts.set(unknown).unwrap();
            if let Some(host) = host {
                caller.host.set(Known::Yes(Arc::from(host))).unwrap();
            }
            let names = caller.names();
            let session = names.get(Placeholder::Caller).map(ToString::to_string);
            (caller.name().to_owned(), session)
        };
        let named =
            |name: &str, session: Option<&str>| (name.to_owned(), session.map(str::to_owned));
        assert_eq!(
            called(Reach::Elsewhere, None),
            named("address 192.0.2.1", Some("192.0.2.1"))
        );
        assert_eq!(
            called(Reach::Elsewhere, Some("tuvfoo42.valid")),
            named("address 192.0.2.1", Some("tuvfoo42.valid"))
        );
        assert_eq!(called(Reach::Here, None), named("not identified", None));
    }
}
