//! What several integration tests need: stand-ins for the rest of the world.

pub(crate) mod sts;
