//! What callers get: the cache of sessions, their refresh and its schedule. Knows no HTTP and no
//! SDK; upstream is behind the [`Source`] trait.
//!
//! Invariants: an expired session is never handed out; a failure never replaces a success; one
//! flight for each key, which no waiter can cancel.

mod key;
mod session;
mod source;

pub use key::{KeyDigest, SessionKey};
pub use session::{MANDATORY_WINDOW, SLOTS, Session, Slot};
pub use source::{
    Catalogue, FailureKind, FetchError, FetchFuture, Fetched, Request, SessionCredentials, Source,
    Upstream,
};
