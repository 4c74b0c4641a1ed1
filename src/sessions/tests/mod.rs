//! The refresh contract, in simulated time against a scripted source.

mod flights;
mod script;
