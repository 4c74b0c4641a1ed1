//! Keeps objects in one SQLite file of the state directory, which one rolecall at a time may use.
//!
//! The file is in WAL mode and every write is waited for until the disk has it: a crash at any point
//! leaves what was before the last write, or what is after it. Secrets in it are sealed ([`sealing`]).

mod copies;
mod files;
mod rows;
mod schema;
mod sealing;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, ffi};

pub use copies::{Backup, backup, restore};
pub use sealing::{Rotated, rotate_key};

use super::{Backing, Cause, Change, Fault, Kept};
use crate::authority::StateKey;
use sealing::Keys;

/// The database's file in the state directory.
const FILE: &str = "store.db";

/// How long another program that reads or writes the file is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Objects in a file.
#[derive(Debug)]
pub(super) struct Sqlite {
    file: Arc<Path>,
    connection: Connection,
    keys: Keys,
    /// Locked: nobody else uses the file.
    _only: File,
}

impl Sqlite {
    /// Whether nothing is kept in this directory yet.
    pub(super) fn is_new(directory: &Path) -> bool {
        !directory.join(FILE).exists()
    }

    /// Opens the file of this directory; makes it where there is none. Of a file that cannot be used
    /// nothing is changed.
    pub(super) fn open(directory: &Path, key: Option<&StateKey>) -> Result<Self, Fault> {
        let file: Arc<Path> = Arc::from(directory.join(FILE));
        let opened = files::only(directory).and_then(|only| {
            files::prepare(&file)?;
            let mut connection = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            let keys = schema::bring_up(&mut connection, |transaction, is_new| {
                Keys::open(transaction, is_new, directory, key)
            })?;
            Ok((connection, keys, only))
        });
        let (connection, keys, only) = opened.map_err(|cause| fault(&file, cause))?;
        Ok(Self {
            file,
            connection,
            keys,
            _only: only,
        })
    }
}

impl Backing for Sqlite {
    fn read(&mut self) -> Result<Kept, Fault> {
        let kept = rows::read(&self.connection, &self.keys);
        kept.map_err(|cause| fault(&self.file, cause))
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), Fault> {
        let keys = &self.keys;
        let written = immediate(&mut self.connection, |transaction| {
            let mut changes = changes.iter();
            changes.try_for_each(|change| rows::write(transaction, keys, change))
        });
        written.map_err(|cause| fault(&self.file, cause))
    }
}

fn fault(file: &Arc<Path>, cause: Cause) -> Fault {
    Fault::Kept {
        path: Arc::clone(file),
        cause,
    }
}

/// A connection to the file, which changes nothing of it yet.
fn connect(file: &Path, access: OpenFlags) -> Result<Connection, Cause> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW | access;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted or replaced is overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    // Everything is read once; a megabyte of its pages would only be idle memory.
    connection.pragma_update(None, "cache_size", -256)?;
    // Else there are files in /tmp at times, which is not the store's to write in.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Does this in one transaction, which writes from its beginning on.
fn immediate<T>(
    connection: &mut Connection,
    work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, Cause>,
) -> Result<T, Cause> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        let told = || Arc::from(error.to_string());
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            // The memory that who uses the log of writes share is a file, which cannot grow.
            Some(_) if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            // Without a code it is a row that is not of the form that it was written in.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => {
                Self::Damaged(told())
            }
            Some(_) => Self::Failed(told()),
        }
    }
}

#[cfg(test)]
mod tests;
