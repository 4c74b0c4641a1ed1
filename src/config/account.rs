//! Accounts, what their roles are assumed with, and the roles.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use uuid::Uuid;

use super::Console;
use crate::grants::Template;
use crate::types::{
    AccessKeyId, AccountAlias, AccountId, ExternalId, Partition, Region, RoleArn, RoleName, RoleRef,
};

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
    /// What Keystone tells of its roles, instead of their names.
    pub keystone_roles: Option<Arc<[Arc<str>]>>,
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
    pub not_before: Option<SystemTime>,
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
