//! The objects that are kept, and the whole of them at one moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use uuid::Uuid;

use crate::types::{AccessKeyId, AccountAlias, ExternalId, Partition, RoleArn, RoleRef};

/// Grows with each write of an object: what a conditional write is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A long-term key of somebody's account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: Uuid,
    /// Its version.
    pub version: Version,
    /// What grants and paths call it: unique, made of its name.
    pub alias: AccountAlias,
    /// What is said of it.
    pub draft: AccountDraft,
}

/// What is said of an account when it is made or replaced.
#[derive(Clone, Debug)]
pub struct AccountDraft {
    /// What people call it: unique.
    pub name: Arc<str>,
    /// Its key's id.
    pub access_key_id: AccessKeyId,
    /// Its key.
    pub secret_access_key: SecretString,
    /// Its partition.
    pub partition: Partition,
}

/// One way to obtain credentials, with the groups whose members may.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Its id.
    pub id: Uuid,
    /// Its version.
    pub version: Version,
    /// What grants and paths call it: its account, and a name that is unique there.
    pub role: RoleRef,
    /// What is said of it.
    pub draft: ConnectorDraft,
}

/// What is said of a connector when it is made or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorDraft {
    /// What people call it: unique.
    pub name: Arc<str>,
    /// Its account: one of the store's, or of the configuration.
    pub account: AccountAlias,
    /// The STS call behind it.
    pub kind: ConnectorKind,
    /// Whether programs may use it where a grant gives it to them.
    pub system: bool,
    /// Whose members may use it.
    pub groups: Vec<Arc<str>>,
    /// The session policy, compact JSON.
    pub policy: Option<Arc<str>>,
    /// Managed policies that narrow the session.
    pub policy_arns: Vec<String>,
    /// The life asked for; the kind's own otherwise.
    pub max_duration: Option<Duration>,
}

/// The STS call behind a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectorKind {
    /// GetFederationToken.
    FederationToken,
    /// GetSessionToken.
    SessionToken,
    /// AssumeRole.
    AssumeRole {
        /// The role.
        arn: RoleArn,
        /// What its trust policy asks for.
        external_id: Option<ExternalId>,
    },
}

/// A bearer token of a build server; what it shows is known by its hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id, by which it is revoked.
    pub id: Uuid,
    /// When it was made.
    pub made: SystemTime,
    /// What is said of it.
    pub draft: TokenDraft,
}

/// What is said of a token when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenDraft {
    /// Who shows it stands for this name.
    pub user: Arc<str>,
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// When it ends.
    pub expires: SystemTime,
}

/// All objects at one moment.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// The accounts, by id.
    pub accounts: BTreeMap<Uuid, Arc<Account>>,
    /// The accounts, by alias.
    pub aliases: HashMap<AccountAlias, Arc<Account>>,
    /// The connectors, by id.
    pub connectors: HashMap<Uuid, Arc<Connector>>,
    /// The connectors, by name: the order of lists.
    pub names: BTreeMap<Arc<str>, Arc<Connector>>,
    /// The connectors, by role.
    pub roles: HashMap<RoleRef, Arc<Connector>>,
    /// The names of the connectors of each group, in order.
    pub groups: HashMap<Arc<str>, Arc<[Arc<str>]>>,
    /// The tokens, by the hash of what they show.
    pub tokens: HashMap<[u8; 32], Arc<Token>>,
}
