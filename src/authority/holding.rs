//! Who uses a state directory: daemons together, or alone who replaces what is in it.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::private_file::{PrivateFileError, check_directory, io_error, open_or_make};

/// Locked by who uses the directory.
const LOCK: &str = "state.lock";

/// The directory is used for as long as this lives.
#[derive(Debug)]
pub struct Held {
    _lock: File,
}

/// The directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// A daemon uses it, or somebody replaces what is in it.
    #[error("somebody else uses it")]
    Used,
    /// It cannot be used at all.
    #[error(transparent)]
    File(#[from] PrivateFileError),
}

impl Held {
    /// Uses it beside other daemons.
    pub fn shared(directory: &Path) -> Result<Self, HoldError> {
        Self::locked(directory, File::try_lock_shared)
    }

    /// Uses it alone.
    pub fn alone(directory: &Path) -> Result<Self, HoldError> {
        Self::locked(directory, File::try_lock)
    }

    fn locked(
        directory: &Path,
        lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> Result<Self, HoldError> {
        check_directory(directory)?;
        let path = directory.join(LOCK);
        let file = open_or_make(&path)?;
        match lock(&file) {
            Ok(()) => Ok(Self { _lock: file }),
            Err(TryLockError::WouldBlock) => Err(HoldError::Used),
            Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_replaces_is_alone() {
        let directory = tempfile::tempdir().unwrap();
        let first = Held::shared(directory.path()).unwrap();
        let second = Held::shared(directory.path()).unwrap();
        drop(first);
        let alone = || Held::alone(directory.path());
        assert!(matches!(alone(), Err(HoldError::Used)));
        drop(second);
        let replacing = alone().unwrap();
        let daemon = Held::shared(directory.path());
        assert!(matches!(daemon, Err(HoldError::Used)));
        drop(replacing);
        drop(Held::shared(directory.path()).unwrap());
    }
}
