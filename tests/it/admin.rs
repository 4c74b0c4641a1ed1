//! A running daemon and the commands that talk to it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use serde_json::Value;

use crate::support::is_root;
use crate::support::process::{DEADLINE, Daemon, follow, get};

/// Somebody who is granted `local/demo` only, where this runs as root.
const SOMEBODY: u32 = 12_345;

fn configuration() -> String {
    let own = Uid::effective();
    format!(
        r#"
        [[listener]]
        name = "all"
        bind = ["127.0.0.1:0"]
        apis = ["imds", "container", "metrics"]

        [account.local]
        id = "000000000000"
        region = "eu-central-1"
        credentials = {{ from = "local" }}
        [account.local.role.demo]
        source-identity = "user-{{uid}}"
        [account.local.role.other]

        [[grant]]
        role = "local/demo"
        when = {{ uid = [{own}, {SOMEBODY}] }}
        reason = "for tests"
        [[grant]]
        role = "local/other"
        when = {{ uid = {own} }}
        "#
    )
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn credentials_are_those_of_a_credential_process() {
    let daemon = Daemon::start(&configuration());
    let process = json(&daemon.says(&["credentials"]));
    let keys: Vec<_> = process.as_object().unwrap().keys().collect();
    let expected = [
        "AccessKeyId",
        "AccountId",
        "Expiration",
        "SecretAccessKey",
        "SessionToken",
        "Version",
    ];
    assert_eq!(keys, expected);
    assert_eq!(process["Version"], 1);
    assert_eq!(process["AccountId"], "000000000000");
    assert!(process["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    let expiration = process["Expiration"].as_str().unwrap();
    assert_eq!((expiration.len(), expiration.ends_with('Z')), (20, true));

    let all = json(&daemon.says(&["credentials", "--role", "local/other", "--format", "json"]));
    assert_eq!(all["Role"], "local/other");
    assert_eq!(all["Region"], "eu-central-1");

    let script = daemon.says(&["credentials", "--format", "env"]);
    let mut shell = std::process::Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{script}\nprintf %s \"$AWS_SECRET_ACCESS_KEY\""));
    let secret = shell.env_clear().output().unwrap().stdout;
    assert_eq!(
        secret,
        process["SecretAccessKey"].as_str().unwrap().as_bytes()
    );
}

#[test]
fn exec_gives_a_token_that_dies_with_its_process() {
    let mut daemon = Daemon::start(&configuration());
    let mut command = daemon.command(&[
        "exec",
        "--role",
        "local/other",
        "--",
        "sh",
        "-c",
        "env; echo; read end",
    ]);
    command
        .env("AWS_ACCESS_KEY_ID", "AKIASTATIC")
        .env("AWS_PROFILE", "work");
    command.env("no_proxy", "example.org");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = follow(child.stdout.take().unwrap());
    let mut variables = std::collections::BTreeMap::new();
    loop {
        let line = lines.recv_timeout(DEADLINE).unwrap();
        let Some((name, value)) = line.split_once('=') else {
            break;
        };
        variables.insert(name.to_owned(), value.to_owned());
    }
    assert!(!variables.contains_key("AWS_ACCESS_KEY_ID"));
    assert!(!variables.contains_key("AWS_PROFILE"));
    assert_eq!(variables["AWS_REGION"], "eu-central-1");
    assert_eq!(variables["no_proxy"], "example.org,127.0.0.1");
    let uri = &variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    let path = uri
        .strip_prefix(&format!("http://{}", daemon.address))
        .unwrap();
    assert_eq!(path, "/role/local/other");
    let token = variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"].as_str();
    let authorization = [("Authorization", token)];
    assert_eq!(daemon.get(path, &authorization).0, 200);
    assert_eq!(daemon.get(path, &[]).0, 401);

    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(daemon.get(path, &authorization).0, 401);

    daemon.end(Signal::SIGTERM);
    let log = daemon.log();
    assert!(!log.contains(token), "{log}");
}

#[test]
fn exec_ends_as_its_command_does() {
    let daemon = Daemon::start(&configuration());
    let code = |arguments: &[&str]| daemon.run(arguments).status.code().unwrap();
    assert_eq!(code(&["exec", "--", "sh", "-c", "exit 3"]), 3);
    assert_eq!(code(&["exec", "--", "no-such-command-anywhere"]), 127);
    assert_eq!(code(&["exec", "--", "/etc/passwd"]), 126);
    assert_eq!(code(&["exec", "--role", "local/absent", "--", "true"]), 77);
}

#[test]
fn status_shows_what_is_held_and_who_got_it() {
    let daemon = Daemon::start(&configuration());
    let key = json(&daemon.says(&["credentials"]))["AccessKeyId"].clone();
    daemon.await_ready();
    let status = json(&daemon.says(&["status", "--json"]));
    assert_eq!(status["listeners"][0]["address"], daemon.address);
    assert_eq!(
        status["listeners"][0]["apis"],
        serde_json::json!(["imds", "container", "metrics"])
    );
    let session = &status["sessions"][0];
    assert_eq!(session["role"], "local/demo");
    assert_eq!(session["access_key_id"], key);
    assert!((3500..=3600).contains(&session["remaining_seconds"].as_u64().unwrap()));
    assert!(session["next_fetch_seconds"].as_u64().unwrap() < 3600);
    assert_eq!(
        status["callers"][0]["roles"],
        serde_json::json!(["local/demo"])
    );
    let readable = daemon.says(&["status"]);
    assert!(readable.contains(key.as_str().unwrap()), "{readable}");
    assert!(!readable.contains('\x1b'), "{readable}");
}

#[test]
fn refresh_replaces_and_forget_drops() {
    let daemon = Daemon::start(&configuration());
    let key = || json(&daemon.says(&["credentials"]))["AccessKeyId"].clone();
    let code = |arguments: &[&str]| daemon.run(arguments).status.code().unwrap();
    assert_eq!(code(&["refresh", "local/demo"]), 1);
    assert_eq!(code(&["refresh", "--all"]), 0);
    let first = key();
    assert_eq!(key(), first);
    assert_eq!(
        daemon.says(&["refresh", "local/demo"]),
        "local/demo: fetched\n"
    );
    let second = key();
    assert_ne!(second, first);
    assert_eq!(
        daemon.says(&["forget", "local/demo"]),
        "local/demo: 1 dropped\n"
    );
    assert_ne!(key(), second);
    assert_eq!(code(&["forget", "local/other"]), 1);
}

#[test]
fn reload_applies_a_good_file_and_refuses_a_bad_one() {
    let mut daemon = Daemon::start(&configuration());
    let key = json(&daemon.says(&["credentials"]))["AccessKeyId"].clone();
    daemon.rewrite(&configuration().replace("for tests", "for more tests"));
    daemon.says(&["reload"]);
    assert_eq!(json(&daemon.says(&["credentials"]))["AccessKeyId"], key);

    daemon.rewrite(&configuration().replace("local/other", "local/absent"));
    let output = daemon.run(&["reload"]);
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("rolecall.toml:"), "{told}");
    assert!(told.contains("no role `absent`"), "{told}");
    daemon.wait_for(|event| event["level"] == "ERROR");
    assert_eq!(json(&daemon.says(&["credentials"]))["AccessKeyId"], key);
}

#[test]
fn the_audit_trail_is_shown_and_followed() {
    let daemon = Daemon::start(&configuration());
    assert_eq!(
        daemon.says(&["audit"]),
        "nothing was handed out or refused yet\n"
    );
    let mut follower = daemon.command(&["audit", "--follow", "--json"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    let events = follow(follower.stdout.take().unwrap());
    let key = json(&daemon.says(&["credentials"]))["AccessKeyId"].clone();
    let event = json(&events.recv_timeout(DEADLINE).unwrap());
    assert_eq!(event["event"], "hand-out");
    assert_eq!(event["access_key_id"], key);
    assert_eq!(event["api"], "admin");
    assert_eq!(event["reason"], "for tests");
    let own = Uid::effective().as_raw();
    assert_eq!(event["uid"], own);
    assert_eq!(event["source_identity"], format!("user-{own}"));
    daemon.run(&["credentials", "--role", "local/absent"]);
    let denial = json(&events.recv_timeout(DEADLINE).unwrap());
    assert_eq!(
        (&denial["event"], &denial["role"]),
        (&"denial".into(), &"local/absent".into())
    );
    follower.kill().unwrap();
    follower.wait().unwrap();
    let readable = daemon.says(&["audit"]);
    assert_eq!(readable.lines().count(), 2, "{readable}");
    assert!(readable.contains(key.as_str().unwrap()), "{readable}");
}

#[test]
fn counts_are_exact_when_the_daemon_ends() {
    let mut daemon = Daemon::start(&configuration());
    for _ in 0..5 {
        daemon.says(&["credentials"]);
    }
    let status = daemon.end(Signal::SIGTERM);
    let log = daemon.log();
    assert!(status.success());
    let events = log
        .lines()
        .map(json)
        .filter(|event| event["target"] == "rolecall::audit");
    let counts = events.map(|event| event["count"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 5, "{log}");
}

#[test]
fn health_and_metrics_tell_of_the_daemon() {
    let daemon = Daemon::start(&configuration());
    assert!(daemon.run(&["healthcheck"]).status.success());
    daemon.says(&["credentials"]);
    let (status, page) = daemon.get("/metrics", &[]);
    assert_eq!(status, 200);
    for line in [
        "rolecall_requests_total{api=\"admin\",route=\"credentials\",code=\"200\"} 1",
        "rolecall_credential_fetches_total{result=\"ok\",origin=\"upstream\"} 1",
        "rolecall_sessions_held 1",
        "rolecall_callers_unidentified_total 0",
        "rolecall_panics_total 0",
    ] {
        assert!(page.contains(line), "{line} in\n{page}");
    }
}

/// Needs root, to be somebody else. CI must run it.
#[test]
fn other_users_see_and_get_only_their_own() {
    if !is_root() {
        return;
    }
    let daemon = Daemon::start(&configuration());
    let own = json(&daemon.says(&["credentials"]))["AccessKeyId"].clone();
    let as_user = |uid: u32, arguments: &[&str]| {
        let output = daemon
            .command(arguments)
            .uid(uid)
            .gid(uid)
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8(output.stdout),
            String::from_utf8(output.stderr),
        );
        (output.status.code().unwrap(), out.unwrap(), err.unwrap())
    };
    let (obtained, credentials, _) = as_user(SOMEBODY, &["credentials"]);
    assert_eq!(obtained, 0);
    let key = json(&credentials)["AccessKeyId"].clone();
    assert_ne!(key, own, "session names differ, so sessions do");

    for refused in [
        &["refresh", "--all"][..],
        &["forget", "local/demo"],
        &["reload"],
        &["credentials", "--role", "local/other"],
        &["exec", "--role", "local/other", "--", "true"],
    ] {
        let (code, out, err) = as_user(SOMEBODY, refused);
        assert_eq!((code, out.as_str()), (77, ""), "{refused:?} {err}");
        assert!(err.contains("try: "), "{err}");
    }
    let (_, status, _) = as_user(SOMEBODY, &["status", "--json"]);
    let status = json(&status);
    let keys: Vec<_> = status["sessions"].as_array().unwrap().iter().collect();
    assert_eq!(keys.len(), 1, "{status}");
    assert_eq!(status.get("confinement"), None, "{status}");
    assert_eq!(keys[0]["access_key_id"], key);
    assert_eq!(status["callers"].as_array().unwrap().len(), 1);
    let (_, trail, _) = as_user(SOMEBODY, &["audit", "--json"]);
    assert!(
        trail
            .lines()
            .all(|line| json(line)["caller"] == format!("uid {SOMEBODY}"))
    );
    let (stranger, _, told) = as_user(SOMEBODY + 1, &["credentials"]);
    assert_eq!(stranger, 77);
    assert!(told.contains(&format!("uid {}", SOMEBODY + 1)), "{told}");
}

/// Another user's token, or one that is not ours, opens nothing.
#[test]
fn tokens_are_bound_to_their_user() {
    if !is_root() {
        return;
    }
    let daemon = Daemon::start(&configuration());
    let mut command = daemon.command(&[
        "exec",
        "--",
        "sh",
        "-c",
        "echo $AWS_CONTAINER_AUTHORIZATION_TOKEN; read end",
    ]);
    command.uid(SOMEBODY).gid(SOMEBODY);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let token = follow(child.stdout.take().unwrap())
        .recv_timeout(DEADLINE)
        .unwrap();
    let (status, _) = get(&daemon.address, "/creds", &[("Authorization", &token)]);
    assert_eq!(status, 401);
    drop(child.stdin.take());
    child.wait().unwrap();
}
