//! The command line, by the real binary.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::process::rolecall;

fn run(arguments: &[&str]) -> Output {
    rolecall(arguments).output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn wrong_usage_exits_64_and_help_exits_0() {
    for arguments in [
        &[][..],
        &["no-such-command"],
        &["credentials", "--role", "no-slash"],
        &["credentials", "--format", "xml"],
        &["refresh"],
        &["refresh", "prod/web", "--all"],
        &["exec"],
        // As aws-vault has it.
        &["exec", "prod/web", "--", "true"],
        &["completions", "tcsh"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 64, "{arguments:?}");
        assert_eq!(out(&output), "", "{arguments:?}");
        assert_ne!(err(&output), "", "{arguments:?}");
    }
    for arguments in [
        &["--help"][..],
        &["help", "exec"],
        &["exec", "-h"],
        &["--version"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert_ne!(out(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_daemon_that_is_not_there_exits_69_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    let socket = socket.to_str().unwrap();
    for command in [
        &["status"][..],
        &["credentials"],
        &["exec", "true"],
        &["refresh", "--all"],
        &["forget", "prod/web"],
        &["reload"],
        &["explain"],
        &["audit", "--json"],
    ] {
        let output = rolecall(command)
            .env("ROLECALL_SOCKET", socket)
            .output()
            .unwrap();
        assert_eq!(code(&output), 69, "{command:?}");
        assert_eq!(out(&output), "", "{command:?}");
        assert!(err(&output).contains(socket), "{}", err(&output));
        assert!(err(&output).contains("try: start it"), "{}", err(&output));
    }
    let named = run(&["status", "--socket", socket]);
    assert_eq!(code(&named), 69);
    assert!(err(&named).contains(socket), "{}", err(&named));
}

#[test]
fn healthcheck_knows_two_codes_only() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    let output = run(&["healthcheck", "--socket", socket.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    assert!(
        err(&output).contains("cannot be reached"),
        "{}",
        err(&output)
    );
}

#[test]
fn manual_pages_are_made_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["man", folder.path().to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let help = run(&["help"]);
    let commands = out(&help).split("Commands:\n").nth(1).unwrap();
    let commands = commands.split("\n\n").next().unwrap().lines();
    let names = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let mut pages = 0;
    for name in names.filter(|name| !name.is_empty() && *name != "help") {
        let page = folder.path().join(format!("rolecall-{name}.1"));
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{name}");
        pages += 1;
    }
    assert!(pages >= 10, "{pages}");
    assert!(folder.path().join("rolecall.1").exists());
    assert!(out(&run(&["man"])).contains(".TH rolecall 1"));
}

#[test]
fn pages_that_cannot_be_written_are_an_error() {
    let output = run(&["man", "/nonexistent/folder"]);
    assert_eq!(code(&output), 77);
    assert!(err(&output).contains("/nonexistent/folder"));
}

#[test]
fn completions_are_valid_scripts() {
    let script = run(&["completions", "bash"]);
    assert_eq!(code(&script), 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rolecall.bash");
    fs::write(&path, &script.stdout).unwrap();
    assert!(bash_accepts(&path));
    for shell in ["zsh", "fish"] {
        assert!(
            out(&run(&["completions", shell])).contains("rolecall"),
            "{shell}"
        );
    }
}

fn bash_accepts(script: &Path) -> bool {
    let mut bash = Command::new("bash");
    bash.arg("-n").arg(script).status().unwrap().success()
}

/// Each shipped example is one that `serve` would accept where its files are there.
#[test]
fn every_shipped_configuration_passes_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("backup-policy.json");
    fs::write(&policy, r#"{"Version": "2012-10-17", "Statement": []}"#).unwrap();
    let examples = fs::read_dir(root.join("config")).unwrap();
    let mut files: Vec<_> = examples.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    });
    assert!(files.len() >= 4, "{files:?}");
    files.push(root.join("packaging/rolecall.toml"));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replace("/etc/rolecall", folder.path().to_str().unwrap());
        let copy = folder.path().join(file.file_name().unwrap());
        fs::write(&copy, text).unwrap();
        let output = run(&["check", "--config", copy.to_str().unwrap()]);
        assert_eq!(code(&output), 0, "{}:\n{}", file.display(), err(&output));
        assert!(out(&output).contains(": valid ("), "{}", out(&output));
    }
}

#[test]
fn all_mistakes_are_told_with_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    let text = "[account.x]\nregon = \"eu-central-1\"\n[[grant]]\nrole = \"a\"\n";
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let output = run(&["check", "--config", file]);
    assert_eq!(code(&output), 78);
    assert_eq!(out(&output), "");
    for part in [
        &format!("{file}:2:1 (account.x.regon)"),
        "did you mean `region`?",
        &format!("{file}:4:1 (grant#1.role)"),
        "rolecall: the configuration is refused",
        "why: 3 errors",
    ] {
        assert!(err(&output).contains(part), "{part} in {}", err(&output));
    }
    let machine = run(&["check", "--json", "--config", file]);
    assert_eq!(code(&machine), 78);
    let report: serde_json::Value = serde_json::from_str(out(&machine)).unwrap();
    assert_eq!(report["valid"], false);
    assert_eq!(report["problems"][0]["line"], 2);
    let problems = report["problems"].as_array().unwrap();
    let errors = problems.iter().filter(|one| one["severity"] == "error");
    assert_eq!(errors.count(), 3, "{report}");
    assert_eq!(code(&run(&["serve", "--config", file])), 78);
    let missing = run(&["check", "--config", "/nonexistent/rolecall.toml"]);
    assert_eq!(code(&missing), 78);
    assert!(err(&missing).contains("/nonexistent/rolecall.toml"));
}

#[test]
fn a_certificate_that_is_none_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["tls.pem", "tls.key"] {
        fs::write(at(name), "none\n").unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let text = format!(
        "[[listener]]\nname = \"one\"\nbind = \"127.0.0.1:0\"\napis = \"imds\"\n\
         [[listener]]\nname = \"two\"\nbind = \"127.0.0.1:0\"\napis = \"accounts\"\n\
         tls = {{ certificate = {:?}, key = \"file:{}\" }}\n",
        at("tls.pem"),
        at("tls.key").display()
    );
    fs::write(at("rolecall.toml"), text).unwrap();
    let file = at("rolecall.toml");
    let told = run(&["check", "--json", "--config", file.to_str().unwrap()]);
    assert_eq!(code(&told), 78, "{}", err(&told));
    let report: serde_json::Value = serde_json::from_str(out(&told)).unwrap();
    assert_eq!(report["valid"], false);
    let problems = report["problems"].as_array().unwrap();
    let error = problems.iter().find(|one| one["severity"] == "error");
    let error = error.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(error["key"], "listener#2.tls");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("tls.pem"), "{message}");
}

#[test]
fn a_file_that_others_could_have_written_exits_77() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rolecall.toml");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    for command in ["check", "serve"] {
        let output = run(&[command, "--config", file.to_str().unwrap()]);
        assert_eq!(code(&output), 77, "{command}");
        assert!(err(&output).contains("chmod go-w"), "{}", err(&output));
    }
}

#[test]
fn a_socket_that_systemd_did_not_hand_over_exits_78() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rolecall.toml");
    let text = format!(
        "[[listener]]\nname = \"m\"\nbind = [\"passed:m\"]\napis = [\"imds\"]\n\
         [state]\ndirectory = \"{0}/state\"\n[admin]\nsocket = \"{0}/admin.sock\"\n",
        folder.path().display()
    );
    fs::write(&file, text).unwrap();
    let output = run(&["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(code(&output), 78, "{}", err(&output));
    assert!(
        err(&output).contains("FileDescriptorName"),
        "{}",
        err(&output)
    );
}
