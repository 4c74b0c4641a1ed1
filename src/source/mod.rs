//! Where sessions come from: STS calls signed with base credentials. The only place that knows
//! AWS SDK types.
//!
//! [`Plans`] turns a configuration into requests, one for each role and each set of names that its
//! templates are filled with. Their [`Source`](crate::sessions::Source)s run on the thread of an
//! [`Engine`], so that neither TLS nor XML ever delays an answer from a held session. Nothing of
//! the SDK is made before the first fetch.

mod account;
mod answer;
mod base;
mod call;
mod console;
mod ecr;
mod engine;
mod environment;
mod exchange;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod local;
mod operations;
mod plans;
mod probe;
mod sdk_error;
mod stored;
mod sts;

pub use account::PlanError;
pub use engine::Engine;
pub use environment::Environment;
pub use failure::{Attempt, classify};
pub use plans::Plans;
pub use probe::{Finding, probe};
