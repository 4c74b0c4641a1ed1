//! The container protocol on the wire.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rolecall::clock::Clock;

use crate::support::client::ask;
use crate::support::daemon::{LOCAL, TestDaemon};
use crate::support::is_root;

fn file(daemon: &TestDaemon, name: &str) -> String {
    fs::read_to_string(daemon.directory.path().join(name)).unwrap()
}

#[tokio::test]
async fn a_token_file_opens_every_path_but_no_other_role() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("container");
    let token = file(&daemon, "token");
    assert!(
        !token.contains('\n'),
        "five SDKs refuse a token with a newline"
    );
    for path in [
        "/creds",
        "/v1/credentials",
        "/v1/credentials/",
        "/role/demo",
        "/role/local/demo",
    ] {
        for value in [token.clone(), format!("Bearer {token}")] {
            let answer = ask(at, "GET", path, &[("Authorization", &value)]).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.json()["AccountId"], "000000000000");
            assert!(answer.json().get("RoleArn").is_none());
        }
    }
    let other = ask(at, "GET", "/role/local/other", &[("Authorization", &token)]).await;
    assert_eq!(
        (other.status, other.json()["code"].as_str()),
        (404, Some("NoSuchRole"))
    );
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_401_in_json() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("container");
    let missing = ask(at, "GET", "/creds", &[]).await;
    assert_eq!(missing.status, 401);
    assert_eq!(
        missing.body,
        r#"{"code":"AuthorizationMissing","message":"the Authorization header is missing"}"#
    );
    let token = file(&daemon, "token");
    let id = file(&daemon, "uri").rsplit('/').next().unwrap().to_owned();
    for wrong in [
        "",
        "x",
        "Bearer",
        id.as_str(),
        &token.to_lowercase(),
        &token.repeat(50),
    ] {
        let answer = ask(at, "GET", "/creds", &[("Authorization", wrong)]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (401, "application/json")
        );
        assert_eq!(answer.json()["code"], "AuthorizationInvalid", "{wrong}");
    }
}

#[tokio::test]
async fn the_relative_form_needs_only_its_unguessable_path() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("container");
    let uri = file(&daemon, "uri");
    let answer = ask(at, "GET", &uri, &[]).await;
    assert_eq!(
        answer.json()["RoleArn"],
        "arn:aws:iam::000000000000:role/demo"
    );
    let token = file(&daemon, "token");
    for (path, code) in [
        ("/v2/credentials/", "NoIdInRequest"),
        ("/v2/credentials/0123456789", "InvalidIdInRequest"),
        (&format!("/v2/credentials/{token}"), "InvalidIdInRequest"),
    ] {
        let wrong = ask(at, "GET", path, &[]).await;
        assert_eq!(
            (wrong.status, wrong.json()["code"].as_str()),
            (400, Some(code)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_tokenless_listener_serves_by_the_kernels_evidence_alone() {
    let text = LOCAL.replace(
        "apis = [\"container\"]",
        "apis = [\"container\"]\ntokenless = true",
    );
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("container");
    assert_eq!(ask(at, "GET", "/creds", &[]).await.status, 200);
    let wrong = ask(at, "GET", "/creds", &[("Authorization", "x")]).await;
    assert_eq!(wrong.status, 401, "a wrong token is never as good as none");
}

#[tokio::test]
async fn refusals_are_json_and_tell_no_more_than_their_kind() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("container");
    for (method, path, headers, status, code) in [
        ("GET", "/", &[][..], 404, "NotFound"),
        ("GET", "/v4/metadata", &[], 404, "NotFound"),
        ("GET", "/a/../creds", &[], 400, "BadRequest"),
        (
            "GET",
            "/creds",
            &[("Host", "evil.example")],
            403,
            "Forbidden",
        ),
        (
            "GET",
            "/creds",
            &[("Origin", "http://evil.example")],
            403,
            "Forbidden",
        ),
        ("GET", "/creds", &[("Via", "1.1 proxy")], 403, "Forbidden"),
    ] {
        let answer = ask(at, method, path, headers).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (status, Some(code)),
            "{path}"
        );
    }
    let post = ask(at, "POST", "/creds", &[("Content-Length", "0")]).await;
    assert_eq!((post.status, post.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn a_caller_without_a_grant_is_403_whatever_token_it_shows() {
    let text = LOCAL.replace("when = { uid = {uid} }", "when = { uid = 12345 }");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("container");
    let token = file(&daemon, "token");
    let answer = ask(at, "GET", "/creds", &[("Authorization", &token)]).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (403, Some("AccessDenied"))
    );
}

/// Asks as this user, by a program of its own.
fn ask_as(uid: u32, at: SocketAddr, token: &str) -> String {
    let script = "exec 3<>/dev/tcp/127.0.0.1/$0; \
                  printf 'GET /creds HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nConnection: close\\r\\n\
                  Authorization: %s\\r\\n\\r\\n' \"$1\" >&3; cat <&3";
    let output = Command::new("bash")
        .args(["-c", script, &at.port().to_string(), token])
        .uid(uid)
        .gid(uid)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The overflow uid: of such a caller nothing is known.
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn a_bearer_token_stands_for_its_owner_where_nobody_can_be_told() {
    if !is_root() {
        return;
    }
    let text = LOCAL
        .replace("owner = {uid}", "owner = 4711\nbearer = true")
        .replace("when = { uid = {uid} }", "when = { uid = 4711 }");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("container");
    let token = file(&daemon, "token");
    let asked = move |uid| {
        let token = token.clone();
        tokio::task::spawn_blocking(move || ask_as(uid, at, &token))
    };
    for owner in [NOBODY, 4711] {
        let answer = asked(owner).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{owner}: {answer}");
    }
    let somebody = asked(4712).await.unwrap();
    assert!(somebody.starts_with("HTTP/1.1 401 "), "{somebody}");
}

#[tokio::test]
async fn other_tokens_stand_for_nobody_who_cannot_be_told() {
    if !is_root() {
        return;
    }
    let text = LOCAL
        .replace("owner = {uid}", "owner = 4711")
        .replace("when = { uid = {uid} }", "when = { uid = 4711 }");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("container");
    let token = file(&daemon, "token");
    let nobody = tokio::task::spawn_blocking(move || ask_as(NOBODY, at, &token));
    let answer = nobody.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn a_group_names_a_role_that_nobody_declared_and_its_grant_narrows_it() {
    let grant = "role = \"local/by-{who}\"\nduration = \"15m\"\ntags = { group = \"{who}\" }";
    let text = LOCAL.replace("role = \"local/demo\"", grant).replace(
        "when = { uid = {uid} }",
        "when = { uid = {uid}, group = { regex = \"(?<who>[a-z0-9_-]+)\" } }",
    );
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("container");
    let token = file(&daemon, "token");
    let answer = ask(at, "GET", "/creds", &[("Authorization", &token)]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let held = daemon.daemon.vending.sessions().report();
    let [session] = held.as_slice() else {
        panic!("{held:?}");
    };
    let role = session.role.to_string();
    assert!(role.starts_with("local/by-"), "{role}");
    let expires = answer.json()["Expiration"].as_str().unwrap().to_owned();
    let expires = chrono::DateTime::parse_from_rfc3339(&expires).unwrap();
    let left = SystemTime::from(expires).duration_since(Clock::System.now());
    assert!(left.unwrap() <= Duration::from_mins(15));
    let path = format!("/role/{role}");
    let chosen = ask(at, "GET", &path, &[("Authorization", &token)]).await;
    assert_eq!(chosen.json()["AccessKeyId"], answer.json()["AccessKeyId"]);
    let other = ask(at, "GET", "/role/local/demo", &[("Authorization", &token)]).await;
    assert_eq!(other.status, 404, "{}", other.body);
}
