//! Log targets outside the process, by the real binary.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::thread;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::support::is_root;
use crate::support::process::{DEADLINE, Daemon};

const CONFIGURATION: &str = r#"
[[listener]]
name = "all"
bind = ["127.0.0.1:0"]
apis = ["imds"]
[account.local]
id = "000000000000"
credentials = { from = "local" }
[account.local.role.demo]
[[grant]]
role = "local/demo"
when = "anyone"
"#;

/// systemd.journal-fields(7) and the journal's native protocol: binary fields have a length, and so
/// has every field that we write.
fn field<'a>(datagram: &'a [u8], name: &str) -> Option<&'a str> {
    let label = format!("{name}\n");
    let at = datagram
        .windows(label.len())
        .position(|window| window == label.as_bytes())?;
    let rest = datagram.get(at + label.len()..)?;
    let (length, value) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    std::str::from_utf8(value.get(..length)?).ok()
}

fn mount(arguments: &[&str]) {
    assert!(
        Command::new("mount")
            .args(arguments)
            .status()
            .unwrap()
            .success()
    );
}

/// A journal of its own for this thread and its children.
fn journal() -> UnixDatagram {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(&["--make-rprivate", "/"]);
    mount(&["-t", "tmpfs", "none", "/run"]);
    fs::create_dir_all("/run/systemd/journal").unwrap();
    let journal = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
    journal.set_read_timeout(Some(DEADLINE)).unwrap();
    journal
}

/// Needs root, to mount. CI must run it.
#[test]
fn the_journal_gets_fields_of_its_own() {
    if !is_root() {
        return;
    }
    let test = thread::spawn(|| {
        let journal = journal();
        let daemon = Daemon::launch(CONFIGURATION, "to = [\"journald\"]", &[]);
        let mut datagram = vec![0; 64 * 1024];
        let mut next = || {
            let length = journal.recv(&mut datagram).unwrap();
            datagram[..length].to_vec()
        };
        let admin = |event: &[u8]| field(event, "ROLECALL_LISTENER") == Some("admin");
        while !admin(&next()) {}
        let credentials: Value = serde_json::from_str(&daemon.says(&["credentials"])).unwrap();
        let event = next();
        for (name, value) in [
            ("PRIORITY", "6"),
            ("SYSLOG_IDENTIFIER", "rolecall"),
            ("TARGET", "rolecall::audit"),
            ("ROLECALL_EVENT", "hand-out"),
            ("ROLECALL_ROLE", "local/demo"),
            ("ROLECALL_API", "admin"),
            ("ROLECALL_COUNT", "1"),
        ] {
            assert_eq!(field(&event, name), Some(value), "{name}");
        }
        let key = credentials["AccessKeyId"].as_str().unwrap();
        assert_eq!(field(&event, "ROLECALL_ACCESS_KEY_ID"), Some(key));
        // What `journalctl` shows says by itself what happened, to whom.
        let message = field(&event, "MESSAGE").unwrap();
        assert!(message.starts_with("credentials handed out "), "{message}");
        for told in [" role=local/demo ", &format!(" access_key_id={key} ")] {
            assert!(message.contains(told), "{message}");
        }
    });
    test.join().unwrap();
}

/// The file is moved away, as log rotation does, and SIGHUP opens it anew.
#[test]
fn a_moved_log_file_is_opened_anew() {
    let mut daemon = Daemon::launch(CONFIGURATION, "to = [\"json\", \"file:{dir}/log\"]", &[]);
    let (log, moved) = (daemon.path("log"), daemon.path("log.1"));
    daemon.wait_for(|event| event["listener"] == "admin");
    daemon.says(&["refresh", "--all"]);
    fs::rename(&log, &moved).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for(|event| event["message"].as_str().unwrap().starts_with("reloaded"));
    daemon.says(&["credentials"]);
    daemon.end(Signal::SIGTERM);
    let told = daemon.log();
    let (old, new) = (
        fs::read_to_string(&moved).unwrap(),
        fs::read_to_string(&log).unwrap(),
    );
    assert!(
        old.contains("listening") && !old.contains("hand-out"),
        "{old}"
    );
    assert!(
        new.contains("hand-out") && !new.contains("listening"),
        "{new}"
    );
    assert_eq!(
        old.lines().count() + new.lines().count(),
        told.lines().count()
    );
}

#[test]
fn a_pipe_that_nobody_reads_is_waited_for_by_nobody() {
    let mut daemon = Daemon::launch(CONFIGURATION, "to = [\"json\", \"file:{dir}/log\"]", &[]);
    let log = daemon.path("log");
    daemon.wait_for(|event| event["listener"] == "admin");
    fs::remove_file(&log).unwrap();
    mkfifo(&log, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    daemon.signal(Signal::SIGHUP);
    let refused = daemon.wait_for(|event| event["target"] == "rolecall::app::reload");
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains("nobody reads this pipe"), "{why}");
    daemon.says(&["credentials"]);
    // Whoever begins to read is told from then on.
    let reader = fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&log)
        .unwrap();
    daemon.signal(Signal::SIGHUP);
    let reloaded = daemon.wait_for(|event| event["target"] == "rolecall::app::reload");
    assert_eq!(reloaded["message"], "reloaded: nothing changed");
    daemon.end(Signal::SIGTERM);
    let mut told = String::new();
    { reader }.read_to_string(&mut told).unwrap();
    assert!(told.contains("reloaded: nothing changed"), "{told}");
}
