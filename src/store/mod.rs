//! What must survive: accounts and connectors that administrators make through an API, and the
//! bearer tokens of build servers.
//!
//! Everybody reads one [`Objects`], which never changes; a write makes the next one. Objects of the
//! configuration are no business of the store.

mod objects;

pub use objects::{
    Account, AccountDraft, Connector, ConnectorDraft, ConnectorKind, Objects, Token, TokenDraft,
    Version,
};
