//! `rolecall runtime`, as it is started: whom it answers, and how it begins and ends.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::is_root;
use crate::support::process::{follow, rolecall};

const DEADLINE: Duration = Duration::from_secs(20);
const ENGINE: &str =
    "[[runtime.engine]]\nkind = \"docker\"\nsocket = \"/nonexistent/docker.sock\"\n";

fn folder(configuration: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("rolecall.toml"), configuration).unwrap();
    folder
}

fn unit(folder: &Path) -> Command {
    let file = folder.join("rolecall.toml");
    let socket = folder.join("unit.sock");
    let arguments = ["runtime", "--config", file.to_str().unwrap()];
    let mut command = rolecall(&arguments);
    command.arg("--socket").arg(socket);
    command
}

/// A running unit.
struct Unit {
    child: Child,
    lines: Receiver<String>,
}

impl Unit {
    fn start(folder: &Path) -> Self {
        Self::of(unit(folder))
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = follow(child.stderr.take().unwrap());
        Self { child, lines }
    }

    fn wait_for(&self, wanted: &str) {
        while !self.lines.recv_timeout(DEADLINE).unwrap().contains(wanted) {}
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks the unit what it does not answer: 1 says that it was asked, 69 that it was not.
fn asked(folder: &Path, uid: Option<u32>) -> Option<i32> {
    let mut command = rolecall(&["status", "--socket"]);
    command.arg(folder.join("unit.sock"));
    if let Some(uid) = uid {
        command.uid(uid);
    }
    command.stderr(Stdio::null()).status().unwrap().code()
}

#[test]
fn it_waits_for_runtimes_and_ends_when_it_is_asked_to() {
    let folder = folder(ENGINE);
    let mut running = Unit::start(folder.path());
    running.wait_for("a container runtime cannot be watched");
    let socket = folder.path().join("unit.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(asked(folder.path(), None), Some(1));
    let Output { status, stderr, .. } = unit(folder.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(70), "{stderr}");
    assert!(stderr.contains("is in use"), "{stderr}");
    let pid = Pid::from_raw(running.child.id().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(running.child.wait().unwrap().success());
    assert!(!socket.exists());
}

#[test]
fn the_daemons_socket_in_the_environment_is_not_its_own() {
    let folder = folder("");
    let at = |name: &str| folder.path().join(name);
    let named = format!("[runtime]\nsocket = {:?}\n{ENGINE}", at("own.sock"));
    fs::write(at("rolecall.toml"), named).unwrap();
    let mut command = rolecall(&["runtime", "--config"]);
    command.arg(at("rolecall.toml"));
    command.env("ROLECALL_SOCKET", at("admin.sock"));
    let unit = Unit::of(command);
    unit.wait_for("a container runtime cannot be watched");
    assert!(at("own.sock").exists());
    assert!(!at("admin.sock").exists());
}

#[test]
fn without_a_runtime_there_is_nothing_to_tell() {
    let folder = folder("");
    let Output { status, stderr, .. } = unit(folder.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("[[runtime.engine]]"), "{stderr}");
}

#[test]
fn other_users_are_not_answered_even_where_they_can_connect() {
    if !is_root() {
        return;
    }
    let folder = folder(&format!("[runtime]\nuser = \"daemon\"\n{ENGINE}"));
    let running = Unit::start(folder.path());
    running.wait_for("a container runtime cannot be watched");
    let (daemon, stranger) = (1, 12_345);
    let socket = folder.path().join("unit.sock");
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(asked(folder.path(), Some(daemon)), Some(1));
    assert_eq!(asked(folder.path(), Some(stranger)), Some(69));
    running.wait_for("a connection of another user is closed");
}
