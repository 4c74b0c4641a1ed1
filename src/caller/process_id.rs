//! One process and no other of the same number: its pid with the moment it started.

use std::fs;
use std::io;

use nix::libc;

/// A process, told apart from every other that has or had its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot.
    pub started: u64,
}

impl ProcessId {
    /// The process that has this number now; `None` where there is none or it cannot be seen.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Some(Self {
            pid,
            started: started(&stat)?,
        })
    }

    /// Whether it still runs. An error is one of looking, and says nothing of the process.
    pub fn lives(self) -> io::Result<bool> {
        match fs::read(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => Ok(started(&stat) == Some(self.started)),
            // It was gone before it was opened, or while it was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The twenty-second field. The second, the name in parentheses, may hold anything, so the fields
/// are counted from the last closing one. A process that has ended and waits for its parent counts
/// as gone.
pub(super) fn started(stat: &[u8]) -> Option<u64> {
    let after_name = stat.rsplit(|byte| *byte == b')').next()?;
    let mut fields = std::str::from_utf8(after_name)
        .ok()?
        .split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_until_it_ends() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        assert!(process.lives().unwrap());
        assert!(
            !ProcessId {
                started: process.started + 1,
                ..process
            }
            .lives()
            .unwrap()
        );
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.lives().unwrap());
        assert!(ProcessId::of(std::process::id()).unwrap().lives().unwrap());
    }

    #[test]
    fn names_cannot_forge_fields() {
        let stat = b"42 (x) Z 1) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(started(stat), Some(777));
        assert_eq!(
            started(b"42 (x) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777"),
            None
        );
        assert_eq!(started(b""), None);
    }
}
