//! Tests that need root: sockets of other users, control groups, network namespaces.

mod containers;
mod forwarders;
mod places;
mod sockets;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, chown, setfsuid};

use crate::caller::cgroup::Hierarchy;
use crate::caller::{Caller, Desk};
use crate::clock::Clock;
use crate::grants::Fact;

const SOMEBODY: u32 = 12_345;
const ELSE: u32 = 12_346;

/// Connects to this port (`$0`), and stays as it is until it is killed.
const CONNECT: &str = "exec 3<>/dev/tcp/127.0.0.1/$0 && kill -STOP $$";

/// Whether this can be tested here. In CI it must be.
pub(super) fn can_test(programs: &[&str]) -> bool {
    let missing = if Uid::effective().is_root() {
        let folders = || ["/usr/sbin", "/usr/bin"].map(PathBuf::from).into_iter();
        let is_there = |program: &&&str| folders().any(|folder| folder.join(program).exists());
        programs.iter().find(|program| !is_there(program)).copied()
    } else {
        Some("root")
    };
    let Some(missing) = missing else {
        return true;
    };
    assert!(
        std::env::var_os("CI").is_none(),
        "this test needs {missing}, and CI must run it"
    );
    eprintln!("nothing is tested: this test needs {missing}");
    false
}

/// Makes something as this user. A thread has a file-system uid of its own, which becomes the
/// owner of the sockets that it makes.
fn as_user<T>(uid: u32, make: impl FnOnce() -> T) -> T {
    let before = setfsuid(Uid::from_raw(uid));
    let value = make();
    setfsuid(before);
    value
}

/// A bash with this uid that runs `script` with the listener's port as `$0`.
fn bash(script: &str, address: SocketAddr, uid: u32) -> Child {
    Command::new("bash")
        .args(["-c", script, &address.port().to_string()])
        .uid(uid)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

pub(super) fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

/// Looks up where a caller runs; on a busy machine that takes more than one look.
async fn look_up_place(desk: &Desk, caller: &Caller) {
    for _ in 0..20 {
        if caller.is_placed() {
            return;
        }
        desk.look_up(caller, Fact::Place).await;
    }
}

/// A control group of this test's own, and those above it that were not there.
struct Group {
    folder: PathBuf,
    made: Vec<PathBuf>,
}

impl Group {
    /// The group of this path, in which `{}` stands for what no other test has.
    fn new(path: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let own = format!("{}x{number}", std::process::id());
        let mut folder = Hierarchy::find().unwrap().mount;
        let mut made = Vec::new();
        for name in path.replace("{}", &own).split('/') {
            folder.push(name);
            if fs::create_dir(&folder).is_ok() {
                made.push(folder.clone());
            }
        }
        Self { folder, made }
    }

    /// Hands this group, or the one so many levels above it, to a user.
    fn handed(self, levels: usize, uid: u32) -> Self {
        let group = self.folder.ancestors().nth(levels).unwrap();
        chown(group, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid))).unwrap();
        self
    }

    /// A bash in this group with this uid that runs `script` with the argument as `$0`.
    fn spawn(&self, uid: u32, script: &str, argument: &str) -> Child {
        let enter = "echo $$ > \"$0\" && exec setpriv --reuid \"$1\" --regid \"$1\" \
                     --clear-groups bash -c \"$2\" \"$3\"";
        Command::new("bash")
            .args(["-c", enter])
            .arg(self.folder.join("cgroup.procs"))
            .args([&uid.to_string(), script, argument])
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Ends all who are in it, and says whether that is so within ten seconds.
    fn end_all(&self) -> bool {
        let deadline = Clock::System.boot().plus(Duration::from_secs(10));
        while Clock::System.boot() < deadline {
            let procs = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
            if procs.is_empty() {
                return true;
            }
            for pid in procs.lines().filter_map(|line| line.parse().ok()) {
                // Whoever has ended meanwhile need not be killed.
                let _ended = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            std::thread::yield_now();
        }
        false
    }

    /// Its path.
    fn path(&self) -> String {
        let mount = Hierarchy::find().unwrap().mount;
        format!("/{}", self.folder.strip_prefix(mount).unwrap().display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end_all();
        // One that others have come to use stays.
        for group in self.made.iter().rev() {
            if fs::remove_dir(group).is_err() {
                break;
            }
        }
    }
}
