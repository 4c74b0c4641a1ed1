//! The connectors API on the wire: exact statuses, headers and bodies.

use std::net::{Ipv4Addr, SocketAddr};

use rolecall::config::{Administrator, Bind, Config, embedded};
use rolecall::grants::Way;
use tempfile::TempDir;

use crate::support::client::{Answer, Connection, ask, request};
use crate::support::daemon::TestDaemon;

pub(crate) const REST: &str = "/rest/identity-federation-for-aws/2.0";
pub(crate) const SERVLET: &str = "/plugins/servlet/identity-federation-for-aws/aws-console-login";

/// The id of `local/demo`: a UUID of version 5 in the namespace of URLs.
pub(crate) const DEMO: &str = "18e9efa7-5638-54ff-a213-3202591f7f21";
pub(crate) const UNKNOWN: &str = "1521fbf0-fa97-4c4a-9877-9f0c5e9982d3";

/// The daemon with its embedded default, on ports of its own.
pub(crate) fn own_config(directory: &TempDir) -> Config {
    let uid = nix::unistd::geteuid().as_raw();
    let mut config = embedded(uid, directory.path().join("admin.sock")).unwrap();
    config.state.directory = Some(directory.path().join("state"));
    for listener in &mut config.listeners {
        listener.binds = vec![Bind::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))];
    }
    config
}

pub(crate) fn start() -> TestDaemon {
    let directory = tempfile::tempdir().unwrap();
    let config = own_config(&directory);
    TestDaemon::start_with(directory, config)
}

async fn get(daemon: &TestDaemon, path: &str) -> Answer {
    ask(daemon.address("api"), "GET", path, &[]).await
}

pub(crate) fn problem(status: u16, message: &str) -> String {
    format!(
        r#"{{"message":"{message}","status-code":{status},"errorMessages":["{message}"],"errors":{{}}}}"#
    )
}

/// Holds an answer against the API's body of this failure.
#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16, message: &str) {
    answer.assert_is(status, &problem(status, message));
}

#[tokio::test]
async fn connectors_are_listed_compactly_with_atlassians_headers() {
    let daemon = start();
    for version in ["2.0", "2.1", "2.2", "latest"] {
        let path = format!("/rest/identity-federation-for-aws/{version}/connectors");
        let answer = get(&daemon, &path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.body,
            format!(
                r#"{{"values":[{{"id":"{DEMO}","name":"demo","type":"ASSUME_ROLE","scope":"SYSTEM"}}],"size":1}}"#
            )
        );
        for (name, value) in [
            ("content-type", "application/json;charset=UTF-8"),
            ("cache-control", "no-cache, no-store, no-transform"),
            ("x-seraph-loginreason", "OK"),
        ] {
            assert_eq!(answer.header(name), value);
        }
        for name in ["x-arequestid", "x-asessionid", "x-ausername"] {
            assert_ne!(answer.header(name), "", "{name}");
        }
        assert_eq!(answer.header("server"), "");
    }
    let none = get(&daemon, &format!("{REST}/connectors?start=1")).await;
    assert_eq!(none.body, r#"{"values":[],"size":0}"#);
    let none = get(&daemon, &format!("{REST}/connectors?limit=0")).await;
    assert_eq!(none.body, r#"{"values":[],"size":0}"#);
    let wrong = get(&daemon, &format!("{REST}/connectors?limit=x")).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(
        wrong.json()["errors"],
        serde_json::json!({"limit": "is no whole number"})
    );
    daemon.end().await;
}

#[tokio::test]
async fn connectors_one_is_shown_with_its_state() {
    let daemon = start();
    let path = format!("{REST}/connectors/{DEMO}");
    let answer = get(&daemon, &path).await;
    answer.assert_is(
        200,
        &format!(r#"{{"id":"{DEMO}","name":"demo","type":"ASSUME_ROLE","scope":"SYSTEM"}}"#),
    );
    let tag = answer.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let api = daemon.address("api");
    let known = ask(api, "GET", &path, &[("If-None-Match", &tag)]).await;
    known.assert_is(304, "");
    let upper = get(
        &daemon,
        &format!("{REST}/connectors/{}", DEMO.to_uppercase()),
    )
    .await;
    assert_eq!(upper.body, answer.body);
    daemon.end().await;
}

#[tokio::test]
async fn connectors_credentials_expire_in_milliseconds() {
    let daemon = start();
    let path = format!("{REST}/connectors/{DEMO}/credentials");
    let first = get(&daemon, &path).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let read = first.json();
    let mut fields: Vec<_> = read.as_object().unwrap().keys().cloned().collect();
    fields.sort();
    assert_eq!(
        fields,
        [
            "accessKeyId",
            "expiration",
            "secretAccessKey",
            "sessionToken"
        ]
    );
    let expiration = read["expiration"].as_u64().unwrap();
    assert!(expiration % 1000 == 0 && expiration > 1_700_000_000_000);
    assert!(
        first.body.starts_with(r#"{"expiration":"#),
        "{}",
        first.body
    );
    let again = get(&daemon, &path).await;
    assert_eq!(again.body, first.body, "the same session");
    daemon.end().await;
}

#[tokio::test]
async fn connectors_without_a_console_or_a_registry_say_so() {
    let daemon = start();
    for (path, message) in [
        (
            format!("{REST}/connectors/{DEMO}/console/url"),
            "this connector's account has no console",
        ),
        (
            format!("{SERVLET}/{DEMO}"),
            "this connector's account has no console",
        ),
        (
            format!("{REST}/connectors/{DEMO}/ecr/credentials?region=us-east-1"),
            "this connector's account has no container registry",
        ),
    ] {
        let answer = get(&daemon, &path).await;
        assert_eq!(answer.status, 409, "{path}");
        assert_eq!(answer.body, problem(409, message));
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_status_is_for_all_who_log_in() {
    let daemon = start();
    let answer = get(&daemon, &format!("{REST}/status/info")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        format!(
            r#"{{"name":"rolecall","version":"{}","status":"OK"}}"#,
            env!("CARGO_PKG_VERSION")
        )
    );
    daemon.end().await;
}

#[tokio::test]
async fn connectors_that_are_not_there_are_404() {
    let daemon = start();
    for id in [UNKNOWN, "x", "18e9efa7563854ffa2133202591f7f21", "1"] {
        for below in ["", "/caller-identity", "/credentials", "/console/url"] {
            let answer = get(&daemon, &format!("{REST}/connectors/{id}{below}")).await;
            assert_eq!(answer.status, 404);
            let message = format!("there is no connector with id '{id}'");
            assert_eq!(answer.body, problem(404, &message));
        }
    }
    let version = get(&daemon, "/rest/identity-federation-for-aws/1.0/connectors").await;
    refused(
        &version,
        404,
        "version '1.0' is not served: 2.0, 2.1, 2.2 and latest are",
    );
    for path in ["/nothing", "/connectors/x/y", "/connectors/%2F"] {
        let answer = get(&daemon, &format!("{REST}{path}")).await;
        refused(&answer, 404, "there is no such resource");
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_other_methods_are_405() {
    let daemon = start();
    let api = daemon.address("api");
    let path = format!("{REST}/connectors/{DEMO}/credentials");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = ask(api, method, &path, &[]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
        assert_eq!(
            answer.body,
            problem(405, "this resource has only GET, HEAD")
        );
    }
    let mut connection = Connection::open(api).await;
    let list = format!("{REST}/connectors");
    let head = request("HEAD", &list, &[]);
    connection.send(head.as_bytes()).await;
    let head = connection.head_answer().await.unwrap();
    assert_eq!(head.status, 200);
    assert_ne!(head.header("content-length"), "0");
    daemon.end().await;
}

#[tokio::test]
async fn connectors_are_nobodys_who_is_not_known() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = own_config(&directory);
    for mount in &mut config.listeners[1].mounts {
        mount.authenticate = vec![Way::Basic];
    }
    let daemon = TestDaemon::start_with(directory, config);
    for path in ["/connectors", "/status/info", "/connectors/x/credentials"] {
        let answer = get(&daemon, &format!("{REST}{path}")).await;
        refused(&answer, 401, "log in first");
    }
    let answer = get(&daemon, &format!("{REST}/connectors")).await;
    assert_eq!(
        answer.header("www-authenticate"),
        r#"Basic realm="rolecall", charset="UTF-8""#
    );
    assert_eq!(answer.header("x-seraph-loginreason"), "OUT");
    assert_eq!(answer.header("x-ausername"), "anonymous");
    assert_eq!(answer.header("x-asessionid"), "");
    daemon.end().await;
}

#[tokio::test]
async fn connectors_of_others_are_forbidden_and_not_listed() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = own_config(&directory);
    config.grants.clear();
    config.people.administrators = vec![Administrator::Uid(1)];
    let daemon = TestDaemon::start_with(directory, config);
    let list = get(&daemon, &format!("{REST}/connectors")).await;
    assert_eq!(list.body, r#"{"values":[],"size":0}"#);
    for below in [
        "",
        "/credentials",
        "/caller-identity",
        "/console/url",
        "/ecr/credentials",
    ] {
        let answer = get(&daemon, &format!("{REST}/connectors/{DEMO}{below}")).await;
        refused(&answer, 403, "you may not use this connector");
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_refuse_what_the_guard_refuses_in_their_own_words() {
    let daemon = start();
    let api = daemon.address("api");
    let path = format!("{REST}/connectors");
    for (header, message) in [
        (
            ("X-Forwarded-For", "10.0.0.1"),
            "a proxy passed this request on",
        ),
        (
            ("Origin", "https://elsewhere.example"),
            "a page of another site sent this request",
        ),
    ] {
        let answer = ask(api, "GET", &path, &[header]).await;
        refused(&answer, 403, message);
    }
    daemon.end().await;
}
