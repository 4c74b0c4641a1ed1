//! Accounts and connectors that administrators make through the API.

use rolecall::config::Administrator;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::connectors::{DEMO, REST, UNKNOWN, own_config, problem, refused, start};
use crate::support::client::{Answer, Connection, ask, request};
use crate::support::daemon::{DEADLINE, TestDaemon};

const JSON: (&str, &str) = ("Content-Type", "application/json");
/// The id of the account `local`: a UUID of version 5 in the namespace of URLs.
const LOCAL: &str = "ab67f5d4-0894-5432-9c0c-bc686d5e58fd";

/// Sends this body.
async fn send(
    daemon: &TestDaemon,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let length = body.len().to_string();
    let mut all = vec![("Content-Length", length.as_str())];
    all.extend_from_slice(headers);
    let mut connection = Connection::open(daemon.address("api")).await;
    let path = format!("{REST}{path}");
    let text = request(method, &path, &all) + body;
    connection.send(text.as_bytes()).await;
    connection.answer().await.unwrap()
}

async fn get(daemon: &TestDaemon, path: &str) -> Answer {
    ask(daemon.address("api"), "GET", &format!("{REST}{path}"), &[]).await
}

/// As the vendor's script makes an account.
fn account(name: &str) -> Value {
    json!({
        "name": name,
        "awsAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "awsSecretKey": "canary-stored-secret",
        "cloudProviderKey": "aws",
    })
}

/// As the vendor's script makes a connector.
fn connector(name: &str, account: &str) -> Value {
    json!({
        "name": name,
        "type": "ASSUME_ROLE",
        "scope": "SYSTEM",
        "partition": "aws",
        "accountId": account,
        "roleArn": "arn:aws:iam::123456789012:role/web",
        "externalId": "",
        "iamPolicy": "",
        "groups": ["jira-administrators"],
    })
}

/// Makes it, and tells its id as the vendor's script finds it.
async fn make(daemon: &TestDaemon, path: &str, body: &Value) -> (Answer, String) {
    let made = send(daemon, "POST", path, &[JSON], &body.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let (_, rest) = made.body.split_once("\"id\":\"").unwrap();
    let (id, _) = rest.split_once('"').unwrap();
    let id = id.to_owned();
    (made, id)
}

async fn make_account(daemon: &TestDaemon, name: &str) -> String {
    let path = "/accounts?skipValidation=true";
    make(daemon, path, &account(name)).await.1
}

#[tokio::test]
async fn connectors_accounts_are_made_shown_replaced_and_deleted() {
    let daemon = start();
    let path = "/accounts?skipValidation=true";
    let (made, id) = make(&daemon, path, &account("Development")).await;
    let shown = format!(
        r#"{{"id":"{id}","name":"Development","awsAccessKeyId":"AKIAIOSFODNN7EXAMPLE","cloudProviderKey":"aws"}}"#
    );
    assert_eq!(made.body, shown);
    let at = daemon.address("api");
    assert_eq!(
        made.header("location"),
        format!("http://{at}{REST}/accounts/{id}")
    );
    let one = get(&daemon, &format!("/accounts/{id}")).await;
    one.assert_is(200, &shown);
    let tag = one.header("etag").to_owned();
    assert_eq!(tag, made.header("etag"));
    let all = get(&daemon, "/accounts").await;
    assert_eq!(
        all.body,
        format!(
            r#"{{"values":[{shown},{{"id":"{LOCAL}","name":"local","awsAccessKeyId":"","cloudProviderKey":"aws"}}],"size":2}}"#
        )
    );
    let body = r#"{"name":"Dev","awsAccessKeyId":"AKIAOTHER"}"#;
    let path = format!("/accounts/{id}");
    let unchecked = format!("{path}?skipValidation=true");
    let replaced = send(&daemon, "PUT", &unchecked, &[JSON], body).await;
    assert_eq!(replaced.status, 200, "{}", replaced.body);
    assert_eq!(
        replaced.body,
        format!(
            r#"{{"id":"{id}","name":"Dev","awsAccessKeyId":"AKIAOTHER","cloudProviderKey":"aws"}}"#
        )
    );
    assert_ne!(replaced.header("etag"), tag);
    let deleted = send(&daemon, "DELETE", &path, &[], "").await;
    deleted.assert_is(204, "");
    let gone = get(&daemon, &path).await;
    let message = format!("there is no account with id '{id}'");
    refused(&gone, 404, &message);
    daemon.end().await;
}

#[tokio::test]
async fn connectors_are_made_shown_replaced_and_deleted() {
    let daemon = start();
    let account = make_account(&daemon, "Development").await;
    let (made, id) = make(&daemon, "/connectors", &connector("Team A", &account)).await;
    let shown = format!(r#"{{"id":"{id}","name":"Team A","type":"ASSUME_ROLE","scope":"SYSTEM"}}"#);
    assert_eq!(made.body, shown);
    let path = format!("/connectors/{id}");
    let at = daemon.address("api");
    assert_eq!(made.header("location"), format!("http://{at}{REST}{path}"));
    let one = get(&daemon, &path).await;
    one.assert_is(200, &shown);
    let all = get(&daemon, "/connectors").await;
    let demo = format!(r#"{{"id":"{DEMO}","name":"demo","type":"ASSUME_ROLE","scope":"SYSTEM"}}"#);
    assert_eq!(
        all.body,
        format!(r#"{{"values":[{shown},{demo}],"size":2}}"#)
    );
    let mut other = connector("Team B", &account);
    other["type"] = "FEDERATION_TOKEN".into();
    other["roleArn"] = "".into();
    other["scope"] = "".into();
    let replaced = send(&daemon, "PUT", &path, &[JSON], &other.to_string()).await;
    replaced.assert_is(
        200,
        &format!(r#"{{"id":"{id}","name":"Team B","type":"FEDERATION_TOKEN"}}"#),
    );
    let used = send(&daemon, "DELETE", &format!("/accounts/{account}"), &[], "").await;
    let message = "this account is used by the connector 'Team B'";
    refused(&used, 409, message);
    let deleted = send(&daemon, "DELETE", &path, &[], "").await;
    assert_eq!(deleted.status, 204);
    assert_eq!(get(&daemon, &path).await.status, 404);
    let unused = send(&daemon, "DELETE", &format!("/accounts/{account}"), &[], "").await;
    assert_eq!(unused.status, 204);
    daemon.end().await;
}

#[tokio::test]
async fn connectors_of_no_cloud_are_not_made() {
    let daemon = start();
    for kind in ["ASSUME_ROLE", "SESSION_TOKEN"] {
        let mut body = connector("Team A", LOCAL);
        body["type"] = kind.into();
        if kind == "SESSION_TOKEN" {
            body["roleArn"] = "".into();
        }
        let answer = send(&daemon, "POST", "/connectors", &[JSON], &body.to_string()).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert_eq!(
            answer.json()["errors"],
            json!({"accountId": "is the account of sessions that are made here: connectors need a cloud's"})
        );
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_names_are_taken_once() {
    let daemon = start();
    let account_id = make_account(&daemon, "Development").await;
    let again = account("Development").to_string();
    let path = "/accounts?skipValidation=true";
    let taken = send(&daemon, "POST", path, &[JSON], &again).await;
    let message = "another account has this name";
    refused(&taken, 409, message);
    make(&daemon, "/connectors", &connector("Team A", &account_id)).await;
    for name in ["Team A", "demo"] {
        let again = connector(name, &account_id).to_string();
        let taken = send(&daemon, "POST", "/connectors", &[JSON], &again).await;
        let message = "another connector has this name";
        refused(&taken, 409, message);
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_of_two_writers_at_once_one_is_told() {
    let daemon = start();
    let account_id = make_account(&daemon, "Development").await;
    let (made, id) = make(&daemon, "/connectors", &connector("Team A", &account_id)).await;
    let path = format!("/connectors/{id}");
    let tag = made.header("etag").to_owned();
    let condition = [JSON, ("If-Match", tag.as_str())];
    let body = connector("Team B", &account_id).to_string();
    let first = send(&daemon, "PUT", &path, &condition, &body).await;
    assert_eq!(first.status, 200);
    let second = send(&daemon, "PUT", &path, &condition, &body).await;
    let message = "somebody changed it meanwhile: read it again";
    refused(&second, 412, message);
    let deleted = send(&daemon, "DELETE", &path, &condition, "").await;
    assert_eq!(deleted.status, 412);
    let current = first.header("etag").to_owned();
    let condition = [("If-Match", current.as_str())];
    let deleted = send(&daemon, "DELETE", &path, &condition, "").await;
    assert_eq!(deleted.status, 204);
    daemon.end().await;
}

#[tokio::test]
async fn connectors_of_the_configuration_cannot_be_changed() {
    let daemon = start();
    for (what, path, body) in [
        (
            "connector",
            format!("/connectors/{DEMO}"),
            connector("x", UNKNOWN),
        ),
        ("account", format!("/accounts/{LOCAL}"), account("x")),
    ] {
        let message =
            format!("this {what} is of the configuration's files, and can be changed only there");
        for method in ["PUT", "DELETE"] {
            let answer = send(&daemon, method, &path, &[JSON], &body.to_string()).await;
            refused(&answer, 409, &message);
        }
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_are_made_by_administrators_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = own_config(&directory);
    config.people.administrators = vec![Administrator::Uid(1)];
    let daemon = TestDaemon::start_with(directory, config);
    let body = account("x").to_string();
    for (method, path) in [
        ("POST", "/connectors".to_owned()),
        ("PUT", format!("/connectors/{DEMO}")),
        ("DELETE", format!("/connectors/{DEMO}")),
        ("GET", "/accounts".to_owned()),
        ("POST", "/accounts".to_owned()),
        ("GET", format!("/accounts/{LOCAL}")),
        ("PUT", format!("/accounts/{LOCAL}")),
        ("DELETE", format!("/accounts/{LOCAL}")),
    ] {
        let answer = send(&daemon, method, &path, &[JSON], &body).await;
        let message = "only administrators may do this";
        refused(&answer, 403, message);
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_bodies_that_are_wrong_are_told_field_by_field() {
    let daemon = start();
    let mut body = connector("", UNKNOWN);
    body["colour"] = "red".into();
    let answer = send(&daemon, "POST", "/connectors", &[JSON], &body.to_string()).await;
    let message =
        "accountId: is the id of no account; colour: is no field of this object; name: is missing";
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        problem(400, message).replace(
            r#""errors":{}"#,
            r#""errors":{"accountId":"is the id of no account","colour":"is no field of this object","name":"is missing"}"#
        )
    );
    let broken = send(
        &daemon,
        "POST",
        "/accounts",
        &[JSON],
        "{\"awsSecretKey\":\"canary",
    )
    .await;
    let message = "the body is no JSON object: line 1, column 23";
    refused(&broken, 400, message);
    for headers in [&[][..], &[("Content-Type", "text/plain")]] {
        let kind = send(&daemon, "POST", "/accounts", headers, "{}").await;
        let message = "send application/json";
        refused(&kind, 415, message);
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_that_were_made_survive_a_restart_and_keep_their_secrets() {
    let daemon = start();
    let account_id = make_account(&daemon, "Größe").await;
    let (_, id) = make(&daemon, "/connectors", &connector("A/B ##", &account_id)).await;
    let (_, directory) = daemon.end().await;
    for file in std::fs::read_dir(directory.path().join("state")).unwrap() {
        // The store's thread may still be folding its log into the database.
        let kept = match std::fs::read(file.unwrap().path()) {
            Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => continue,
            kept => kept.unwrap(),
        };
        let secret = b"canary-stored-secret";
        assert!(!kept.windows(secret.len()).any(|part| part == secret));
    }
    let config = own_config(&directory);
    let daemon = TestDaemon::start_with(directory, config);
    let mut changes = daemon.daemon.store.changes();
    let opened = changes.wait_for(Result::is_ok);
    drop(timeout(DEADLINE, opened).await.unwrap().unwrap());
    let one = get(&daemon, &format!("/connectors/{id}")).await;
    assert_eq!(one.status, 200, "{}", one.body);
    assert_eq!(one.json()["name"], "A/B ##");
    let account = get(&daemon, &format!("/accounts/{account_id}")).await;
    assert_eq!(account.json()["name"], "Größe");
    daemon.end().await;
}
