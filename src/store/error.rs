//! Why the store does not do what is asked.

use std::path::Path;
use std::sync::Arc;

use crate::types::AccountAlias;

/// A write that was not made. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no object of that id.
    #[error("there is no object of that id")]
    Unknown,
    /// The object is of another version than the one expected: somebody else has written it.
    #[error("the object was changed meanwhile")]
    Changed,
    /// Another object has the name, of the store or of the configuration.
    #[error("the name is taken")]
    NameTaken,
    /// The account has connectors.
    #[error("the account is used by connectors")]
    InUse {
        /// One of them, by name.
        by: Arc<str>,
    },
    /// A connector's account is not there.
    #[error("there is no account {0}")]
    NoAccount(AccountAlias),
    /// The user has as many as one may have.
    #[error("a user has at most {most} of these")]
    TooMany {
        /// How many that is.
        most: usize,
    },
    /// A code was used that, or after which another, was used before.
    #[error("the code was used before")]
    Used,
    /// The store cannot be used.
    #[error(transparent)]
    Unavailable(#[from] Fault),
}

/// Why the store cannot be used. What is told is for the log and the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not open yet.
    #[error("the store is being opened")]
    Opening,
    /// Its thread has ended, or could not be started.
    #[error("the store's thread is gone")]
    Ended,
    /// Something is wrong where it is kept.
    #[error("the store {} {cause}", path.display())]
    Kept {
        /// Where.
        path: Arc<Path>,
        /// What is wrong.
        cause: Cause,
    },
}

/// What is wrong where the store is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No space is left.
    #[error("cannot grow: no space is left on its file system")]
    Full,
    /// Somebody holds a lock on its file.
    #[error("is locked: another program reads or writes it for too long")]
    Locked,
    /// Another daemon uses it.
    #[error("is used by another rolecall: stop that one first")]
    InUse,
    /// It may be read only.
    #[error("cannot be written: its file or its file system is read-only")]
    ReadOnly,
    /// Its file is damaged.
    #[error("is damaged ({0}): bring back a backup with `rolecall state restore`")]
    Damaged(Arc<str>),
    /// A later rolecall made it.
    #[error("is of version {0}, which a later rolecall has made: this one reads up to {1}")]
    Newer(u32, u32),
    /// The file is none of ours.
    #[error("is another program's database")]
    Foreign,
    /// It is sealed, and not with the key that is there.
    #[error("is sealed with another key: {0}")]
    OtherKey(&'static str),
    /// Somebody else could have read or replaced it.
    #[error("cannot be trusted: {0}")]
    Exposed(Arc<str>),
    /// It is not there.
    #[error("is not there")]
    Missing,
    /// The operating system or the database refuses.
    #[error("cannot be used: {0}")]
    Failed(Arc<str>),
}

impl Fault {
    /// Whether it is of this moment, and leaves what is kept surely as it was.
    pub(super) const fn is_passing(&self) -> bool {
        match self {
            Self::Opening | Self::Ended => true,
            Self::Kept { cause, .. } => cause.is_passing(),
        }
    }
}

impl Cause {
    const fn is_passing(&self) -> bool {
        match self {
            Self::Full | Self::Locked | Self::ReadOnly => true,
            Self::InUse
            | Self::Damaged(_)
            | Self::Newer(..)
            | Self::Foreign
            | Self::OtherKey(_)
            | Self::Exposed(_)
            | Self::Missing
            | Self::Failed(_) => false,
        }
    }
}
