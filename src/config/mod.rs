//! The configuration: read as written, with places (`raw`), then validated into the types here,
//! which the rest of the daemon uses. Whatever reaches these types is right.

mod authority;
mod describe;
mod diff;
mod duration;
mod embedded;
mod issuer;
mod load;
mod narrow;
mod people;
mod prefetch;
mod problem;
mod raw;
mod secret_source;
mod suggest;
mod surroundings;
mod validate;
mod web_origin;

pub use authority::Authority;
pub use describe::{reference, schema};
pub use diff::{Changes, diff};
pub use duration::{NotADuration, parse as parse_duration};
pub use embedded::embedded;
pub use issuer::{Algorithm, Issuer, IssuerKeys};
pub use load::{DEFAULT_FILE, LoadError, Refused, parse_text};
pub use people::{Administrator, Console, Ldap, Mount, Oidc, People, ProxyHeader, Tls};
pub use prefetch::Ahead;
pub use problem::{Problem, Severity};
pub use raw::Position;
pub use secret_source::{SecretError, SecretPlace};
pub use surroundings::{Purpose, Surroundings};
pub use validate::{compact_policy, id_of_role};
pub use web_origin::WebOrigin;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use uuid::Uuid;

use crate::grants::{Grant, Select, Template};
use crate::types::{
    AccessKeyId, AccountAlias, AccountId, ExternalId, Partition, Region, RoleArn, RoleName, RoleRef,
};

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it came from.
    pub origin: Origin,
    /// What is listened on.
    pub listeners: Vec<Listener>,
    /// The accounts with their roles.
    pub accounts: BTreeMap<AccountAlias, Account>,
    /// The grants, in the order in which they are tried.
    pub grants: Vec<Arc<Grant>>,
    /// Whose tokens are believed.
    pub issuers: Vec<Issuer>,
    /// How people prove a name.
    pub people: People,
    /// How signatures and Keystone's tokens count.
    pub authority: Authority,
    /// Who else is asked which roles a name has.
    pub sources: Vec<GrantSource>,
    /// What survives a restart, and where.
    pub state: State,
    /// Where logs go.
    pub log: Log,
    /// Bounds.
    pub limits: Limits,
    /// The unit that tells of containers, where there is one.
    pub runtime: Option<Runtime>,
    /// The admin socket's path; the default depends on who runs the daemon.
    pub admin_socket: PathBuf,
}

/// Where a configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in: there was no file.
    Embedded,
    /// This file and its drop-ins.
    File(PathBuf),
}

/// One `[[listener]]`.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name, in logs and metrics.
    pub name: Arc<str>,
    /// Its sockets.
    pub binds: Vec<Bind>,
    /// What is served there.
    pub apis: Vec<Api>,
    /// Whether requests without an ImdsToken are served.
    pub imdsv1: bool,
    /// Further `Host` names that are accepted.
    pub hosts: Vec<String>,
    /// What other metadata leaves tell.
    pub instance: Instance,
    /// `AccessKeyID` beside `AccessKeyId`, as minio-js reads it.
    pub minio_js_alias: bool,
    /// Whether the container API is served without `Authorization`.
    pub tokenless: bool,
    /// Authorization tokens written to files.
    pub tokens: Vec<TokenFile>,
    /// Who gets which where grants give several roles.
    pub select: Select,
    /// Where people's APIs are served.
    pub mounts: Vec<Mount>,
    /// Which other hosts may connect.
    pub peers: Vec<IpNet>,
    /// Where people's clients find it, without a slash at its end: answers name this, never the
    /// `Host` of a request.
    pub public_url: Option<String>,
    /// Its certificate.
    pub tls: Option<Tls>,
}

/// A socket of a listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bind {
    /// An address and port.
    Tcp(SocketAddr),
    /// `unix:/path`.
    Unix(PathBuf),
    /// `passed:NAME`: sockets of this name handed over by systemd.
    Passed(String),
}

/// A protocol that a listener can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// EC2 instance metadata.
    Imds,
    /// Container credentials: ECS and EKS Pod Identity.
    Container,
    /// AWS Federation Proxy's accounts.
    Accounts,
    /// Identity Federation's connectors.
    Connectors,
    /// OpenStack Keystone's EC2 credentials.
    Keystone,
    /// AWS STS.
    Sts,
    /// Prometheus metrics and health.
    Metrics,
}

/// What a metadata listener tells of the machine; what is not set is 404.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// `instance-id`.
    pub id: Option<String>,
    /// `placement/availability-zone`.
    pub availability_zone: Option<String>,
    /// `instance-type`.
    pub kind: Option<String>,
}

/// One `[[listener.token]]`: an authorization token written to a file at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile {
    /// The role it is for; the caller's first matching grant otherwise.
    pub role: Option<RoleRef>,
    /// Where the token is written, mode 0400, without newline.
    pub file: PathBuf,
    /// Where `/v2/credentials/{id}` is written, the ECS relative form.
    pub uri_file: Option<PathBuf>,
    /// Whose token it is.
    pub owner: u32,
    /// Whether it stands for its owner where the kernel cannot tell who shows it.
    pub bearer: bool,
}

/// One `[account.ALIAS]`.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its alias.
    pub alias: AccountAlias,
    /// Its id; Ceph and MinIO have none.
    pub id: Option<AccountId>,
    /// Its partition.
    pub partition: Partition,
    /// Whose STS endpoint is asked.
    pub region: Option<Region>,
    /// How its STS speaks.
    pub dialect: Dialect,
    /// Instead of the regional STS endpoint: an http or https URL.
    pub endpoint: Option<String>,
    /// What its roles are assumed with.
    pub base: BaseCredentials,
    /// Bounds the calls to it.
    pub rate_limit: RateLimit,
    /// What it is for, in the operator's words.
    pub description: Option<String>,
    /// Its console.
    pub console: Console,
    /// Where its container registry is asked, instead of the region's.
    pub ecr_endpoint: Option<String>,
    /// The region of its container registry.
    pub ecr_region: Option<Region>,
    /// Its roles.
    pub roles: BTreeMap<RoleName, Role>,
    /// What a role is that only a grant names; `None` where its ARN cannot be derived.
    pub defaults: Option<Box<Role>>,
}

/// A token bucket's measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Calls a second in the long run.
    pub per_second: f64,
    /// Calls at once after a pause.
    pub burst: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            per_second: 50.0,
            burst: 200,
        }
    }
}

/// How an STS speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// AWS itself.
    #[default]
    Aws,
    /// Ceph's object gateway.
    Ceph,
    /// MinIO.
    Minio,
    /// Some other STS.
    Generic,
}

impl Dialect {
    /// As the configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Ceph => "ceph",
            Self::Minio => "minio",
            Self::Generic => "generic",
        }
    }
}

/// What an account's roles are assumed with: `credentials.from`.
#[derive(Clone, Debug)]
pub enum BaseCredentials {
    /// The SDK's default chain, less what leads back to this daemon.
    Environment,
    /// A profile of the shared configuration files.
    Profile(String),
    /// A key from the configuration.
    Key {
        /// Its id.
        id: AccessKeyId,
        /// Its secret.
        secret: SecretString,
        /// The token that goes with it, where it is a session's.
        token: Option<SecretString>,
    },
    /// A web identity token in a file, read at each use.
    WebIdentity {
        /// The file.
        token_file: PathBuf,
    },
    /// A program that prints credential_process output.
    Process(Vec<String>),
    /// Another rolecall, AFP or container endpoint.
    Endpoint {
        /// Its URL.
        url: String,
        /// What it asks for as `Authorization`.
        token: Option<SecretString>,
    },
    /// The real EC2 metadata service.
    Imds,
    /// Another role: chaining.
    Role(RoleRef),
    /// The web identity token that the caller shows.
    CallerToken,
    /// The built-in authority: no upstream at all.
    Local,
}

/// One `[account.ALIAS.role.NAME]`.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its account and name.
    pub reference: RoleRef,
    /// Its ARN; derived where the configuration gives none.
    pub arn: RoleArn,
    /// The STS call behind it.
    pub kind: RoleKind,
    /// The life asked for.
    pub duration: Duration,
    /// Whether it is fetched at start and kept.
    pub prefetch: bool,
    /// The role session name.
    pub session_name: Template,
    /// The source identity.
    pub source_identity: Option<Template>,
    /// The external id that the trust policy asks for.
    pub external_id: Option<ExternalId>,
    /// The session policy, compact JSON.
    pub policy: Option<Arc<str>>,
    /// Managed policies that narrow the session.
    pub policy_arns: Vec<String>,
    /// Session tags.
    pub tags: Vec<(String, Template)>,
    /// Which of the tags go on into chained roles.
    pub transitive_tags: Vec<String>,
    /// Let go after this long unused.
    pub idle: Duration,
    /// What a caller that names a duration may ask at most; `duration` otherwise.
    pub max_duration: Option<Duration>,
    /// As the connectors API shows it; its name otherwise.
    pub display_name: Option<String>,
    /// Its id in the connectors API; derived from account and name otherwise.
    pub connector_id: Option<Uuid>,
    /// Sessions issued before this are refused (built-in authority).
    pub not_before: Option<std::time::SystemTime>,
}

/// The STS call behind a role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoleKind {
    /// AssumeRole.
    #[default]
    AssumeRole,
    /// AssumeRoleWithWebIdentity.
    WebIdentity,
    /// GetFederationToken.
    FederationToken,
    /// GetSessionToken.
    SessionToken,
}

/// One `[[grant-source]]`: somebody who says which roles a name has.
#[derive(Clone, Debug)]
pub struct GrantSource {
    /// Its number in the configuration, from 1.
    pub number: usize,
    /// Who is asked.
    pub from: RolesFrom,
}

/// Who says which roles a name has.
#[derive(Clone, Debug)]
pub enum RolesFrom {
    /// A program with its arguments, the name after them.
    Command(Vec<String>),
    /// A service.
    Service(RoleService),
}

/// A service that says which roles a name has.
#[derive(Clone, Debug)]
pub struct RoleService {
    /// Where it is asked: `{name}` stands for the name; without it the name is in the query.
    pub url: String,
    /// The bearer token that it asks for.
    pub token: Option<SecretString>,
    /// Authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// `[state]`.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Where; `$STATE_DIRECTORY` or the user's state directory otherwise.
    pub directory: Option<PathBuf>,
    /// The key that seals secrets at rest, 32 bytes in hex or base64; generated otherwise.
    pub key: Option<SecretString>,
}

/// `[log]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The targets; chosen by what standard error is otherwise.
    pub to: Vec<LogTarget>,
    /// The level and filters, as tracing spells them.
    pub level: Option<String>,
}

/// Where log events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// systemd's journal, with fields.
    Journald,
    /// JSON lines on standard error.
    Json,
    /// Readable lines on standard error.
    Text,
    /// RFC 5424.
    Syslog(SyslogAddress),
    /// JSON lines in a file, reopened on SIGHUP.
    File(PathBuf),
}

/// Where a syslog server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A datagram socket, `/dev/log`.
    Local(PathBuf),
    /// `udp://host:port`.
    Udp(String),
    /// `tcp://host:port`.
    Tcp(String),
}

/// `[runtime]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Where the unit answers.
    pub socket: PathBuf,
    /// The runtimes that it asks.
    pub engines: Vec<RuntimeEngine>,
    /// Who may ask it beside root.
    pub asker: Option<u32>,
}

/// One `[[runtime.engine]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeEngine {
    /// How it is spoken to.
    pub kind: EngineKind,
    /// Where it listens.
    pub socket: PathBuf,
}

/// How a container runtime is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker's HTTP API.
    Docker,
    /// Podman's.
    Podman,
    /// Kubernetes' Container Runtime Interface.
    Cri,
}

impl EngineKind {
    /// As the configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Cri => "cri",
        }
    }
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once for each caller; the surplus waits.
    pub connections_per_caller: usize,
    /// Requests answered at once for each caller; the surplus waits its turn.
    pub requests_per_caller: usize,
    /// Sessions fetched at once for each caller; the surplus waits its turn.
    pub flights_per_caller: usize,
    /// Held sessions.
    pub sessions: usize,
    /// How long readiness waits for prefetched roles.
    pub ready_deadline: Duration,
    /// How long open connections are let finish at the end.
    pub drain: Duration,
    /// How long callers wait for a flight, instead of what their SDKs are known to bear.
    pub patience: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_caller: 256,
            requests_per_caller: 64,
            flights_per_caller: 32,
            sessions: 20_000,
            ready_deadline: Duration::from_secs(30),
            drain: Duration::from_millis(200),
            patience: None,
        }
    }
}

impl Listener {
    /// Whether it hands credentials to programs of this host, and to nobody else.
    pub fn is_for_this_host(&self) -> bool {
        self.apis
            .iter()
            .any(|api| matches!(api, Api::Imds | Api::Container))
    }

    /// The origin of its public URL, as browsers write it, and the path below that.
    pub fn public(&self) -> Option<(&str, &str)> {
        let url = self.public_url.as_deref()?;
        let (_, rest) = url.split_once("://")?;
        let path = rest.find('/').map_or(0, |at| rest.len() - at);
        url.split_at_checked(url.len() - path)
    }
}

impl Config {
    /// Before which moment the built-in authority's sessions of a role no longer count.
    pub fn not_before(&self) -> BTreeMap<RoleRef, std::time::SystemTime> {
        let roles = self
            .accounts
            .values()
            .flat_map(|account| account.roles.values());
        let limited = roles.filter_map(|role| Some((role.reference.clone(), role.not_before?)));
        limited.collect()
    }

    /// The role of this name, where it is declared.
    pub fn role(&self, reference: &RoleRef) -> Option<(&Account, &Role)> {
        let account = self.accounts.get(&reference.account)?;
        Some((account, account.roles.get(&reference.role)?))
    }
}

#[cfg(test)]
mod tests;
