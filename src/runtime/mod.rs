//! What container runtimes know of their containers: the unit that alone holds their sockets, and
//! the daemon's client of it.
//!
//! [`Unit`] asks docker, podman and CRI runtimes, and answers inspect-by-id, list and events over a
//! unix socket, to the daemon's user and root only. [`Containers`] is the daemon's side: facts by
//! id, and which container holds an address. A runtime may hang, lie or answer with megabytes:
//! everything asked of one is bounded in time and size, and what fails is *not known*.

mod ask;
mod cgroup;
mod client;
mod engine;
mod unit;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

pub use client::{At, Containers, Held, Interest};
pub use engine::{EngineKind, EngineSpec};
pub use unit::{Unit, UnitError, UnitSpec};
