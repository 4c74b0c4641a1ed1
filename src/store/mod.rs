//! What must survive: accounts and connectors that administrators make through an API, the bearer
//! tokens of build servers, and what the authority knows people's signatures and codes by.
//!
//! Everybody reads one [`Objects`], which never changes; a write makes the next one, on the
//! store's own thread. Objects of the configuration are no business of the store, but for their
//! names, which its own objects must not have ([`Reserved`]).
//!
//! Where to begin: a write goes through the `door` to the `thread`, which holds it against the
//! rules of `work`, has the [`Backing`] keep what they allow (`sqlite`, or memory), and publishes
//! that.

mod backing;
mod door;
mod error;
mod objects;
mod sqlite;
#[cfg(test)]
mod tests;
mod thread;
mod work;

pub use backing::{Backing, Change, InMemory, Kept};
pub use door::Store;
pub use error::{Cause, Fault, StoreError};
pub use objects::{
    AccessKey, AccessKeyDraft, Account, AccountDraft, AccountEdit, ByName, Connector,
    ConnectorDraft, ConnectorKind, Connectors, MfaDevice, MfaDeviceDraft, Objects, Token,
    TokenDraft, Version,
};
pub use sqlite::{Backup, Rotated, backup, restore, rotate_key};
pub use thread::Open;
pub use work::{Reserved, ReservedNames};
