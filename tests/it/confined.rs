//! What the daemon gives up where nobody else confines it, shown by the kernel: the real binary.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::is_root;
use crate::support::process::{Daemon, LISTENER, to_us};

const LOCAL: &str = "[account.local]\nid = \"000000000000\"\ncredentials = { from = \"local\" }\n[account.local.role.demo]\n";

fn local() -> String {
    format!("{LISTENER}{LOCAL}{}", to_us("local/demo"))
}

/// A field of /proc/PID/status for each thread of the daemon.
fn of_threads(daemon: &Daemon, field: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let threads = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("status")));
    // One that has ended meanwhile tells nothing.
    let threads = threads.filter_map(Result::ok);
    threads.map(|status| value(&status, field)).collect()
}

fn of_process(daemon: &Daemon, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    value(&status, field)
}

fn value(status: &str, field: &str) -> String {
    let mut lines = status.lines();
    let found = lines.find_map(|line| line.strip_prefix(&format!("{field}:")));
    found.unwrap().trim().to_owned()
}

/// The event that tells how it is confined.
fn told(log: &str) -> Value {
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut events = events.filter(|event: &Value| {
        let message = event["message"].as_str().unwrap_or_default();
        message.starts_with("confined: ") || message.starts_with("not confined")
    });
    events
        .next()
        .unwrap_or_else(|| panic!("not told in\n{log}"))
}

fn is_confined(daemon: &Daemon) {
    let event = told(&daemon.log());
    assert!(
        event["message"].as_str().unwrap().starts_with("confined: "),
        "{event}"
    );
    assert_eq!(event["no_new_privileges"], true, "{event}");
}

/// Reloads, which must be refused; what it says.
fn refused(daemon: &Daemon) -> String {
    let output = daemon.run(&["reload"]);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// A folder for everybody, with a script in it that writes `mark` there and prints `answer`.
fn script(answer: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let path = folder.path().join("script");
    let text = format!(
        "#!/bin/sh\ntouch {}/mark\necho '{answer}'\n",
        folder.path().display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn every_thread_has_given_up_new_privileges() {
    let daemon = Daemon::start(&local());
    is_confined(&daemon);
    let threads = of_threads(&daemon, "NoNewPrivs");
    assert!(threads.len() > 1, "{threads:?}");
    assert!(
        threads.iter().all(|given_up| given_up == "1"),
        "{threads:?}"
    );
    // What it does at its start it can do.
    assert!(!daemon.log().contains("cannot connect to loopback"));
}

#[test]
fn a_log_file_that_leads_elsewhere_later_is_not_written() {
    let logs = tempfile::tempdir().unwrap();
    let at = |name: &str| logs.path().join(name);
    fs::create_dir(at("log")).unwrap();
    fs::create_dir(at("elsewhere")).unwrap();
    let log = format!("to = ['json', 'file:{}']", at("log/file").display());
    let mut daemon = Daemon::launch(&local(), &log, &[]);
    daemon.wait_for(|event| event["listener"] == "admin");
    assert!(at("log/file").exists());
    // As after a rotation: the file is made anew.
    fs::rename(at("log/file"), at("log/file.1")).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for(|event| event["message"] == "reloaded: nothing changed");
    assert!(at("log/file").exists());
    // And where somebody else has put a link.
    fs::remove_file(at("log/file")).unwrap();
    symlink(at("elsewhere/file"), at("log/file")).unwrap();
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for(|event| {
        let text = event.to_string();
        text.contains("file:") && text.contains("Permission denied")
    });
    assert!(!at("elsewhere/file").exists());
}

#[test]
fn a_program_that_profiles_name_later_is_not_started() {
    let answer = r#"{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s"}"#;
    let (folder, program) = script(answer);
    let home = tempfile::tempdir().unwrap();
    let home_name = home.path().to_str().unwrap();
    let profile = "[account.prod]\nid = \"123456789012\"\nregion = \"eu-central-1\"\n\
                   endpoint = \"http://127.0.0.1:1/\"\ncredentials = { from = \"profile\", profile = \"x\" }\n\
                   [account.prod.role.web]\n";
    let text = format!("{LISTENER}{profile}{}", to_us("prod/web"));
    let mut daemon = Daemon::start_with(&text, &[("HOME", home_name)]);
    is_confined(&daemon);
    fs::create_dir(home.path().join(".aws")).unwrap();
    let named = format!("[profile x]\ncredential_process = {program}\n");
    fs::write(home.path().join(".aws/config"), named).unwrap();
    let failed = |daemon: &mut Daemon| {
        drop(daemon.run(&["refresh", "prod/web"]));
        drop(daemon.run(&["credentials", "--role", "prod/web"]));
        let event = daemon.wait_for(|event| event["message"] == "credentials could not be fetched");
        event["error"].as_str().unwrap().to_owned()
    };
    let error = failed(&mut daemon);
    assert!(error.contains("restart it"), "{error}");
    assert!(!folder.path().join("mark").exists());
    daemon.restart(Signal::SIGTERM);
    let error = failed(&mut daemon);
    assert!(!error.contains("restart it"), "{error}");
    assert!(folder.path().join("mark").exists());
}

#[test]
fn programs_that_are_configured_may_write_where_their_user_may() {
    let (folder, program) = script(r#"{"local": [["demo", "a program says so"]]}"#);
    let text = format!("{LISTENER}{LOCAL}[[grant-source]]\ncommand = [\"{program}\"]\n");
    let daemon = Daemon::start(&text);
    daemon.says(&["credentials", "--role", "local/demo"]);
    assert!(folder.path().join("mark").exists());
    let event = told(&daemon.log());
    assert_eq!(event["programs"], "[[grant-source]] 1");
    let (confinement, findings) = shown(&daemon);
    let named = serde_json::json!({"state": "programs", "named": ["[[grant-source]] 1"]});
    assert_eq!(confinement["landlock"], named);
    assert_eq!(confinement["no_new_privileges"], is_root());
    assert_eq!(findings[0]["level"], "warning", "{findings:?}");
    let what = findings[0]["what"].as_str().unwrap();
    assert!(what.contains("[[grant-source]] 1"), "{what}");
    // Of root's nothing is lost.
    let given_up = if is_root() { "1" } else { "0" };
    assert_eq!(of_process(&daemon, "NoNewPrivs"), given_up);
}

#[test]
fn what_was_given_up_is_not_asked_for_by_a_reload() {
    let daemon = Daemon::start(&local());
    let command = format!("{}[[grant-source]]\ncommand = [\"/bin/true\"]\n", local());
    daemon.rewrite(&command);
    let told = refused(&daemon);
    assert!(
        told.contains("[[grant-source]] 1 (it starts a program) need a restart"),
        "{told}"
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let file = daemon.path("rolecall.toml");
    let written = |log: &Path| {
        daemon.rewrite(&local());
        let text = fs::read_to_string(&file).unwrap();
        let log = format!("to = [\"json\", \"file:{}\"]", log.display());
        fs::write(&file, text.replace("to = [\"json\"]", &log)).unwrap();
    };
    written(&elsewhere.path().join("log"));
    let told = refused(&daemon);
    assert!(told.contains("is another folder) need a restart"), "{told}");
    // What lies where it may write anyway needs none.
    written(&daemon.path("state/log"));
    daemon.says(&["reload"]);
    assert!(daemon.path("state/log").exists());
}

#[test]
fn memory_is_locked_where_it_may_be() {
    let mut daemon = Daemon::start(&local());
    let swap = |message: &str| message.starts_with("memory ");
    let log = daemon.log();
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut events = events.filter_map(|event| Some(event["message"].as_str()?.to_owned()));
    let event = events.find(|message| swap(message)).unwrap();
    let locked = of_process(&daemon, "VmLck");
    let expected = match event.as_str() {
        "memory is not swapped: it is locked" => locked != "0 kB",
        "memory is not swapped: the control group has no swap" => locked == "0 kB",
        // Root may lift any limit.
        "memory may be swapped" => locked == "0 kB" && !is_root(),
        _ => false,
    };
    assert!(expected, "{event}: {locked}");
    daemon.end(Signal::SIGTERM);
}

/// What `status` shows of it, and the findings of `doctor`.
fn shown(daemon: &Daemon) -> (Value, Vec<Value>) {
    let status: Value = serde_json::from_str(&daemon.says(&["status", "--json"])).unwrap();
    let report = daemon.run(&["doctor", "--json"]).stdout;
    let report: Value = serde_json::from_slice(&report).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let of_check = findings.filter(|finding| finding["check"] == "confinement");
    (status["confinement"].clone(), of_check.cloned().collect())
}

#[test]
fn how_it_is_confined_is_what_the_kernel_says() {
    let daemon = Daemon::start(&local());
    is_confined(&daemon);
    let (confinement, findings) = shown(&daemon);
    let fenced = |finding: &Value| !finding["what"].to_string().contains("not confined");
    assert!(
        !findings.is_empty() && findings.iter().all(fenced),
        "{findings:?}"
    );
    assert_eq!(confinement["landlock"]["state"], "up", "{confinement}");
    let event = told(&daemon.log());
    assert_eq!(confinement["landlock"]["version"], event["landlock"]);
    let writes = confinement["landlock"]["writes"].as_array().unwrap();
    let state = daemon.path("state");
    assert!(writes.iter().any(|place| place == state.to_str().unwrap()));
    assert_eq!(confinement["no_new_privileges"], true);
    assert_eq!(confinement["undumpable"], true);
    let locked = of_process(&daemon, "VmLck") != "0 kB";
    assert_eq!(confinement["memory"]["state"] == "locked", locked);
    let line = daemon.says(&["status"]);
    let line = line.lines().nth(2).unwrap();
    assert!(line.starts_with("confinement: Landlock V"), "{line}");
    assert!(line.ends_with(", no core dumps"), "{line}");
}
