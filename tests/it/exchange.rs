//! `rolecall console` and `docker-credential-rolecall` against a running daemon and a scripted cloud.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::process::{BASE_SECRET, Daemon, prod, to_us};
use crate::support::sts::{Credentials, Received, Reply, ScriptedSts};

const ECR: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";

/// STS, sign-in and ECR at once. ECR's password tells who asked.
fn cloud(request: &Received) -> Reply {
    let session = |arn: &str| Credentials {
        access_key_id: format!("ASIA{}", arn.rsplit('/').next().unwrap().to_uppercase()),
        ..Credentials::default()
    };
    match request.field("Action") {
        "AssumeRole" if request.field("RoleArn").ends_with("/denied") => {
            Reply::error(403, "AccessDenied", "no")
        }
        "AssumeRole" => Reply::session("AssumeRole", &session(request.field("RoleArn"))),
        "getSigninToken" => Reply::new(200, r#"{"SigninToken":"canary"}"#),
        _ => {
            let (_, after) = request.header("authorization").split_once('=').unwrap();
            let (scope, _) = after.split_once(',').unwrap();
            let token = STANDARD.encode(format!("AWS:{scope}"));
            let data = json!([{
                "authorizationToken": token,
                "expiresAt": 4_000_000_000_u64,
                "proxyEndpoint": "https://registry.example:5000",
            }]);
            Reply::new(200, json!({ "authorizationData": data }).to_string())
        }
    }
}

fn configuration(url: &str) -> String {
    let local = r#"
        [[listener]]
        name = "all"
        bind = ["127.0.0.1:0"]
        apis = ["container"]

        [account.local]
        credentials = { from = "local" }
        [account.local.role.demo]
    "#;
    let exchanges = format!("signin-endpoint = \"{url}\"\necr-endpoint = \"{url}\"");
    let prod = prod(url, &exchanges, &["denied", "web", "other"]);
    let granted = ["local/demo", "prod/denied", "prod/web", "prod/other"].map(to_us);
    format!("{local}{prod}{}", granted.concat())
}

fn start(sts: &ScriptedSts) -> Daemon {
    Daemon::start_with(&configuration(&sts.url()), &[BASE_SECRET])
}

/// What an engine's helper says: its answer, and whether it is one.
fn helper(daemon: &Daemon, word: &str, server: &str, role: Option<&str>) -> (bool, String) {
    let link = daemon.path("docker-credential-rolecall");
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_rolecall"), &link).unwrap();
    }
    let mut command = Command::new(link);
    command
        .arg(word)
        .env("ROLECALL_SOCKET", daemon.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(role) = role {
        command.env("ROLECALL_ROLE", role);
    }
    let mut child = command.spawn().unwrap();
    let mut asked = child.stdin.take().unwrap();
    // Not every word waits for it.
    drop(asked.write_all(server.as_bytes()));
    drop(asked);
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_a_url() {
    let sts = ScriptedSts::start(cloud).await;
    let daemon = start(&sts);
    let url = daemon.says(&["console", "--role", "prod/web"]);
    assert_eq!(
        url,
        format!(
            "{}/federation?Action=login&Issuer=&Destination=https%3A%2F%2Fconsole.aws.amazon.com%2F\
             &SigninToken=canary\n",
            sts.url()
        )
    );
    for (role, code, told) in [
        (
            "local/demo",
            78,
            "the account of local/demo has no console sign-in",
        ),
        ("prod/denied", 1, "prod/denied cannot be obtained"),
        ("prod/none", 77, "prod/none is not granted to you"),
    ] {
        let output = daemon.run(&["console", "--role", role]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(told), "{error}");
        assert_eq!(output.status.code(), Some(code), "{error}");
    }
    assert!(!daemon.log().contains("canary"));
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_get_a_login_to_the_accounts_registry_and_to_no_other() {
    let sts = ScriptedSts::start(cloud).await;
    let daemon = start(&sts);
    let get = |server: &str, role| helper(&daemon, "get", server, role);
    let (is_there, login) = get("https://registry.example:5000/v2/", None);
    assert!(is_there, "{login}");
    let login: Value = serde_json::from_str(&login).unwrap();
    assert_eq!(login["ServerURL"], "https://registry.example:5000/v2/");
    assert_eq!(login["Username"], "AWS");
    let secret = login["Secret"].as_str().unwrap();
    assert!(
        secret.starts_with("ASIAWEB/"),
        "the first role that is let: {secret}"
    );
    let (_, chosen) = get("registry.example:5000", Some("prod/other"));
    assert!(chosen.contains("ASIAOTHER/"), "{chosen}");
    assert!(!daemon.log().contains("canary"));

    for (server, role) in [
        ("https://index.docker.io/v1/", Some("prod/web")),
        ("registry.example", Some("prod/web")),
        (ECR, Some("prod/web")),
        ("registry.example:5000", Some("local/demo")),
    ] {
        let none = (
            false,
            "credentials not found in native keychain\n".to_owned(),
        );
        assert_eq!(get(server, role), none, "{server}");
    }
    let (is_there, told) = get("registry.example:5000", Some("prod/denied"));
    assert!(!is_there);
    assert!(told.contains("no registry login for prod/denied"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_store_nothing_here() {
    let sts = ScriptedSts::start(cloud).await;
    let daemon = start(&sts);
    let say = |word| helper(&daemon, word, "registry.example", None);
    assert_eq!(say("list"), (true, "{}\n".to_owned()));
    assert_eq!(say("erase"), (true, String::new()));
    assert_eq!(
        say("store"),
        (false, "rolecall stores no passwords\n".to_owned())
    );
    assert!(say("version").1.starts_with("docker-credential-rolecall "));
    assert!(!say("serve").0);
}

#[test]
fn engines_are_told_that_there_is_no_daemon() {
    let mut helper = Command::new(env!("CARGO_BIN_EXE_rolecall"));
    helper
        .arg0("/usr/bin/docker-credential-rolecall")
        .arg("get")
        .env("ROLECALL_SOCKET", "/nonexistent/socket");
    let output = helper.stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("cannot be reached"), "{told}");
    assert_eq!(output.status.code(), Some(69));
}
