//! Whom a grant is for: the keys of `when`.

use std::sync::Arc;

use ipnet::IpNet;

use super::Patterns;

/// Whom a grant is for: all the keys that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// `when = "anyone"`: everybody whom the listener lets in.
    pub anyone: bool,
    /// `uid` and `user`, the names resolved when the configuration was read.
    pub users: Option<UserIds>,
    /// `gid`: the caller's primary group.
    pub gids: Option<UserIds>,
    /// `group`: one of the user's groups in the system's database.
    pub groups: Option<GroupWhen>,
    /// `unit`: the system unit.
    pub unit: Option<Patterns>,
    /// `user-unit`: the unit of the user's own manager; stands beside `users`.
    pub user_unit: Option<Patterns>,
    /// `slice`: the system slice.
    pub slice: Option<Patterns>,
    /// `exe`: the program; of unix sockets' peers only, and never alone.
    pub exe: Option<Patterns>,
    /// `container`: callers in containers match.
    pub container: Option<ContainerWhen>,
    /// `pod`.
    pub pod: Option<PodWhen>,
    /// `address`: where the caller connects from.
    pub addresses: Option<Vec<IpNet>>,
    /// `host`: the name of that address, reverse and forward.
    pub host: Option<Patterns>,
    /// `principal`: who proved a password, token or key.
    pub principal: Option<Patterns>,
    /// `token`: the web identity that the request showed.
    pub token: Option<TokenWhen>,
    /// `external-id` of an STS request.
    pub external_id: Option<Patterns>,
    /// `mfa`: whether an STS request was made with a second factor.
    pub mfa: Option<bool>,
    /// `source-identity` of an STS request.
    pub source_identity: Option<Patterns>,
    /// `listener`: the names of the listeners where it holds; everywhere otherwise.
    pub listeners: Option<Vec<Arc<str>>>,
}

impl When {
    /// Whether only people are meant: who proved a name, or the members of a group, whatever they
    /// run.
    pub const fn is_for_people(&self) -> bool {
        let of_programs = self.users.is_some()
            || self.gids.is_some()
            || self.unit.is_some()
            || self.user_unit.is_some()
            || self.slice.is_some()
            || self.exe.is_some()
            || self.container.is_some()
            || self.pod.is_some()
            || self.token.is_some();
        self.principal.is_some() || (self.groups.is_some() && !of_programs)
    }

    /// The patterns of its keys, each under the name by which placeholders know what it matched.
    pub fn texts(&self) -> Vec<(&str, &Patterns)> {
        let keys = [
            (Key::Principal, &self.principal),
            (Key::ExternalId, &self.external_id),
            (Key::SourceIdentity, &self.source_identity),
            (Key::Unit, &self.unit),
            (Key::UserUnit, &self.user_unit),
            (Key::Slice, &self.slice),
            (Key::Exe, &self.exe),
            (Key::Host, &self.host),
        ];
        let mut texts = said(keys.map(|(key, patterns)| (key.as_str(), patterns)));
        let groups = self.groups.iter();
        texts.extend(groups.map(|groups| (Key::Group.as_str(), &groups.names)));
        if let Some(pod) = &self.pod {
            texts.extend(said([
                ("namespace", &pod.namespace),
                (Key::Pod.as_str(), &pod.name),
                ("service-account", &pod.service_account),
            ]));
        }
        if let Some(token) = &self.token {
            texts.extend(said([
                ("issuer", &token.issuer),
                ("subject", &token.subject),
                ("audience", &token.audience),
            ]));
            let claims = token.claims.iter();
            texts.extend(claims.map(|(claim, patterns)| (claim.as_str(), patterns)));
        }
        if let Some(ContainerWhen::Facts(facts)) = &self.container {
            texts.extend(said([
                (Key::Container.as_str(), &facts.name),
                ("id", &facts.id),
                ("image", &facts.image),
                ("runtime", &facts.runtime),
            ]));
            let labels = facts.labels.iter();
            texts.extend(labels.map(|(label, patterns)| (&**label, patterns)));
        }
        texts
    }
}

/// Those that are set.
fn said<'a, const N: usize>(
    keys: [(&'static str, &'a Option<Patterns>); N],
) -> Vec<(&'a str, &'a Patterns)> {
    let said = keys
        .into_iter()
        .filter_map(|(name, patterns)| Some((name, patterns.as_ref()?)));
    said.collect()
}

/// `group`: numbers of literal names, and patterns of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupWhen {
    /// Groups that were named, by number, with their names.
    pub ids: Vec<(u32, Arc<str>)>,
    /// Globs and regular expressions of names.
    pub names: Patterns,
}

/// `container`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerWhen {
    /// `"any"`: callers in containers match too.
    Any,
    /// Only callers in a container of these facts.
    Facts(Box<ContainerFactsWhen>),
}

/// `container.{name,id,image,label.*,runtime}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFactsWhen {
    /// `name`.
    pub name: Option<Patterns>,
    /// `id`.
    pub id: Option<Patterns>,
    /// `image`.
    pub image: Option<Patterns>,
    /// `label."x"`.
    pub labels: Vec<(Arc<str>, Patterns)>,
    /// `runtime`.
    pub runtime: Option<Patterns>,
}

/// `pod.{namespace,service-account,name}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodWhen {
    /// `namespace`.
    pub namespace: Option<Patterns>,
    /// `service-account`.
    pub service_account: Option<Patterns>,
    /// `name`.
    pub name: Option<Patterns>,
}

/// `token.{issuer,subject,audience,claim."x"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenWhen {
    /// `issuer`.
    pub issuer: Option<Patterns>,
    /// `subject`; never without an issuer.
    pub subject: Option<Patterns>,
    /// `audience`.
    pub audience: Option<Patterns>,
    /// `claim."x"`.
    pub claims: Vec<(String, Patterns)>,
}

/// A list of numbers of users or groups: one of them must be the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserIds(Vec<u32>);

impl UserIds {
    /// The list.
    pub fn new(mut uids: Vec<u32>) -> Self {
        uids.sort_unstable();
        uids.dedup();
        Self(uids)
    }

    /// Whether this uid is on it.
    pub fn contains(&self, uid: u32) -> bool {
        self.0.binary_search(&uid).is_ok()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// The only uid, where there is just one.
    pub fn single(&self) -> Option<u32> {
        match self.0.as_slice() {
            [uid] => Some(*uid),
            _ => None,
        }
    }
}

/// A key of `when`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the key of its name")]
pub enum Key {
    Listener,
    Principal,
    Token,
    ExternalId,
    Mfa,
    SourceIdentity,
    Address,
    Uid,
    Container,
    Unit,
    UserUnit,
    Slice,
    Gid,
    Group,
    Exe,
    Pod,
    Host,
}

impl Key {
    /// As the configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Principal => "principal",
            Self::Token => "token",
            Self::ExternalId => "external-id",
            Self::Mfa => "mfa",
            Self::SourceIdentity => "source-identity",
            Self::Address => "address",
            Self::Uid => "uid",
            Self::Container => "container",
            Self::Unit => "unit",
            Self::UserUnit => "user-unit",
            Self::Slice => "slice",
            Self::Gid => "gid",
            Self::Group => "group",
            Self::Exe => "exe",
            Self::Pod => "pod",
            Self::Host => "host",
        }
    }
}
