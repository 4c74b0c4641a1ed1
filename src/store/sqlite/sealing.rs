//! Secrets at rest: sealed with a key of the store's own, which lies beside them sealed with the
//! state key; where none is configured, with one that is generated beside the file.
//!
//! So another state key changes one row, and a wrong one is told before anything is read.

use std::path::Path;
use std::sync::Arc;

use rusqlite::types::{FromSql, Value};
use rusqlite::{OptionalExtension as _, Transaction, params};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{FILE, connect, fault, files, immediate, schema};
use crate::authority::{KeyRing, KeyRingError, Seals, StateKey};
use crate::secret::{SEAL_KEY_LEN, Seal, random};
use crate::store::{Cause, Fault};

/// The ring of generated keys, in the state directory.
const RING: &str = "store";
/// What a sealed key is sealed for.
const KEY: &[u8] = b"rolecall store key";
/// Length of the id of a key.
const ID: usize = 4;

/// The key of the store.
#[derive(Debug)]
pub(super) struct Keys {
    id: [u8; ID],
    key: SecretBox<[u8; SEAL_KEY_LEN]>,
    seal: Seal,
}

/// What a rotation has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// How many secrets were sealed again.
    pub secrets: usize,
}

/// Whose secret is sealed: it opens as nobody else's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of<'a> {
    /// An account's.
    Account(&'a Uuid),
    /// An access key's.
    Key(&'a str),
    /// An MFA device's.
    Device(&'a str),
}

impl Of<'_> {
    fn context(self) -> Vec<u8> {
        match self {
            Self::Account(id) => [b"rolecall store secret of ".as_slice(), id.as_bytes()].concat(),
            Self::Key(id) => [b"rolecall store access key ", id.as_bytes()].concat(),
            Self::Device(serial) => [b"rolecall store MFA device ", serial.as_bytes()].concat(),
        }
    }
}

/// What the store's key is sealed with.
enum Sealer<'a> {
    Configured(&'a StateKey),
    Generated(Seals),
}

impl Keys {
    /// The key of these tables; of new ones a fresh one.
    pub(super) fn open(
        transaction: &Transaction<'_>,
        is_new: bool,
        directory: &Path,
        configured: Option<&StateKey>,
    ) -> Result<Self, Cause> {
        if is_new {
            let keys = Self::generate()?;
            keys.keep(transaction, &Sealer::of(directory, configured)?)?;
            return Ok(keys);
        }
        let (keys, sealed_by) = Self::read(transaction, directory, configured)?;
        if sealed_by == GENERATED && configured.is_some() {
            keys.keep(transaction, &Sealer::of(directory, configured)?)?;
        }
        Ok(keys)
    }

    /// The key id, then what the seal makes.
    pub(super) fn seal(&self, of: Of<'_>, secret: &[u8]) -> Result<Vec<u8>, Cause> {
        let mut sealed = self.id.to_vec();
        let text = self.seal.seal(&of.context(), secret);
        sealed.append(&mut text.map_err(|_unspecified| no_randomness())?);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] made of this one's.
    pub(super) fn open_secret(
        &self,
        of: Of<'_>,
        mut sealed: Vec<u8>,
    ) -> Result<SecretString, Cause> {
        let damaged = || Cause::Damaged(Arc::from("a secret does not open with the store's key"));
        let (id, text) = sealed.split_at_mut_checked(ID).ok_or_else(damaged)?;
        if *id != self.id {
            return Err(damaged());
        }
        let opened = self.seal.open(&of.context(), text);
        let opened = Zeroizing::new(opened.map_err(|_not_ours| damaged())?.to_vec());
        let secret = std::str::from_utf8(&opened).ok().ok_or_else(damaged)?;
        Ok(SecretString::from(secret))
    }

    fn generate() -> Result<Self, Cause> {
        let key = random::<SEAL_KEY_LEN>().map_err(|_unspecified| no_randomness())?;
        let id = random().map_err(|_unspecified| no_randomness())?;
        Self::new(id, SecretBox::new(Box::new(key)))
    }

    fn new(id: [u8; ID], key: SecretBox<[u8; SEAL_KEY_LEN]>) -> Result<Self, Cause> {
        let seal = Seal::new(&key).map_err(|_unspecified| no_randomness())?;
        Ok(Self { id, key, seal })
    }

    /// The key, and what it is sealed by.
    fn read(
        transaction: &Transaction<'_>,
        directory: &Path,
        configured: Option<&StateKey>,
    ) -> Result<(Self, String), Cause> {
        let sql = "SELECT id, sealed_by, sealed FROM keys";
        let row = transaction.query_row(sql, [], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        });
        let (id, sealed_by, mut sealed): ([u8; ID], String, Vec<u8>) = row
            .optional()?
            .ok_or_else(|| Cause::Damaged(Arc::from("its key is missing")))?;
        let with = match (&*sealed_by, configured) {
            (GENERATED, _) => {
                if !directory.join(format!("{RING}.keys")).exists() {
                    return Err(Cause::OtherKey("store.keys, beside it, is missing"));
                }
                Sealer::of(directory, None)?
            }
            (_, Some(_)) => Sealer::of(directory, configured)?,
            (_, None) => return Err(Cause::OtherKey("no `[state] key` is configured")),
        };
        let key = with.open(id, &mut sealed)?;
        Ok((Self::new(id, key)?, sealed_by))
    }

    /// Makes it the one that is kept.
    fn keep(&self, transaction: &Transaction<'_>, with: &Sealer<'_>) -> Result<(), Cause> {
        let sealed = with.seal(self)?;
        transaction.execute("DELETE FROM keys", [])?;
        let sql = "INSERT INTO keys (id, sealed_by, sealed) VALUES (?, ?, ?)";
        transaction.execute(sql, params![self.id.as_slice(), with.name(), sealed])?;
        Ok(())
    }
}

const CONFIGURED: &str = "configured";
const GENERATED: &str = "generated";

impl<'a> Sealer<'a> {
    fn of(directory: &Path, configured: Option<&'a StateKey>) -> Result<Self, Cause> {
        if let Some(key) = configured {
            return Ok(Self::Configured(key));
        }
        let ring = KeyRing::open(directory, RING, None)?;
        Ok(Self::Generated(Seals::new(ring, None)?))
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Configured(_) => CONFIGURED,
            Self::Generated(_) => GENERATED,
        }
    }

    fn seal(&self, keys: &Keys) -> Result<Vec<u8>, Cause> {
        let context = key_context(keys.id);
        let key = keys.key.expose_secret();
        Ok(match self {
            Self::Configured(state) => state.seal(&context, key)?,
            Self::Generated(seals) => seals.seal(&context, key)?,
        })
    }

    fn open(
        &self,
        id: [u8; ID],
        sealed: &mut [u8],
    ) -> Result<SecretBox<[u8; SEAL_KEY_LEN]>, Cause> {
        let context = key_context(id);
        let (opened, other) = match self {
            Self::Configured(state) => (
                state.open(&context, sealed),
                "it does not open with the configured `[state] key`",
            ),
            Self::Generated(seals) => (
                seals.open(&context, sealed),
                "it does not open with store.keys, beside it",
            ),
        };
        let opened = opened.map_err(|_not_ours| Cause::OtherKey(other))?;
        let key: [u8; SEAL_KEY_LEN] = opened
            .try_into()
            .map_err(|_length| Cause::Damaged(Arc::from("its key is of another length")))?;
        Ok(SecretBox::new(Box::new(key)))
    }
}

/// Gives the store of this directory a fresh key, and seals that with `new` from then on; with what it
/// was sealed with (a fresh one, where it was generated) where there is none.
///
/// Interrupted, it is simply done again: what is sealed with `new` already is opened with it.
pub fn rotate_key(
    directory: &Path,
    key: Option<&StateKey>,
    new: Option<&StateKey>,
) -> Result<Rotated, Fault> {
    let file: Arc<Path> = Arc::from(directory.join(FILE));
    rotate(directory, &file, key, new).map_err(|cause| fault(&file, cause))
}

fn rotate(
    directory: &Path,
    file: &Path,
    key: Option<&StateKey>,
    new: Option<&StateKey>,
) -> Result<Rotated, Cause> {
    let _only = files::only(directory)?;
    if !file.exists() {
        return Err(Cause::Missing);
    }
    files::prepare(file)?;
    let mut connection = connect(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let sealer = schema::bring_up(&mut connection, |transaction, is_new| {
        let opened = Keys::open(transaction, is_new, directory, key);
        let keys = match (opened, new) {
            (Err(Cause::OtherKey(_)), Some(_)) => Keys::open(transaction, is_new, directory, new)?,
            (opened, _) => opened?,
        };
        // A ring forgets the key before the last: nothing may be sealed with that one any more.
        let sealer = Sealer::of(directory, new.or(key))?;
        keys.keep(transaction, &sealer)?;
        Ok(sealer)
    })?;
    if let Sealer::Generated(seals) = &sealer {
        seals.rotate()?;
    }
    let secrets = immediate(&mut connection, |transaction| {
        let (old, _) = Keys::read(transaction, directory, new.or(key))?;
        let fresh = Keys::generate()?;
        let secrets = seal_again(transaction, &old, &fresh)?;
        fresh.keep(transaction, &sealer)?;
        Ok(secrets)
    })?;
    // What was sealed with the old key stands in the log of writes until it is cut.
    connection.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
    Ok(Rotated { secrets })
}

fn seal_again(transaction: &Transaction<'_>, old: &Keys, new: &Keys) -> Result<usize, Cause> {
    let accounts = seal_table(transaction, "accounts", "id", |id: [u8; 16], sealed| {
        let id = Uuid::from_bytes(id);
        again(Of::Account(&id), sealed, old, new)
    })?;
    let keys = seal_table(transaction, "access_keys", "id", |id: String, sealed| {
        again(Of::Key(&id), sealed, old, new)
    })?;
    let devices = seal_table(
        transaction,
        "mfa_devices",
        "serial",
        |serial: String, sealed| again(Of::Device(&serial), sealed, old, new),
    )?;
    Ok(accounts.saturating_add(keys).saturating_add(devices))
}

fn again(of: Of<'_>, sealed: Vec<u8>, old: &Keys, new: &Keys) -> Result<Vec<u8>, Cause> {
    let secret = old.open_secret(of, sealed)?;
    new.seal(of, secret.expose_secret().as_bytes())
}

/// Replaces each secret of a table; how many there are.
fn seal_table<I: FromSql>(
    transaction: &Transaction<'_>,
    table: &str,
    column: &str,
    again: impl Fn(I, Vec<u8>) -> Result<Vec<u8>, Cause>,
) -> Result<usize, Cause> {
    let mut statement = transaction.prepare(&format!("SELECT {column}, secret FROM {table}"))?;
    let mut rows = statement.query([])?;
    let mut secrets = Vec::new();
    while let Some(row) = rows.next()? {
        let id: Value = row.get(0)?;
        secrets.push((id, again(row.get(0)?, row.get(1)?)?));
    }
    let mut update =
        transaction.prepare(&format!("UPDATE {table} SET secret = ? WHERE {column} = ?"))?;
    for (id, sealed) in &secrets {
        update.execute(params![sealed, id])?;
    }
    Ok(secrets.len())
}

fn key_context(id: [u8; ID]) -> Vec<u8> {
    [KEY, id.as_slice()].concat()
}

fn no_randomness() -> Cause {
    Cause::Failed(Arc::from("the operating system gave no random bytes"))
}

impl From<KeyRingError> for Cause {
    fn from(error: KeyRingError) -> Self {
        match error {
            KeyRingError::File(error) => Self::from(error),
            KeyRingError::OtherStateKey(_)
            | KeyRingError::OtherVersion(_)
            | KeyRingError::Damaged(_)
            | KeyRingError::Random => Self::Failed(Arc::from(error.to_string())),
        }
    }
}
