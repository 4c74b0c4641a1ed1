//! Where sessions come from.

pub mod local;
