//! What several integration tests need: the daemon itself, a client that sends what it is told, and
//! stand-ins for the rest of the world.

pub(crate) mod client;
pub(crate) mod daemon;
pub(crate) mod process;
pub(crate) mod sts;
pub(crate) mod tls;
