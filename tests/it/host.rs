//! What goes wrong on the host: state, ports, clocks.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rolecall::clock::Clock;
use rolecall::listener::Passed;
use tempfile::TempDir;

use crate::support::client::{imds_get, imds_token};
use crate::support::daemon::{LOCAL, TestDaemon, noon, upstream, with_secret};
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

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let (code, stderr) = refused(&directory, &LOCAL.replacen("127.0.0.1:0", &at, 1), "");
    assert_ne!(code, 0, "{stderr}");
    assert!(
        stderr.contains(&at) && stderr.contains("in use"),
        "{stderr}"
    );
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
