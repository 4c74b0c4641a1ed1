//! Why the store does not do what is asked.

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
}
