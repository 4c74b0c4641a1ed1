//! How people and build servers prove a name, and where they are served.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::{Api, SecretPlace, WebOrigin};
use crate::grants::Way;
use crate::types::Region;

/// `[people]`.
#[derive(Clone, Debug)]
pub struct People {
    /// Names and password hashes, in htpasswd's format.
    pub users_file: Option<PathBuf>,
    /// `group: user user`.
    pub groups_file: Option<PathBuf>,
    /// Who may manage accounts and connectors, and use all of them.
    pub administrators: Vec<Administrator>,
    /// A directory.
    pub ldap: Option<Ldap>,
    /// The name of PAM's service.
    pub pam: Option<String>,
    /// Whose tokens stand for people.
    pub oidc: Option<Oidc>,
    /// A proxy that says who asks.
    pub proxy_header: Option<ProxyHeader>,
    /// How long the cookie of a password counts that a directory or PAM took: whether it is still
    /// the password nobody can ask without it.
    pub cookie_lifetime: Duration,
}

impl Default for People {
    fn default() -> Self {
        Self {
            users_file: None,
            groups_file: None,
            administrators: Vec::new(),
            ldap: None,
            pam: None,
            oidc: None,
            proxy_header: None,
            cookie_lifetime: Duration::from_mins(30),
        }
    }
}

/// Who administers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Administrator {
    /// Whoever proves this name.
    Person(Arc<str>),
    /// `@group`: its members.
    Group(Arc<str>),
    /// A user of this host, by the kernel's evidence: the embedded default's.
    Uid(u32),
}

/// `people.ldap`.
#[derive(Clone, Debug)]
pub struct Ldap {
    /// `ldaps://host[:port]`, or `ldap://`, which is upgraded by StartTLS.
    pub url: String,
    /// Where users are looked for.
    pub base_users: String,
    /// Where groups are looked for.
    pub base_groups: String,
    /// Whom the daemon binds as to look; anonymously otherwise.
    pub bind: Option<(String, SecretString)>,
    /// The attribute that holds a user's name.
    pub user_attribute: String,
    /// The attribute that holds a group's name.
    pub group_attribute: String,
    /// Authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// `people.oidc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// One of `[[issuer]]`.
    pub issuer: String,
    /// The claim that is the name.
    pub name_claim: String,
    /// The claim that lists groups.
    pub groups_claim: Option<String>,
}

/// `people.proxy-header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The header, in lower case.
    pub name: String,
    /// The listener that the proxy connects to.
    pub listener: Arc<str>,
    /// Who it may run as, over a unix socket.
    pub uids: Vec<u32>,
    /// The subjects of its certificates, over mutual TLS.
    pub subjects: Vec<String>,
    /// Whether names that differ in case only are one name, in lower case.
    pub lower_case: bool,
    /// The header, in lower case, to whose end it adds its visitor's address.
    pub visitor_header: Option<String>,
}

/// One `[[listener.mount]]`: APIs at a path with rules of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path's beginning, without a slash at its end; empty for `/`.
    pub prefix: String,
    /// What is served there, of people's APIs.
    pub apis: Vec<Api>,
    /// What proves a name there, in the order in which it is tried.
    pub authenticate: Vec<Way>,
    /// One of these groups is needed, where any is named.
    pub require_group: Vec<Arc<str>>,
    /// Whether console URLs are made.
    pub console: bool,
    /// Whether it serves instance metadata to hosts that are known by address.
    pub machine: bool,
}

/// `listener.tls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: SecretPlace,
    /// Whose certificates clients may show.
    pub client_ca: Option<PathBuf>,
}

/// What an account tells of its console: partitions have defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Console {
    /// Where sign-in tokens are asked for, instead of the partition's.
    pub signin_endpoint: Option<String>,
    /// The console, instead of the partition's.
    pub endpoint: Option<String>,
    /// Whither people may be sent when their session ends; anywhere over http and https otherwise.
    pub callback_origins: Vec<WebOrigin>,
    /// Where in the console a session begins.
    pub destination: Option<String>,
    /// The console's region.
    pub region: Option<Region>,
}

impl People {
    /// What it says proves a name, in the order in which a mount tries it that names none.
    pub fn ways(&self) -> Vec<Way> {
        let said = [
            (Way::ProxyHeader, self.proxy_header.is_some()),
            (Way::Oidc, self.oidc.is_some()),
            (Way::Basic, self.users_file.is_some()),
            (Way::Ldap, self.ldap.is_some()),
            (Way::Pam, self.pam.is_some()),
        ];
        let said = said.into_iter().filter(|(_, said)| *said);
        said.map(|(way, _)| way).collect()
    }

    /// The same on this listener, with the daemon's own tokens: a proxy's header counts on the
    /// proxy's listener, and nothing else does there.
    pub fn ways_on(&self, listener: &str) -> Vec<Way> {
        let proxy = self.proxy_header.as_ref();
        if proxy.is_some_and(|proxy| &*proxy.listener == listener) {
            return vec![Way::ProxyHeader];
        }
        let mut ways = self.ways();
        ways.retain(|way| *way != Way::ProxyHeader);
        ways.push(Way::Token);
        ways
    }
}

impl Mount {
    /// Where these APIs are found if nothing is said: AFP's command line asks below
    /// `/afp-api/latest`.
    pub fn defaults(apis: &[Api], authenticate: &[Way]) -> Vec<Self> {
        let at = |prefix: &str, served: Vec<Api>| Self {
            prefix: prefix.to_owned(),
            apis: served,
            authenticate: authenticate.to_vec(),
            require_group: Vec::new(),
            console: true,
            machine: false,
        };
        if apis.is_empty() {
            return Vec::new();
        }
        let mut mounts = vec![at("", apis.to_vec())];
        if apis.contains(&Api::Accounts) {
            mounts.push(at("/afp-api/latest", vec![Api::Accounts]));
        }
        mounts
    }
}

impl Api {
    /// Whether its askers prove their names by what `[people]` says, and not by its own protocol.
    pub const fn asks_for_names(self) -> bool {
        match self {
            Self::Accounts | Self::Connectors | Self::Keystone => true,
            Self::Imds | Self::Container | Self::Sts | Self::Metrics => false,
        }
    }

    /// Whether requests prove a name to it.
    pub const fn is_for_people(self) -> bool {
        match self {
            Self::Accounts | Self::Connectors | Self::Keystone | Self::Sts => true,
            Self::Imds | Self::Container | Self::Metrics => false,
        }
    }
}
