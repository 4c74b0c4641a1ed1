//! The objects that are kept, and the whole of them at one moment.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::ReservedNames;
use crate::authority::totp::{NoRandomness, Seed};
use crate::authority::{SessionClaims, SessionOf};
use crate::secret::random;
use crate::types::{AccessKeyId, AccountAlias, ExternalId, MfaSerial, Partition, RoleArn, RoleRef};

/// Grows with each write of an object: what a conditional write is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

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

/// What is said of an account when it is made.
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

/// What is said of an account when it is replaced.
#[derive(Clone, Debug)]
pub struct AccountEdit {
    /// What people call it: unique.
    pub name: Arc<str>,
    /// Its key's id.
    pub access_key_id: AccessKeyId,
    /// Its key; the one that it has stays otherwise.
    pub secret_access_key: Option<SecretString>,
    /// Its partition.
    pub partition: Partition,
}

/// One way to obtain credentials, with the groups whose members may.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Connector {
    /// The role of a cloud that it assumes, where it does.
    pub const fn role_arn(&self) -> Option<&RoleArn> {
        match &self.draft.kind {
            ConnectorKind::AssumeRole { arn, .. } => Some(arn),
            ConnectorKind::FederationToken | ConnectorKind::SessionToken => None,
        }
    }
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

/// A long-term key of the daemon's own, which a caller signs with.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// When it was made.
    pub made: SystemTime,
    /// What is said of it.
    pub draft: AccessKeyDraft,
}

impl AccessKey {
    /// Whether it is what proved this name then. A key that was deleted may have been made again, by
    /// somebody else too.
    pub fn proved(&self, name: &str, at: SystemTime) -> bool {
        *self.draft.user == *name && self.made <= at
    }
}

/// What is said of an access key when it is made.
#[derive(Clone, Debug)]
pub struct AccessKeyDraft {
    /// Its id, by which it is known: unique.
    pub id: AccessKeyId,
    /// The key.
    pub secret: SecretString,
    /// Whose it is: who signs with it stands for this name.
    pub user: Arc<str>,
    /// The account that it was made for: Keystone's tenant.
    pub account: AccountAlias,
    /// What its maker calls it; it proves nothing.
    pub label: Arc<str>,
}

/// What makes somebody's one-time codes.
#[derive(Clone, Debug)]
pub struct MfaDevice {
    /// When it was enrolled.
    pub made: SystemTime,
    /// The step of the last code that was used: that code and all before it count no more.
    pub used: Option<u64>,
    /// What is said of it.
    pub draft: MfaDeviceDraft,
}

/// What is said of an MFA device when it is enrolled.
#[derive(Clone, Debug)]
pub struct MfaDeviceDraft {
    /// What it is known by: unique.
    pub serial: MfaSerial,
    /// What its codes are made of.
    pub seed: Seed,
    /// Whose it is.
    pub user: Arc<str>,
}

impl AccessKeyDraft {
    /// A fresh key as Keystone writes them: 32 hex digits, and as many of the secret.
    pub fn generate(user: Arc<str>, account: AccountAlias) -> Result<Self, NoRandomness> {
        let hex = || {
            random::<16>()
                .map(|bytes| Zeroizing::new(format!("{:032x}", u128::from_be_bytes(bytes))))
        };
        let id = hex().ok().and_then(|text| AccessKeyId::new(&text).ok());
        let secret = hex().map_err(|_no_entropy| NoRandomness)?;
        Ok(Self {
            id: id.ok_or(NoRandomness)?,
            secret: SecretString::from(secret.as_str()),
            user,
            account,
            label: Arc::default(),
        })
    }
}

impl AccessKeyDraft {
    /// How long a secret may be that was made elsewhere: whoever sees a signature may guess at leisure.
    pub const SECRETS_OF_OTHERS: RangeInclusive<usize> = 16..=128;

    /// Whether a secret that was made elsewhere can be taken over.
    pub fn takes_secret(text: &str) -> bool {
        Self::SECRETS_OF_OTHERS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    }

    /// An id that was made elsewhere, where it can stand in paths and in the scope of a signature.
    pub fn takes_id(text: &str) -> Option<AccessKeyId> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let id = AccessKeyId::new(text).ok();
        id.filter(|_| text.bytes().all(plain))
    }
}

impl MfaDeviceDraft {
    /// A device of this user's, with a fresh seed.
    pub fn generate(serial: MfaSerial, user: Arc<str>) -> Result<Self, NoRandomness> {
        let seed = Seed::generate()?;
        Ok(Self { serial, seed, user })
    }
}

/// Connectors in the order of their names, which are unique.
pub type Connectors = BTreeSet<ByName>;

/// A connector among others, told apart by its name.
#[derive(Clone, Debug)]
pub struct ByName(pub Arc<Connector>);

impl ByName {
    fn name(&self) -> &str {
        &self.0.draft.name
    }
}

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        self.name()
    }
}

impl Ord for ByName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for ByName {}

/// All objects at one moment.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// The accounts, by id.
    pub accounts: Arc<BTreeMap<Uuid, Arc<Account>>>,
    /// The accounts, by alias.
    pub aliases: Arc<HashMap<AccountAlias, Arc<Account>>>,
    /// The connectors, by id.
    pub connectors: Arc<HashMap<Uuid, Arc<Connector>>>,
    /// The connectors, by name: the order of lists.
    pub names: Arc<Connectors>,
    /// The connectors, by role.
    pub roles: Arc<HashMap<RoleRef, Arc<Connector>>>,
    /// The roles of the connectors behind which this role of a cloud stands.
    pub arns: Arc<HashMap<RoleArn, Arc<BTreeSet<RoleRef>>>>,
    /// The connectors of each group.
    pub groups: Arc<HashMap<Arc<str>, Arc<Connectors>>>,
    /// The tokens, by the hash of what they show.
    pub tokens: Arc<HashMap<[u8; 32], Arc<Token>>>,
    /// The access keys, by id.
    pub keys: Arc<HashMap<AccessKeyId, Arc<AccessKey>>>,
    /// The ids of each user's access keys, in the order in which they were made.
    pub keys_of: Arc<HashMap<Arc<str>, Arc<Vec<AccessKeyId>>>>,
    /// The MFA devices, by serial number.
    pub devices: Arc<BTreeMap<MfaSerial, Arc<MfaDevice>>>,
    /// The audit ids of Keystone tokens that were revoked, with the moment at which each ends anyway.
    pub revoked: Arc<HashMap<Uuid, SystemTime>>,
}

impl Objects {
    /// Whether the key is still there with which a user obtained this session; a role's stands by
    /// itself.
    pub fn stands_behind(&self, session: &SessionClaims) -> bool {
        let (SessionOf::User { account, key } | SessionOf::Federated { account, key }) =
            &session.of
        else {
            return true;
        };
        self.keys.get(key).is_some_and(|key| {
            // Whom a key vouches for is not named as its user.
            let user = session.principal.as_deref().unwrap_or(&key.draft.user);
            key.draft.account == *account && key.proved(user, session.issued_at)
        })
    }

    /// What is left of them beside a configuration that has objects of the same names: of those it is
    /// the configuration's that count. The others are named.
    pub fn beside(self: &Arc<Self>, reserved: &ReservedNames) -> (Arc<Self>, Vec<String>) {
        if self.aliases.is_empty() && self.roles.is_empty() {
            return (Arc::clone(self), Vec::new());
        }
        let aliases = reserved.aliases.iter();
        let mut accounts: Vec<_> = aliases
            .filter_map(|alias| self.aliases.get(alias))
            .collect();
        accounts.sort_unstable_by_key(|account| account.id);
        let roles = reserved.roles.iter();
        let mut connectors: Vec<_> = roles.filter_map(|role| self.roles.get(role)).collect();
        if !accounts.is_empty() {
            let of_these = |connector: &&Arc<Connector>| {
                let mut accounts = accounts.iter();
                accounts.any(|account| account.alias == connector.role.account)
            };
            let all = self.names.iter().map(|named| &named.0);
            connectors.extend(all.filter(of_these));
        }
        if accounts.is_empty() && connectors.is_empty() {
            return (Arc::clone(self), Vec::new());
        }
        connectors.sort_unstable_by_key(|connector| connector.id);
        connectors.dedup_by_key(|connector| connector.id);
        let mut left = Self::clone(self);
        let mut hidden = Vec::new();
        for connector in connectors {
            left.remove_connector(&connector.id);
            hidden.push(connector.role.to_string());
        }
        for account in accounts {
            left.remove_account(&account.id);
            hidden.push(account.alias.to_string());
        }
        (Arc::new(left), hidden)
    }

    pub(super) fn put_account(&mut self, account: Arc<Account>) {
        self.remove_account(&account.id);
        Arc::make_mut(&mut self.aliases).insert(account.alias.clone(), Arc::clone(&account));
        Arc::make_mut(&mut self.accounts).insert(account.id, account);
    }

    pub(super) fn remove_account(&mut self, id: &Uuid) {
        if let Some(old) = Arc::make_mut(&mut self.accounts).remove(id) {
            Arc::make_mut(&mut self.aliases).remove(&old.alias);
        }
    }

    pub(super) fn put_connector(&mut self, connector: Arc<Connector>) {
        self.remove_connector(&connector.id);
        let named = ByName(Arc::clone(&connector));
        for group in &connector.draft.groups {
            let groups = Arc::make_mut(&mut self.groups);
            let members = groups.entry(Arc::clone(group)).or_default();
            Arc::make_mut(members).insert(named.clone());
        }
        if let Some(arn) = connector.role_arn() {
            let arns = Arc::make_mut(&mut self.arns);
            let roles = arns.entry(arn.clone()).or_default();
            Arc::make_mut(roles).insert(connector.role.clone());
        }
        Arc::make_mut(&mut self.names).insert(named);
        Arc::make_mut(&mut self.roles).insert(connector.role.clone(), Arc::clone(&connector));
        Arc::make_mut(&mut self.connectors).insert(connector.id, connector);
    }

    pub(super) fn remove_connector(&mut self, id: &Uuid) {
        let Some(old) = Arc::make_mut(&mut self.connectors).remove(id) else {
            return;
        };
        let name = &*old.draft.name;
        Arc::make_mut(&mut self.names).remove(name);
        Arc::make_mut(&mut self.roles).remove(&old.role);
        if let Some(arn) = old.role_arn() {
            let arns = Arc::make_mut(&mut self.arns);
            if let Some(roles) = arns.get_mut(arn) {
                let roles = Arc::make_mut(roles);
                roles.remove(&old.role);
                if roles.is_empty() {
                    arns.remove(arn);
                }
            }
        }
        let groups = Arc::make_mut(&mut self.groups);
        for group in &old.draft.groups {
            if let Some(members) = groups.get_mut(group) {
                let members = Arc::make_mut(members);
                members.remove(name);
                if members.is_empty() {
                    groups.remove(group);
                }
            }
        }
    }

    pub(super) fn put_token(&mut self, token: Arc<Token>) {
        Arc::make_mut(&mut self.tokens).insert(token.draft.hash, token);
    }

    /// Whether it was there.
    pub(super) fn remove_token(&mut self, id: &Uuid) -> bool {
        let Some(hash) = self.tokens.values().find(|token| token.id == *id) else {
            return false;
        };
        let hash = hash.draft.hash;
        Arc::make_mut(&mut self.tokens).remove(&hash).is_some()
    }

    /// Its id is that of no other key.
    pub(super) fn put_key(&mut self, key: Arc<AccessKey>) {
        let draft = &key.draft;
        let users = Arc::make_mut(&mut self.keys_of);
        let ids = users.entry(Arc::clone(&draft.user)).or_default();
        Arc::make_mut(ids).push(draft.id.clone());
        Arc::make_mut(&mut self.keys).insert(draft.id.clone(), key);
    }

    /// Whether it was there.
    pub(super) fn remove_key(&mut self, id: &AccessKeyId) -> bool {
        if !self.keys.contains_key(id) {
            return false;
        }
        let Some(old) = Arc::make_mut(&mut self.keys).remove(id) else {
            return false;
        };
        let users = Arc::make_mut(&mut self.keys_of);
        if let Some(ids) = users.get_mut(&old.draft.user) {
            let ids = Arc::make_mut(ids);
            ids.retain(|other| other != id);
            if ids.is_empty() {
                users.remove(&old.draft.user);
            }
        }
        true
    }

    pub(super) fn put_device(&mut self, device: Arc<MfaDevice>) {
        Arc::make_mut(&mut self.devices).insert(device.draft.serial.clone(), device);
    }

    /// Whether it was there.
    pub(super) fn remove_device(&mut self, serial: &MfaSerial) -> bool {
        self.devices.contains_key(serial)
            && Arc::make_mut(&mut self.devices).remove(serial).is_some()
    }

    pub(super) fn put_revoked(&mut self, audit: Uuid, until: SystemTime) {
        Arc::make_mut(&mut self.revoked).insert(audit, until);
    }

    pub(super) fn remove_revoked(&mut self, audit: &Uuid) {
        Arc::make_mut(&mut self.revoked).remove(audit);
    }
}
