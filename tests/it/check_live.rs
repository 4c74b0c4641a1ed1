//! `rolecall check --live` against a scripted STS.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Output};

use serde_json::Value;

use crate::support::is_root;
use crate::support::process::{BASE_SECRET, LISTENER, await_that, prod, rolecall};
use crate::support::sts::{Credentials, Reply, ScriptedSts};

fn configuration(sts: &str) -> String {
    let account = prod(sts, "dialect = \"generic\"", &["web", "denied"]);
    let granted = r#"
        [[grant]]
        role = "prod/web"
        when = "anyone"
        [[grant]]
        role = "prod/denied"
        priority = 1
        when = { uid = 12345 }
    "#;
    format!("{LISTENER}{account}{granted}")
}

/// The code, what stands on standard output, and on standard error.
async fn check(sts: &ScriptedSts) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rolecall.toml");
    fs::write(&file, configuration(&sts.url())).unwrap();
    let mut command = rolecall(&["check", "--live", "--config", file.to_str().unwrap()]);
    command.envs([BASE_SECRET]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_can_be_had_pass() {
    let sts = ScriptedSts::generous().await;
    let (code, out, err) = check(&sts).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("works  prod/web: "), "{out}");
    assert!(
        !out.contains("canary") && !err.contains("canary"),
        "{out}{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_had_is_named() {
    let sts = ScriptedSts::start(|request| {
        let action = request.field("Action");
        if request.field("RoleArn").ends_with("denied") {
            Reply::error(
                403,
                "AccessDenied",
                "not authorized to perform: sts:AssumeRole",
            )
        } else {
            Reply::session(action, &Credentials::default())
        }
    })
    .await;
    let (code, out, err) = check(&sts).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("works  prod/web: "), "{out}");
    assert!(out.contains("FAILS  prod/denied: "), "{out}");
    assert!(err.contains("1 of 3"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_what_was_tried() {
    let sts = ScriptedSts::generous().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rolecall.toml");
    fs::write(&file, configuration(&sts.url())).unwrap();
    let mut command = rolecall(&["check", "--live", "--json"]);
    command.arg("--config").arg(file).envs([BASE_SECRET]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["valid"], true, "{report}");
    let tried: Vec<_> = report["tried"].as_array().unwrap().iter().collect();
    let of_web = tried.iter().find(|one| one["subject"] == "prod/web");
    assert_eq!(of_web.unwrap()["works"], true, "{report}");
}

/// The daemon's user, of which this host knows nothing.
const DAEMON: u32 = 12_345;

/// A daemon that is ended with the test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn live(folder: &Path, socket: &Path) -> Output {
    let mut command = rolecall(&["check", "--live", "--config"]);
    command.arg(folder.join("rolecall.toml"));
    command.arg("--socket").arg(socket).output().unwrap()
}

/// A process that asks as the daemon does, and what it shares with who started it: its session, and
/// where it writes.
fn shared_with_its_parent() -> Option<Vec<String>> {
    let asks = |pid: &String| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let of_daemon =
            String::from_utf8_lossy(&read("status")).contains(&format!("Uid:\t{DAEMON}"));
        let arguments = read("cmdline");
        of_daemon && arguments.split(|byte| *byte == 0).nth(1) == Some(b"check")
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let mut all = all.filter_map(|entry| entry.file_name().into_string().ok());
    let child = all.find(asks)?;
    let has = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (_, after_name) = stat.rsplit_once(") ").unwrap();
        let fields: Vec<_> = after_name.split(' ').map(str::to_owned).collect();
        let writes = |fd: u8| fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
        let [out, err] = [1, 2].map(|fd| writes(fd).to_str().unwrap().to_owned());
        (
            fields[1].clone(),
            [format!("session {}", fields[3]), out, err],
        )
    };
    let (parent, of_child) = has(&child);
    let (_, of_parent) = has(&parent);
    let shared = of_child.into_iter().filter(|one| of_parent.contains(one));
    Some(shared.collect())
}

/// Needs root, to be two users. CI must run it.
#[tokio::test(flavor = "multi_thread")]
async fn root_asks_with_what_the_daemon_has_and_lends_it_no_terminal() {
    if !is_root() {
        return;
    }
    let (seen, shared) = std::sync::mpsc::channel();
    let sts = ScriptedSts::start(move |request| {
        // The daemon asks too.
        if let Some(shared) = shared_with_its_parent() {
            seen.send(shared).unwrap();
        }
        Reply::session(request.field("Action"), &Credentials::default())
    })
    .await;
    let folder = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    chown(folder.path(), Some(DAEMON), None).unwrap();
    let socket = folder.path().join("admin.sock");
    let besides = format!(
        "[admin]\nsocket = {socket:?}\n[state]\ndirectory = {:?}\n",
        folder.path().join("state")
    );
    let text = format!("{}{besides}", configuration(&sts.url()));
    fs::write(folder.path().join("rolecall.toml"), text).unwrap();
    tokio::task::spawn_blocking(move || {
        // Root has no such variable.
        let alone = live(folder.path(), &socket);
        assert_eq!(alone.status.code(), Some(78));
        let mut serve = rolecall(&["serve", "--config"]);
        serve.arg(folder.path().join("rolecall.toml"));
        serve.envs([BASE_SECRET]).uid(DAEMON).gid(DAEMON);
        let daemon = Served(serve.spawn().unwrap());
        await_that("no daemon answers", || {
            let mut status = rolecall(&["status", "--socket"]);
            status.arg(&socket).output().unwrap().status.success()
        });
        let output = live(folder.path(), &socket);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(out.contains("works  prod/web: "), "{out}{err}");
        let told = format!(
            "asked as the daemon: uid {DAEMON}, with the variables of process {}\n",
            daemon.0.id()
        );
        assert!(err.starts_with(&told), "{err}");
        assert_eq!(output.status.code(), Some(0), "{err}");
        let shared: Vec<_> = shared.try_iter().collect();
        assert!(!shared.is_empty());
        assert!(shared.iter().all(Vec::is_empty), "{shared:?}");
    })
    .await
    .unwrap();
}
