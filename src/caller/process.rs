//! A process, looked at through a handle of it.
//!
//! A pid alone proves nothing: it may have gone to another process. What is read here is read
//! through a handle of the process itself, and counts only if that process still lives afterwards.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::{Mode, fstatat};

use super::process_id::started;

/// Paths of groups have at most 4 KiB, and version 1 adds a dozen lines.
const MAX_CGROUP_FILE: u64 = 64 * 1024;
const MAX_STAT: u64 = 4096;
const MAX_STATUS: u64 = 16 * 1024;

/// A handle of one process. Its folder in `/proc`, once open, never shows another process.
#[derive(Debug)]
pub struct PeerProcess {
    folder: OwnedFd,
    /// The kernel's own handle of the process that connected; kernels before 6.5 have none.
    pidfd: Option<OwnedFd>,
    started: Option<u64>,
}

impl PeerProcess {
    /// The process that connected this unix socket; `None` where it cannot be seen.
    ///
    /// Without a pidfd the folder is opened by number right after the connection was accepted:
    /// the peer must have ended, and its number must have been given away, within that time to
    /// show another process.
    pub(super) fn of_peer(stream: BorrowedFd<'_>, pid: i32) -> Option<Self> {
        let pidfd = getsockopt(&stream, sockopt::PeerPidfd).ok();
        Self::open(&pid.to_string(), pidfd)
    }

    /// The process of this number.
    pub(super) fn of_pid(pid: u32) -> Option<Self> {
        Self::open(&pid.to_string(), None)
    }

    fn open(pid: &str, pidfd: Option<OwnedFd>) -> Option<Self> {
        let folder = File::open(format!("/proc/{pid}")).ok()?;
        let mut process = Self {
            folder: folder.into(),
            pidfd,
            started: None,
        };
        process.started = process
            .read("stat", MAX_STAT)
            .ok()
            .as_deref()
            .and_then(started);
        Some(process)
    }

    /// When it started, in the kernel's ticks since boot; `None` where it had ended already.
    pub const fn started(&self) -> Option<u64> {
        self.started
    }

    /// Its control groups, a line for each hierarchy; `None` where it has ended.
    pub(super) fn groups(&self) -> io::Result<Option<Vec<u8>>> {
        let groups = self.read("cgroup", MAX_CGROUP_FILE)?;
        Ok((!self.has_ended()?).then_some(groups))
    }

    /// Its file-system user, whose the sockets are that it makes; `None` where it has ended.
    pub(super) fn uid(&self) -> io::Result<Option<u32>> {
        let status = self.read("status", MAX_STATUS)?;
        if self.has_ended()? {
            return Ok(None);
        }
        Ok(uid_in(&status))
    }

    /// The program that it runs, where that is a file which the daemon sees under the same path: a
    /// user can give a file any path in a mount namespace of its own. Only who may trace the
    /// process may look.
    pub(super) fn exe(&self) -> io::Result<Option<Arc<str>>> {
        let path = readlinkat(&self.folder, "exe")?;
        let running = fstatat(&self.folder, "exe", AtFlags::empty())?;
        let there = fs::metadata(&path)?;
        let again = readlinkat(&self.folder, "exe")?;
        let same = (there.dev(), there.ino()) == (running.st_dev, running.st_ino);
        if self.has_ended()? || again != path || !same {
            return Ok(None);
        }
        Ok(std::str::from_utf8(path.as_bytes()).ok().map(Arc::from))
    }

    fn read(&self, name: &str, at_most: u64) -> io::Result<Vec<u8>> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::empty())?;
        let mut content = Vec::new();
        File::from(file).take(at_most).read_to_end(&mut content)?;
        Ok(content)
    }

    /// A pidfd is readable once its process has ended; a folder of one that has been reaped cannot
    /// be read any more, and its state tells one that has not been.
    fn has_ended(&self) -> io::Result<bool> {
        if let Some(pidfd) = &self.pidfd {
            let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
            return Ok(poll(&mut fds, PollTimeout::ZERO)? > 0);
        }
        let stat = self.read("stat", MAX_STAT)?;
        Ok(self.started.is_none() || started(&stat) != self.started)
    }
}

/// The last number of `Uid:` in `/proc/PID/status`: real, effective, saved, file-system.
fn uid_in(status: &[u8]) -> Option<u32> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(b"Uid:"))?;
    let numbers = std::str::from_utf8(line).ok()?;
    numbers.split_ascii_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_user_is_the_fourth() {
        let status = b"Name:\tx\nUid:\t1000\t0\t0\t33\nGid:\t1\t1\t1\t1\n";
        assert_eq!(uid_in(status), Some(33));
        assert_eq!(uid_in(b"Name:\tUid:\t1\nUid:\t1\t2\n"), None);
        assert_eq!(uid_in(b""), None);
    }
}
