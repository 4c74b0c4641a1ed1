//! What the STS source makes of every answer, right or wrong, of a scripted STS.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rolecall::sessions::{FailureKind, FetchError, Fetched};

use crate::support::sts::{Credentials, Reply, ScriptedSts};
use crate::upstream::{account, fetch, role};

async fn answered(reply: Reply) -> Result<Fetched, FetchError> {
    let sts = ScriptedSts::start(move |_| reply.clone()).await;
    fetch(account("prod", &sts.url(), role("prod/web"))).await
}

fn with_expiration(expiration: &str) -> Reply {
    let expiration = expiration.to_owned();
    Reply::session(
        "AssumeRole",
        &Credentials {
            expiration,
            ..Credentials::default()
        },
    )
}

#[tokio::test]
async fn expirations_are_cut_to_whole_seconds() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_hours(1_130_808);
    for text in [
        "2099-01-01T00:00:00Z",
        "2099-01-01T00:00:00.999999Z",
        "2099-01-01T00:00:00.999999999Z",
        "2099-01-01T02:00:00+02:00",
    ] {
        let fetched = answered(with_expiration(text)).await.unwrap();
        assert_eq!(fetched.expires_at, at, "{text}");
    }
}

#[tokio::test]
async fn upstreams_clock_is_its_date_header() {
    let reply =
        with_expiration("2001-01-01T01:00:00Z").with("Date", "Mon, 01 Jan 2001 00:00:00 GMT");
    let fetched = answered(reply).await.unwrap();
    let upstream_now = fetched.upstream_now.unwrap();
    assert_eq!(
        upstream_now,
        SystemTime::UNIX_EPOCH + Duration::from_hours(271_752)
    );
    assert_eq!(
        fetched.expires_at.duration_since(upstream_now).unwrap(),
        Duration::from_hours(1)
    );
    let dateless = answered(with_expiration("2099-01-01T00:00:00Z"))
        .await
        .unwrap();
    assert_eq!(dateless.upstream_now, None);
}

#[tokio::test]
async fn an_answer_without_a_usable_session_is_misconfigured() {
    let session = |change: fn(&mut Credentials)| {
        let mut session = Credentials::default();
        change(&mut session);
        Reply::session("AssumeRole", &session)
    };
    for (reply, why) in [
        (with_expiration("2001-01-01T00:00:00Z"), "expired already"),
        (with_expiration("2099-01-01T00:00:00"), "not an STS answer"),
        (with_expiration("soon"), "not an STS answer"),
        (with_expiration(""), "not an STS answer"),
        (session(|s| s.session_token.clear()), "lacks"),
        (session(|s| s.secret_access_key.clear()), "lacks"),
        (session(|s| s.access_key_id.clear()), "access key id"),
        (
            Reply::new(
                200,
                "<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>",
            ),
            "no credentials",
        ),
        (
            Reply::new(
                200,
                "<html><body>Sign in to the hotel's network</body></html>",
            ),
            "not an STS answer",
        ),
        (Reply::new(200, ""), "not an STS answer"),
        (Reply::new(200, "\u{0}\u{1}"), "not an STS answer"),
        (Reply::new(200, "x".repeat(300_000)), "larger than"),
        (
            Reply::new(302, "").with("Location", "http://127.0.0.1/"),
            "status 302",
        ),
        (Reply::new(404, "<html>nginx</html>"), "status 404"),
    ] {
        let error = answered(reply.clone()).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Misconfigured, "{reply:?}: {error}");
        assert!(error.message.contains(why), "{why}: {error}");
        assert!(!error.message.contains("canary"), "{error}");
    }
}

async fn fails(reply: Reply, kind: FailureKind, part: &str) {
    let error = answered(reply.clone()).await.unwrap_err();
    assert_eq!(error.kind, kind, "{reply:?}: {error}");
    assert!(error.message.contains(part), "{part}: {error}");
    assert!(!error.message.contains("canary"), "{error}");
}

#[tokio::test]
async fn denials_name_what_is_missing() {
    let lacks = |permission: &str| {
        let message = format!("User: u is not authorized to perform: {permission} on resource: r");
        Reply::error(403, "AccessDenied", &message)
    };
    for (reply, part) in [
        (Reply::error(403, "AccessDenied", "no"), "trust policy"),
        (lacks("sts:AssumeRole"), "allow sts:AssumeRole"),
        (lacks("sts:TagSession"), "drop `tags`"),
        (lacks("sts:SetSourceIdentity"), "drop `source-identity`"),
        (Reply::s3_error(403, "AccessDenied"), "403 AccessDenied"),
        (Reply::s3_error(404, "NoSuchEntity"), "no such role"),
        (Reply::new(403, ""), "status 403"),
    ] {
        fails(reply, FailureKind::Denied, part).await;
    }
}

#[tokio::test]
async fn throttles_and_faults_are_told_from_denials() {
    for (reply, kind, part) in [
        (
            Reply::error(400, "Throttling", "Rate exceeded"),
            FailureKind::Throttled,
            "Rate",
        ),
        (
            Reply::s3_error(503, "SlowDown"),
            FailureKind::Throttled,
            "SlowDown",
        ),
        (Reply::new(429, ""), FailureKind::Throttled, "status 429"),
        (
            Reply::error(503, "ServiceUnavailable", ""),
            FailureKind::Unavailable,
            "tried again",
        ),
        (
            Reply::error(503, "STSNotInitialized", ""),
            FailureKind::Unavailable,
            "tried again",
        ),
        (
            Reply::new(500, "<html>Error</html>"),
            FailureKind::Unavailable,
            "status 500",
        ),
        (Reply::new(502, ""), FailureKind::Unavailable, "status 502"),
    ] {
        fails(reply, kind, part).await;
    }
}

#[tokio::test]
async fn wrong_base_credentials_are_told_from_a_wrong_clock() {
    let signature = |message| Reply::error(403, "SignatureDoesNotMatch", message);
    let canonical = "The signature does not match.&#10;&#10;The Canonical String was canary";
    for (reply, kind, part) in [
        (
            Reply::error(403, "InvalidClientTokenId", "The security token is invalid"),
            FailureKind::BaseCredentials,
            "base credentials are wrong",
        ),
        (
            signature(canonical),
            FailureKind::BaseCredentials,
            "does not match.);",
        ),
        (
            signature("Signature expired: 2001 is now earlier"),
            FailureKind::Misconfigured,
            "clock",
        ),
        (
            Reply::s3_error(403, "RequestTimeTooSkewed"),
            FailureKind::Misconfigured,
            "clock",
        ),
    ] {
        fails(reply, kind, part).await;
    }
}

#[tokio::test]
async fn wrong_settings_are_named() {
    for (reply, part) in [
        (
            Reply::error(400, "ValidationError", "exceeds the MaxSessionDuration set"),
            "`duration`",
        ),
        (Reply::s3_error(400, "InvalidArgument"), "InvalidArgument"),
        (Reply::s3_error(405, "MethodNotAllowed"), "`dialect`"),
        (
            Reply::error(400, "PackedPolicyTooLarge", ""),
            "shorten them",
        ),
        (
            Reply::error(400, "MalformedPolicyDocument", "&lt;policy&gt; &amp; more"),
            "<policy> & more",
        ),
    ] {
        fails(reply, FailureKind::Misconfigured, part).await;
    }
}

#[tokio::test]
async fn a_message_that_repeats_a_secret_is_not_told() {
    let error = answered(Reply::error(
        403,
        "AccessDenied",
        "not for canary-base-secret, no",
    ));
    let error = error.await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Denied);
    assert!(!error.message.contains("canary"), "{error}");
}

#[tokio::test]
async fn a_server_that_answers_badly_is_unavailable() {
    let half = Credentials::default().xml("AssumeRole");
    for reply in [Reply::Reset, Reply::Half(half)] {
        let error = answered(reply.clone()).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Unavailable, "{reply:?}: {error}");
    }
    let url = closed_port().await;
    let nobody = account("prod", &url, role("prod/web"));
    let error = fetch(nobody).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unavailable, "{error}");
    assert!(error.message.contains("refused"), "{error}");
    let asked = format!(" failed: {}: ", url.trim_start_matches("http://"));
    assert!(error.message.contains(&asked), "whom: {error}");
}

/// The URL of a port that nobody listens on.
async fn closed_port() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_call_without_an_answer_ends_after_four_seconds() {
    let started = tokio::time::Instant::now();
    let error = answered(Reply::Hang).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unavailable, "{error}");
    assert!(error.message.contains("within 4 s"), "{error}");
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_fault_is_tried_again_twice_and_no_more() {
    let sts = ScriptedSts::start(|_| Reply::new(500, "")).await;
    let error = fetch(account("prod", &sts.url(), role("prod/web")))
        .await
        .unwrap_err();
    assert_eq!(error.kind, FailureKind::Unavailable);
    assert_eq!(sts.received().len(), 3);
    let denied = ScriptedSts::start(|_| Reply::error(403, "AccessDenied", "no")).await;
    fetch(account("prod", &denied.url(), role("prod/web")))
        .await
        .unwrap_err();
    assert_eq!(
        denied.received().len(),
        1,
        "a denial is not tried again here"
    );
}

#[tokio::test]
async fn one_call_is_enough_after_a_fault() {
    let broken = AtomicBool::new(true);
    let sts = ScriptedSts::start(move |request| {
        if broken.swap(false, Ordering::Relaxed) {
            Reply::Reset
        } else {
            Reply::session(request.field("Action"), &Credentials::default())
        }
    });
    let sts = sts.await;
    fetch(account("prod", &sts.url(), role("prod/web")))
        .await
        .unwrap();
    assert_eq!(sts.received().len(), 2);
}
