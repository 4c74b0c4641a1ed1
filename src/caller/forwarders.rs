//! Programs that pass connections of containers and virtual machines on as their own.
//!
//! The kernel says of such a connection what is true: the forwarder made it. Whom it was made for
//! nobody can tell, so a control group in which a forwarder runs identifies nobody. Those that
//! runtimes put into groups of their own are known by the groups; here are looked for the ones that
//! share a group with other programs of their user.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{BootTime, Clock};

/// What the kernel calls them: names of programs, of which it keeps fifteen bytes. rootlesskit
/// stands for its docker-proxy too, pasta for its variants.
const NAMES: [&str; 12] = [
    "slirp4netns",
    "pasta",
    "passt",
    "rootlesskit",
    "rootlessport",
    "docker-proxy",
    "vpnkit",
    "gvproxy",
    "gvforwarder",
    "bypass4netns",
    "qemu-system",
    "VBoxHeadless",
];
/// What was seen is believed for so long, and no longer than until a process is made.
const AGE: Duration = Duration::from_secs(1);
/// How many groups are remembered.
const REMEMBERED: usize = 1024;

/// Which groups have forwarders in them.
#[derive(Debug)]
pub(super) struct Forwarders {
    clock: Clock,
    /// `/proc/loadavg`, which ends in the number of the process made last.
    last_process: Option<File>,
    seen: Mutex<HashMap<u64, Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: BootTime,
    last_process: u32,
    forwards: bool,
}

impl Forwarders {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            last_process: File::open("/proc/loadavg").ok(),
            seen: Mutex::default(),
        }
    }

    /// Whether a forwarder runs in this group; `None` where somebody has to look.
    ///
    /// A forwarder is a new process, or a new program in one that was made just before: whoever has
    /// looked since, and within a second, need not look again.
    pub(super) fn remembered(&self, group: u64) -> Option<bool> {
        let seen = *self.lock().get(&group)?;
        let fresh = self.clock.boot().since(seen.at) < AGE;
        (fresh && self.last_process()? == seen.last_process).then_some(seen.forwards)
    }

    /// Whether one of these processes, which are those of the group, is a forwarder, or is not in
    /// the group's place for another reason.
    pub(super) fn look(
        &self,
        group: u64,
        processes: impl FnOnce() -> io::Result<Vec<u32>>,
        is_elsewhere: impl Fn(u32) -> bool,
    ) -> io::Result<bool> {
        let (at, last_process) = (self.clock.boot(), self.last_process());
        let mut processes = processes()?.into_iter();
        let forwards = processes.any(|pid| is_forwarder(pid) || is_elsewhere(pid));
        if let Some(last_process) = last_process {
            let mut seen = self.lock();
            if seen.len() >= REMEMBERED {
                seen.clear();
            }
            let now = Seen {
                at,
                last_process,
                forwards,
            };
            seen.insert(group, now);
        }
        Ok(forwards)
    }

    fn last_process(&self) -> Option<u32> {
        let mut content = [0; 128];
        let length = self.last_process.as_ref()?.read_at(&mut content, 0).ok()?;
        let content = std::str::from_utf8(content.get(..length)?).ok()?;
        content.split_ascii_whitespace().next_back()?.parse().ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_forwarder(pid: u32) -> bool {
    // A process that has ended holds no connection.
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    NAMES
        .iter()
        .any(|forwarder| name.starts_with(forwarder.as_bytes()))
}
