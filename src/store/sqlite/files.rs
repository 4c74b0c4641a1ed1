//! The files around the database: who may use it, and how it is made.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::authority::{PrivateFileError, check_directory, open_private};
use crate::store::Cause;

/// Locked by who uses the store.
const LOCK: &str = "store.lock";

/// Keeps everybody else away for as long as the file lives.
pub(super) fn only(directory: &Path) -> Result<File, Cause> {
    check_directory(directory)?;
    let lock = open_private(&directory.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Cause::InUse),
        Err(TryLockError::Error(error)) => Err(Cause::from(error)),
    }
}

/// Makes the file, for its owner only, where there is none; refuses one that others may write to.
pub(super) fn prepare(file: &Path) -> Result<(), Cause> {
    drop(open_private(file)?);
    Ok(())
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "these have words of their own"
        )]
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Failed(Arc::from(error.to_string())),
        }
    }
}

impl From<PrivateFileError> for Cause {
    fn from(error: PrivateFileError) -> Self {
        match error {
            PrivateFileError::Io { source, .. } => Self::from(source),
            PrivateFileError::Exposed { .. } => Self::Exposed(Arc::from(error.to_string())),
        }
    }
}
