//! Requests that no local SDK sends: malformed, oversized, slow, from elsewhere.

use crate::support::client::{
    Connection, LIST, TOKEN, TOKEN_TTL, ask, imds_get, imds_token, request,
};
use crate::support::daemon::{LOCAL, TestDaemon};

const DOCUMENT: &str = "/latest/meta-data/iam/security-credentials/demo";

/// Sends raw bytes; the status of the answer, `None` where the connection was just closed.
async fn raw(daemon: &TestDaemon, bytes: &[u8]) -> Option<u16> {
    let mut connection = Connection::open(daemon.address("metadata")).await;
    connection.send(bytes).await;
    connection.answer().await.map(|answer| answer.status)
}

#[tokio::test]
async fn malformed_requests_are_400_and_end_their_connection_only() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let mut bystander = Connection::open(at).await;
    let get = request("GET", DOCUMENT, &[(TOKEN, &token)]);
    bystander.send(get.as_bytes()).await;
    let held = bystander.answer().await.unwrap();
    for bytes in [
        &b"\x00\x01\x02\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let status = raw(&daemon, bytes).await;
        assert_eq!(status, Some(400), "{}", String::from_utf8_lossy(bytes));
    }
    bystander.send(get.as_bytes()).await;
    assert_eq!(bystander.answer().await.unwrap().body, held.body);
}

#[tokio::test]
async fn targets_that_no_sdk_sends_are_refused() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    for (target, status) in [
        ("/latest/../latest/meta-data/iam/security-credentials/", 400),
        ("/latest/meta-data/iam/security-credentials/%2e%2e/x", 400),
        ("/latest/meta-data/iam/security-credentials/a%2fb", 400),
        ("/latest/meta-data/iam/security-credentials/a%00", 400),
        ("/latest/meta-data/iam/security-credentials/%ff", 400),
        ("http://evil.example/latest/meta-data/", 403),
        (
            "http://127.0.0.1/latest/meta-data/iam/security-credentials/",
            200,
        ),
        ("*", 400),
    ] {
        let answer = imds_get(at, &token, target).await;
        assert_eq!(answer.status, status, "{target}");
        assert!(!answer.body.contains('<'), "{target}: {}", answer.body);
    }
    let connect = ask(at, "CONNECT", "evil.example:443", &[]).await;
    assert_eq!(connect.status, 400);
    let long = format!("/latest/{}", "a".repeat(20_000));
    assert!(matches!(
        ask(at, "GET", &long, &[]).await.status,
        401 | 414 | 431
    ));
}

#[tokio::test]
async fn proxies_browsers_and_rebound_names_are_refused_on_every_route() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    for header in [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", "localhost"),
        ("Forwarded", "for=127.0.0.1"),
        ("Via", "1.1 proxy"),
        ("X-Real-IP", "127.0.0.1"),
        ("Origin", "null"),
        ("Referer", "http://localhost/"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Host", "evil.example"),
        ("Host", "169.254.169.254.evil.example"),
    ] {
        for (method, target) in [
            ("PUT", "/latest/api/token"),
            ("GET", "/"),
            ("GET", LIST),
            ("GET", DOCUMENT),
            ("GET", "/latest/meta-data/iam/info"),
            ("GET", "/nothing"),
        ] {
            let headers = [header, (TOKEN, token.as_str()), (TOKEN_TTL, "60")];
            let answer = ask(at, method, target, &headers).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (403, ""),
                "{header:?} {target}"
            );
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
        let metrics = daemon.address("metrics");
        assert_eq!(
            ask(metrics, "GET", "/metrics", &[header]).await.status,
            403,
            "{header:?}"
        );
    }
}

#[tokio::test]
async fn oversized_heads_and_bodies_are_cut_off() {
    let daemon = TestDaemon::start(LOCAL);
    let huge = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "a".repeat(60_000)
    );
    assert_eq!(raw(&daemon, huge.as_bytes()).await, Some(431));
    let many = "X: y\r\n".repeat(500);
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
    assert_eq!(raw(&daemon, many.as_bytes()).await, Some(431));
    let body = "x".repeat(70_000);
    let put = format!(
        "PUT /latest/api/token HTTP/1.1\r\nHost: localhost\r\n{TOKEN_TTL}: 60\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(raw(&daemon, put.as_bytes()).await, Some(413));
    let at = daemon.address("metadata");
    assert_eq!(
        imds_get(at, &imds_token(at).await, DOCUMENT).await.status,
        200
    );
}

#[tokio::test]
async fn silent_and_slow_connections_are_closed() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let half_body: &[u8] =
        b"PUT /latest/api/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc";
    let is_closed = |bytes: &'static [u8]| async move {
        let mut connection = Connection::open(at).await;
        connection.send(bytes).await;
        connection.is_closed().await
    };
    let closed = tokio::join!(is_closed(b""), is_closed(b"GET /lat"), is_closed(half_body));
    assert_eq!(closed, (true, true, true));
}

#[tokio::test]
async fn an_unknown_caller_is_told_nothing() {
    let text = LOCAL.replace("when = { uid = {uid} }", "when = { uid = 12345 }");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    for target in [LIST, DOCUMENT, "/latest/meta-data/iam/info"] {
        let answer = imds_get(at, &token, target).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{target}");
    }
    let denials = daemon.daemon.vending.audit().events_after(0);
    assert!(!denials.is_empty(), "the denial is in the audit trail");
}

#[tokio::test]
async fn a_denial_at_the_instance_profile_is_recorded_too() {
    let text = LOCAL.replace("when = { uid = {uid} }", "when = { uid = 12345 }");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let answer = imds_get(at, &token, "/latest/meta-data/iam/info").await;
    assert_eq!(answer.status, 404);
    assert_eq!(daemon.daemon.vending.audit().events_after(0).len(), 1);
}
