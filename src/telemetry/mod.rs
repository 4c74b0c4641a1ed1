//! What the daemon tells of itself: log, audit trail and metrics.
//!
//! None of them ever waits for whoever reads it, and none can print a secret.

pub mod audit;
pub mod log;
pub mod metrics;
mod panics;

pub use panics::install as count_panics;
