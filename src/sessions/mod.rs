//! What callers get: the cache of sessions, their refresh and its schedule. Knows no HTTP and no
//! SDK; upstream is behind the [`Source`] trait.
//!
//! Invariants: an expired session is never handed out; a failure never replaces a success; one
//! flight for each key, which no waiter can cancel; every key is in flight or on the agenda.

mod allowance;
mod assumption;
mod cache;
mod exchange;
mod failure;
mod flight;
mod kept;
mod key;
mod lease;
mod observer;
mod pacing;
mod registry;
mod report;
mod schedule;
mod scheduler;
mod session;
mod source;
mod traffic;

#[cfg(test)]
mod tests;

pub use allowance::Allowance;
pub use assumption::{Assumption, Excess, ProvidedContext};
pub use cache::{Selector, Sessions};
pub use exchange::{
    Callback, CallerIdentity, Exchange, ExchangeFuture, LongTermKey, Offers, RegistryAsk,
    RegistryLogin, SigninAsk, SigninUrl,
};
pub use kept::{Elsewhen, Keeper, Kept, NotSettled, Settle, Settled};
pub use key::{KeyDigest, SessionKey};
pub use lease::{Lease, NoSession, Prefetch};
pub use observer::{Dropped, Observer, Skew, SkewLevel};
pub use pacing::Pace;
pub use report::{Held, LastFailure, Report};
pub use schedule::warning;
pub use session::{MANDATORY_WINDOW, SLOTS, Session, Slot};
pub use source::{
    Attribution, Catalogue, FailureKind, FetchError, FetchFuture, Fetched, NoRequest, Request,
    SessionCredentials, Source, Upstream, Wish,
};
