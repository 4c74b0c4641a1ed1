//! The rules of writes: each is held against the objects as the writes before it leave them.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::backing::Change;
use super::{
    AccessKey, AccessKeyDraft, Account, AccountDraft, AccountEdit, Connector, ConnectorDraft,
    MfaDevice, MfaDeviceDraft, Objects, StoreError, Token, TokenDraft, Version,
};
use crate::types::{AccessKeyId, AccountAlias, MfaSerial, RoleName, RoleRef};

/// The longest name made of what people call an object; a digest may follow.
const LONGEST: usize = 48;

/// How many access keys a user may have: everybody may make some.
const MOST_KEYS: usize = 100;

/// How many MFA devices a user may have.
const MOST_DEVICES: usize = 8;

/// What the configuration calls its own objects: no object of the store is called so.
#[derive(Clone, Debug, Default)]
pub struct Reserved {
    /// Its accounts.
    pub aliases: HashSet<AccountAlias>,
    /// Its roles.
    pub roles: HashSet<RoleRef>,
    /// As connectors show its roles.
    pub connectors: HashSet<Arc<str>>,
}

/// The same, found out when it is first asked for.
pub type ReservedNames = LazyLock<Reserved, Box<dyn FnOnce() -> Reserved + Send>>;

/// Writes under way.
#[derive(Debug)]
pub(super) struct Work {
    /// The objects after them.
    pub(super) objects: Objects,
    /// What has to be kept.
    pub(super) changes: Vec<Change>,
    pub(super) reserved: Arc<ReservedNames>,
    pub(super) now: SystemTime,
}

impl Work {
    pub(super) fn create_account(
        &mut self,
        draft: AccountDraft,
    ) -> Result<Arc<Account>, StoreError> {
        self.check_account_name(&draft.name, None)?;
        let id = Uuid::new_v4();
        let alias = self.free_alias(&draft.name, id)?;
        Ok(self.put_account(Account {
            id,
            version: Version(1),
            alias,
            draft,
        }))
    }

    pub(super) fn replace_account(
        &mut self,
        id: Uuid,
        edit: AccountEdit,
        expected: Option<Version>,
    ) -> Result<Arc<Account>, StoreError> {
        let old = self.objects.accounts.get(&id).map(Arc::clone);
        let old = old.ok_or(StoreError::Unknown)?;
        check_version(old.version, expected)?;
        self.check_account_name(&edit.name, Some(id))?;
        let secret = edit.secret_access_key;
        Ok(self.put_account(Account {
            id,
            version: old.version.next(),
            alias: old.alias.clone(),
            draft: AccountDraft {
                name: edit.name,
                access_key_id: edit.access_key_id,
                secret_access_key: secret.unwrap_or_else(|| old.draft.secret_access_key.clone()),
                partition: edit.partition,
            },
        }))
    }

    pub(super) fn delete_account(
        &mut self,
        id: Uuid,
        expected: Option<Version>,
    ) -> Result<(), StoreError> {
        let old = self.objects.accounts.get(&id).ok_or(StoreError::Unknown)?;
        check_version(old.version, expected)?;
        let mut connectors = self.objects.names.iter().map(|named| &named.0);
        if let Some(user) = connectors.find(|connector| connector.draft.account == old.alias) {
            let by = Arc::clone(&user.draft.name);
            return Err(StoreError::InUse { by });
        }
        let alias = old.alias.clone();
        self.objects.remove_account(&id);
        self.changes.push(Change::NoAccount(id));
        self.delete_keys_of(&alias)
    }

    pub(super) fn create_connector(
        &mut self,
        draft: ConnectorDraft,
    ) -> Result<Arc<Connector>, StoreError> {
        self.check_connector(&draft, None)?;
        let id = Uuid::new_v4();
        let role = self.free_role(&draft, id)?;
        Ok(self.put_connector(Connector {
            id,
            version: Version(1),
            role,
            draft,
        }))
    }

    pub(super) fn replace_connector(
        &mut self,
        id: Uuid,
        draft: ConnectorDraft,
        expected: Option<Version>,
    ) -> Result<Arc<Connector>, StoreError> {
        let old = self.objects.connectors.get(&id).map(Arc::clone);
        let old = old.ok_or(StoreError::Unknown)?;
        check_version(old.version, expected)?;
        self.check_connector(&draft, Some(id))?;
        let role = if draft.account == old.role.account {
            old.role.clone()
        } else {
            self.free_role(&draft, id)?
        };
        Ok(self.put_connector(Connector {
            id,
            version: old.version.next(),
            role,
            draft,
        }))
    }

    pub(super) fn delete_connector(
        &mut self,
        id: Uuid,
        expected: Option<Version>,
    ) -> Result<(), StoreError> {
        let old = self.objects.connectors.get(&id);
        let old = old.ok_or(StoreError::Unknown)?;
        check_version(old.version, expected)?;
        self.objects.remove_connector(&id);
        self.changes.push(Change::NoConnector(id));
        Ok(())
    }

    /// Tokens that have ended go with the next one that is made.
    pub(super) fn create_token(&mut self, draft: TokenDraft) -> Result<Arc<Token>, StoreError> {
        if self.objects.tokens.contains_key(&draft.hash) {
            return Err(StoreError::NameTaken);
        }
        let ended = self.objects.tokens.values();
        let ended = ended.filter(|token| token.draft.expires <= self.now);
        let mut ended: Vec<Uuid> = ended.map(|token| token.id).collect();
        ended.sort_unstable();
        for id in ended {
            self.delete_token(id)?;
        }
        let token = Arc::new(Token {
            id: Uuid::new_v4(),
            made: whole_seconds(self.now),
            draft: TokenDraft {
                expires: whole_seconds(draft.expires),
                ..draft
            },
        });
        self.objects.put_token(Arc::clone(&token));
        self.changes.push(Change::Token(Arc::clone(&token)));
        Ok(token)
    }

    pub(super) fn delete_token(&mut self, id: Uuid) -> Result<(), StoreError> {
        if !self.objects.remove_token(&id) {
            return Err(StoreError::Unknown);
        }
        self.changes.push(Change::NoToken(id));
        Ok(())
    }

    pub(super) fn create_key(
        &mut self,
        draft: AccessKeyDraft,
    ) -> Result<Arc<AccessKey>, StoreError> {
        if self.objects.keys.contains_key(&draft.id) {
            return Err(StoreError::NameTaken);
        }
        if !self.is_account(&draft.account) {
            return Err(StoreError::NoAccount(draft.account));
        }
        let others = self.objects.keys_of.get(&draft.user);
        check_number(others.map_or(0, |ids| ids.len()), MOST_KEYS)?;
        let key = Arc::new(AccessKey {
            made: whole_seconds(self.now),
            draft,
        });
        self.objects.put_key(Arc::clone(&key));
        self.changes.push(Change::Key(Arc::clone(&key)));
        Ok(key)
    }

    pub(super) fn delete_key(&mut self, id: &AccessKeyId) -> Result<(), StoreError> {
        if !self.objects.remove_key(id) {
            return Err(StoreError::Unknown);
        }
        self.changes.push(Change::NoKey(id.clone()));
        Ok(())
    }

    /// Whoever makes an account of the same name later has not made them.
    fn delete_keys_of(&mut self, account: &AccountAlias) -> Result<(), StoreError> {
        if self.is_account(account) {
            return Ok(());
        }
        let keys = self.objects.keys.values();
        let keys = keys.filter(|key| key.draft.account == *account);
        let mut ids: Vec<_> = keys.map(|key| key.draft.id.clone()).collect();
        ids.sort_unstable();
        ids.iter().try_for_each(|id| self.delete_key(id))
    }

    pub(super) fn enrol_device(
        &mut self,
        draft: MfaDeviceDraft,
    ) -> Result<Arc<MfaDevice>, StoreError> {
        if self.objects.devices.contains_key(&draft.serial) {
            return Err(StoreError::NameTaken);
        }
        let others = self.objects.devices.values();
        let others = others.filter(|other| other.draft.user == draft.user);
        check_number(others.count(), MOST_DEVICES)?;
        Ok(self.put_device(MfaDevice {
            made: whole_seconds(self.now),
            used: None,
            draft,
        }))
    }

    pub(super) fn use_code(&mut self, serial: &MfaSerial, step: u64) -> Result<(), StoreError> {
        let old = self.objects.devices.get(serial);
        let old = Arc::clone(old.ok_or(StoreError::Unknown)?);
        if old.used.is_some_and(|used| step <= used) {
            return Err(StoreError::Used);
        }
        self.put_device(MfaDevice {
            used: Some(step),
            ..MfaDevice::clone(&old)
        });
        Ok(())
    }

    pub(super) fn remove_device(&mut self, serial: &MfaSerial) -> Result<(), StoreError> {
        if !self.objects.remove_device(serial) {
            return Err(StoreError::Unknown);
        }
        self.changes.push(Change::NoDevice(serial.clone()));
        Ok(())
    }

    /// What was revoked and has ended goes with the next one.
    pub(super) fn revoke(&mut self, audit: Uuid, until: SystemTime) {
        let ended = self.objects.revoked.iter();
        let ended = ended.filter(|(_, end)| **end <= self.now);
        let mut ended: Vec<Uuid> = ended.map(|(id, _)| *id).collect();
        ended.sort_unstable();
        for id in ended {
            self.objects.remove_revoked(&id);
            self.changes.push(Change::Forgotten(id));
        }
        let until = next_second(until);
        self.objects.put_revoked(audit, until);
        self.changes.push(Change::Revoked(audit, until));
    }

    fn put_device(&mut self, device: MfaDevice) -> Arc<MfaDevice> {
        let device = Arc::new(device);
        self.objects.put_device(Arc::clone(&device));
        self.changes.push(Change::Device(Arc::clone(&device)));
        device
    }

    fn put_account(&mut self, account: Account) -> Arc<Account> {
        let account = Arc::new(account);
        self.objects.put_account(Arc::clone(&account));
        self.changes.push(Change::Account(Arc::clone(&account)));
        account
    }

    fn put_connector(&mut self, connector: Connector) -> Arc<Connector> {
        let connector = Arc::new(connector);
        self.objects.put_connector(Arc::clone(&connector));
        self.changes.push(Change::Connector(Arc::clone(&connector)));
        connector
    }

    fn check_account_name(&self, name: &str, own: Option<Uuid>) -> Result<(), StoreError> {
        let mut accounts = self.objects.accounts.values();
        let others = accounts.any(|other| *other.draft.name == *name && Some(other.id) != own);
        let configured = AccountAlias::new(name);
        let configured = configured.is_ok_and(|alias| self.reserved.aliases.contains(&alias));
        if others || configured {
            return Err(StoreError::NameTaken);
        }
        Ok(())
    }

    fn check_connector(&self, draft: &ConnectorDraft, own: Option<Uuid>) -> Result<(), StoreError> {
        let other = self.objects.names.get(&*draft.name);
        let others = other.is_some_and(|other| Some(other.0.id) != own);
        if others || self.reserved.connectors.contains(&draft.name) {
            return Err(StoreError::NameTaken);
        }
        if !self.is_account(&draft.account) {
            return Err(StoreError::NoAccount(draft.account.clone()));
        }
        Ok(())
    }

    fn is_account(&self, alias: &AccountAlias) -> bool {
        self.objects.aliases.contains_key(alias) || self.reserved.aliases.contains(alias)
    }

    fn free_alias(&self, name: &str, id: Uuid) -> Result<AccountAlias, StoreError> {
        let mut candidates = candidates(name, "account", id);
        let free = candidates.find_map(|text| {
            let alias = AccountAlias::new(&text).ok()?;
            (!self.is_account(&alias)).then_some(alias)
        });
        free.ok_or(StoreError::NameTaken)
    }

    fn free_role(&self, draft: &ConnectorDraft, id: Uuid) -> Result<RoleRef, StoreError> {
        let mut candidates = candidates(&draft.name, "connector", id);
        let free = candidates.find_map(|text| {
            let role = RoleRef {
                account: draft.account.clone(),
                role: RoleName::new(&text).ok()?,
            };
            let taken =
                self.objects.roles.contains_key(&role) || self.reserved.roles.contains(&role);
            (!taken).then_some(role)
        });
        free.ok_or(StoreError::NameTaken)
    }
}

fn check_version(version: Version, expected: Option<Version>) -> Result<(), StoreError> {
    match expected {
        Some(expected) if expected != version => Err(StoreError::Changed),
        Some(_) | None => Ok(()),
    }
}

fn check_number(number: usize, most: usize) -> Result<(), StoreError> {
    if number >= most {
        return Err(StoreError::TooMany { most });
    }
    Ok(())
}

/// As times are kept.
fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// The same, of what must not be forgotten before it has ended.
fn next_second(at: SystemTime) -> SystemTime {
    let whole = whole_seconds(at);
    if whole < at {
        whole + Duration::from_secs(1)
    } else {
        whole
    }
}

/// What an object may be called in paths: lower-case letters, digits and single dashes of its name,
/// then the same with a number, then with its id.
fn candidates(name: &str, otherwise: &str, id: Uuid) -> impl Iterator<Item = String> {
    let slug = slug(name);
    let slug = if slug.len() < 2 {
        otherwise.to_owned()
    } else {
        slug
    };
    let numbered = slug.clone();
    let with_id = format!("{slug}-{}", id.simple());
    let with_id: String = with_id.chars().take(64).collect();
    let numbered = (2..10).map(move |number| format!("{numbered}-{number}"));
    std::iter::once(slug).chain(numbered).chain([with_id])
}

fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(LONGEST);
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}
