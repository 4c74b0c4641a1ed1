//! The tables, and how an older file is brought up to them.

use rusqlite::{Connection, Transaction};

use super::immediate;
use crate::store::Cause;

/// Says that the file is ours: "rcll".
const APPLICATION: i32 = 0x7263_6c6c;

/// What makes each version of the one before it. None is ever changed: files of it are in the world.
const STEPS: &[&str] = &["
CREATE TABLE keys (
    id          BLOB NOT NULL PRIMARY KEY,
    sealed_by   TEXT NOT NULL CHECK (sealed_by IN ('configured', 'generated')),
    sealed      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id              BLOB NOT NULL PRIMARY KEY,
    version         INTEGER NOT NULL,
    alias           TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL UNIQUE,
    access_key_id   TEXT NOT NULL,
    secret          BLOB NOT NULL,
    partition       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE connectors (
    id              BLOB NOT NULL PRIMARY KEY,
    version         INTEGER NOT NULL,
    name            TEXT NOT NULL UNIQUE,
    account         TEXT NOT NULL,
    stored_account  BLOB REFERENCES accounts (id) ON DELETE RESTRICT,
    role            TEXT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('federation-token', 'session-token', 'assume-role')),
    role_arn        TEXT,
    external_id     TEXT,
    system          INTEGER NOT NULL,
    groups          TEXT NOT NULL,
    policy          TEXT,
    policy_arns     TEXT NOT NULL,
    max_duration    INTEGER,
    UNIQUE (account, role),
    CHECK ((kind = 'assume-role') = (role_arn IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX connectors_of_accounts ON connectors (stored_account);

CREATE TABLE tokens (
    id          BLOB NOT NULL PRIMARY KEY,
    made        INTEGER NOT NULL,
    user        TEXT NOT NULL,
    hash        BLOB NOT NULL UNIQUE,
    expires     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
", "
CREATE TABLE access_keys (
    number      INTEGER NOT NULL PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    made        INTEGER NOT NULL,
    user        TEXT NOT NULL,
    account     TEXT NOT NULL,
    label       TEXT NOT NULL,
    secret      BLOB NOT NULL
) STRICT;

CREATE TABLE mfa_devices (
    serial      TEXT NOT NULL PRIMARY KEY,
    made        INTEGER NOT NULL,
    user        TEXT NOT NULL,
    used        INTEGER,
    secret      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revocations (
    audit       BLOB NOT NULL PRIMARY KEY,
    until       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"];

/// Brings the tables up to this program, and has `then` done in the same transaction; it is told
/// whether the tables are new. Nothing is written to a file that is none of ours, that a later
/// program made, or that `then` refuses.
pub(super) fn bring_up<T>(
    connection: &mut Connection,
    then: impl FnOnce(&Transaction<'_>, bool) -> Result<T, Cause>,
) -> Result<T, Cause> {
    // Told before anything is locked or written.
    version(connection)?;
    let done = immediate(connection, |transaction| {
        let version = version(transaction)?;
        for step in STEPS.iter().skip(version) {
            transaction.execute_batch(step)?;
        }
        if version != STEPS.len() {
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", supported())?;
        }
        then(transaction, version == 0)
    })?;
    // Only now: it is a write by itself.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    Ok(done)
}

/// The version of the file's tables, none where there are none yet.
pub(super) fn version(connection: &Connection) -> Result<usize, Cause> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let tables = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection.query_row(tables, [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION, version) => {
            let version = u32::try_from(version).unwrap_or(u32::MAX);
            match usize::try_from(version) {
                Ok(known) if known <= STEPS.len() => Ok(known),
                Ok(_) | Err(_) => Err(Cause::Newer(version, supported())),
            }
        }
        _ => Err(Cause::Foreign),
    }
}

fn supported() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}
