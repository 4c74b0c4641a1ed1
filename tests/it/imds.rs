//! The metadata service on the wire: exact statuses, headers and bodies.

use std::time::Duration;

use rolecall::clock::Clock;
use rolecall::listener::Passed;

use crate::support::client::{
    Connection, LIST, TOKEN, TOKEN_TTL, ask, imds_get, imds_token, request,
};
use crate::support::daemon::{LOCAL, TestDaemon, noon};

const DOCUMENT: &str = "/latest/meta-data/iam/security-credentials/demo";

#[tokio::test]
async fn a_token_has_no_newline_and_echoes_its_life() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    for ttl in ["1", "60", "21600"] {
        let answer = ask(at, "PUT", "/latest/api/token", &[(TOKEN_TTL, ttl)]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain");
        assert_eq!(answer.header(&TOKEN_TTL.to_lowercase()), ttl);
        assert!(
            answer.body.bytes().all(|byte| byte.is_ascii_graphic()),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn a_wrong_life_is_the_only_400_of_a_token() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    for ttl in ["0", "-1", "21601", "1.5", "x", "", "99999999999999999999"] {
        let answer = ask(at, "PUT", "/latest/api/token", &[(TOKEN_TTL, ttl)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (400, ""), "{ttl:?}");
    }
    assert_eq!(ask(at, "PUT", "/latest/api/token", &[]).await.status, 400);
    let forwarded = [(TOKEN_TTL, "60"), ("X-Forwarded-For", "10.0.0.1")];
    assert_eq!(
        ask(at, "PUT", "/latest/api/token", &forwarded).await.status,
        403
    );
    let got = ask(at, "GET", "/latest/api/token", &[]).await;
    assert_eq!((got.status, got.header("allow")), (405, "OPTIONS, PUT"));
    let dated = ask(at, "PUT", "/2021-07-15/api/token", &[(TOKEN_TTL, "60")]).await;
    dated.assert_is(403, "");
}

#[tokio::test]
async fn the_document_is_what_every_client_can_read() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let list = imds_get(at, &token, LIST).await;
    list.assert_is(200, "demo");
    let answer = imds_get(at, &token, DOCUMENT).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain");
    assert_eq!(answer.header("server"), "EC2ws");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let keys: Vec<_> = answer
        .body
        .lines()
        .filter_map(|line| line.trim().split('"').nth(1))
        .collect();
    assert_eq!(
        keys,
        [
            "Code",
            "LastUpdated",
            "Type",
            "AccessKeyId",
            "SecretAccessKey",
            "Token",
            "Expiration",
            "AccountId"
        ]
    );
    let document = answer.json();
    assert_eq!(document["Code"], "Success");
    assert_eq!(document["Type"], "AWS-HMAC");
    assert_eq!(document["AccountId"], "000000000000");
    for key in ["LastUpdated", "Expiration"] {
        let date = document[key].as_str().unwrap();
        assert_eq!(
            (date.len(), date.ends_with('Z'), date.contains('.')),
            (20, true, false)
        );
    }
    for (key, value) in document.as_object().unwrap() {
        let value = value.as_str().unwrap();
        assert!(
            !value.is_empty() && !value.contains([',', '\\', '"']),
            "{key}: {value}"
        );
    }
    assert!(answer.body.len() < 10_000);
    let again = imds_get(at, &token, DOCUMENT).await;
    assert_eq!(again.body, answer.body, "the same set until it is renewed");
}

#[tokio::test]
async fn minio_js_finds_its_own_spelling_only_where_it_is_switched_on() {
    let text = LOCAL.replace(
        "apis = [\"imds\"]",
        "apis = [\"imds\"]\nminio-js-alias = true",
    );
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("metadata");
    let document = imds_get(at, &imds_token(at).await, DOCUMENT).await.json();
    assert_eq!(document["AccessKeyID"], document["AccessKeyId"]);
}

#[tokio::test]
async fn every_slash_and_version_form_is_answered_without_redirect() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    for prefix in [
        "/latest",
        "/1.0",
        "/2009-04-04",
        "/2021-07-15",
        "",
        "//latest",
    ] {
        for form in [
            "/meta-data/iam/security-credentials",
            "//meta-data//iam/security-credentials/",
        ] {
            let answer = imds_get(at, &token, &format!("{prefix}{form}")).await;
            answer.assert_is(200, "demo");
        }
        let document = format!("{prefix}/meta-data/iam/security-credentials//demo");
        assert_eq!(
            imds_get(at, &token, &document).await.status,
            200,
            "{document}"
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_with_a_token_and_401_without() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    for target in [
        "/latest/meta-data/iam/security-credentials/other",
        "/latest/meta-data/iam/security-credentials/x",
        "/latest/meta-data/iam/security-credentials-extended/",
        "/latest/user-data",
        "/latest/meta-data/tags/instance",
        "/latest/dynamic/instance-identity/pkcs7",
        "/latest/dynamic/instance-identity/document",
        "/latest/meta-data/placement/region",
        "/latest/meta-data/public-keys/",
        "/nothing",
    ] {
        let answer = imds_get(at, &token, target).await;
        answer.assert_is(404, "");
        let answer = ask(at, "GET", target, &[]).await;
        answer.assert_is(401, "");
    }
    for target in [
        "/",
        "/latest/",
        LIST,
        DOCUMENT,
        "/latest/meta-data/iam/info",
    ] {
        assert_eq!(ask(at, "GET", target, &[]).await.status, 401, "{target}");
        let wrong = imds_get(at, "AAAA", target).await;
        wrong.assert_is(401, "");
        assert_eq!(imds_get(at, &token, target).await.status, 200, "{target}");
    }
}

#[tokio::test]
async fn where_v1_is_on_a_bad_token_is_still_401() {
    let text = LOCAL.replace("apis = [\"imds\"]", "apis = [\"imds\"]\nimdsv1 = true");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("metadata");
    let list = ask(at, "GET", LIST, &[]).await;
    list.assert_is(200, "demo");
    assert_eq!(ask(at, "GET", DOCUMENT, &[]).await.status, 200);
    assert_eq!(imds_get(at, "INVALID", "/").await.status, 401);
    let served = daemon.daemon.metrics.imds_v1_requests.get();
    assert_eq!(served, 2, "who uses version 1 is counted");
}

#[tokio::test]
async fn a_grant_may_turn_v1_on_or_off_for_its_callers() {
    let on = LOCAL.replace("reason = ", "imdsv1 = true\nreason = ");
    let daemon = TestDaemon::start(&on);
    let at = daemon.address("metadata");
    assert_eq!(ask(at, "GET", DOCUMENT, &[]).await.status, 200);
    let off = LOCAL
        .replace("apis = [\"imds\"]", "apis = [\"imds\"]\nimdsv1 = true")
        .replace("reason = ", "imdsv1 = false\nreason = ");
    let daemon = TestDaemon::start(&off);
    let at = daemon.address("metadata");
    assert_eq!(ask(at, "GET", DOCUMENT, &[]).await.status, 401);
}

#[tokio::test]
async fn configured_facts_are_told_and_agree() {
    let facts = "apis = [\"imds\"]\ninstance-id = \"i-0123456789abcdef0\"\navailability-zone = \"eu-central-1a\"";
    let daemon = TestDaemon::start(&LOCAL.replace("apis = [\"imds\"]", facts));
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    for (target, body) in [
        (
            "/latest/meta-data/placement/availability-zone/",
            "eu-central-1a",
        ),
        ("/latest/meta-data/placement/region", "eu-central-1"),
        ("/latest/meta-data/instance-id", "i-0123456789abcdef0"),
        ("/latest/meta-data/services/domain", "amazonaws.com"),
        ("/latest/meta-data/services/partition", "aws"),
        ("/latest/meta-data/iam/", "info\nsecurity-credentials/"),
        ("/latest/", "dynamic\nmeta-data"),
        (
            "/latest/meta-data/",
            "iam/\ninstance-id\nplacement/\nservices/",
        ),
    ] {
        let answer = imds_get(at, &token, target).await;
        answer.assert_is(200, body);
    }
    let document = imds_get(at, &token, "/latest/dynamic/instance-identity/document")
        .await
        .json();
    assert_eq!(document["region"], "eu-central-1");
    assert_eq!(document["availabilityZone"], "eu-central-1a");
    assert_eq!(document["accountId"], "000000000000");
    assert_eq!(document["instanceId"], "i-0123456789abcdef0");
    assert_eq!(document["version"], "2017-09-30");
    let info = imds_get(at, &token, "/latest/meta-data/iam/info")
        .await
        .json();
    assert_eq!(info["Code"], "Success");
    assert!(
        info["InstanceProfileArn"]
            .as_str()
            .unwrap()
            .ends_with("/demo")
    );
    assert!(info.get("Message").is_none());
}

#[tokio::test]
async fn other_methods_are_405_and_head_has_no_body() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = ask(at, method, DOCUMENT, &[(TOKEN, &token)]).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "GET, HEAD"),
            "{method}"
        );
    }
    let head = ask(at, "HEAD", DOCUMENT, &[(TOKEN, &token)]).await;
    head.assert_is(200, "");
    assert_ne!(head.header("content-length"), "0");
}

#[tokio::test]
async fn a_chunked_empty_put_that_expects_100_keeps_the_connection_in_step() {
    let daemon = TestDaemon::start(LOCAL);
    let mut connection = Connection::open(daemon.address("metadata")).await;
    let headers = [
        (TOKEN_TTL, "21600"),
        ("Transfer-Encoding", "chunked"),
        ("Expect", "100-continue"),
    ];
    connection
        .send(request("PUT", "/latest/api/token", &headers).as_bytes())
        .await;
    let first = connection.answer().await.unwrap();
    let answer = if first.status == 100 {
        connection.send(b"0\r\n\r\n").await;
        connection.answer().await.unwrap()
    } else {
        first
    };
    assert_eq!(answer.status, 200);
    connection
        .send(request("GET", LIST, &[(TOKEN, &answer.body)]).as_bytes())
        .await;
    assert_eq!(connection.answer().await.unwrap().body, "demo");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let mut connection = Connection::open(at).await;
    let both = [LIST, "/latest/nothing", DOCUMENT]
        .map(|target| request("GET", target, &[(TOKEN, &token)]))
        .concat();
    connection.send(both.as_bytes()).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(connection.answer().await.unwrap().status);
    }
    assert_eq!(statuses, [200, 404, 200]);
}

#[tokio::test]
async fn http_1_0_without_host_is_answered() {
    let daemon = TestDaemon::start(LOCAL);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let mut connection = Connection::open(at).await;
    let text = format!("GET {LIST} HTTP/1.0\r\n{TOKEN}: {token}\r\n\r\n");
    connection.send(text.as_bytes()).await;
    assert_eq!(connection.answer().await.unwrap().body, "demo");
    assert!(connection.is_closed().await);
}

#[tokio::test]
async fn tokens_outlive_a_restart_and_end_with_their_life() {
    let clock = Clock::simulated(noon());
    let daemon = TestDaemon::start_at(LOCAL, clock.clone());
    let at = daemon.address("metadata");
    let answer = ask(at, "PUT", "/latest/api/token", &[(TOKEN_TTL, "60")]).await;
    let token = answer.body;
    let (_, directory) = daemon.end().await;
    let restarted = TestDaemon::start_in(directory, LOCAL, clock.clone(), Passed::default());
    let at = restarted.address("metadata");
    assert_eq!(imds_get(at, &token, LIST).await.status, 200);
    let Clock::Simulated(simulation) = &clock else {
        unreachable!()
    };
    simulation.suspend(Duration::from_mins(1));
    assert_eq!(imds_get(at, &token, LIST).await.status, 401);
}

#[tokio::test]
async fn a_kept_connection_outlives_neither_its_token_nor_its_grant() {
    let clock = Clock::simulated(noon());
    let daemon = TestDaemon::start_at(LOCAL, clock.clone());
    let at = daemon.address("metadata");
    let issued = ask(at, "PUT", "/latest/api/token", &[(TOKEN_TTL, "60")]).await;
    let mut kept = Connection::open(at).await;
    let get = request("GET", DOCUMENT, &[(TOKEN, &issued.body)]);
    let Clock::Simulated(simulation) = &clock else {
        unreachable!()
    };
    for (left, status) in [("60", 200), ("30", 200), ("1", 200), ("0", 401)] {
        let already: u64 = 60 - left.parse::<u64>().unwrap();
        let passed = clock.now().duration_since(noon()).unwrap().as_secs();
        simulation.suspend(Duration::from_secs(already.saturating_sub(passed)));
        kept.send(get.as_bytes()).await;
        let answer = kept.answer().await.unwrap();
        assert_eq!(answer.status, status, "{left} s left");
    }
    let other = request("GET", DOCUMENT, &[(TOKEN, &imds_token(at).await)]);
    kept.send(other.as_bytes()).await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    let wrong = request("GET", DOCUMENT, &[(TOKEN, &"A".repeat(issued.body.len()))]);
    kept.send(wrong.as_bytes()).await;
    assert_eq!(kept.answer().await.unwrap().status, 401);
    kept.send(request("GET", DOCUMENT, &[]).as_bytes()).await;
    assert_eq!(
        kept.answer().await.unwrap().status,
        401,
        "what was shown before counts no more"
    );
}
