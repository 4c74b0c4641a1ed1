//! What goes wrong on the host: state, ports, clocks.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rolecall::clock::Clock;
use rolecall::listener::Passed;
use tempfile::TempDir;

use crate::conformance::faults::Wrong;
use crate::conformance::server::Server;
use crate::support::client::{imds_get, imds_token};
use crate::support::daemon::{LOCAL, TestDaemon, noon, upstream, with_secret};
use crate::support::process::{Daemon, LISTENER, rolecall};
use crate::support::sts::{Credentials, Reply, ScriptedSts};

const DOCUMENT: &str = "/latest/meta-data/iam/security-credentials/demo";

/// Starts the real binary where it cannot run, and waits for its end.
fn refused(directory: &TempDir, text: &str, before: &str) -> (i32, String) {
    let uid = nix::unistd::geteuid().to_string();
    let text = text
        .replace("{dir}", directory.path().to_str().unwrap())
        .replace("{uid}", &uid);
    let file = directory.path().join("rolecall.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let script = format!("{before}\nexec timeout 20 \"$0\" serve --config \"$1\"");
    let Output { status, stderr, .. } = Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-euc",
            &script,
            env!("CARGO_BIN_EXE_rolecall"),
        ])
        .arg(&file)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        status.code().unwrap_or(-1),
        String::from_utf8_lossy(&stderr).into_owned(),
    )
}

#[test]
fn state_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("imds-tokens.keys"), "rolecall keys 1\n").unwrap();
    std::fs::set_permissions(
        state.join("imds-tokens.keys"),
        PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    let (code, stderr) = refused(&directory, LOCAL, "");
    assert_eq!(code, 77, "{stderr}");
    assert!(
        stderr.contains("imds-tokens.keys") && stderr.contains("0600"),
        "{stderr}"
    );
}

#[test]
fn a_full_or_read_only_state_directory_is_named() {
    for (options, reason) in [
        ("size=4k", "No space left"),
        ("ro", "Read-only file system"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mount = format!("mkdir -p state; mount -t tmpfs -o {options},mode=700 none state");
        let fill =
            "[ -w state ] && dd if=/dev/zero of=state/fill bs=4k count=1 2>/dev/null || true";
        let (code, stderr) = refused(&directory, LOCAL, &format!("{mount}\n{fill}"));
        assert_ne!(code, 0, "{options}: {stderr}");
        assert_ne!(code, 124, "{options}: it went on: {stderr}");
        assert!(
            stderr.contains("/state") && stderr.contains(reason),
            "{options}: {stderr}"
        );
    }
}

#[test]
fn a_token_file_is_written_only_where_nobody_else_decides() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(12345), None).unwrap();
    let text = LOCAL.replace("{dir}/token", "{dir}/home/token");
    let (code, stderr) = refused(&directory, &text, "");
    assert_eq!(code, 77, "{stderr}");
    assert!(stderr.contains("/home belongs to another user"), "{stderr}");
    std::fs::remove_dir(&home).unwrap();
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o777)).unwrap();
    let (code, stderr) = refused(&directory, &text, "");
    assert_eq!(code, 77, "{stderr}");
    assert!(
        stderr.contains("/home can be written by others"),
        "{stderr}"
    );
}

#[test]
fn few_descriptors_mean_few_connections_and_the_log_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o777)).unwrap();
    let refused_after_it = LOCAL.replace("{dir}/token", "{dir}/home/token");
    let (code, stderr) = refused(&directory, &refused_after_it, "ulimit -n 300");
    assert_eq!(code, 77, "{stderr}");
    assert!(
        stderr.contains("129 connections") && stderr.contains("300 files"),
        "{stderr}"
    );
}

/// Starts it where the first listener cannot have this address.
fn refused_at(address: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let text = LOCAL.replacen("127.0.0.1:0", address, 1);
    let (code, stderr) = refused(&directory, &text, "");
    assert_eq!(code, 70, "{stderr}");
    stderr
}

fn assert_said(stderr: &str, said: &[&str]) {
    for said in said {
        assert!(stderr.contains(said), "{said:?} is not in\n{stderr}");
    }
}

#[test]
fn a_port_in_use_is_named_with_who_has_it_and_what_to_do() {
    // Once the daemon is confined, it sees no other process's sockets: doctor does.
    let own = format!("a process of uid {} has ", nix::unistd::geteuid());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let stderr = refused_at(&at);
    let in_use = format!("{at} is in use\n");
    let has = format!(" has {at}\n");
    assert_said(
        &stderr,
        &[
            &in_use,
            &own,
            &has,
            "rolecall doctor` names the process: stop it, or choose another",
        ],
    );
    // Whoever has all addresses has each.
    let all = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = all.local_addr().unwrap().port();
    let stderr = refused_at(&format!("127.0.0.1:{port}"));
    let has = format!(" has 0.0.0.0:{port}\n");
    assert_said(&stderr, &[&own, &has]);
}

#[test]
fn a_metadata_service_that_has_the_port_is_called_so() {
    let other = Server::start(Wrong::Nothing);
    let stderr = refused_at(&other.address.to_string());
    let has = format!(
        " has {}, and is an instance metadata service: ",
        other.address
    );
    assert_said(&stderr, &[&has, "is in use\n"]);
}

#[test]
fn another_daemon_is_named_at_its_port_and_at_its_admin_socket() {
    let uid = nix::unistd::geteuid();
    let grants = format!("[[grant]]\nrole = \"local/demo\"\nwhen = {{ uid = {uid} }}\n");
    let account = "[account.local]\nid = \"000000000000\"\ncredentials = { from = \"local\" }\n\
                   [account.local.role.demo]\n";
    let daemon = Daemon::start(&format!("{LISTENER}{account}{grants}"));
    let its = format!("rolecall (process {}, uid {uid})", daemon.pid());
    let stderr = refused_at(&daemon.address);
    let has = format!(
        " has {}, and is an instance metadata service",
        daemon.address
    );
    assert_said(&stderr, &[&has]);

    let directory = tempfile::tempdir().unwrap();
    let socket = daemon.socket().display().to_string();
    let text = LOCAL.replace("{dir}/admin.sock", &socket);
    let (code, stderr) = refused(&directory, &text, "");
    assert_eq!(code, 70, "{stderr}");
    let serves = format!("unix:{socket} is in use\n       {its} serves it\n");
    assert_said(&stderr, &[&serves, "systemctl stop rolecall"]);
}

#[test]
fn who_may_not_see_others_processes_is_told_the_user() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let folder = tempfile::Builder::new()
        .permissions(PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    std::os::unix::fs::chown(folder.path(), Some(12345), None).unwrap();
    let directory = folder.path().to_str().unwrap();
    let text = LOCAL
        .replacen("127.0.0.1:0", &at, 1)
        .replace("{dir}", directory);
    let file = folder.path().join("rolecall.toml");
    std::fs::write(&file, text.replace("{uid}", "12345")).unwrap();
    std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let mut serve = rolecall(&["serve", "--config", file]);
    let output = serve.uid(12345).gid(12345).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let uid = nix::unistd::geteuid();
    let has = format!("a process of uid {uid} has {at}\n");
    assert_said(&stderr, &[&has]);
}

#[test]
fn an_address_that_no_interface_has_is_named_with_what_to_do() {
    // Documentation has this network to itself.
    let stderr = refused_at("192.0.2.1:0");
    let missing = "no interface of this host has the address of 192.0.2.1:0\n";
    assert_said(&stderr, &[missing, "try: give it to an interface"]);
    let directory = tempfile::tempdir().unwrap();
    let metrics =
        "[[listener]]\nname = \"numbers\"\nbind = [\"169.254.170.2:0\"]\napis = [\"metrics\"]\n";
    let (code, stderr) = refused(&directory, &format!("{LOCAL}{metrics}"), "");
    assert_eq!(code, 70, "{stderr}");
    let mend = [
        "rolecall addresses add 169.254.170.2",
        "rolecall redirect add",
    ];
    assert_said(&stderr, &mend);
    assert_said(&stderr, &["rolecall-addresses.service"]);
}

#[tokio::test]
async fn a_clock_that_jumps_by_a_day_changes_no_held_session() {
    let clock = Clock::simulated(noon());
    let daemon = TestDaemon::start_at(LOCAL, clock.clone());
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let held = imds_get(at, &token, DOCUMENT).await;
    let Clock::Simulated(simulation) = &clock else {
        unreachable!()
    };
    let day = Duration::from_hours(24);
    for wall in [noon() + day, noon() - day] {
        simulation.set_wall(wall);
        let after = imds_get(at, &token, DOCUMENT).await;
        assert_eq!((after.status, &after.body), (200, &held.body));
    }
}

#[tokio::test]
async fn a_session_counts_by_upstreams_clock_where_ours_is_wrong() {
    let sts = ScriptedSts::start(|_| {
        let expiration = "2030-06-01T13:00:00Z".to_owned();
        let session = Credentials {
            expiration,
            ..Credentials::default()
        };
        Reply::session("AssumeRole", &session).with("Date", "Sat, 01 Jun 2030 12:00:00 GMT")
    })
    .await;
    let clock = Clock::simulated(noon());
    let text = upstream(&sts.url());
    let daemon = TestDaemon::start_in(with_secret(), &text, clock, Passed::default());
    let at = daemon.address("metadata");
    let document = imds_get(at, &imds_token(at).await, DOCUMENT).await;
    assert_eq!(document.status, 200, "a wrong clock here does no harm");
    assert_eq!(document.json()["Expiration"], "2030-06-01T13:00:00Z");
    let report = daemon.daemon.vending.sessions().report();
    let remaining = report[0].held.as_ref().unwrap().remaining;
    assert!(remaining <= Duration::from_hours(1) && remaining > Duration::from_mins(59));
}

#[tokio::test]
async fn a_session_shorter_than_asked_is_served_with_its_real_life() {
    let sts = ScriptedSts::start(|_| {
        let expiration = "2030-06-01T12:20:00Z".to_owned();
        let session = Credentials {
            expiration,
            ..Credentials::default()
        };
        Reply::session("AssumeRole", &session).with("Date", "Sat, 01 Jun 2030 12:00:00 GMT")
    })
    .await;
    let text = upstream(&sts.url());
    let daemon = TestDaemon::start_in(with_secret(), &text, Clock::System, Passed::default());
    let at = daemon.address("metadata");
    let document = imds_get(at, &imds_token(at).await, DOCUMENT).await;
    assert_eq!(document.json()["Expiration"], "2030-06-01T12:20:00Z");
    let report = daemon.daemon.vending.sessions().report();
    assert!(report[0].held.as_ref().unwrap().remaining <= Duration::from_mins(20));
}
