//! How the daemon calls out over HTTP: one connector, which never leads to the daemon's own
//! listeners, one thread that all such calls run on, and a client for a single bounded GET.
//!
//! Nothing here is made before it is used: neither the thread, nor TLS with its root certificates.

mod client;
mod connector;
mod errors;
mod own;
mod thread;

pub use client::{Answer, Ask, AskError, Client};
pub use connector::LOOP_HEADER;
pub(crate) use connector::{BODY_LIMIT, CONNECT_TIMEOUT, LeadsHere, Transport};
pub(crate) use errors::{cause, causes, printable};
pub use own::OwnAddresses;
pub(crate) use own::literal;
pub(crate) use thread::Thread;
