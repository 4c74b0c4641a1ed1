//! The files around the database: who may use it, and how it is made.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::unistd::Uid;

use crate::authority::{PrivateFileError, check_directory};
use crate::store::Cause;

/// Locked by who uses the store.
const LOCK: &str = "store.lock";

/// Keeps everybody else away for as long as the file lives.
pub(super) fn only(directory: &Path) -> Result<File, Cause> {
    check_directory(directory)?;
    let lock = open(&directory.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Cause::InUse),
        Err(TryLockError::Error(error)) => Err(Cause::from(error)),
    }
}

/// Makes the file, for its owner only, where there is none; refuses one that others may write to.
pub(super) fn prepare(file: &Path) -> Result<(), Cause> {
    drop(open(file)?);
    Ok(())
}

fn open(path: &Path) -> Result<File, Cause> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)?;
    let facts = file.metadata()?;
    let owner = facts.uid();
    if !facts.is_file() {
        return Err(Cause::Exposed(Arc::from("it is no regular file")));
    }
    if owner != Uid::effective().as_raw() && owner != 0 {
        let told = format!("it belongs to uid {owner}");
        return Err(Cause::Exposed(Arc::from(told)));
    }
    if facts.mode() & 0o077 != 0 {
        let mode = facts.mode() & 0o7777;
        let told = format!("it has mode {mode:04o}, and must be for its owner only (0600)");
        return Err(Cause::Exposed(Arc::from(told)));
    }
    Ok(file)
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
