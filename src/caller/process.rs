//! The process at the other end of a unix socket.
//!
//! A pid alone proves nothing: it may have gone to another process. What is read here is read
//! through a handle of the process itself, and counts only if that process still lives afterwards.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::Mode;

use super::cgroup::unified_path;

/// Paths of groups have at most 4 KiB, and version 1 adds a dozen lines.
const MAX_CGROUP_FILE: u64 = 64 * 1024;

/// A handle of one process. Its folder in `/proc`, once open, never shows another process.
#[derive(Debug)]
pub struct PeerProcess {
    folder: OwnedFd,
    /// The kernel's own handle of the process that connected; kernels before 6.5 have none.
    pidfd: Option<OwnedFd>,
}

impl PeerProcess {
    /// The process that connected this unix socket; `None` where it cannot be seen.
    ///
    /// Without a pidfd the folder is opened by number right after the connection was accepted:
    /// the peer must have ended, and its number must have been given away, within that time to
    /// show another process.
    pub(super) fn of_peer(stream: BorrowedFd<'_>, pid: i32) -> Option<Self> {
        let pidfd = getsockopt(&stream, sockopt::PeerPidfd).ok();
        let folder = File::open(format!("/proc/{pid}")).ok()?;
        Some(Self {
            folder: folder.into(),
            pidfd,
        })
    }

    /// The path of its control group in the unified hierarchy, `None` where it has none or has
    /// ended.
    pub(super) fn cgroup_path(&self) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.folder, "cgroup", flags, Mode::empty())?;
        let mut content = Vec::new();
        File::from(file)
            .take(MAX_CGROUP_FILE)
            .read_to_end(&mut content)?;
        if self.has_ended()? {
            return Ok(None);
        }
        Ok(unified_path(&content))
    }

    /// A pidfd is readable once its process has ended; a folder of one that has been reaped cannot
    /// be read any more, and its state tells one that has not been.
    fn has_ended(&self) -> io::Result<bool> {
        if let Some(pidfd) = &self.pidfd {
            let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
            return Ok(poll(&mut fds, PollTimeout::ZERO)? > 0);
        }
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.folder, "stat", flags, Mode::empty())?;
        let mut stat = Vec::new();
        File::from(file).take(4096).read_to_end(&mut stat)?;
        // The name in parentheses may hold anything; the state follows the last of them.
        let mut after_name = stat.rsplit(|byte| *byte == b')');
        let state = after_name.next().and_then(|rest| rest.get(1));
        Ok(!matches!(
            state,
            Some(b'R' | b'S' | b'D' | b'T' | b't' | b'I')
        ))
    }
}
