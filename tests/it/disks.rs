//! Disks that are full or read-only: everybody is served, it is told once, and it is made up for when
//! there is room. Needs root, to mount.

use std::env::temp_dir;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::restarts::{counting, kept_key, key, start};
use crate::support::is_root;
use crate::support::process::Daemon;

const NONE: Option<&str> = None;

/// A role that needs no cloud, and access keys in the store.
const LOCAL: &str = r#"
[[listener]]
name = "api"
bind = ["127.0.0.1:0"]
apis = ["sts"]
[account.local]
id = "000000000000"
credentials = { from = "local" }
[account.local.role.demo]
[[grant]]
role = "local/demo"
when = "anyone"
reason = "test"
"#;

/// Does this where temporary files, and with them a daemon's folder, lie on a small disk that only this
/// test sees.
fn on_a_small_disk(test: impl FnOnce() + Send) {
    if !is_root() {
        return;
    }
    thread::scope(|scope| {
        let tested = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(NONE, "/", NONE, private, NONE).unwrap();
            let (tmpfs, plain) = (Some("tmpfs"), MsFlags::empty());
            mount(tmpfs, &temp_dir(), tmpfs, plain, Some("size=1m,mode=1777")).unwrap();
            test();
        });
        tested.join().unwrap();
    });
}

/// Takes all the room that is left.
fn fill() -> PathBuf {
    let ballast = temp_dir().join("ballast");
    let mut file = File::create(&ballast).unwrap();
    let full = loop {
        if let Err(error) = file.write(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    ballast
}

fn message(event: &Value) -> &str {
    event["message"].as_str().unwrap_or_default()
}

/// How often this was told.
fn told(daemon: &Daemon, message: &str) -> usize {
    daemon.log().matches(message).count()
}

/// More than what is left of the last block of a file.
fn renew_often(daemon: &Daemon) {
    for _ in 0..40 {
        daemon.says(&["refresh", "prod/web"]);
    }
}

const NOT_KEPT: &str = "held sessions cannot be kept for a restart";
const KEPT_AGAIN: &str = "held sessions are kept for a restart again";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_sessions_on_a_full_disk() {
    let sts = counting().await;
    on_a_small_disk(|| {
        let mut daemon = start(&sts);
        let before = kept_key(&daemon);
        let ballast = fill();
        renew_often(&daemon);
        let event = daemon.wait_for(|event| message(event).starts_with(NOT_KEPT));
        let why = event["error"].as_str().unwrap();
        assert!(why.contains("No space left on device"), "{why}");
        renew_often(&daemon);
        let after = key(&daemon);
        assert!(after > before, "{after} is older than {before}");
        fs::remove_file(ballast).unwrap();
        // The end tries again.
        daemon.restart(Signal::SIGTERM);
        assert_eq!((told(&daemon, NOT_KEPT), told(&daemon, KEPT_AGAIN)), (1, 1));
        assert_eq!(key(&daemon), after);

        // What is killed there starts again there, and uses what is whole.
        fill();
        renew_often(&daemon);
        let last = key(&daemon);
        daemon.restart(Signal::SIGKILL);
        let again = key(&daemon);
        assert!(after <= again && again <= last, "{after} {again} {last}");
    });
}

/// May the state directory be written from now on?
fn remount(state: &Path, writable: bool) {
    let read_only = if writable {
        MsFlags::empty()
    } else {
        MsFlags::MS_RDONLY
    };
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | read_only;
    mount(NONE, state, NONE, flags, NONE).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_sessions_on_a_read_only_disk() {
    let sts = counting().await;
    on_a_small_disk(|| {
        let mut daemon = start(&sts);
        kept_key(&daemon);
        daemon.end(Signal::SIGTERM);
        let state = daemon.path("state");
        mount(Some(&state), &state, NONE, MsFlags::MS_BIND, NONE).unwrap();
        remount(&state, false);
        daemon.restart_ended();
        let now = key(&daemon);
        renew_often(&daemon);
        let later = key(&daemon);
        assert!(later > now);
        remount(&state, true);
        daemon.restart(Signal::SIGTERM);
        assert_eq!((told(&daemon, NOT_KEPT), told(&daemon, KEPT_AGAIN)), (1, 1));
        assert!(daemon.log().contains("Read-only file system"));
        assert_eq!(key(&daemon), later);
    });
}

#[test]
fn the_store_on_a_full_disk() {
    on_a_small_disk(|| {
        let mut daemon = Daemon::start(LOCAL);
        let create = ["key", "create", "--user", "ann"];
        daemon.says(&create);
        let ballast = fill();
        for _ in 0..3 {
            let refused = loop {
                let output = daemon.run(&create);
                if !output.status.success() {
                    break output;
                }
            };
            let why = String::from_utf8(refused.stderr).unwrap();
            assert!(why.contains("no space is left"), "{why}");
            daemon.says(&["credentials"]);
        }
        fs::remove_file(ballast).unwrap();
        let made = daemon.says(&["key", "create", "--user", "ann", "--json"]);
        daemon.wait_for(|event| message(event) == "the store can be written again");
        assert_eq!(told(&daemon, "the store could not be written"), 1);
        daemon.restart(Signal::SIGKILL);
        let listed = daemon.says(&["key", "list"]);
        let key: Value = serde_json::from_str(&made).unwrap();
        assert!(listed.contains(key["access"].as_str().unwrap()), "{listed}");
    });
}

#[test]
fn a_log_file_on_a_full_disk() {
    on_a_small_disk(|| {
        let log = "to = [\"json\", \"file:{dir}/log\"]\nlevel = \"trace\"";
        let mut daemon = Daemon::launch(LOCAL, log, &[]);
        daemon.wait_for(|event| event["listener"] == "admin");
        let ballast = fill();
        for number in 0..60 {
            // Each is an event of its own.
            daemon.run(&["credentials", "--role", &format!("local/none-{number}")]);
        }
        daemon.says(&["credentials"]);
        let refused = "a log target takes no events";
        daemon.wait_for(|event| message(event) == refused);
        fs::remove_file(ballast).unwrap();
        daemon.run(&["credentials", "--role", "local/none"]);
        daemon.wait_for(|event| message(event) == "log events were lost");
        daemon.end(Signal::SIGTERM);
        assert_eq!(told(&daemon, refused), 1);
        let written = fs::read_to_string(daemon.path("log")).unwrap();
        let (whole, torn): (Vec<_>, Vec<_>) = written
            .lines()
            .partition(|line| serde_json::from_str::<Value>(line).is_ok());
        // What was half written stands alone; all that came later is whole.
        assert!(torn.len() <= 1, "{torn:?}");
        assert!(torn.iter().all(|line| !line.ends_with('}')), "{torn:?}");
        let lost = |line: &&str| line.contains("log events were lost");
        assert_eq!(whole.iter().filter(|line| lost(line)).count(), 1);
    });
}
