//! The refresh contract, in simulated time against a scripted source.

#![expect(
    clippy::unchecked_time_subtraction,
    clippy::shadow_unrelated,
    reason = "a test that subtracts wrongly fails, and it asks the same thing again and again"
)]

mod fairness;
mod flights;
mod keeping;
mod kept;
mod paced;
mod renewal;
mod script;
mod stories;
