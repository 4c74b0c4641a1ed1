//! A command that is run again as the running daemon is: by its user, with its variables, so that
//! it finds what the daemon does and root does not, as its home and its systemd credentials.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::daemon::{AT_ONCE, Daemon};
use crate::api::admin::wire::Status;

/// What the service manager says to one process alone.
const TO_ONE_PROCESS: [&str; 7] = [
    "NOTIFY_SOCKET",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "JOURNAL_STREAM",
];

/// As whom the daemon runs, and with what.
#[derive(Debug)]
pub(super) struct AsDaemon {
    pub(super) pid: u32,
    pub(super) uid: u32,
    gid: u32,
    variables: Vec<(OsString, OsString)>,
}

impl AsDaemon {
    /// That of the daemon that runs with this configuration file. There is none if it cannot be
    /// asked, and none if it is root: what is said over a socket is no reason to take a root
    /// process's variables.
    pub(super) fn with(daemon: &Daemon, file: &Path) -> Option<Self> {
        let status: Status = daemon.get("/v1/status", AT_ONCE).ok()?;
        if fs::canonicalize(status.configuration).ok()? != file {
            return None;
        }
        let process = Path::new("/proc").join(status.pid.to_string());
        let (uid, gid) = ids(&fs::read_to_string(process.join("status")).ok()?)?;
        let variables = fs::read(process.join("environ")).ok()?;
        (uid != 0).then(|| Self {
            pid: status.pid,
            uid,
            gid,
            variables: parsed(&variables),
        })
    }

    /// Runs this program again and waits for its end.
    pub(super) fn run<'a>(
        self,
        arguments: impl IntoIterator<Item = &'a OsStr>,
    ) -> io::Result<ExitStatus> {
        // By this name it may be executed wherever it lies.
        Command::new("/proc/self/exe")
            .arg0("rolecall")
            .args(arguments)
            .uid(self.uid)
            .gid(self.gid)
            .current_dir("/")
            .env_clear()
            .envs(self.variables)
            .status()
    }
}

/// The effective user and group in `/proc/PID/status`.
fn ids(status: &str) -> Option<(u32, u32)> {
    let effective = |name: &str| {
        let mut lines = status.lines();
        let numbers = lines.find_map(|line| line.strip_prefix(name))?;
        numbers.split_whitespace().nth(1)?.parse().ok()
    };
    Some((effective("Uid:")?, effective("Gid:")?))
}

/// The variables in `/proc/PID/environ`.
fn parsed(environ: &[u8]) -> Vec<(OsString, OsString)> {
    let variables = environ.split(|byte| *byte == 0);
    let pairs = variables.filter_map(|variable| {
        let at = variable.iter().position(|byte| *byte == b'=')?;
        let (name, value) = variable.split_at_checked(at)?;
        Some((OsStr::from_bytes(name), value.get(1..)?))
    });
    pairs
        .filter(|(name, _)| !TO_ONE_PROCESS.iter().any(|own| name == own))
        .map(|(name, value)| (name.to_owned(), OsString::from_vec(value.to_vec())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_a_process_is_and_what_it_was_told() {
        let status = "Name:\tx\nUid:\t0\t997\t0\t0\nGid:\t0\t998\t0\t0\n";
        assert_eq!(ids(status), Some((997, 998)));
        let said = parsed(b"HOME=/var/lib/rolecall\0LISTEN_FDS=3\0AWS_CA_BUNDLE=\0A=b=c\0broken\0");
        let said: Vec<_> = said
            .iter()
            .map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap()))
            .collect();
        let expected = [
            ("HOME", "/var/lib/rolecall"),
            ("AWS_CA_BUNDLE", ""),
            ("A", "b=c"),
        ];
        assert_eq!(said, expected);
    }
}
