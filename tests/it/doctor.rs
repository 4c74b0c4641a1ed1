//! `rolecall doctor`: each thing that can be wrong, provoked.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use rolecall::clock::Clock;
use rolecall::listener::Passed;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::{imds_get, imds_token};
use crate::support::daemon::{TestDaemon, upstream, with_secret};
use crate::support::is_root;
use crate::support::process::{Daemon, rolecall};
use crate::support::sts::{Credentials, Reply, ScriptedSts};

const ACCOUNT: &str = "
[account.local]
id = \"000000000000\"
credentials = { from = \"local\" }
[account.local.role.demo]
";

/// A metadata listener at this address, for this user.
pub(crate) fn configuration(bind: &str) -> String {
    let uid = nix::unistd::geteuid();
    format!(
        "[[listener]]\nname = \"metadata\"\nbind = [\"{bind}\"]\napis = [\"imds\"]\n{ACCOUNT}\
         [[grant]]\nrole = \"local/demo\"\nwhen = {{ uid = {uid} }}\n"
    )
}

/// A file with this configuration, where everybody may look and no daemon is.
pub(crate) fn file(text: &str) -> TempDir {
    let folder = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    fs::write(folder.path().join("rolecall.toml"), text).unwrap();
    folder
}

pub(crate) fn without_daemon(folder: &TempDir) -> Command {
    let mut command = rolecall(&["doctor", "--json", "--config", "rolecall.toml"]);
    command
        .env("ROLECALL_SOCKET", folder.path().join("admin.sock"))
        .current_dir(folder.path());
    command
}

/// The same in a network namespace with loopback, after this script. What that starts ends with it.
pub(crate) fn in_namespace(folder: &TempDir, script: &str) -> Output {
    let script =
        format!("ip link set lo up\n{script}\nexec \"$0\" doctor --json --config rolecall.toml");
    Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "sh",
            "-euc",
            &script,
            env!("CARGO_BIN_EXE_rolecall"),
        ])
        .env("ROLECALL_SOCKET", folder.path().join("admin.sock"))
        .current_dir(folder.path())
        .output()
        .unwrap()
}

/// The findings of one check: level, and all that is told.
fn of(output: &Output, check: &str) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let findings = report["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|finding| finding["check"] == check);
    let findings = findings.map(|finding| {
        let told = ["what", "means", "mend"].map(|key| finding[key].as_str().unwrap_or_default());
        (
            finding["level"].as_str().unwrap().to_owned(),
            told.join("; "),
        )
    });
    findings.collect()
}

/// One finding of this check is of this level and says all of this.
pub(crate) fn assert_found(output: &Output, check: &str, level: &str, said: &[&str]) {
    let found = of(output, check);
    let fits =
        |(is, told): &(String, String)| is == level && said.iter().all(|it| told.contains(it));
    assert!(
        found.iter().any(fits),
        "{check}: no {level} {said:?} in {found:#?}"
    );
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn where_all_is_well_nothing_is_a_fault() {
    let daemon = Daemon::start(&configuration("127.0.0.1:0"));
    let output = daemon.run(&["doctor", "--json"]);
    assert_eq!(
        code(&output),
        0,
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let at = daemon.address.as_str();
    let pid = format!("process {}", daemon.pid());
    for (check, said) in [
        (
            "configuration",
            &["rolecall.toml can be used (1 listener, 1 grant)"][..],
        ),
        ("daemon", &[pid.as_str(), env!("CARGO_PKG_VERSION")]),
        ("address", &["127.0.0.1 is this host's alone"]),
        ("port", &[at, "is the daemon's (metadata)"]),
        ("hop limit", &["make one hop"]),
        ("clock", &["no upstream has told"]),
        ("look-up", &["units and containers are told"]),
        ("runtime", &["there is no [runtime]"]),
        ("caller", &["get local/demo on metadata, by grant 1"]),
    ] {
        assert_found(&output, check, "ok", said);
    }
    let text = daemon.says(&["doctor"]);
    assert!(text.starts_with("ok       configuration  "), "{text}");
    assert!(!text.contains("fault"), "{text}");
}

#[test]
fn without_a_daemon_it_says_so_and_looks_on() {
    let folder = file(&configuration("127.0.0.1:1338"));
    let output = without_daemon(&folder).output().unwrap();
    assert_eq!(code(&output), 1);
    assert_found(
        &output,
        "daemon",
        "fault",
        &["cannot be reached", "start it"],
    );
    for unseen in ["hop limit", "clock", "caller"] {
        assert_found(&output, unseen, "unseen", &["only a running daemon"]);
    }
    assert_found(
        &output,
        "configuration",
        "ok",
        &["rolecall.toml can be used"],
    );
}

#[test]
fn a_wrong_configuration_is_told_with_its_place() {
    let folder = file(&configuration("127.0.0.1:0").replace("local/demo", "local/dmeo"));
    let output = without_daemon(&folder).output().unwrap();
    let said = [
        "rolecall.toml:",
        "no role `dmeo`",
        "does not take this file",
    ];
    assert_found(&output, "configuration", "fault", &said);

    let absent = rolecall(&["doctor", "--json", "--config", "/absent.toml"])
        .output()
        .unwrap();
    assert_found(
        &absent,
        "configuration",
        "fault",
        &["cannot read", "/absent.toml"],
    );
}

#[test]
fn who_has_taken_a_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let folder = file(&configuration(&at));
    let output = without_daemon(&folder).output().unwrap();
    let holder = format!("(process {}, uid ", std::process::id());
    assert_found(&output, "port", "fault", &[&at, &holder, "cannot start"]);

    // A daemon that runs is told apart from what its file asks for since.
    let daemon = Daemon::start(&configuration("127.0.0.1:0"));
    daemon.rewrite(&configuration(&at));
    let output = daemon.run(&["doctor", "--json"]);
    assert_found(&output, "port", "ok", &[&daemon.address]);
    assert_found(
        &output,
        "port",
        "warning",
        &[&at, &holder, "restart the daemon"],
    );
}

#[test]
fn a_clock_that_is_wrong_is_a_fault() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let sts = ScriptedSts::start(|_| {
            let session = Credentials {
                expiration: "2030-06-01T13:00:00Z".to_owned(),
                ..Credentials::default()
            };
            Reply::session("AssumeRole", &session).with("Date", "Sat, 01 Jun 2030 12:00:00 GMT")
        })
        .await;
        let text = upstream(&sts.url());
        let daemon = TestDaemon::start_in(with_secret(), &text, Clock::System, Passed::default());
        let at = daemon.address("metadata");
        let path = "/latest/meta-data/iam/security-credentials/demo";
        assert_eq!(imds_get(at, &imds_token(at).await, path).await.status, 200);
        let mut doctor = rolecall(&["doctor", "--json"]);
        doctor.env(
            "ROLECALL_SOCKET",
            daemon.directory.path().join("admin.sock"),
        );
        let asked = tokio::task::spawn_blocking(move || doctor.output().unwrap());
        let output = asked.await.unwrap();
        assert_eq!(code(&output), 1);
        assert_found(
            &output,
            "clock",
            "fault",
            &["s behind upstream's", "refuses what is signed"],
        );
    });
}

#[test]
fn a_runtime_that_does_not_answer_is_a_fault() {
    let folder = file("");
    let socket = folder.path().join("runtime.sock");
    let engine = folder.path().join("engine.sock");
    let text = format!(
        "{}[runtime]\nsocket = {socket:?}\n[[runtime.engine]]\nkind = \"docker\"\nsocket = {engine:?}\n",
        configuration("127.0.0.1:0")
    );
    fs::write(folder.path().join("rolecall.toml"), text).unwrap();
    let output = without_daemon(&folder).output().unwrap();
    assert_found(
        &output,
        "runtime",
        "fault",
        &["runtime.sock does not answer", "rolecall-runtime"],
    );
    assert_found(
        &output,
        "runtime",
        "fault",
        &["docker at", "engine.sock does not answer"],
    );

    let _unit = UnixListener::bind(&socket).unwrap();
    let _engine = UnixListener::bind(&engine).unwrap();
    let output = without_daemon(&folder).output().unwrap();
    let uid = nix::unistd::geteuid();
    assert_found(
        &output,
        "runtime",
        "ok",
        &["docker answers at", "engine.sock, as"],
    );
    if uid.is_root() {
        assert_found(
            &output,
            "runtime",
            "ok",
            &["the unit", "runtime.sock, as uid 0"],
        );
    }
}

/// Needs root, for a network namespace.
#[test]
fn an_address_that_is_not_there_is_a_fault() {
    if !is_root() {
        return;
    }
    let folder = file(&configuration("169.254.169.254:80"));
    let output = in_namespace(&folder, "");
    let mend = "ip address add 169.254.169.254/32 dev lo";
    assert_found(&output, "address", "fault", &["on no interface", mend]);
    let output = in_namespace(&folder, mend);
    assert_found(&output, "address", "ok", &["169.254.169.254 is on lo"]);
    assert_found(&output, "port", "ok", &["169.254.169.254:80 is free"]);

    // Somebody else is there, where the configuration is not.
    let folder = file(&configuration("127.0.0.1:1338"));
    let other = "python3 -c '
import os, socket
server = socket.create_server((\"169.254.169.254\", 80))
if os.fork():
    os._exit(0)
os.close(1)
os.close(2)
server.accept()
'";
    let output = in_namespace(&folder, &format!("{mend}\n{other}"));
    assert_found(
        &output,
        "address",
        "warning",
        &["169.254.169.254:80 is served by python3"],
    );
}

/// Needs root, for a network namespace.
#[test]
fn redirections_are_followed() {
    if !is_root() {
        return;
    }
    let folder = file(&configuration("127.0.0.1:1338"));
    let nft = |hook: &str, to: &str| {
        format!(
            "nft add table ip test\n\
             nft 'add chain ip test redirected {{ type nat hook {hook} priority -100; }}'\n\
             nft add rule ip test redirected ip daddr 169.254.169.254 tcp dport 80 dnat to {to}"
        )
    };
    let output = in_namespace(&folder, &nft("output", "127.0.0.1:1338"));
    assert_found(
        &output,
        "redirect",
        "ok",
        &["redirected to 127.0.0.1, port 1338"],
    );
    let output = in_namespace(&folder, &nft("output", "127.0.0.1:8181"));
    assert_found(
        &output,
        "redirect",
        "fault",
        &["port 8181, where no listener is", "delete the rule"],
    );
    let output = in_namespace(&folder, &nft("prerouting", "127.0.0.1:1338"));
    assert_found(
        &output,
        "redirect",
        "fault",
        &["no interface routes loopback", "route_localnet=1"],
    );

    let iptables = "iptables -t nat -A OUTPUT -d 169.254.169.254 -p tcp --dport 80 -j DNAT --to-destination 10.1.2.3:8181";
    let output = in_namespace(&folder, iptables);
    assert_found(
        &output,
        "redirect",
        "fault",
        &["redirected to 10.1.2.3, port 8181"],
    );
    let output = in_namespace(&folder, "iptables -A OUTPUT -d 169.254.169.254 -j DROP");
    assert_found(&output, "redirect", "warning", &["blocks 169.254.169.254"]);
    let open = "ip link add bridged type veth peer name other\nsysctl -qw net.ipv4.conf.bridged.route_localnet=1";
    let output = in_namespace(&folder, open);
    assert_found(&output, "redirect", "warning", &["bridged", "127.0.0.1"]);
}

/// Needs root, to see no control groups of the unified hierarchy, and those of another kind.
#[test]
fn a_host_on_which_no_place_can_be_told_is_a_fault() {
    if !is_root() {
        return;
    }
    let folder = file(&configuration("127.0.0.1:0"));
    let said = [
        "in which unit or container",
        "grants to users match nobody",
        "unified_cgroup_hierarchy=1",
    ];
    let unmounted = "while mount=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET); do umount \"$mount\"; done";
    let output = in_namespace(&folder, unmounted);
    assert_found(
        &output,
        "look-up",
        "fault",
        &[&said[..], &["is mounted"]].concat(),
    );
    // As systemd and a network plugin leave it.
    let unused = "printf '2:cpu:/\\n1:name=systemd:/init.scope\\n0::/\\n' >groups; mount --bind groups /proc/1/cgroup";
    let output = in_namespace(&folder, unused);
    assert_found(
        &output,
        "look-up",
        "fault",
        &[&said[..], &["systemd keeps its units"]].concat(),
    );
}

/// Needs root, for a user namespace like the one of `PrivateUsers=yes`.
#[test]
fn a_sandbox_that_hides_users_is_a_fault() {
    if !is_root() {
        return;
    }
    let folder = file(&configuration("127.0.0.1:0"));
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_rolecall")])
        .args(["doctor", "--json", "--config", "rolecall.toml"])
        .env("ROLECALL_SOCKET", folder.path().join("admin.sock"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_found(
        &output,
        "look-up",
        "fault",
        &["user namespace", "remove PrivateUsers="],
    );
}

/// Needs root, to be somebody else.
#[test]
fn others_are_told_what_they_cannot_see_and_that_nothing_is_granted() {
    if !is_root() {
        return;
    }
    let daemon = Daemon::start(&configuration("127.0.0.1:0"));
    let mut command = daemon.command(&["doctor", "--json"]);
    let output = command.uid(12_345).gid(12_345).output().unwrap();
    assert_eq!(
        code(&output),
        0,
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_found(&output, "redirect", "unseen", &["only root"]);
    assert_found(
        &output,
        "caller",
        "warning",
        &["uid 12345 and get no role", "rolecall explain"],
    );
}
