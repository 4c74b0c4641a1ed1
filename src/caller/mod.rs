//! Who is connected: the kernel says, once for each connection, and what it says is kept with the
//! evidence for it.
//!
//! What a user can choose is no evidence. A caller counts as identified only by an answer of the
//! kernel about this very connection while it lives; anything else is *not identified*, never
//! somebody. Facts that take time are looked up off the path of requests.

mod cgroup;
mod desk;
mod directory;
mod identity;
mod own_addresses;
mod place;
mod process;
mod process_id;
mod redirect;
mod sock_diag;

#[cfg(test)]
mod tests;

pub use desk::{Desk, DeskError};
pub use identity::{Caller, CallerKey, Doubt, Evidence, Principal, Reach};
pub use process::PeerProcess;
pub use process_id::ProcessId;
