//! People who prove a name to a running daemon, and what the command line does for them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Daemon, rolecall};

const SECRET: &str = "canary horse:battery";

fn configuration(home: &TempDir) -> String {
    let home = home.path().display();
    format!(
        r#"
        [[listener]]
        name = "api"
        bind = ["127.0.0.1:0"]
        apis = ["accounts"]

        [people]
        users-file = "{home}/users"
        groups-file = "{home}/groups"

        [account.local]
        id = "000000000000"
        credentials = {{ from = "local" }}
        [account.local.role.demo]
        [account.local.role.ops]

        [[grant]]
        role = "local/demo"
        when = {{ principal = "ann" }}
        [[grant]]
        role = "local/ops"
        when = {{ group = "ops" }}
        "#
    )
}

/// What `rolecall password` prints for what it is told.
fn password(arguments: &[&str], told: &str) -> Result<String, i32> {
    let mut command = rolecall(&[&["password"], arguments].concat());
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Who is refused before does not read it.
    drop(stdin.write_all(told.as_bytes()));
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        code => Err(code.unwrap()),
    }
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

fn with_ann() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let line = password(&["ann"], &format!("{SECRET}\n")).unwrap();
    fs::write(home.path().join("users"), line).unwrap();
    fs::write(home.path().join("groups"), "ops: ann\n").unwrap();
    home
}

#[test]
fn a_password_becomes_a_line_of_the_users_file() {
    let line = password(&["ann"], "secret\n").unwrap();
    assert!(
        line.starts_with("ann:$argon2id$") && line.ends_with('\n'),
        "{line}"
    );
    assert!(!line.contains("secret"));
    assert_eq!(password(&["ann"], "\n"), Err(64));
    assert_eq!(password(&["a:b"], "secret\n"), Err(64));
    assert_eq!(password(&[], "secret\n"), Err(64));
}

#[test]
fn a_password_proves_a_name_and_a_cookie_stands_for_it() {
    let home = with_ann();
    let daemon = Daemon::start(&configuration(&home));
    let (status, answer) = daemon.get("/account", &[]);
    assert_eq!(status, 401, "{answer}");
    let lower = answer.to_lowercase();
    assert!(
        lower.contains("www-authenticate: basic realm=\"rolecall\""),
        "{answer}"
    );
    assert!(lower.contains("www-authenticate: bearer"), "{answer}");
    let right = basic("ann", SECRET);
    let (status, answer) = daemon.get("/account", &[("Authorization", &right)]);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.ends_with(r#"{"local":["demo","ops"]}"#), "{answer}");
    let cookie = answer
        .lines()
        .find_map(|line| line.split_once("JSESSIONID=")?.1.split(';').next())
        .map(|value| format!("JSESSIONID={value}"))
        .unwrap();
    let (status, answer) = daemon.get("/account", &[("Cookie", &cookie)]);
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.contains("JSESSIONID"), "{answer}");
    let wrong = basic("ann", "wrong");
    let both = [("Authorization", wrong.as_str()), ("Cookie", &cookie)];
    assert_eq!(daemon.get("/account", &both).0, 401);
    let log = daemon.log();
    for secret in [SECRET, &right, &wrong, &cookie] {
        assert!(!log.contains(secret), "the log holds a secret");
    }
}

#[test]
fn the_memory_that_a_password_takes_is_given_back() {
    let home = with_ann();
    let users = home.path().join("users");
    let line = fs::read_to_string(&users).unwrap();
    let (_, hash) = line.split_once(':').unwrap();
    let names = ["ann", "bob", "carol", "dave"];
    fs::write(users, names.map(|name| format!("{name}:{hash}")).concat()).unwrap();
    let daemon = Daemon::start(&configuration(&home));
    for name in names {
        let right = basic(name, SECRET);
        let (status, answer) = daemon.get("/account", &[("Authorization", &right)]);
        assert_eq!(status, 200, "{answer}");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let anonymous = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = anonymous.unwrap().trim().trim_end_matches(" kB");
    // One proof takes 19 MiB.
    assert!(kib.parse::<u64>().unwrap() < 10_000, "{kib} KiB");
}

#[test]
fn build_servers_show_tokens_that_can_be_revoked() {
    let home = with_ann();
    let daemon = Daemon::start(&configuration(&home));
    assert_eq!(
        daemon.says(&["key", "list"]),
        "there are no access keys and no tokens\n"
    );
    let made = daemon.says(&["key", "token", "--user", "ann", "--expires", "30d"]);
    let token = made.trim_end();
    assert!(token.starts_with("rolecall_"), "{token}");
    let bearer = format!("Bearer {token}");
    let shown = [("Authorization", bearer.as_str())];
    let (status, answer) = daemon.get("/account", &shown);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.ends_with(r#"{"local":["demo","ops"]}"#), "{answer}");
    let known: Value = serde_json::from_str(&daemon.says(&["key", "list", "--json"])).unwrap();
    let known = &known["tokens"][0];
    assert_eq!(known["user"], "ann");
    assert_eq!(
        known["expires"].as_u64().unwrap() - known["made"].as_u64().unwrap(),
        30 * 86_400
    );
    let id = known["id"].as_str().unwrap();
    assert!(daemon.says(&["key", "list"]).contains(id));
    assert_eq!(
        daemon.says(&["key", "delete", id]),
        format!("{id} deleted\n")
    );
    assert_eq!(daemon.get("/account", &shown).0, 401);
    let code = |arguments: &[&str]| daemon.run(arguments).status.code();
    assert_eq!(code(&["key", "delete", id]), Some(1));
    assert_eq!(code(&["key", "delete", "x"]), Some(64));
    assert_eq!(
        code(&["key", "token", "--user", "ann", "--expires", "0s"]),
        Some(64)
    );
    assert_eq!(
        code(&["key", "token", "--user", "ann", "--expires", "soon"]),
        Some(64)
    );
    let unseen = ["key", "token", "--user", "an\u{200b}n", "--expires", "30d"];
    assert_eq!(code(&unseen), Some(64));
    assert_eq!(code(&["password", "an\u{202e}n"]), Some(64));
    assert!(!daemon.log().contains(token), "the log holds a token");
}

/// Types Ctrl-C where `rolecall password` asks, on a terminal of its own; what the terminal is like
/// then.
#[test]
fn a_terminal_shows_what_is_typed_again_after_an_interrupt() {
    let asked = rolecall(&["password", "ann"]);
    let program = asked.get_program().to_str().unwrap();
    let line = format!("trap : INT; '{program}' password ann; echo status $?; stty -a");
    let mut shell = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = shell.stdin.take().unwrap();
    let mut shown = shell.stdout.take().unwrap();
    let mut text = Vec::new();
    let mut interrupted = false;
    let mut bytes = [0; 512];
    loop {
        let read = shown.read(&mut bytes).unwrap();
        if read == 0 {
            break;
        }
        text.extend_from_slice(&bytes[..read]);
        let prompted = String::from_utf8_lossy(&text).contains("Password of ann:");
        if prompted && !interrupted {
            typed.write_all(b"\x03").unwrap();
            interrupted = true;
        }
    }
    drop(typed);
    assert!(shell.wait().unwrap().success());
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("status 130"), "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(
        words.contains(&"echo") && !words.contains(&"-echo"),
        "{text}"
    );
}
