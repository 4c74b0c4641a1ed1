//! What is known of a caller, as far as grants may ask.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::secret::LatestToken;
use crate::types::RoleRef;

/// One fact of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// There is evidence for it.
    Yes(T),
    /// It was looked for, and there is no evidence that counts.
    No,
    /// Nobody has looked yet.
    NotYet,
}

impl<T> Known<T> {
    /// The fact, where there is evidence for it.
    pub const fn yes(&self) -> Option<&T> {
        match self {
            Self::Yes(fact) => Some(fact),
            Self::No | Self::NotYet => None,
        }
    }

    /// What follows from the fact.
    pub fn map<U>(self, follows: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Yes(fact) => Known::Yes(follows(fact)),
            Self::No => Known::No,
            Self::NotYet => Known::NotYet,
        }
    }
}

impl<T> From<Option<T>> for Known<T> {
    /// What was looked for and found, or not.
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::No, Self::Yes)
    }
}

/// A fact that can be looked up off the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// Which unit or container the caller runs in.
    Place,
    /// The groups of the caller's user.
    Groups,
    /// What the runtime tells of the caller's container.
    Container,
    /// The program that the caller runs.
    Exe,
    /// The caller's host name.
    Host,
    /// What grant sources say of the caller.
    Provided,
}

impl Fact {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Groups => "user's groups",
            Self::Container => "container",
            Self::Exe => "program",
            Self::Host => "host name",
            Self::Provided => "answer of a grant source",
        }
    }
}

/// Where a caller runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// On the host itself (or in the daemon's own container).
    Host(HostPlace),
    /// In a container.
    Container(ContainerPlace),
}

/// A place on the host: what systemd calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HostPlace {
    /// The system unit; for everything below a user's manager that is `user@UID.service`.
    pub unit: Option<Arc<str>>,
    /// The unit of a user's own manager. Its name is that user's choice.
    pub user_unit: Option<Arc<str>>,
    /// The innermost system slice.
    pub slice: Option<Arc<str>>,
    /// Whose `user-UID.slice` it is below.
    pub user_slice: Option<u32>,
}

/// A container as its control group or its address tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerPlace {
    /// Its id.
    pub id: ContainerId,
    /// Below whose `user-UID.slice` its group lies: that user made it, and chose its id. `None`:
    /// only root could.
    pub owner: Option<u32>,
}

/// A container's id as its control group tells it, or the path of the group where it has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(Arc<str>);

impl ContainerId {
    /// The container of this id.
    pub fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as runtimes show it to people: twelve digits of the hex ones, others whole.
    pub fn short(&self) -> &str {
        match self.0.split_at_checked(12) {
            Some((head, _)) if self.0.bytes().all(|byte| byte.is_ascii_hexdigit()) => head,
            Some(_) | None => &self.0,
        }
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a runtime tells of one running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerFacts {
    /// Its id.
    pub id: ContainerId,
    /// The uid that the runtime runs as: what it tells is that user's word.
    pub owner: u32,
    /// `docker`, `podman`, `containerd`, `nspawn` …
    pub runtime: Arc<str>,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its image, as it was named when the container was made.
    pub image: Option<Arc<str>>,
    /// Its labels.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// The pod it belongs to.
    pub pod: Option<Pod>,
}

/// A Kubernetes pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pod {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its service account. Only a token tells it.
    pub service_account: Option<Arc<str>>,
}

/// The groups of a user in the system's database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Their numbers, the primary one among them.
    pub ids: Vec<u32>,
    /// The names of those that have one.
    pub names: Vec<Arc<str>>,
}

/// Somebody who proved a name in a request. Of the connection it came over nothing counts but its
/// address: a proxy's process is not the person it speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// The name.
    pub name: Arc<str>,
    /// The names of its groups, in whatever directory its proof was held against.
    pub groups: Vec<Arc<str>>,
    /// What proved it.
    pub way: Way,
    /// Whether it may manage accounts and connectors, and use all of them.
    pub administrator: bool,
}

/// What proves a name in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// The kernel's evidence of who is connected.
    Peer,
    /// A password of the users file.
    Basic,
    /// A password that PAM takes.
    Pam,
    /// A password that a directory takes.
    Ldap,
    /// A token of an OpenID Connect issuer.
    Oidc,
    /// A bearer token of the daemon's own.
    Token,
    /// The header of a trusted proxy.
    ProxyHeader,
    /// A signature by an access key.
    AccessKey,
    /// A signature by a session that the built-in authority issued.
    Session,
    /// A KeystoneToken.
    Keystone,
    /// Nothing: it is asked what would be if it were.
    Supposed,
}

impl Way {
    /// As the configuration and the audit trail spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Basic => "basic",
            Self::Pam => "pam",
            Self::Ldap => "ldap",
            Self::Oidc => "oidc",
            Self::Token => "token",
            Self::ProxyHeader => "proxy-header",
            Self::AccessKey => "access-key",
            Self::Session => "session",
            Self::Keystone => "keystone-token",
            Self::Supposed => "supposed",
        }
    }
}

/// A verified web identity token that a request showed.
#[derive(Clone, Debug)]
pub struct WebIdentity {
    /// `iss`.
    pub issuer: Arc<str>,
    /// `sub`.
    pub subject: Arc<str>,
    /// `aud`.
    pub audiences: Vec<Arc<str>>,
    /// All claims that are texts, numbers, flags or lists of them; those in objects under
    /// `outer/inner`.
    pub claims: BTreeMap<String, Vec<Arc<str>>>,
    /// The pod that it was issued for.
    pub pod: Option<Pod>,
    /// Session tags that it asks for, where its issuer may.
    pub tags: Vec<(String, String)>,
    /// `exp`.
    pub expires_at: SystemTime,
    /// The newest token of this principal, for accounts whose base credentials are the caller's.
    pub token: Arc<LatestToken>,
}

impl WebIdentity {
    /// Who it stands for, in logs and audit: `namespace/service-account`, or the subject.
    pub fn name(&self) -> String {
        match &self.pod {
            Some(Pod {
                namespace,
                service_account: Some(account),
                ..
            }) => format!("{namespace}/{account}"),
            Some(_) | None => self.subject.to_string(),
        }
    }
}

/// Two tokens of one principal are the same identity if they ask for the same: what is issued anew
/// replaces what was.
impl PartialEq for WebIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.issuer == other.issuer
            && self.subject == other.subject
            && self.audiences == other.audiences
            && self.tags == other.tags
    }
}

impl Eq for WebIdentity {}

impl Hash for WebIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.issuer.hash(state);
        self.subject.hash(state);
        self.audiences.hash(state);
        self.tags.hash(state);
    }
}

/// One role that a grant source gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provided {
    /// The role.
    pub role: RoleRef,
    /// Why, in the source's words.
    pub reason: Arc<str>,
    /// Which `[[grant-source]]` says so, from 1.
    pub source: usize,
}

/// All that grants may ask of one caller on one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The uid that the kernel vouches for.
    pub uid: Known<u32>,
    /// The caller's primary group.
    pub gid: Known<u32>,
    /// The groups of the caller's user.
    pub groups: Known<Arc<Groups>>,
    /// Where the caller runs.
    pub place: Known<Arc<Place>>,
    /// What the runtime tells of the container that the caller runs in.
    pub container: Known<Arc<ContainerFacts>>,
    /// The program that the caller runs; of unix sockets' peers only.
    pub exe: Known<Arc<str>>,
    /// The address that the caller connects from.
    pub address: Option<IpAddr>,
    /// Its name: reverse, and forward to the same address; lower case, without a dot at the end.
    pub host: Known<Arc<str>>,
    /// The web identity that the request showed.
    pub identity: Option<Arc<WebIdentity>>,
    /// Who proved a password, token or key.
    pub person: Option<Arc<Person>>,
    /// The external id of an STS request.
    pub external_id: Option<Arc<str>>,
    /// Whether the request was made with a second factor.
    pub mfa: bool,
    /// The source identity of an STS request.
    pub source_identity: Option<Arc<str>>,
    /// What grant sources say.
    pub provided: Known<Arc<[Provided]>>,
    /// The listener that is asked, by its name; grants for one listener match nowhere else.
    pub listener: Option<Arc<str>>,
}

impl Default for Facts {
    /// Of somebody of whom nothing can be known.
    fn default() -> Self {
        Self {
            uid: Known::No,
            gid: Known::No,
            groups: Known::No,
            place: Known::No,
            container: Known::No,
            exe: Known::No,
            address: None,
            host: Known::No,
            identity: None,
            person: None,
            external_id: None,
            mfa: false,
            source_identity: None,
            provided: Known::No,
            listener: None,
        }
    }
}

impl Facts {
    /// The same caller on this listener.
    #[must_use]
    pub fn on(self, listener: Arc<str>) -> Self {
        Self {
            listener: Some(listener),
            ..self
        }
    }

    /// Whether anything is known that tells this caller from others.
    pub fn is_identified(&self) -> bool {
        self.uid.yes().is_some()
            || self.identity.is_some()
            || self.person.is_some()
            || matches!(
                self.place.yes().map(AsRef::as_ref),
                Some(Place::Container(_))
            )
    }

    /// The name that was proved.
    pub fn principal(&self) -> Option<&Arc<str>> {
        Some(&self.person.as_ref()?.name)
    }

    /// The uid of a caller outside containers: users in containers are not those of the host.
    pub fn uid_on_host(&self) -> Known<u32> {
        match &self.place {
            Known::Yes(place) if matches!(**place, Place::Host(_)) => self.uid.clone(),
            Known::Yes(_) | Known::No => Known::No,
            Known::NotYet => Known::NotYet,
        }
    }

    /// The container that the caller runs in.
    pub fn container_place(&self) -> Option<&ContainerPlace> {
        match self.place.yes()?.as_ref() {
            Place::Container(place) => Some(place),
            Place::Host(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_users_outside_containers_are_users_of_the_host() {
        let host = || Known::Yes(Arc::new(Place::Host(HostPlace::default())));
        let container = Place::Container(ContainerPlace {
            id: ContainerId::new("3f4a"),
            owner: Some(7),
        });
        for (uid, place, asked) in [
            (Known::Yes(7), host(), Known::Yes(7)),
            (Known::No, host(), Known::No),
            (Known::NotYet, host(), Known::NotYet),
            (Known::Yes(7), Known::Yes(Arc::new(container)), Known::No),
            (Known::Yes(7), Known::No, Known::No),
            (Known::Yes(7), Known::NotYet, Known::NotYet),
        ] {
            let facts = Facts {
                uid,
                place,
                ..Facts::default()
            };
            assert_eq!(facts.uid_on_host(), asked, "{facts:?}");
        }
    }
}
