//! Objects as rows.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Row, params};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::sealing::{Keys, Of};
use crate::authority::totp::Seed;
use crate::store::{
    AccessKey, AccessKeyDraft, Account, AccountDraft, Cause, Change, Connector, ConnectorDraft,
    ConnectorKind, Kept, MfaDevice, MfaDeviceDraft, Token, TokenDraft, Version,
};
use crate::types::{
    AccessKeyId, AccountAlias, ExternalId, InvalidText, MfaSerial, Partition, RoleArn, RoleName,
    RoleRef,
};

const PUT_ACCOUNT: &str = "
INSERT INTO accounts (id, version, alias, name, access_key_id, secret, partition)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (id) DO UPDATE SET version = ?2, alias = ?3, name = ?4, access_key_id = ?5,
    secret = ?6, partition = ?7";

const PUT_CONNECTOR: &str = "
INSERT INTO connectors (id, version, name, account, stored_account, role, kind, role_arn,
    external_id, system, groups, policy, policy_arns, max_duration)
VALUES (?1, ?2, ?3, ?4, (SELECT id FROM accounts WHERE alias = ?4), ?5, ?6, ?7, ?8, ?9, ?10, ?11,
    ?12, ?13)
ON CONFLICT (id) DO UPDATE SET version = ?2, name = ?3, account = ?4,
    stored_account = (SELECT id FROM accounts WHERE alias = ?4), role = ?5, kind = ?6,
    role_arn = ?7, external_id = ?8, system = ?9, groups = ?10, policy = ?11, policy_arns = ?12,
    max_duration = ?13";

const PUT_TOKEN: &str = "INSERT INTO tokens (id, made, user, hash, expires) VALUES (?, ?, ?, ?, ?)";

const PUT_KEY: &str = "
INSERT INTO access_keys (id, made, user, account, label, secret) VALUES (?, ?, ?, ?, ?, ?)";

const PUT_DEVICE: &str = "
INSERT INTO mfa_devices (serial, made, user, used, secret) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (serial) DO UPDATE SET made = ?2, user = ?3, used = ?4, secret = ?5";

const PUT_REVOKED: &str = "
INSERT INTO revocations (audit, until) VALUES (?1, ?2)
ON CONFLICT (audit) DO UPDATE SET until = ?2";

/// All objects.
pub(super) fn read(connection: &Connection, keys: &Keys) -> Result<Kept, Cause> {
    let accounts =
        "SELECT id, version, alias, name, access_key_id, secret, partition FROM accounts";
    let connectors = "SELECT id, version, name, account, role, kind, role_arn, external_id, system,
        groups, policy, policy_arns, max_duration FROM connectors";
    let tokens = "SELECT id, made, user, hash, expires FROM tokens";
    let access_keys =
        "SELECT id, made, user, account, label, secret FROM access_keys ORDER BY number";
    let devices = "SELECT serial, made, user, used, secret FROM mfa_devices";
    let revoked = "SELECT audit, until FROM revocations";
    let mut common = Common::default();
    Ok(Kept {
        accounts: all(connection, accounts, |row| account(row, keys))?,
        connectors: all(connection, connectors, |row| connector(row, &mut common))?,
        tokens: all(connection, tokens, token)?,
        keys: all(connection, access_keys, |row| access_key(row, keys))?,
        devices: all(connection, devices, |row| device(row, keys))?,
        revoked: all(connection, revoked, |row| Ok((id(row)?, at(row, 1)?)))?,
    })
}

/// What many connectors have in common: each text is there once.
#[derive(Default)]
struct Common {
    accounts: HashSet<AccountAlias>,
    groups: HashSet<Arc<str>>,
}

impl Common {
    fn account(&mut self, account: AccountAlias) -> AccountAlias {
        if let Some(known) = self.accounts.get(&account) {
            return known.clone();
        }
        self.accounts.insert(account.clone());
        account
    }

    fn group(&mut self, group: &str) -> Arc<str> {
        if let Some(known) = self.groups.get(group) {
            return Arc::clone(known);
        }
        let group = Arc::from(group);
        self.groups.insert(Arc::clone(&group));
        group
    }
}

/// Makes one change.
pub(super) fn write(connection: &Connection, keys: &Keys, change: &Change) -> Result<(), Cause> {
    let delete = |sql: &str, id: &Uuid| {
        let mut statement = connection.prepare(sql)?;
        statement.execute([id.as_bytes().as_slice()]).map(drop)
    };
    let delete_named = |sql: &str, id: &str| connection.prepare(sql)?.execute([id]).map(drop);
    match change {
        Change::Account(account) => put_account(connection, keys, account)?,
        Change::NoAccount(id) => delete("DELETE FROM accounts WHERE id = ?", id)?,
        Change::Connector(connector) => put_connector(connection, connector)?,
        Change::NoConnector(id) => delete("DELETE FROM connectors WHERE id = ?", id)?,
        Change::Token(token) => put_token(connection, token)?,
        Change::NoToken(id) => delete("DELETE FROM tokens WHERE id = ?", id)?,
        Change::Key(key) => put_access_key(connection, keys, key)?,
        Change::NoKey(id) => delete_named("DELETE FROM access_keys WHERE id = ?", id.as_str())?,
        Change::Device(device) => put_device(connection, keys, device)?,
        Change::NoDevice(serial) => {
            delete_named("DELETE FROM mfa_devices WHERE serial = ?", serial.as_str())?;
        }
        Change::Revoked(audit, until) => {
            let row = params![audit.as_bytes().as_slice(), seconds(*until)?];
            connection.prepare(PUT_REVOKED)?.execute(row)?;
        }
        Change::Forgotten(audit) => delete("DELETE FROM revocations WHERE audit = ?", audit)?,
    }
    Ok(())
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    mut object: impl FnMut(&Row<'_>) -> Result<T, Cause>,
) -> Result<Vec<T>, Cause> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut objects = Vec::new();
    while let Some(row) = rows.next()? {
        objects.push(object(row)?);
    }
    Ok(objects)
}

fn put_account(connection: &Connection, keys: &Keys, account: &Account) -> Result<(), Cause> {
    let Account {
        id,
        version,
        alias,
        draft,
    } = account;
    let secret = draft.secret_access_key.expose_secret().as_bytes();
    let sealed = keys.seal(Of::Account(id), secret)?;
    connection.prepare(PUT_ACCOUNT)?.execute(params![
        id.as_bytes().as_slice(),
        number(version.0)?,
        alias.as_str(),
        &*draft.name,
        draft.access_key_id.as_str(),
        sealed,
        draft.partition.as_str(),
    ])?;
    Ok(())
}

fn account(row: &Row<'_>, keys: &Keys) -> Result<Account, Cause> {
    let id = id(row)?;
    let sealed: Vec<u8> = row.get(5)?;
    Ok(Account {
        id,
        version: Version(unsigned(row.get(1)?)?),
        alias: parsed(row, 2, AccountAlias::new)?,
        draft: AccountDraft {
            name: text(row, 3)?,
            access_key_id: parsed(row, 4, AccessKeyId::new)?,
            secret_access_key: keys.open_secret(Of::Account(&id), sealed)?,
            partition: parsed(row, 6, Partition::new)?,
        },
    })
}

fn put_connector(connection: &Connection, connector: &Connector) -> Result<(), Cause> {
    let Connector {
        id,
        version,
        role,
        draft,
    } = connector;
    let (kind, arn, external_id) = match &draft.kind {
        ConnectorKind::FederationToken => ("federation-token", None, None),
        ConnectorKind::SessionToken => ("session-token", None, None),
        ConnectorKind::AssumeRole { arn, external_id } => {
            ("assume-role", Some(arn.as_str()), external_id.as_ref())
        }
    };
    let groups: Vec<&str> = draft.groups.iter().map(AsRef::as_ref).collect();
    let duration = draft.max_duration;
    connection.prepare(PUT_CONNECTOR)?.execute(params![
        id.as_bytes().as_slice(),
        number(version.0)?,
        &*draft.name,
        draft.account.as_str(),
        role.role.as_str(),
        kind,
        arn,
        external_id.map(ExternalId::as_str),
        draft.system,
        list(&groups)?,
        draft.policy.as_deref(),
        list(&draft.policy_arns)?,
        duration.map(|life| number(life.as_secs())).transpose()?,
    ])?;
    Ok(())
}

fn connector(row: &Row<'_>, common: &mut Common) -> Result<Connector, Cause> {
    let account = common.account(parsed(row, 3, AccountAlias::new)?);
    let kind: String = row.get(5)?;
    let kind = match kind.as_str() {
        "federation-token" => ConnectorKind::FederationToken,
        "session-token" => ConnectorKind::SessionToken,
        "assume-role" => {
            let external_id: Option<String> = row.get(7)?;
            let external_id = external_id.as_deref().map(ExternalId::new).transpose();
            ConnectorKind::AssumeRole {
                arn: parsed(row, 6, RoleArn::new)?,
                external_id: external_id.map_err(|error| damaged(&error))?,
            }
        }
        _ => return Err(Cause::Damaged(Arc::from("a connector of no known kind"))),
    };
    let policy: Option<String> = row.get(10)?;
    let groups: Vec<String> = listed(row, 9)?;
    let duration: Option<i64> = row.get(12)?;
    Ok(Connector {
        id: id(row)?,
        version: Version(unsigned(row.get(1)?)?),
        role: RoleRef {
            account: account.clone(),
            role: parsed(row, 4, RoleName::new)?,
        },
        draft: ConnectorDraft {
            name: text(row, 2)?,
            account,
            kind,
            system: row.get(8)?,
            groups: groups.iter().map(|group| common.group(group)).collect(),
            policy: policy.map(Arc::from),
            policy_arns: listed(row, 11)?,
            max_duration: duration
                .map(|life| unsigned(life).map(Duration::from_secs))
                .transpose()?,
        },
    })
}

fn put_token(connection: &Connection, token: &Token) -> Result<(), Cause> {
    connection.prepare(PUT_TOKEN)?.execute(params![
        token.id.as_bytes().as_slice(),
        seconds(token.made)?,
        &*token.draft.user,
        token.draft.hash.as_slice(),
        seconds(token.draft.expires)?,
    ])?;
    Ok(())
}

fn token(row: &Row<'_>) -> Result<Token, Cause> {
    Ok(Token {
        id: id(row)?,
        made: at(row, 1)?,
        draft: TokenDraft {
            user: text(row, 2)?,
            hash: row.get(3)?,
            expires: at(row, 4)?,
        },
    })
}

fn put_access_key(connection: &Connection, keys: &Keys, key: &AccessKey) -> Result<(), Cause> {
    let AccessKey { made, draft } = key;
    let secret = draft.secret.expose_secret().as_bytes();
    connection.prepare(PUT_KEY)?.execute(params![
        draft.id.as_str(),
        seconds(*made)?,
        &*draft.user,
        draft.account.as_str(),
        &*draft.label,
        keys.seal(Of::Key(draft.id.as_str()), secret)?,
    ])?;
    Ok(())
}

fn access_key(row: &Row<'_>, keys: &Keys) -> Result<AccessKey, Cause> {
    let id = parsed(row, 0, AccessKeyId::new)?;
    Ok(AccessKey {
        made: at(row, 1)?,
        draft: AccessKeyDraft {
            secret: keys.open_secret(Of::Key(id.as_str()), row.get(5)?)?,
            id,
            user: text(row, 2)?,
            account: parsed(row, 3, AccountAlias::new)?,
            label: text(row, 4)?,
        },
    })
}

fn put_device(connection: &Connection, keys: &Keys, device: &MfaDevice) -> Result<(), Cause> {
    let MfaDevice { made, used, draft } = device;
    let seed = draft.seed.base32();
    connection.prepare(PUT_DEVICE)?.execute(params![
        draft.serial.as_str(),
        seconds(*made)?,
        &*draft.user,
        used.map(number).transpose()?,
        keys.seal(
            Of::Device(draft.serial.as_str()),
            seed.expose_secret().as_bytes()
        )?,
    ])?;
    Ok(())
}

fn device(row: &Row<'_>, keys: &Keys) -> Result<MfaDevice, Cause> {
    let serial = parsed(row, 0, MfaSerial::new)?;
    let seed = keys.open_secret(Of::Device(serial.as_str()), row.get(4)?)?;
    let used: Option<i64> = row.get(3)?;
    Ok(MfaDevice {
        made: at(row, 1)?,
        used: used.map(unsigned).transpose()?,
        draft: MfaDeviceDraft {
            serial,
            seed: Seed::parse(&seed).map_err(|error| damaged(&error))?,
            user: text(row, 2)?,
        },
    })
}

fn at(row: &Row<'_>, column: usize) -> Result<SystemTime, Cause> {
    let since = Duration::from_secs(unsigned(row.get(column)?)?);
    let at = UNIX_EPOCH.checked_add(since);
    at.ok_or_else(|| Cause::Damaged(Arc::from("a time out of range")))
}

fn id(row: &Row<'_>) -> Result<Uuid, Cause> {
    Ok(Uuid::from_bytes(row.get(0)?))
}

fn text(row: &Row<'_>, column: usize) -> Result<Arc<str>, Cause> {
    Ok(Arc::from(row.get::<_, String>(column)?))
}

fn parsed<T>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, InvalidText>,
) -> Result<T, Cause> {
    let text: String = row.get(column)?;
    parse(&text).map_err(|error| damaged(&error))
}

fn listed(row: &Row<'_>, column: usize) -> Result<Vec<String>, Cause> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| damaged(&error))
}

fn list(texts: &[impl serde::Serialize]) -> Result<String, Cause> {
    serde_json::to_string(texts).map_err(|error| Cause::Failed(Arc::from(error.to_string())))
}

fn number(number: u64) -> Result<i64, Cause> {
    let number = i64::try_from(number).ok();
    number.ok_or_else(|| Cause::Failed(Arc::from("a number out of range")))
}

fn unsigned(number: i64) -> Result<u64, Cause> {
    let number = u64::try_from(number).ok();
    number.ok_or_else(|| Cause::Damaged(Arc::from("a number out of range")))
}

fn seconds(at: SystemTime) -> Result<i64, Cause> {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    number(since.as_secs())
}

fn damaged(error: &dyn std::error::Error) -> Cause {
    Cause::Damaged(Arc::from(error.to_string()))
}
