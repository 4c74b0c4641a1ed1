//! The built-in issuer: sessions without any cloud, and their verification without any database.
//!
//! A session token carries everything that the verifier must know, sealed under a key of a
//! [`KeyRing`]; the secret access key is derived from that key and the access key id. Nothing is
//! remembered for each issued session, so a million of them cost nothing.

#[cfg(fuzzing)]
pub mod fuzzing;
mod holding;
mod issuer;
mod keys;
mod keystone_token;
mod private_file;
mod seals;
pub mod signature;
mod token;
pub mod totp;

#[cfg(test)]
mod tests;

pub use holding::{Held, HoldError};
pub use issuer::{Authority, IssueError, IssueRequest, Issued};
pub use keys::{Kept, KeyRing, KeyRingError, StateKey, StateKeyError};
pub use keystone_token::{KeystoneClaims, KeystoneTokenError, TokenProof};
pub use private_file::{PrivateFileError, check_directory, open_private};
pub use seals::{SEALED_OVERHEAD, Seals};
pub use token::{SessionClaims, SessionOf, TokenError};
