//! What is refused on every resource alike.

use rolecall::api::keystone::{Needs, Row, rows};

use super::{NO_JSON, SERVICE, Served, UNAUTHORIZED, by_password, refused};
use crate::support::client::{Connection, request};

/// A path of the resource, with somebody's name for each in braces.
fn path(row: &Row) -> String {
    let parts = row.path.split('/').map(|part| match part {
        "{user}" => super::ANN,
        "{project}" => "local",
        part if part.starts_with('{') => "x",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn keystone_asks_for_a_token_wherever_one_is_needed() {
    let served = Served::start();
    for row in rows().filter(|row| row.needs != Needs::Nothing) {
        let answer = served.send(row.method, &path(row), &[], "").await;
        refused(&answer, 401, UNAUTHORIZED);
        let wrong = [("X-Auth-Token", "wrong")];
        let answer = served.send(row.method, &path(row), &wrong, "").await;
        refused(&answer, 401, UNAUTHORIZED);
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_takes_a_token_of_a_signature_for_nothing_but_its_validation() {
    let served = Served::start_with(super::CONFIG, super::at_any_date);
    let (access, secret) = served.key("admin", "local").await;
    let token = super::signed::token_of(&served, &access, &secret).await;
    for row in rows().filter(|row| row.needs != Needs::Nothing) {
        let shown = [
            ("X-Auth-Token", token.as_str()),
            ("X-Subject-Token", &token),
        ];
        let at = path(row).replace("tokens/x", &format!("tokens/{token}"));
        let answer = served.send(row.method, &at, &shown, "").await;
        if format!("{:?}", row.what) == "Validate" {
            assert_eq!(answer.status, 200, "{}", answer.body);
        } else {
            assert_eq!(answer.status, 403, "{} {at}: {}", row.method, answer.body);
        }
    }
    let identity = serde_json::json!({ "methods": ["token"], "token": { "id": token } });
    let answer = served
        .login(&serde_json::json!({ "auth": { "identity": identity } }))
        .await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    served.end().await;
}

#[tokio::test]
async fn keystone_lets_services_do_little() {
    let served = Served::start();
    for row in rows().filter(|row| row.needs != Needs::Nothing) {
        let shown = [("X-Auth-Token", SERVICE)];
        let answer = served.send(row.method, &path(row), &shown, "").await;
        let may = matches!(
            format!("{:?}", row.what).as_str(),
            "Validate" | "Ec2Tokens" | "S3Tokens" | "ShowKey"
        );
        assert_eq!(
            answer.status == 403,
            !may,
            "{} {}: {}",
            row.method,
            row.path,
            answer.body
        );
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_resources_have_no_other_methods() {
    let served = Served::start();
    for row in rows() {
        let mut methods = rows().filter(|other| other.path == row.path);
        let has_get = methods.clone().any(|other| other.method == "GET");
        for method in ["PUT", "PATCH", "OPTIONS"] {
            let answer = served.send(method, &path(row), &[], "").await;
            let body = r#"{"message": "The method is not allowed for the requested URL."}"#;
            answer.assert_is(405, body);
            let allow = answer.header("allow");
            assert!(allow.contains(row.method), "{allow}");
            assert_eq!(allow.contains("HEAD"), has_get, "{allow}");
        }
        assert!(methods.next().is_some());
    }
    for path in ["/v2.0/nope", "/v3/auth", "/v3/%2e%2e/users"] {
        let answer = served
            .send("GET", path, &[("X-Auth-Token", SERVICE)], "")
            .await;
        refused(&answer, 404, "The resource could not be found.");
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_bodies_are_json_of_which_nothing_is_there_twice() {
    let served = Served::start();
    let fault = "The server could not comply with the request since it is either malformed or \
                 otherwise incorrect. The client is assumed to be in error.";
    let admin = served.token("admin", "local").await;
    for row in rows().filter(|row| row.method == "POST") {
        let shown = |kind| [("X-Auth-Token", admin.as_str()), ("Content-Type", kind)];
        for text in ["{", "[]", "7", "{\"a\":1,\"a\":2}", "{}{}", "\u{feff}{}"] {
            let answer = served
                .send("POST", &path(row), &shown("application/json"), text)
                .await;
            refused(&answer, 400, NO_JSON);
        }
        let answer = served
            .send("POST", &path(row), &shown("text/xml"), "{}")
            .await;
        let status = if row.path.ends_with("OS-EC2") {
            415
        } else {
            400
        };
        let why = "Expecting to find application/json in Content-Type header.";
        refused(&answer, status, &format!("{why} {fault}"));
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_answers_no_request_for_two_hosts() {
    let served = Served::start();
    let fault = "The server could not comply with the request since it is either malformed or \
                 otherwise incorrect. The client is assumed to be in error.";
    for row in rows() {
        let hosts = [("Host", "127.0.0.1"), ("Host", "localhost")];
        let answer = served.send(row.method, &path(row), &hosts, "").await;
        refused(&answer, 400, &format!("This is no request. {fault}"));
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_reads_no_endless_body() {
    let served = Served::start();
    // What Keystone itself takes where nobody says otherwise.
    let longest = 114_688;
    let long = " ".repeat(longest + 1);
    for row in rows() {
        let answer = served.send(row.method, &path(row), &[], &long).await;
        refused(&answer, 413, "Request is too large.");
    }
    let login = by_password("ann", "annpw", Some("local")).to_string();
    let filled = login.clone() + &" ".repeat(longest - login.len());
    let chunked = |text: &str| format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
    let json = ("Content-Type", "application/json");
    let made = served
        .send("POST", "/v3/auth/tokens", &[json], &filled)
        .await;
    assert_eq!(made.status, 201);
    // One that does not say how long it is.
    let told = [("Transfer-Encoding", "chunked"), json];
    for (body, status) in [(" ".repeat(longest), 400), (filled + " ", 413)] {
        let mut connection = Connection::open(served.daemon.address("api")).await;
        let text = request("POST", "/v3/auth/tokens", &told) + &chunked(&body);
        connection.send(text.as_bytes()).await;
        assert_eq!(connection.answer().await.unwrap().status, status);
    }
    served.end().await;
}

#[tokio::test]
async fn keystone_says_so_while_the_store_cannot_be_read() {
    let served = Served::start();
    let token = served.token("ann", "local").await;
    let (_, directory) = served.daemon.end().await;
    let store = directory.path().join("state/store.db");
    std::fs::write(&store, "this is no database, nor will it be one").unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&store, owner_only).unwrap();
    let served = Served::again(directory);
    let message = "The service is not available now. Try again.";
    for row in rows().filter(|row| row.needs != Needs::Nothing) {
        let shown = [("X-Auth-Token", token.as_str())];
        let answer = served.send(row.method, &path(row), &shown, "").await;
        refused(&answer, 503, message);
        assert_eq!(answer.header("retry-after"), "1");
    }
    let answer = served.login(&by_password("ann", "annpw", None)).await;
    refused(&answer, 503, message);
    let answer = served.login_v2("ann", "annpw").await;
    refused(&answer, 503, message);
    let path = "/v2.0/users/x/credentials/OS-EC2/AKEXAMPLE";
    refused(&served.get(SERVICE, path).await, 503, message);
    served.end().await;
}

#[tokio::test]
async fn keystone_is_not_served_to_pages_and_through_proxies() {
    let served = Served::start();
    for header in [
        ("Origin", "https://evil.example"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("Host", "evil.example"),
    ] {
        for row in rows() {
            let answer = served.send(row.method, &path(row), &[header], "").await;
            let message = "You are not authorized to perform the requested action.";
            refused(&answer, 403, message);
        }
    }
    served.end().await;
}
