//! What the daemon tells of itself: log, audit trail and metrics.
//!
//! None of them ever waits for whoever reads it, and none can print a secret.

pub mod audit;
mod chain;
mod fetches;
pub mod log;
pub mod metrics;
mod panics;

#[cfg(test)]
mod witness;

pub use chain::error_chain;
pub use fetches::FetchRecorder;
pub use panics::install as count_panics;
