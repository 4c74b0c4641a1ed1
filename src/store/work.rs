//! The rules of writes: each is held against the objects as the writes before it leave them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::backing::Change;
use super::{
    Account, AccountDraft, AccountEdit, Connector, ConnectorDraft, Objects, StoreError, Token,
    TokenDraft, Version,
};
use crate::types::{AccountAlias, RoleName, RoleRef};

/// The longest name made of what people call an object; a digest may follow.
const LONGEST: usize = 48;

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

/// Writes under way.
#[derive(Debug)]
pub(super) struct Work {
    /// The objects after them.
    pub(super) objects: Objects,
    /// What has to be kept.
    pub(super) changes: Vec<Change>,
    pub(super) reserved: Arc<Reserved>,
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
        let mut connectors = self.objects.names.values();
        if let Some(user) = connectors.find(|connector| connector.draft.account == old.alias) {
            let by = Arc::clone(&user.draft.name);
            return Err(StoreError::InUse { by });
        }
        self.objects.remove_account(&id);
        self.changes.push(Change::NoAccount(id));
        Ok(())
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
        let other = self.objects.names.get(&draft.name);
        let others = other.is_some_and(|other| Some(other.id) != own);
        if others || self.reserved.connectors.contains(&draft.name) {
            return Err(StoreError::NameTaken);
        }
        let known = self.objects.aliases.contains_key(&draft.account)
            || self.reserved.aliases.contains(&draft.account);
        if !known {
            return Err(StoreError::NoAccount(draft.account.clone()));
        }
        Ok(())
    }

    fn free_alias(&self, name: &str, id: Uuid) -> Result<AccountAlias, StoreError> {
        let mut candidates = candidates(name, "account", id);
        let free = candidates.find_map(|text| {
            let alias = AccountAlias::new(&text).ok()?;
            let taken =
                self.objects.aliases.contains_key(&alias) || self.reserved.aliases.contains(&alias);
            (!taken).then_some(alias)
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

/// As times are kept.
fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
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
