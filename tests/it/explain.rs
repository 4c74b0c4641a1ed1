//! `rolecall explain`, asked of a running daemon and of a file.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, Uid};
use serde_json::{Value, json};

use crate::support::is_root;
use crate::support::process::{Daemon, rolecall};

/// Somebody who is granted `local/demo` only, where this runs as root.
const SOMEBODY: u32 = 12_345;

/// A user to whom nothing is granted.
const STRANGER: u32 = 23_456;

fn configuration() -> String {
    let own = Uid::effective();
    format!(
        r#"
        [[listener]]
        name = "metadata"
        bind = ["127.0.0.1:0"]
        apis = ["imds"]
        [[listener]]
        name = "container"
        bind = ["127.0.0.1:0"]
        apis = ["container"]

        [account.local]
        id = "000000000000"
        credentials = {{ from = "local" }}
        [account.local.role.demo]
        session-name = "demo-{{uid}}"
        source-identity = "id-{{uid}}"
        tags = {{ uid = "{{uid}}" }}
        [account.local.role.other]

        [[grant]]
        role = "local/other"
        when = {{ uid = {own}, listener = "container" }}
        [[grant]]
        role = "local/demo"
        when = {{ uid = [{own}, {SOMEBODY}] }}
        reason = "for tests"
        "#
    )
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn explained(output: &Output) -> Value {
    serde_json::from_str(out(output)).unwrap_or_else(|_| panic!("{}", err(output)))
}

/// A process that lives until its standard input ends.
fn process(uid: u32) -> Child {
    let mut command = Command::new("cat");
    command.uid(uid).gid(uid);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::null());
    piped.spawn().unwrap()
}

#[test]
fn who_asks_sees_its_role_on_each_listener_and_why() {
    let daemon = Daemon::start(&configuration());
    let output = daemon.run(&["explain", "--json"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let explained = explained(&output);
    let own = Uid::effective();
    assert!(
        explained["evidence"]
            .as_str()
            .unwrap()
            .starts_with(&format!("process uid {own} pid ")),
        "{explained}"
    );
    let [metadata, container] = explained["answers"].as_array().unwrap().as_slice() else {
        panic!("{explained}")
    };
    assert_eq!(metadata["listeners"], json!(["metadata"]));
    assert_eq!(
        metadata["role"],
        json!({
            "role": "local/demo",
            "arn": "arn:aws:iam::000000000000:role/demo",
            "grant": "grant 2",
            "reason": "for tests",
            "session_name": format!("demo-{own}"),
            "source_identity": format!("id-{own}"),
            "tags": { "uid": own.to_string() },
            "duration_seconds": 3600,
        })
    );
    assert_eq!(
        metadata["grants"],
        json!([
            {
                "grant": "grant 1",
                "role": "local/other",
                "verdict": "fails",
                "key": "listener",
                "why": "listener is \"metadata\", not \"container\"",
            },
            {
                "grant": "grant 2",
                "role": "local/demo",
                "verdict": "gives",
                "why": "gives local/demo",
            },
        ])
    );
    assert_eq!(container["role"]["role"], "local/other");

    let text = daemon.says(&["explain", "--listener", "metadata"]);
    for part in [
        &format!("uid {own} gets local/demo on metadata\n"),
        "  because of       grant 2: for tests\n",
        "  grant 2  local/demo   gives local/demo; this one decides\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("on container"), "{text}");
}

#[test]
fn a_role_is_asked_for_by_name_and_a_listener_must_exist() {
    let daemon = Daemon::start(&configuration());
    let chosen = |role: &str| {
        let output = daemon.run(&["explain", "--listener", "container", "--json", role]);
        (code(&output), explained(&output)["answers"][0].clone())
    };
    let (status, answer) = chosen("local/demo");
    assert_eq!((status, &answer["role"]["role"]), (0, &json!("local/demo")));
    assert_eq!(chosen("demo").1, answer);
    let (status, answer) = chosen("local/absent");
    assert_eq!(
        (status, &answer["refusal"]["kind"]),
        (1, &json!("no-such-role"))
    );

    let output = daemon.run(&["explain", "--listener", "absent"]);
    assert_eq!(code(&output), 64, "{}", err(&output));
    assert!(
        err(&output).contains("metadata, container"),
        "{}",
        err(&output)
    );
    for wrong in [
        &["--pid", "1", "--uid", "1"][..],
        &["--pid", "x"],
        &["a/b/c"],
    ] {
        let arguments = [&["explain"], wrong].concat();
        assert_eq!(code(&daemon.run(&arguments)), 64, "{wrong:?}");
    }
}

#[test]
fn a_file_decides_as_its_daemon_does() {
    let daemon = Daemon::start(&configuration());
    let file = daemon.path("rolecall.toml");
    let file = file.to_str().unwrap();
    let own = Uid::effective().to_string();
    for (uid, exit) in [
        (own.as_str(), 0),
        (&SOMEBODY.to_string(), 0),
        ("4294967290", 1),
    ] {
        let offline = rolecall(&["explain", "--config", file, "--json", "--uid", uid]);
        let offline = { offline }.output().unwrap();
        let asked = daemon.run(&["explain", "--json", "--uid", uid]);
        assert_eq!(
            (code(&offline), code(&asked)),
            (exit, exit),
            "{uid} {}",
            err(&offline)
        );
        assert_eq!(explained(&offline), explained(&asked));
    }
    let output = rolecall(&["explain", "--config", file, "--json"])
        .output()
        .unwrap();
    assert_eq!(
        explained(&output)["answers"][0]["role"]["role"],
        "local/demo"
    );

    let absent = rolecall(&["explain", "--config", "/absent.toml"])
        .output()
        .unwrap();
    assert_eq!(code(&absent), 78, "{}", err(&absent));
    fs::write(file, "[[grant]]\nrole = 1\n").unwrap();
    let wrong = rolecall(&["explain", "--config", file]).output().unwrap();
    assert_eq!((code(&wrong), out(&wrong)), (78, ""), "{}", err(&wrong));
}

#[test]
fn the_answer_is_the_same_json_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rolecall.toml");
    fs::write(&file, configuration()).unwrap();
    let uid = STRANGER.to_string();
    let arguments = [
        "explain",
        "--config",
        file.to_str().unwrap(),
        "--json",
        "--uid",
        &uid,
    ];
    let mut explained = explained(&rolecall(&arguments).output().unwrap());
    let own = Uid::effective();
    assert!(explained["placeholders"]["hostname"].take().is_string());
    assert_eq!(
        explained,
        json!({
            "caller": "uid 23456",
            "evidence": "user uid 23456",
            "known": [
                { "name": "uid", "value": "23456" },
                { "name": "container", "value": "none" },
            ],
            "placeholders": { "caller": uid, "hostname": null, "uid": uid, "user": uid },
            "answers": [{
                "listeners": ["metadata", "container"],
                "refusal": {
                    "kind": "no-grant",
                    "message": "no grant is for this caller",
                },
                "grants": [
                    {
                        "grant": "grant 1",
                        "role": "local/other",
                        "verdict": "fails",
                        "key": "uid",
                        "why": format!("uid is 23456, not {own}"),
                    },
                    {
                        "grant": "grant 2",
                        "role": "local/demo",
                        "verdict": "fails",
                        "key": "uid",
                        "why": format!("uid is 23456, not {own} or {SOMEBODY}"),
                    },
                ],
            }],
        })
    );
}

#[test]
fn a_process_that_has_ended_is_nobody() {
    let daemon = Daemon::start(&configuration());
    let own = Uid::effective().as_raw();
    let mut ended = process(own);
    let pid = ended.id().to_string();
    let ask = || daemon.run(&["explain", "--pid", &pid]);
    assert_eq!(code(&ask()), 0, "{}", err(&ask()));
    drop(ended.stdin.take());
    // It ends, and nobody waits for it yet: its number is still its own.
    let id = Id::Pid(Pid::from_raw(pid.parse().unwrap()));
    waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    let zombie = ask();
    ended.wait().unwrap();
    for output in [zombie, ask()] {
        assert_eq!((code(&output), out(&output)), (1, ""), "{}", err(&output));
        assert!(err(&output).contains("no such process"), "{}", err(&output));
    }
}

#[test]
fn whoever_proves_a_name_is_told_about_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rolecall.toml");
    let by_name = configuration().replacen(
        &format!("uid = {}, listener = \"container\"", Uid::effective()),
        "principal = \"ann*\"",
        1,
    );
    fs::write(&file, by_name).unwrap();
    let ask = |name: &str| {
        let file = file.to_str().unwrap();
        let arguments = ["explain", "--config", file, "--json", "--principal", name];
        explained(&rolecall(&arguments).output().unwrap())
    };
    let anna = ask("anna");
    assert_eq!(anna["answers"][0]["role"]["role"], "local/other", "{anna}");
    assert_eq!(anna["answers"][0]["role"]["session_name"], "anna");
    let bob = ask("bob");
    assert_eq!(
        bob["answers"][0]["grants"][0]["why"],
        "principal is \"bob\", not \"ann*\""
    );
}

/// A control group, as docker makes one for a container of this id.
struct Group(PathBuf);

impl Group {
    fn new(id: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let mount = mount.unwrap().split(' ').nth(4).unwrap();
        let folder = PathBuf::from(mount).join("docker").join(id);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The one above it goes with the last of its groups.
        for folder in self.0.ancestors().take(2) {
            drop(fs::remove_dir(folder));
        }
    }
}

/// Needs root, to make control groups. CI must run it.
#[test]
fn a_container_is_found_by_the_beginning_of_its_id() {
    if !is_root() {
        return;
    }
    let short = format!("{:012x}", std::process::id());
    let id = format!("{short}{}", "a".repeat(52));
    let grant =
        format!("[[grant]]\nrole = \"local/other\"\nwhen = {{ container.id = \"{id}\" }}\n");
    let daemon = Daemon::start(&format!("{}\n{grant}", configuration()));
    let ask = |id: &str| daemon.run(&["explain", "--json", "--container", id]);
    assert_eq!(code(&ask(&short)), 1, "it does not run yet");

    let _group = Group::new(&id);
    let output = ask(&short);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let told = explained(&output);
    assert_eq!(told["caller"], format!("container {short}"));
    assert_eq!(told["answers"][0]["role"]["grant"], "grant 3");
    assert_eq!(
        told["answers"][0]["grants"][1]["why"],
        format!("uid is not known, 0 or {SOMEBODY} is asked for")
    );

    let _other = Group::new(&format!("{short}{}", "b".repeat(52)));
    assert_eq!(code(&ask(&id)), 0, "{}", err(&output));
    let several = ask(&short);
    assert_eq!((code(&several), out(&several)), (1, ""));
    assert!(
        err(&several).contains("several running containers"),
        "{}",
        err(&several)
    );
    for other in ["--container", "--principal"] {
        let mut command = daemon.command(&["explain", other, &short]);
        let asked = command.uid(SOMEBODY).gid(SOMEBODY).output().unwrap();
        assert_eq!((code(&asked), out(&asked)), (77, ""), "{other}");
    }
}

/// Needs root, to be somebody else. CI must run it.
#[test]
fn users_ask_about_themselves_and_administrators_about_all() {
    if !is_root() {
        return;
    }
    let daemon = Daemon::start(&configuration());
    let roots = process(0);
    let somebodys = process(SOMEBODY);
    let (root_pid, own_pid) = (roots.id().to_string(), somebodys.id().to_string());
    let as_user = |uid: u32, arguments: &[&str]| {
        let arguments = [&["explain", "--json"], arguments].concat();
        daemon
            .command(&arguments)
            .uid(uid)
            .gid(uid)
            .output()
            .unwrap()
    };
    let role = |output: &Output| explained(output)["answers"][0]["role"]["role"].clone();

    let by_root = daemon.run(&["explain", "--json", "--pid", &own_pid]);
    assert_eq!(role(&by_root), "local/demo");
    assert_eq!(
        explained(&by_root)["answers"][0]["role"]["session_name"],
        format!("demo-{SOMEBODY}")
    );
    for own in [
        &[][..],
        &["--pid", &own_pid],
        &["--uid", &SOMEBODY.to_string()],
    ] {
        let output = as_user(SOMEBODY, own);
        assert_eq!(code(&output), 0, "{own:?} {}", err(&output));
        assert_eq!(role(&output), "local/demo");
        // What others are granted, and what for, is not theirs to see.
        let first = &explained(&output)["answers"][0]["grants"][0];
        assert_eq!(first["why"], format!("uid is {SOMEBODY}"));
        assert_eq!(first["role"], Value::Null);
    }
    let absent = u32::MAX.to_string();
    for other in [
        &["--pid", &root_pid][..],
        &["--uid", "0"],
        &["--pid", &absent],
    ] {
        let output = as_user(SOMEBODY, other);
        assert_eq!((code(&output), out(&output)), (77, ""), "{other:?}");
        assert!(
            err(&output).contains("your own processes"),
            "{}",
            err(&output)
        );
    }
    let stranger = as_user(STRANGER, &[]);
    assert_eq!(code(&stranger), 1, "{}", err(&stranger));
    for mut child in [roots, somebodys] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
