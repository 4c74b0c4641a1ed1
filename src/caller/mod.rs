//! Who is connected: the kernel says, once for each connection, and what it says is kept with the
//! evidence for it.
//!
//! What a user can choose is no evidence. A caller counts as identified only by an answer of the
//! kernel about this very connection while it lives, or by an address that one container of this
//! host holds; anything else is *not identified*, never somebody. Facts that take time are looked up off the path of requests.

mod cgroup;
mod containers;
mod desk;
mod directory;
mod evidence;
mod forwarders;
mod host_names;
mod identity;
mod legacy;
mod own_addresses;
mod per_caller;
mod place;
mod places;
mod principal;
mod process;
mod process_id;
mod redirect;
mod sock_diag;
mod subordinates;
mod unit;

#[cfg(test)]
mod tests;

pub use cgroup::{ControlGroups, NoPlaces, own_control_groups};
pub use desk::{Desk, DeskError, NoContainer};
pub use evidence::{Doubt, Evidence};
pub use identity::{AllEvidence, Caller, Particulars, Reach};
pub use per_caller::PerCaller;
pub use principal::{CallerKey, Principal};
pub use process::PeerProcess;
pub use process_id::ProcessId;
