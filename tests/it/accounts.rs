//! AWS Federation Proxy's API on the wire: exact statuses, headers and bodies.

use std::net::SocketAddr;
use std::time::Duration;

use rolecall::clock::Clock;
use rolecall::config::{Config, Mount};
use rolecall::grants::Way;
use rolecall::listener::Passed;
use serde_json::json;

use crate::support::client::{Answer, Connection, ask, request};
use crate::support::daemon::{TestDaemon, noon};
use crate::support::is_root;
use crate::support::sts::{Credentials, Reply, ScriptedSts};

/// People by the kernel's evidence, and two accounts of the built-in authority.
const PEOPLES: &str = r#"
[[listener]]
name = "api"
bind = ["127.0.0.1:0"]
apis = ["accounts"]

[account.local]
id = "000000000000"
credentials = { from = "local" }
[account.local.role.demo]
[account.local.role.admin]

[account.other]
id = "000000000001"
credentials = { from = "local" }
[account.other.role.web]

[[grant]]
role = "local/demo"
when = { uid = {uid} }
[[grant]]
role = "other/web"
when = { uid = {uid} }
[[grant]]
role = "local/admin"
when = { uid = {uid} }
[state]
directory = "{dir}/state"
[admin]
socket = "{dir}/admin.sock"
"#;

/// The same with an account that only a group names: root's own.
const NAMED_BY_GROUP: &str = r#"
[[grant]]
role = "{account}/reader"
when = { group = { regex = "(?<account>r)oot" } }
"#;

/// Everybody is known by the kernel on all mounts.
fn by_peer(config: &mut Config) {
    by(config, Way::Peer);
}

/// Everybody shows a password on all mounts.
fn by_password(config: &mut Config) {
    by(config, Way::Basic);
}

fn by(config: &mut Config, way: Way) {
    for listener in &mut config.listeners {
        for mount in &mut listener.mounts {
            mount.authenticate = vec![way];
        }
    }
}

/// As [`by_peer`], with a mount for machines.
fn with_machines(config: &mut Config) {
    by_peer(config);
    for listener in &mut config.listeners {
        let mounts = Mount::defaults(&listener.apis, &[Way::Peer]);
        listener
            .mounts
            .extend(mounts.into_iter().take(1).map(|mount| Mount {
                prefix: "/machine".to_owned(),
                machine: true,
                ..mount
            }));
    }
}

fn start(text: &str, alter: fn(&mut Config)) -> TestDaemon {
    start_at(text, Clock::System, alter)
}

fn start_at(text: &str, clock: Clock, alter: fn(&mut Config)) -> TestDaemon {
    let directory = crate::support::daemon::with_secret();
    TestDaemon::start_altered(directory, text, clock, Passed::default(), alter)
}

fn address(daemon: &TestDaemon) -> SocketAddr {
    daemon.address("api")
}

async fn get(at: SocketAddr, path: &str) -> Answer {
    ask(at, "GET", path, &[]).await
}

/// An error of AFP: status, reason, message.
type Told<'a> = (u16, &'a str, &'a str);

const DENIED: Told<'_> = (403, "Forbidden", "Permission Denied");
const NOT_THERE: Told<'_> = (404, "Not Found", "ConfigurationError");
const FAILED: Told<'_> = (502, "Bad Gateway", "Call to AWS failed");

/// Holds an answer against AFP's body of this error, byte by byte.
#[track_caller]
fn refused(answer: &Answer, (status, reason, message): Told<'_>) {
    let body = format!(
        "{{\"status\":{status},\"error\":\"{status} {reason}\",\"exception\":null,\
         \"message\":{},\"traceback\":null}}",
        json!(message)
    );
    answer.assert_is(status, &body);
}

/// The account whose STS is scripted, instead of the built-in authority.
fn upstream(sts: &ScriptedSts) -> String {
    PEOPLES.replace(
        "[account.local]\nid = \"000000000000\"\ncredentials = { from = \"local\" }",
        &format!(
            "[account.local]\nid = \"123456789012\"\nregion = \"eu-central-1\"\nendpoint = \"{0}\"\n\
             signin-endpoint = \"{0}\"\ncredentials = {{ from = \"key\", access-key-id = \"AKIABASE\", secret-access-key = \"file:{{dir}}/secret\" }}",
            sts.url()
        ),
    )
}

#[tokio::test]
async fn accounts_list_is_every_role_of_the_caller() {
    let daemon = start(PEOPLES, by_peer);
    let at = address(&daemon);
    for path in ["/account", "/account/", "/afp-api/latest/account"] {
        let answer = get(at, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.header("content-type"),
            "application/json; charset=utf-8"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.header("x-username").starts_with('u'), "{answer:?}");
        let expected = json!({
            "local": ["admin", "demo"],
            "other": ["web"],
        });
        assert_eq!(answer.json(), expected, "{path}");
    }
    for path in ["/account?withid", "/account?withid=0&x=y"] {
        let answer = get(at, path).await;
        let expected = json!({
            "local": {"id": "000000000000", "roles": ["admin", "demo"]},
            "other": {"id": "000000000001", "roles": ["web"]},
        });
        assert_eq!(answer.json(), expected, "{path}");
    }
}

#[tokio::test]
async fn accounts_credentials_are_the_union_of_both_documents() {
    let daemon = start(PEOPLES, by_peer);
    let at = address(&daemon);
    let whole = get(at, "/account/local/demo").await;
    assert_eq!(whole.status, 200);
    assert!(whole.header("x-username").starts_with('u'));
    let document = whole.json();
    let keys: Vec<&str> = document
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = [
        "Code",
        "LastUpdated",
        "Type",
        "AccessKeyId",
        "SecretAccessKey",
        "Token",
        "Expiration",
        "credentials",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected, "no key of a console: there is none");
    assert_eq!(document["Code"], "Success");
    assert_eq!(document["Type"], "AWS-HMAC");
    for (flat, nested) in [
        ("AccessKeyId", "access_key"),
        ("SecretAccessKey", "secret_key"),
        ("Token", "session_token"),
    ] {
        assert!(document[flat].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(document[flat], document["credentials"][nested]);
    }
    for key in ["LastUpdated", "Expiration"] {
        let date = document[key].as_str().unwrap();
        let shape: String = date
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00Z");
    }
    let credentials = get(at, "/account/local/demo/credentials").await;
    assert_eq!(credentials.json(), document);
}

#[tokio::test]
async fn accounts_errors_are_those_of_afp() {
    let daemon = start(PEOPLES, by_peer);
    let at = address(&daemon);
    for path in [
        // Declared, granted to others; a role, an account, that nobody has.
        "/account/other/demo",
        "/account/local/nobody/credentials",
        "/account/nowhere/demo",
        "/account/%23%23acc%23%23/%3F%3Frole%3F%3F",
        "/account/pr%C3%B6d/demo",
        "/account/local/%E6%97%A5%E6%9C%AC",
    ] {
        let answer = get(at, path).await;
        refused(&answer, DENIED);
        assert!(answer.header("x-username").starts_with('u'), "{path}");
    }
    let answer = get(at, "/account/local/demo/consoleurl").await;
    refused(&answer, NOT_THERE);
    for (path, shown) in [
        ("/", "'/'"),
        ("/accounts", "'/accounts'"),
        ("/account/local", "'/account/local'"),
        ("/account/local/ro/le", "'/account/local/ro/le'"),
        ("/account/local/ro%2Fle", "'/account/local/ro/le'"),
        ("/afp-api/latest/nothing", "'/nothing'"),
        (
            "/meta-data/iam/security-credentials/",
            "'/meta-data/iam/security-credentials/'",
        ),
    ] {
        let answer = get(at, path).await;
        let message = format!("Not found: {shown}");
        refused(&answer, (404, "Not Found", &message));
    }
    let answer = get(at, "/account/%00/demo").await;
    let expected = (400, "Bad Request", "Bad Request");
    refused(&answer, expected);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(at, method, "/account", &[]).await;
        let expected = (405, "Method Not Allowed", "Method not allowed.");
        refused(&answer, expected);
        assert_eq!(answer.header("allow"), "GET, HEAD", "{method}");
    }
}

#[tokio::test]
async fn accounts_that_only_a_group_names_are_listed_and_cannot_be_used() {
    if !is_root() {
        return;
    }
    let daemon = start(&format!("{PEOPLES}{NAMED_BY_GROUP}"), by_peer);
    let at = address(&daemon);
    let listed = get(at, "/account?withid").await.json();
    assert_eq!(listed["r"], json!({"id": null, "roles": ["reader"]}));
    assert_eq!(listed["local"]["id"], "000000000000");
    for below in ["", "/credentials", "/consoleurl"] {
        let answer = get(at, &format!("/account/r/reader{below}")).await;
        refused(&answer, NOT_THERE);
    }
}

#[tokio::test]
async fn accounts_without_a_name_are_told_to_prove_one() {
    let daemon = start(PEOPLES, by_password);
    let at = address(&daemon);
    let expected = (401, "Unauthorized", "Unauthorized");
    for path in [
        "/account",
        "/account/local/demo",
        "/account/x/y",
        "/nothing",
    ] {
        let answer = get(at, path).await;
        refused(&answer, expected);
        assert_eq!(answer.header("x-username"), "Unknown User", "{path}");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
    }
    let forwarded = [("X-Forwarded-For", "192.0.2.1")];
    let answer = ask(at, "GET", "/account", &forwarded).await;
    refused(&answer, DENIED);
    assert_eq!(answer.header("x-username"), "Unknown User");
}

#[tokio::test]
async fn accounts_have_head_wherever_they_have_get() {
    let daemon = start(PEOPLES, by_peer);
    let at = address(&daemon);
    for path in [
        "/account",
        "/account/local/demo",
        "/account/local/demo/credentials",
        "/status",
        "/account/local/nobody",
    ] {
        let head = ask(at, "HEAD", path, &[]).await;
        let whole = get(at, path).await;
        assert_eq!(head.status, whole.status, "{path}");
        for header in ["content-length", "content-type", "x-username"] {
            assert_eq!(head.header(header), whole.header(header), "{path}");
        }
    }
}

#[tokio::test]
async fn accounts_status_is_open_and_tells_of_a_refused_configuration() {
    let daemon = start(PEOPLES, by_password);
    let at = address(&daemon);
    for path in ["/status", "/afp-api/latest/status"] {
        let answer = get(at, path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({"status": "200", "message": "OK"}));
    }
    daemon.write("[[listener]]\nnonsense = 1\n");
    daemon.reload.reload().await.unwrap_err();
    let answer = get(at, "/status").await;
    refused(&answer, NOT_THERE);
    daemon.write(PEOPLES);
    daemon.reload.reload().await.unwrap();
    assert_eq!(get(at, "/status").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_tell_nothing_of_what_upstream_says() {
    let sts = ScriptedSts::start(|request| {
        if request.field("RoleArn").ends_with("demo") {
            Reply::error(403, "AccessDenied", "canary: not for you")
        } else {
            Reply::error(400, "ExpiredTokenException", "canary: your base")
        }
    })
    .await;
    let daemon = start(&upstream(&sts), by_peer);
    let at = address(&daemon);
    for (role, expected) in [("demo", DENIED), ("admin", FAILED)] {
        for below in ["", "/credentials", "/consoleurl"] {
            let answer = get(at, &format!("/account/local/{role}{below}")).await;
            refused(&answer, expected);
        }
    }
}

/// An STS that also signs browsers in; for the role `admin` that fails.
async fn with_console() -> ScriptedSts {
    ScriptedSts::start(|request| {
        if !request
            .target
            .starts_with("/federation?Action=getSigninToken")
        {
            let arn = request.field("RoleArn");
            let session = Credentials {
                access_key_id: format!("ASIA{}", arn.rsplit('/').next().unwrap().to_uppercase()),
                ..Credentials::default()
            };
            return Reply::session(request.field("Action"), &session);
        }
        if request.target.contains("ASIAADMIN") {
            return Reply::new(403, "canary: not for you");
        }
        Reply::new(200, "{\"SigninToken\":\"token-of-a-sign-in\"}")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_with_a_console_tell_its_url() {
    let sts = with_console().await;
    let daemon = start(&upstream(&sts), by_peer);
    let at = address(&daemon);
    let url = format!(
        "{}/federation?Action=login&Issuer=&Destination=https%3A%2F%2Feu-central-1.console.aws.amazon.com%2F\
         &SigninToken=token-of-a-sign-in",
        sts.url()
    );
    let text = get(at, "/account/local/demo/consoleurl").await;
    assert_eq!(text.status, 200);
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(text.header("x-username"), "", "AFP names nobody here");
    let plain = |url: &str| url.replace("eu-central-1.console", "console");
    assert_eq!(plain(&text.body), plain(&url), "no newline either");
    let whole = get(at, "/account/local/demo?callbackurl=").await.json();
    assert_eq!(whole["ConsoleUrl"], text.body);
    assert_eq!(whole["console_url"], text.body);
    let credentials = get(at, "/account/local/demo/credentials").await.json();
    assert_eq!(credentials["AccessKeyId"], whole["AccessKeyId"]);
    for key in ["ConsoleUrl", "console_url"] {
        assert!(credentials.get(key).is_none(), "{key}");
    }
    let path = "/account/local/demo/consoleurl?callbackurl=https%3A%2F%2Fwiki.example%2Fa%3Fb%3D1";
    let called = get(at, path).await;
    let issuer = "Issuer=https%3A%2F%2Fwiki.example%2Fa%3Fb%3D1&";
    assert!(called.body.contains(issuer), "{}", called.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_refuse_callbacks_that_are_not_the_accounts() {
    let sts = with_console().await;
    let text = upstream(&sts).replace(
        "signin-endpoint",
        "callback-origins = [\"https://wiki.example\"]\nsignin-endpoint",
    );
    let daemon = start(&text, by_peer);
    let at = address(&daemon);
    let expected = (400, "Bad Request", "The callbackurl is not allowed");
    for callback in [
        "https%3A%2F%2Fevil.example%2F",
        "http%3A%2F%2Fwiki.example%2F",
        "javascript%3Aalert(1)",
        "%2F%2Fevil.example",
        "https%3A%2F%2Fwiki.example%40evil.example%2F",
        "https%3A%2F%2Fwiki.example&callbackurl=https%3A%2F%2Fevil.example",
        "%ff",
    ] {
        for below in ["", "/consoleurl"] {
            let path = format!("/account/local/demo{below}?callbackurl={callback}");
            let answer = get(at, &path).await;
            refused(&answer, expected);
        }
    }
    let path = "/account/local/demo/consoleurl?callbackurl=https%3A%2F%2Fwiki.example%2Fpage";
    assert_eq!(get(at, path).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_whose_console_fails_fail_and_have_credentials_all_the_same() {
    let sts = with_console().await;
    let daemon = start(&upstream(&sts), by_peer);
    let at = address(&daemon);
    for below in ["", "/consoleurl"] {
        let answer = get(at, &format!("/account/local/admin{below}")).await;
        refused(&answer, FAILED);
    }
    assert_eq!(
        get(at, "/account/local/admin/credentials").await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_a_mount_without_console_have_none() {
    let sts = with_console().await;
    let daemon = start(&upstream(&sts), |config| {
        by_peer(config);
        for listener in &mut config.listeners {
            for mount in &mut listener.mounts {
                mount.console = false;
            }
        }
    });
    let at = address(&daemon);
    let whole = get(at, "/account/local/admin").await;
    assert_eq!(whole.status, 200, "nobody was asked to sign in");
    assert!(whole.json().get("ConsoleUrl").is_none());
    let answer = get(at, "/account/local/demo/consoleurl").await;
    refused(&answer, NOT_THERE);
    assert!(
        sts.received()
            .iter()
            .all(|seen| !seen.target.contains("federation"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_wait_for_a_slow_cloud_and_share_its_answer() {
    let sts = ScriptedSts::generous().await;
    let daemon = start(&upstream(&sts), by_peer);
    let at = address(&daemon);
    let agent = [("User-Agent", "afp-cli/1.0.6")];
    let first = ask(at, "GET", "/account/local/demo/credentials", &agent).await;
    let again = ask(at, "GET", "/account/local/demo/credentials", &agent).await;
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.json()["AccessKeyId"], again.json()["AccessKeyId"]);
    assert_eq!(sts.received().len(), 1);
}

#[tokio::test]
async fn accounts_give_machines_their_only_role() {
    let one = PEOPLES.replace(
        "[[grant]]\nrole = \"other/web\"\nwhen = { uid = {uid} }\n",
        "",
    );
    let one = one.replace(
        "[[grant]]\nrole = \"local/admin\"\nwhen = { uid = {uid} }\n",
        "",
    );
    let daemon = start(&one, with_machines);
    let at = address(&daemon);
    for version in ["", "/latest", "/2012-01-12"] {
        let list = format!("/machine{version}/meta-data/iam/security-credentials/");
        for path in [&*list, list.trim_end_matches('/')] {
            let name = get(at, path).await;
            name.assert_is(200, "demo");
            assert_eq!(name.header("content-type"), "text/plain; charset=utf-8");
            assert_eq!(name.header("x-username"), "", "AFP names nobody here");
        }
        let document = get(at, &format!("{list}demo")).await;
        assert_eq!(document.status, 200);
        assert_eq!(document.header("x-username"), "127.0.0.1");
        let keys: Vec<_> = document
            .body
            .lines()
            .filter_map(|line| line.trim().split('"').nth(1))
            .collect();
        let expected = [
            "Code",
            "LastUpdated",
            "Type",
            "AccessKeyId",
            "SecretAccessKey",
            "Token",
            "Expiration",
        ];
        assert_eq!(keys, expected, "{version}");
        let other = get(at, &format!("{list}admin")).await;
        refused(&other, DENIED);
    }
    let head = ask(
        at,
        "HEAD",
        "/machine/meta-data/iam/security-credentials/",
        &[],
    )
    .await;
    assert_eq!((head.status, head.header("content-length")), (200, "4"));
    assert_eq!(get(at, "/machine/account").await.status, 404);
    assert_eq!(get(at, "/machine/status").await.status, 200);
    let password = [("Authorization", "Basic b3BlcjpzZXNhbWU=")];
    let path = "/machine/meta-data/iam/security-credentials/";
    assert_eq!(ask(at, "GET", path, &password).await.status, 401);
}

#[tokio::test]
async fn accounts_give_machines_of_none_or_two_roles_nothing() {
    let none = PEOPLES.replace("when = { uid = {uid} }", "when = { uid = 4242 }");
    for text in [PEOPLES, &none] {
        let daemon = start(text, with_machines);
        let at = address(&daemon);
        for role in ["", "demo", "web"] {
            let path = format!("/machine/latest/meta-data/iam/security-credentials/{role}");
            let answer = get(at, &path).await;
            refused(&answer, NOT_THERE);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_name_no_role_that_a_machine_cannot_have() {
    let sts = ScriptedSts::start(|_| Reply::error(403, "AccessDenied", "canary")).await;
    let text = upstream(&sts).replace("role = \"other/web\"", "role = \"local/demo\"");
    let text = text.replace("role = \"local/admin\"", "role = \"local/demo\"");
    let daemon = start(&text, with_machines);
    let at = address(&daemon);
    let list = "/machine/meta-data/iam/security-credentials/";
    let name = get(at, list).await;
    refused(&name, NOT_THERE);
    let document = get(at, &format!("{list}demo")).await;
    refused(&document, DENIED);
}

#[tokio::test(start_paused = true)]
async fn accounts_of_people_are_given_nearly_a_whole_life() {
    let clock = Clock::simulated(noon());
    let daemon = start_at(PEOPLES, clock, by_peer);
    let mut connection = Connection::open(address(&daemon)).await;
    let mut key = async || {
        let sent = request("GET", "/account/local/demo/credentials", &[]);
        connection.send(sent.as_bytes()).await;
        connection.answer().await.unwrap().json()["AccessKeyId"].clone()
    };
    let first = key().await;
    tokio::time::advance(Duration::from_mins(5)).await;
    assert_eq!(key().await, first, "nine tenths are left");
    tokio::time::advance(Duration::from_mins(2)).await;
    assert_ne!(key().await, first, "it was renewed for the asking");
}
