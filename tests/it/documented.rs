//! Every operation of people's APIs, from the tables that describe them: what each answers whatever
//! it is for, and what comes of an account of AWS behind it.

use std::net::SocketAddr;

use rolecall::api::openapi::{Api, Described, operations};
use rolecall::clock::Clock;
use rolecall::config::{Administrator, Config, Mount};
use rolecall::grants::Way;
use rolecall::listener::Passed;
use serde_json::{Value, json};

use crate::support::client::{Answer, Connection, ask, request};
use crate::support::daemon::{TestDaemon, with_secret};
use crate::support::sts::{Credentials, Received, Reply, ScriptedSts};

/// One account whose STS, sign-in endpoint and registry are scripted.
const CONFIG: &str = r#"
[[listener]]
name = "api"
bind = ["127.0.0.1:0"]
apis = ["accounts", "connectors"]

[account.prod]
id = "123456789012"
region = "eu-central-1"
endpoint = "{sts}"
signin-endpoint = "{sts}"
ecr-endpoint = "{sts}"
callback-origins = ["https://wiki.example"]
credentials = { from = "key", access-key-id = "AKIABASE", secret-access-key = "file:{dir}/secret" }
[account.prod.role.demo]
[account.prod.role.denied]
[account.prod.role.garbled]
[account.prod.role.broken]
[account.prod.role.throttled]
[account.prod.role.slow]
[account.prod.role.keys]
kind = "session-token"

[[grant]]
role = "prod/demo"
when = { uid = {uid} }
[[grant]]
role = "prod/denied"
when = { uid = {uid} }
[[grant]]
role = "prod/garbled"
when = { uid = {uid} }
[[grant]]
role = "prod/broken"
when = { uid = {uid} }
[[grant]]
role = "prod/throttled"
when = { uid = {uid} }
[[grant]]
role = "prod/slow"
when = { uid = {uid} }
[[grant]]
role = "prod/keys"
when = { uid = {uid} }

[people]
users-file = "{dir}/users"
[people.ldap]
url = "ldaps://127.0.0.1:1"
base-users = "ou=people"

[limits]
patience = "1s"
[state]
directory = "{dir}/state"
[admin]
socket = "{dir}/admin.sock"
"#;

const LOGINS: &str = r#"{"authorizationData":[{"authorizationToken":"QVdTOnBhc3M6d29yZA==",
    "expiresAt":1455684942.25,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-west-3.amazonaws.com"}]}"#;

const IDENTITY: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
    <Arn>arn:aws:sts::123456789012:assumed-role/demo/ann</Arn><UserId>AROAEXAMPLE:ann</UserId>\
    <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

const REST: &str = "/rest/identity-federation-for-aws/2.0";
const SERVLET: &str = "/plugins/servlet/identity-federation-for-aws/aws-console-login";
const UNKNOWN: &str = "1521fbf0-fa97-4c4a-9877-9f0c5e9982d3";

fn script(asked: &Received) -> Reply {
    if asked.target.contains("Action=getSigninToken") {
        return Reply::new(200, r#"{"SigninToken":"theirs"}"#);
    }
    if !asked.header("x-amz-target").is_empty() {
        return Reply::new(200, LOGINS);
    }
    match (
        asked.field("Action"),
        asked.field("RoleArn").rsplit('/').next(),
    ) {
        ("GetCallerIdentity", _) => Reply::new(200, IDENTITY),
        (_, Some("denied")) => Reply::error(403, "AccessDenied", "canary: not for you"),
        (_, Some("garbled")) => Reply::new(200, "<html>canary</html>"),
        (_, Some("broken")) => Reply::error(500, "InternalFailure", "canary: sorry"),
        (_, Some("throttled")) => Reply::error(400, "Throttling", "canary: slower"),
        (_, Some("slow")) => Reply::Hang,
        (action, _) => Reply::session(action, &Credentials::default()),
    }
}

/// Everybody is known by the kernel, or by the address on the mount for machines.
fn by_peer(config: &mut Config) {
    by(config, Way::Peer);
}

fn by_password(config: &mut Config) {
    by(config, Way::Basic);
}

fn by_directory(config: &mut Config) {
    by(config, Way::Ldap);
}

/// The same, and they manage accounts and connectors.
fn by_administrator(config: &mut Config) {
    by_peer(config);
    let own = Administrator::Uid(nix::unistd::geteuid().as_raw());
    config.people.administrators.push(own);
}

fn by(config: &mut Config, way: Way) {
    for listener in &mut config.listeners {
        for mount in &mut listener.mounts {
            mount.authenticate = vec![way];
        }
        let mounts = Mount::defaults(&listener.apis, &[Way::Peer]);
        let machines = mounts.into_iter().take(1).map(|mount| Mount {
            prefix: "/machine".to_owned(),
            machine: true,
            ..mount
        });
        listener.mounts.extend(machines);
    }
}

struct Served {
    daemon: TestDaemon,
    sts: ScriptedSts,
}

impl Served {
    async fn start(alter: fn(&mut Config)) -> Self {
        Self::start_with(CONFIG, alter).await
    }

    async fn start_with(text: &str, alter: fn(&mut Config)) -> Self {
        let sts = ScriptedSts::start(script).await;
        let text = text.replace("{sts}", &sts.url());
        let passed = Passed::default();
        let directory = with_secret();
        std::fs::write(directory.path().join("users"), "").unwrap();
        let daemon = TestDaemon::start_altered(directory, &text, Clock::System, passed, alter);
        Self { daemon, sts }
    }

    fn at(&self) -> SocketAddr {
        self.daemon.address("api")
    }

    async fn get(&self, path: &str) -> Answer {
        let answer = ask(self.at(), "GET", path, &[]).await;
        assert!(!answer.body.contains("canary:"), "{path}: {}", answer.body);
        answer
    }

    /// The id of the connector of this name.
    async fn connector(&self, name: &str) -> String {
        let all = self.get(&format!("{REST}/connectors")).await.json();
        let values = all["values"].as_array().unwrap();
        let one = values.iter().find(|one| one["name"] == name);
        one.unwrap()["id"].as_str().unwrap().to_owned()
    }
}

/// The operations of accounts and connectors.
fn all() -> impl Iterator<Item = Described> {
    let all = operations().into_iter();
    all.filter(|operation| operation.api != Api::Keystone)
}

/// A path of the operation.
fn path(operation: &Described, id: &str) -> String {
    let mount = match operation.api {
        Api::Machines => "/machine",
        Api::Accounts | Api::Connectors | Api::Keystone => "",
    };
    let path = operation
        .path
        .replace("{version}", "2.0")
        .replace("{id}", id)
        .replace("{account}", "prod")
        .replace("{role}", "demo");
    format!("{mount}{path}")
}

/// Asks every operation for which a name is proved, all of which must answer alike.
async fn all_that_ask_for_a_name(served: &Served, headers: &[(&str, &str)], status: u16) {
    for operation in all() {
        let open = operation.api == Api::Machines || operation.path == "/status";
        if !open {
            let path = path(&operation, UNKNOWN);
            let answer = ask(served.at(), operation.method, &path, headers).await;
            assert_eq!(answer.status, status, "{operation:?}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn accounts_and_connectors_are_nobodys_without_a_name() {
    let served = Served::start(by_password).await;
    all_that_ask_for_a_name(&served, &[], 401).await;
}

#[tokio::test]
async fn accounts_and_connectors_tell_wrong_passwords_and_then_look_at_none() {
    let served = Served::start(by_password).await;
    let list = format!("{REST}/connectors");
    let wrong = [("Authorization", "Basic YW5uOnNlc2FtZQ==")];
    let first = ask(served.at(), "GET", &list, &wrong).await;
    assert_eq!(first.status, 401);
    let message = "the name or its password or token is wrong";
    assert_eq!(first.json()["message"], message);
    for _ in 0..10 {
        ask(served.at(), "GET", &list, &wrong).await;
    }
    all_that_ask_for_a_name(&served, &wrong, 429).await;
}

#[tokio::test]
async fn accounts_and_connectors_tell_that_a_directory_is_down() {
    let served = Served::start(by_directory).await;
    let password = [("Authorization", "Basic YW5uOnNlc2FtZQ==")];
    all_that_ask_for_a_name(&served, &password, 503).await;
}

#[tokio::test]
async fn accounts_and_connectors_refuse_what_no_client_sends() {
    let served = Served::start(by_peer).await;
    let hosts = [("Host", "127.0.0.1"), ("Host", "127.0.0.1")];
    let forwarded = [("X-Forwarded-For", "192.0.2.1")];
    for operation in all() {
        let path = path(&operation, UNKNOWN);
        let method = operation.method;
        let twice = ask(served.at(), method, &path, &hosts).await;
        assert_eq!(twice.status, 400, "{operation:?}");
        let passed_on = ask(served.at(), method, &path, &forwarded).await;
        assert_eq!(passed_on.status, 403, "{operation:?}");
        let other = ask(served.at(), "PATCH", &path, &[]).await;
        assert_eq!(other.status, 405, "{operation:?}");
        assert!(other.header("allow").contains(method), "{operation:?}");
        if operation.path.contains("{version}") {
            let path = path.replace("2.0", "1.0");
            let version = ask(served.at(), method, &path, &[]).await;
            assert_eq!(version.status, 404, "{operation:?}");
            let told = version.json()["message"].to_string();
            assert!(told.contains("version '1.0' is not served"), "{told}");
        } else if operation.path.contains("{id}") {
            let unknown = ask(served.at(), method, &path, &[]).await;
            assert_eq!(unknown.status, 404, "{operation:?}");
        }
    }
}

#[tokio::test]
async fn accounts_and_connectors_have_head_wherever_they_have_get() {
    let served = Served::start_with(&of_machine(CONFIG), by_administrator).await;
    let connector = served.connector("demo").await;
    let accounts = served.get(&format!("{REST}/accounts")).await.json();
    let account = accounts["values"][0]["id"].as_str().unwrap();
    for operation in all().filter(|one| one.method == "GET") {
        let id = if operation.path.contains("/accounts/") {
            account
        } else {
            &connector
        };
        let path = path(&operation, id);
        let get = ask(served.at(), "GET", &path, &[]).await;
        let head = ask(served.at(), "HEAD", &path, &[]).await;
        assert_eq!(head.status, get.status, "{path}");
        assert!(get.status < 400, "{path}: {}", get.body);
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert_eq!(head.body, "");
    }
}

/// The same with one role for whoever asks.
fn of_machine(text: &str) -> String {
    let (before, grants) = text.split_once("[[grant]]").unwrap();
    let (_, after) = grants.split_once("[people]").unwrap();
    format!("{before}[[grant]]\nrole = \"prod/demo\"\nwhen = {{ uid = {{uid}} }}\n[people]{after}")
}

#[tokio::test]
async fn accounts_tell_machines_that_the_cloud_fails_and_that_they_are_misconfigured() {
    let text = of_machine(CONFIG).replace("role = \"prod/demo\"", "role = \"prod/broken\"");
    let served = Served::start_with(&text, by_peer).await;
    let list = "/machine/meta-data/iam/security-credentials/";
    for path in [list.to_owned(), format!("{list}broken")] {
        let answer = served.get(&path).await;
        assert_eq!(answer.status, 502, "{path}");
        assert_eq!(answer.json()["message"], "Call to AWS failed");
    }
    served.daemon.write("[[listener]]\nnonsense = 1\n");
    served.daemon.reload.reload().await.unwrap_err();
    let status = served.get("/machine/status").await;
    assert_eq!(status.status, 404);
    assert_eq!(status.json()["message"], "ConfigurationError");
}

#[tokio::test]
async fn connectors_log_in_to_the_registries_that_are_asked_for() {
    let served = Served::start(by_peer).await;
    let id = served.connector("demo").await;
    for (query, ids) in [
        ("", Value::Null),
        ("?registryIds=210987654321", json!(["210987654321"])),
    ] {
        let path = format!("{REST}/connectors/{id}/ecr/credentials{query}");
        let logins = served.get(&path).await;
        assert_eq!(logins.status, 200, "{}", logins.body);
        let asked = served.sts.received().pop().unwrap();
        let asked: Value = serde_json::from_str(&asked.body).unwrap();
        assert_eq!(asked["registryIds"], ids, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_tell_apart_how_upstream_fails() {
    let served = Served::start(by_peer).await;
    for (role, status, message) in [
        (
            "denied",
            403,
            "you may use this connector, but AWS denied its request",
        ),
        (
            "garbled",
            500,
            "this connector's configuration does not work; its administrator can read why in the log",
        ),
        ("broken", 502, "the request to AWS failed; try again"),
        (
            "throttled",
            503,
            "AWS asks for fewer requests; try again later",
        ),
        ("slow", 504, "AWS did not answer in time; try again"),
    ] {
        let id = served.connector(role).await;
        let paths = ["credentials", "caller-identity", "ecr/credentials"];
        let [credentials, identity, logins] =
            paths.map(|below| format!("{REST}/connectors/{id}/{below}"));
        let servlet = format!("{SERVLET}/{id}");
        // Together, so that one fetch that does not end is waited for by all.
        let answers = tokio::join!(
            served.get(&credentials),
            served.get(&identity),
            served.get(&logins),
            served.get(&servlet),
        );
        for answer in <[Answer; 4]>::from(answers) {
            assert_eq!(answer.status, status, "{role}: {}", answer.body);
            assert_eq!(answer.json()["message"], message);
        }
    }
}

/// Sends this body as JSON to a path of the API, under a condition.
async fn send(served: &Served, method: &str, path: &str, condition: &str, body: &str) -> Answer {
    let length = body.len().to_string();
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("Content-Length", &length),
    ];
    if !condition.is_empty() {
        headers.push(("If-Match", condition));
    }
    let text = request(method, &format!("{REST}{path}"), &headers) + body;
    let mut connection = Connection::open(served.at()).await;
    connection.send(text.as_bytes()).await;
    connection.answer().await.unwrap()
}

/// Makes an account and a connector of it; the paths of both.
async fn made(served: &Served) -> [String; 2] {
    let mut account = String::new();
    let mut paths = Vec::new();
    for (path, body) in [
        (
            "/accounts",
            json!({"name": "Ours", "awsAccessKeyId": "AKIAOURS", "awsSecretKey": "canary"}),
        ),
        (
            "/connectors",
            json!({"name": "Ours", "type": "FEDERATION_TOKEN", "accountId": ""}),
        ),
    ] {
        let body = body.to_string().replace("\"\"", &format!("\"{account}\""));
        let query = "?skipValidation=true";
        let made = send(served, "POST", &format!("{path}{query}"), "", &body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        account = made.json()["id"].as_str().unwrap().to_owned();
        paths.push(format!("{path}/{account}"));
    }
    paths.try_into().unwrap()
}

#[tokio::test]
async fn connectors_and_their_accounts_are_written_in_short_json() {
    let served = Served::start(by_administrator).await;
    let [account, connector] = made(&served).await;
    let long = "x".repeat(1 << 20);
    for (method, path) in [
        ("POST", "/accounts"),
        ("PUT", &account),
        ("POST", "/connectors"),
        ("PUT", &connector),
    ] {
        let plain = ask(served.at(), method, &format!("{REST}{path}"), &[]).await;
        assert_eq!(plain.status, 415, "{method} {path}");
        assert_eq!(plain.json()["message"], "send application/json");
        let too_long = send(&served, method, path, "", &long).await;
        assert_eq!(too_long.status, 413, "{method} {path}");
        assert_eq!(too_long.json()["message"], "send at most 65536 bytes");
        let twice = send(&served, method, path, "", r#"{"name":"a","name":"b"}"#).await;
        assert_eq!(twice.status, 400, "{method} {path}");
        assert_eq!(twice.json()["errors"]["name"], "is there twice");
    }
    let account = account.rsplit('/').next().unwrap();
    let long_life = json!({
        "name": "Long", "type": "FEDERATION_TOKEN", "accountId": account, "maxDuration": 200_000,
    });
    let refused = send(&served, "POST", "/connectors", "", &long_life.to_string()).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let expected = json!({ "maxDuration": "must lie between 900 and 129600" });
    assert_eq!(refused.json()["errors"], expected);
}

#[tokio::test]
async fn connectors_accounts_are_not_written_over_what_others_wrote() {
    let served = Served::start(by_administrator).await;
    let [account, _] = made(&served).await;
    let path = format!("{REST}{account}");
    let first = served.get(&path).await.header("etag").to_owned();
    let known = ask(served.at(), "GET", &path, &[("If-None-Match", &first)]).await;
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    let body = r#"{"name":"Theirs","awsAccessKeyId":"AKIAOURS"}"#;
    let theirs = send(&served, "PUT", &account, &first, body).await;
    assert_eq!(theirs.status, 200, "{}", theirs.body);
    for (method, body) in [("PUT", body), ("DELETE", "")] {
        let refused = send(&served, method, &account, &first, body).await;
        assert_eq!(refused.status, 412, "{method}");
        let message = "somebody changed it meanwhile: read it again";
        assert_eq!(refused.json()["message"], message);
    }
    let still = served.get(&path).await;
    assert_eq!(still.header("etag"), theirs.header("etag"));
}

#[tokio::test]
async fn accounts_of_machines_are_for_their_addresses_alone() {
    let served = Served::start_with(&of_machine(CONFIG), by_peer).await;
    let list = "/machine/meta-data/iam/security-credentials/";
    for path in [list.to_owned(), format!("{list}demo")] {
        for shown in ["Basic YW5uOnNlc2FtZQ==", "Bearer wrong"] {
            let headers = [("Authorization", shown)];
            let answer = ask(served.at(), "GET", &path, &headers).await;
            assert_eq!(answer.status, 401, "{path}");
        }
        assert_eq!(served.get(&path).await.status, 200, "{path}");
    }
}
