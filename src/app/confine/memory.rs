//! Memory that is neither dumped nor written to swap: a disk keeps what a process has forgotten.
//!
//! Where the control group has no swap there is nothing to do. Elsewhere all memory is locked as it
//! comes to be used, where the process may lock as much as it likes. A limit would hold for each
//! later allocation too, and the daemon would fail for want of memory that there is.

use std::fs;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::api::admin::wire;
use crate::caller::own_control_groups;

/// Of capabilities(7), by its number.
const CAP_IPC_LOCK: u32 = 14;

/// What has become of it.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) swap: Swap,
    /// Whether it is neither dumped nor shown to others of the same user.
    pub(super) undumpable: bool,
}

/// What keeps it out of swap.
#[derive(Clone, Debug)]
pub(super) enum Swap {
    /// The control group has none.
    None,
    /// It is locked.
    Locked,
    /// Nothing, as it could not be locked.
    Possible(NotLocked),
}

/// Why memory was not locked.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NotLocked {
    #[error("the process may lock only some of it (LimitMEMLOCK, ulimit -l)")]
    Limited,
    #[error("mlockall is refused: {0}")]
    Refused(Errno),
}

impl Memory {
    /// Keeps it private where that can be, and tells the operator.
    pub(super) fn keep_private() -> Self {
        let swap = Swap::avoid();
        swap.tell();
        let undumpable = prctl::set_dumpable(false);
        let no_core = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        let kept = undumpable.and(no_core);
        if let Err(error) = kept {
            tracing::warn!(%error, "secrets in memory cannot be kept from core dumps");
        }
        Self {
            swap,
            undumpable: kept.is_ok(),
        }
    }
}

impl Swap {
    fn avoid() -> Self {
        if is_without_swap() {
            return Self::None;
        }
        match lock() {
            Ok(()) => Self::Locked,
            Err(error) => Self::Possible(error),
        }
    }

    fn tell(&self) {
        match self {
            Self::None => tracing::info!("memory is not swapped: the control group has no swap"),
            Self::Locked => tracing::info!("memory is not swapped: it is locked"),
            Self::Possible(error) => tracing::info!(reason = %error, "memory may be swapped"),
        }
    }

    /// For `status`.
    pub(super) fn shown(&self) -> wire::Memory {
        match self {
            Self::None => wire::Memory::NoSwap,
            Self::Locked => wire::Memory::Locked,
            Self::Possible(error) => wire::Memory::MayBeSwapped {
                reason: error.to_string(),
            },
        }
    }
}

/// Whether a control group that this process is in may not swap.
fn is_without_swap() -> bool {
    let mut groups = own_control_groups().into_iter();
    groups.any(|group| {
        let most = fs::read_to_string(group.join("memory.swap.max"));
        most.is_ok_and(|most| most.trim() == "0")
    })
}

/// Whether no limit holds for the process: by a capability, which counts among the host's users only.
fn is_above_limits() -> bool {
    let users = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    maps_everybody(&users) && has_capability(&status, CAP_IPC_LOCK)
}

fn maps_everybody(map: &str) -> bool {
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

fn has_capability(status: &str, number: u32) -> bool {
    let mut lines = status.lines();
    let set = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set >> number & 1 == 1)
}

fn lock() -> Result<(), NotLocked> {
    const UNLIMITED: libc::rlim_t = libc::RLIM_INFINITY;
    // Root may lift the limit, and so may who was given none.
    let lifted = setrlimit(Resource::RLIMIT_MEMLOCK, UNLIMITED, UNLIMITED);
    let most = lifted.and_then(|()| getrlimit(Resource::RLIMIT_MEMLOCK));
    if !most.is_ok_and(|(most, _)| most == UNLIMITED) && !is_above_limits() {
        return Err(NotLocked::Limited);
    }
    // What is not used takes no room: a page is locked when it is first touched.
    let flags = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    #[expect(unsafe_code, reason = "nix has no MCL_ONFAULT")]
    // SAFETY: it takes no pointer, and changes nothing but where pages may be.
    let locked = unsafe { libc::mlockall(flags) };
    Errno::result(locked).map(drop).map_err(NotLocked::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_but_for_the_hosts_own_capability() {
        assert!(maps_everybody("         0          0 4294967295\n"));
        for map in ["0 100000 65536\n", "0 0 4294967295\n1 1 1\n", ""] {
            assert!(!maps_everybody(map), "{map}");
        }
        let of = |set: &str| has_capability(&format!("CapPrm:\t0\nCapEff:\t{set}\n"), 14);
        assert!(of("000001fffeffffff") && of("0000000000004000"));
        assert!(!of("00000000a80425fb") && !of("0000000000000000"));
        assert!(!has_capability("", 14));
    }
}
