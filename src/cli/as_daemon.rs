//! A command that is run again as the running daemon is: by its user, with its variables, so that
//! it finds what the daemon does and root does not, as its home and its systemd credentials.
//!
//! A daemon that was broken into may do what it likes with such a process, which is its user's. So
//! it has nothing of root's terminal: a session of its own, and pipes, of which no more than text is
//! passed on.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use nix::unistd::setsid;

use super::daemon::{AT_ONCE, Daemon};
use super::output::plain;
use crate::api::admin::wire::Status;

/// The longest line that is passed on whole.
const LONGEST_LINE: u64 = 64 * 1024;

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
        let mut child = self.spawn(arguments)?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            // Where nobody reads any more, the pipe's end tells the child.
            drop(scope.spawn(|| err.map(|err| pass_on(err, io::stderr()))));
            drop(out.map(|out| pass_on(out, io::stdout())));
        });
        child.wait()
    }

    fn spawn<'a>(self, arguments: impl IntoIterator<Item = &'a OsStr>) -> io::Result<Child> {
        // By this name it may be executed wherever it lies.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("rolecall")
            .args(arguments)
            .uid(self.uid)
            .gid(self.gid)
            .current_dir("/")
            .env_clear()
            .envs(self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[expect(unsafe_code, reason = "the standard library has no stable way to it")]
        // SAFETY: setsid(2) is async-signal-safe, and nothing is allocated.
        unsafe {
            command.pre_exec(|| setsid().map(drop).map_err(io::Error::from));
        }
        command.spawn()
    }
}

/// Passes lines on as they come, with nothing in them that a terminal would obey.
fn pass_on(from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        if from
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(());
        }
        let (text, end) = match line.strip_suffix(b"\n") {
            Some(text) => (text, "\n"),
            None => (line.as_slice(), ""),
        };
        write!(to, "{}{end}", plain(&String::from_utf8_lossy(text)))?;
        to.flush()?;
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
    fn terminals_obey_nothing_that_is_passed_on() {
        let mut told = Vec::new();
        let said: &[u8] = b"works  \xff\n\x1b]0;owned\x07\nno end";
        pass_on(said, &mut told).unwrap();
        let told = String::from_utf8(told).unwrap();
        assert_eq!(told, "works  \u{fffd}\n\\u{1b}]0;owned\\u{7}\nno end");
    }

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
