//! What connectors of a scripted cloud give: identities, the console, registries, and the failures
//! that are told apart.

use std::sync::Arc;

use rolecall::config::{Api, BaseCredentials, Config, RoleKind};
use rolecall::grants::{Grant, GrantId, Template, UserIds, When};
use rolecall::source::Environment;
use rolecall::types::RoleRef;
use tempfile::TempDir;

use crate::connectors::{DEMO, REST, SERVLET, own_config, problem, refused};
use crate::support::client::{Answer, Connection, ask, request};
use crate::support::daemon::TestDaemon;
use crate::support::sts::{Credentials, Received, Reply, ScriptedSts};
use crate::upstream::{account, role};

/// The id of `prod/web`: a UUID of version 5 in the namespace of URLs.
const WEB: &str = "83915703-7b75-5ceb-a7b3-c71c129ea28c";

const LOGINS: &str = r#"{"authorizationData":[{"authorizationToken":"QVdTOmNhbmFyeTpw","expiresAt":1455684942.0,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"}]}"#;

const IDENTITY: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
    <Arn>arn:aws:sts::123456789012:assumed-role/web/ann</Arn><UserId>AROA:ann</UserId>\
    <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

/// STS, sign-in and ECR at once.
fn cloud(request: &Received) -> Reply {
    match request.field("Action") {
        action @ ("AssumeRole" | "GetSessionToken") => {
            Reply::session(action, &Credentials::default())
        }
        "GetCallerIdentity" => Reply::new(200, IDENTITY),
        "getSigninToken" => Reply::new(200, r#"{"SigninToken":"canary"}"#),
        _ => Reply::new(200, LOGINS),
    }
}

/// A configuration with the role `prod/web` of this kind at this upstream, and nobody to whom it is
/// granted.
fn with_web(directory: &TempDir, upstream: &ScriptedSts, kind: RoleKind) -> Config {
    let mut config = own_config(directory);
    let mut prod = account("prod", &upstream.url(), role("prod/web"));
    prod.console.signin_endpoint = Some(upstream.url());
    prod.ecr_endpoint = Some(upstream.url());
    for role in prod.roles.values_mut() {
        role.kind = kind;
    }
    assert!(matches!(prod.base, BaseCredentials::Key { .. }));
    config.accounts.insert(prod.alias.clone(), prod);
    config
}

/// A daemon with the connector `prod/web` of this kind, at this upstream.
fn start(upstream: &ScriptedSts, kind: RoleKind) -> TestDaemon {
    let directory = tempfile::tempdir().unwrap();
    let mut config = with_web(&directory, upstream, kind);
    let reference = RoleRef::parse("prod/web").unwrap();
    let when = When {
        users: Some(UserIds::new(vec![nix::unistd::geteuid().as_raw()])),
        ..When::default()
    };
    let grant = Grant::of(GrantId::Grant(2), reference, when, Template::text("x"));
    config.grants.push(Arc::new(grant));
    TestDaemon::start_with(directory, config)
}

async fn get(daemon: &TestDaemon, path: &str) -> Answer {
    ask(daemon.address("api"), "GET", path, &[]).await
}

#[tokio::test]
async fn connectors_tell_whose_their_sessions_are() {
    let upstream = ScriptedSts::start(cloud).await;
    let daemon = start(&upstream, RoleKind::AssumeRole);
    let path = format!("{REST}/connectors/{WEB}/caller-identity");
    let answer = get(&daemon, &path).await;
    answer.assert_is(200, r#"{"account":"123456789012","arn":"arn:aws:sts::123456789012:assumed-role/web/ann","userId":"AROA:ann"}"#);
    daemon.end().await;
}

#[tokio::test]
async fn connectors_sign_browsers_in_by_a_redirect_alone() {
    let upstream = ScriptedSts::start(cloud).await;
    let daemon = start(&upstream, RoleKind::AssumeRole);
    let url = get(&daemon, &format!("{REST}/connectors/{WEB}/console/url")).await;
    let at = daemon.address("api");
    url.assert_is(200, &format!(r#"{{"url":"http://{at}{SERVLET}/{WEB}"}}"#));
    assert!(upstream.received().is_empty(), "nothing was asked yet");
    let signin = get(&daemon, &format!("{SERVLET}/{WEB}")).await;
    signin.assert_is(302, "");
    assert_eq!(
        signin.header("location"),
        format!(
            "{}/federation?Action=login&Issuer=&Destination=https%3A%2F%2Fconsole.aws.amazon.com\
             %2F&SigninToken=canary",
            upstream.url()
        )
    );
    assert_eq!(signin.header("cache-control"), "no-store");
    assert_eq!(signin.header("referrer-policy"), "no-referrer");
    daemon.end().await;
}

#[tokio::test]
async fn connectors_of_session_tokens_have_no_console() {
    let upstream = ScriptedSts::start(cloud).await;
    let daemon = start(&upstream, RoleKind::SessionToken);
    let message =
        "the console takes no credentials of GetSessionToken: use a connector of another type";
    for path in [
        format!("{REST}/connectors/{WEB}/console/url"),
        format!("{SERVLET}/{WEB}"),
    ] {
        let answer = get(&daemon, &path).await;
        refused(&answer, 409, message);
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_log_in_to_registries_without_a_region_too() {
    let upstream = ScriptedSts::start(cloud).await;
    let daemon = start(&upstream, RoleKind::AssumeRole);
    let path = format!("{REST}/connectors/{WEB}/ecr/credentials");
    for query in ["", "?region=us-east-1"] {
        let answer = get(&daemon, &format!("{path}{query}")).await;
        answer.assert_is(200, r#"{"values":[{"authorizationToken":"QVdTOmNhbmFyeTpw","expirationDate":"20160217T045542Z","proxyEndpoint":"https://123456789012.dkr.ecr.eu-central-1.amazonaws.com","proxyEndpointDomain":"123456789012.dkr.ecr.eu-central-1.amazonaws.com","username":"AWS","password":"canary:p"}],"size":1}"#);
    }
    let wrong = get(&daemon, &format!("{path}?region=US%20East")).await;
    wrong.assert_is(
        400,
        &problem(400, "region: is no region").replace("{}", r#"{"region":"is no region"}"#),
    );
    daemon.end().await;
}

const THROTTLED: &str = "AWS asks for fewer requests; try again later";
const FAILED: &str = "the request to AWS failed; try again";
const SILENT: &str = "AWS did not answer in time; try again";

/// How upstream fails at once; status and message that are made of it.
fn failures() -> [(Reply, u16, &'static str); 3] {
    let denied = "you may use this connector, but AWS denied its request";
    [
        (Reply::error(403, "AccessDenied", "canary"), 403, denied),
        (Reply::error(400, "Throttling", "canary"), 503, THROTTLED),
        (Reply::error(500, "InternalFailure", "canary"), 502, FAILED),
    ]
}

#[tokio::test]
async fn connectors_failures_upstream_are_told_apart_and_not_repeated() {
    for (reply, status, message) in failures() {
        let upstream = ScriptedSts::start(move |_| reply.clone()).await;
        let daemon = start(&upstream, RoleKind::AssumeRole);
        let path = format!("{REST}/connectors/{WEB}/credentials");
        let answer = get(&daemon, &path).await;
        refused(&answer, status, message);
        daemon.end().await;
    }
}

/// What a session is exchanged for fails as this reply, while sessions come.
#[tokio::test]
async fn connectors_exchanges_that_fail_are_told_apart() {
    let silence = [(Reply::Hang, 504, SILENT)];
    for (reply, status, message) in failures().into_iter().chain(silence) {
        let failing = reply.clone();
        let upstream = ScriptedSts::start(move |request| match request.field("Action") {
            "AssumeRole" => cloud(request),
            _ => failing.clone(),
        })
        .await;
        let daemon = start(&upstream, RoleKind::AssumeRole);
        let identity = format!("{REST}/connectors/{WEB}/caller-identity");
        let registry = format!("{REST}/connectors/{WEB}/ecr/credentials");
        let signin = format!("{SERVLET}/{WEB}");
        let mut paths = vec![identity];
        // What is no answer of STS says no more than its status.
        if matches!(reply, Reply::Hang) || status == 502 {
            paths.extend([registry, signin]);
        }
        let at = daemon.address("api");
        let asked = paths
            .into_iter()
            .map(|path| tokio::spawn(async move { (ask(at, "GET", &path, &[]).await, path) }));
        for asked in asked.collect::<Vec<_>>() {
            let (answer, path) = asked.await.unwrap();
            refused(&answer, status, message);
            let wait = if status == 503 { "5" } else { "" };
            assert_eq!(answer.header("retry-after"), wait, "{path}");
        }
        daemon.end().await;
    }
}

/// The daemon, told by its environment where the STS of accounts is that are made.
fn start_to_make(upstream: &ScriptedSts) -> TestDaemon {
    let directory = tempfile::tempdir().unwrap();
    let config = own_config(&directory);
    let variables = [("AWS_ENDPOINT_URL_STS".to_owned(), upstream.url())];
    TestDaemon::start_among(directory, config, Environment::from_iter(variables))
}

const OURS: &str = r#"{"name":"Ours","awsAccessKeyId":"AKIAOURS","awsSecretKey":"canary-ours","cloudProviderKey":"aws"}"#;

async fn make_account(daemon: &TestDaemon, query: &str) -> Answer {
    write_account(daemon, "POST", query, OURS).await
}

async fn write_account(daemon: &TestDaemon, method: &str, below: &str, body: &str) -> Answer {
    let length = body.len().to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", &length),
    ];
    let path = format!("{REST}/accounts{below}");
    let mut connection = Connection::open(daemon.address("api")).await;
    connection
        .send((request(method, &path, &headers) + body).as_bytes())
        .await;
    connection.answer().await.unwrap()
}

#[tokio::test]
async fn connectors_accounts_are_made_of_keys_that_upstream_knows() {
    let upstream = ScriptedSts::start(cloud).await;
    let daemon = start_to_make(&upstream);
    let made = make_account(&daemon, "").await;
    assert_eq!(made.status, 201, "{}", made.body);
    let received = upstream.received();
    assert_eq!(received.len(), 1);
    let asked = received.first().unwrap();
    assert_eq!(asked.field("Action"), "GetCallerIdentity");
    assert!(asked.header("authorization").contains("AKIAOURS"));
    daemon.end().await;
}

#[tokio::test]
async fn connectors_accounts_of_keys_that_fail_are_not_made() {
    let unknown = "is not accepted by AWS, with this awsSecretKey";
    let wrong = problem(400, &format!("awsAccessKeyId: {unknown}")).replace(
        r#""errors":{}"#,
        &format!(r#""errors":{{"awsAccessKeyId":"{unknown}"}}"#),
    );
    for (reply, status, body) in [
        (
            Reply::error(403, "InvalidClientTokenId", "canary"),
            400,
            wrong.clone(),
        ),
        (
            Reply::error(403, "SignatureDoesNotMatch", "canary"),
            400,
            wrong.clone(),
        ),
        (Reply::error(403, "AccessDenied", "canary"), 400, wrong),
        (
            Reply::error(400, "Throttling", "canary"),
            503,
            problem(503, THROTTLED),
        ),
        (
            Reply::error(500, "InternalFailure", "canary"),
            502,
            problem(502, FAILED),
        ),
        (
            Reply::s3_error(405, "MethodNotAllowed"),
            502,
            problem(
                502,
                "the key could not be checked: send ?skipValidation=true to keep it unchecked",
            ),
        ),
        (Reply::Hang, 504, problem(504, SILENT)),
    ] {
        let upstream = ScriptedSts::start(move |_| reply.clone()).await;
        let daemon = start_to_make(&upstream);
        let failed = make_account(&daemon, "").await;
        failed.assert_is(status, &body);
        let asked = upstream.received().len();
        let accounts = get(&daemon, &format!("{REST}/accounts")).await;
        assert!(!accounts.body.contains("AKIAOURS"), "{}", accounts.body);
        // Whether it is checked is the administrator's choice.
        assert_eq!(
            make_account(&daemon, "?skipValidation=false").await.status,
            status
        );
        let asked_again = upstream.received().len();
        assert!(asked_again > asked);
        let made = make_account(&daemon, "?skipValidation=true").await;
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(upstream.received().len(), asked_again);
        daemon.end().await;
    }
}

#[tokio::test]
async fn connectors_accounts_are_given_keys_that_upstream_knows() {
    let upstream = ScriptedSts::start(|asked: &Received| {
        if asked.header("authorization").contains("AKIAOURS") {
            cloud(asked)
        } else {
            Reply::error(403, "InvalidClientTokenId", "canary")
        }
    })
    .await;
    let daemon = start_to_make(&upstream);
    let made = make_account(&daemon, "").await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let at = |query: &str| format!("/{id}{query}");
    // What has nothing to do with the key asks nobody, nor does the same key.
    let renamed = OURS.replace("Ours", "Theirs");
    let without = r#"{"name":"Ours","awsAccessKeyId":"AKIAOURS"}"#;
    for body in [renamed.as_str(), without] {
        let replaced = write_account(&daemon, "PUT", &at(""), body).await;
        assert_eq!(replaced.status, 200, "{}", replaced.body);
    }
    assert_eq!(upstream.received().len(), 1);
    let other_secret = OURS.replace("canary-ours", "canary-theirs");
    let replaced = write_account(&daemon, "PUT", &at(""), &other_secret).await;
    assert_eq!(replaced.status, 200, "{}", replaced.body);
    assert_eq!(upstream.received().len(), 2);
    for other in [
        without.replace("AKIAOURS", "AKIATHEIRS"),
        OURS.replace("AKIAOURS", "AKIAX"),
    ] {
        let refused = write_account(&daemon, "PUT", &at(""), &other).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        let why = "is not accepted by AWS, with this awsSecretKey";
        assert_eq!(refused.json()["errors"]["awsAccessKeyId"], why);
        let shown = get(&daemon, &format!("{REST}/accounts/{id}")).await;
        assert_eq!(shown.json()["awsAccessKeyId"], "AKIAOURS");
        let taken = write_account(&daemon, "PUT", &at("?skipValidation=true"), &other).await;
        assert_eq!(taken.status, 200, "{}", taken.body);
        let back = write_account(&daemon, "PUT", &at("?skipValidation=true"), OURS).await;
        assert_eq!(back.status, 200, "{}", back.body);
    }
    daemon.end().await;
}

#[tokio::test]
async fn connectors_accounts_keep_their_keys_where_others_cannot_be_checked() {
    for (reply, status) in [
        (Reply::error(400, "Throttling", "canary"), 503),
        (Reply::error(500, "InternalFailure", "canary"), 502),
        (Reply::Hang, 504),
    ] {
        let upstream = ScriptedSts::start(move |_| reply.clone()).await;
        let daemon = start_to_make(&upstream);
        let made = make_account(&daemon, "?skipValidation=true").await;
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let other = OURS.replace("AKIAOURS", "AKIATHEIRS");
        let refused = write_account(&daemon, "PUT", &format!("/{id}"), &other).await;
        assert_eq!(refused.status, status, "{}", refused.body);
        let shown = get(&daemon, &format!("{REST}/accounts/{id}")).await;
        assert_eq!(shown.json()["awsAccessKeyId"], "AKIAOURS");
        daemon.end().await;
    }
}

#[tokio::test]
async fn connectors_of_files_are_all_administrators_own_in_this_api_alone() {
    let upstream = ScriptedSts::start(cloud).await;
    let directory = tempfile::tempdir().unwrap();
    let config = with_web(&directory, &upstream, RoleKind::AssumeRole);
    let mut api = config.listeners.iter();
    assert!(api.any(|listener| listener.apis.contains(&Api::Accounts)));
    let daemon = TestDaemon::start_with(directory, config);
    let listed = get(&daemon, &format!("{REST}/connectors")).await;
    assert_eq!(
        listed.body,
        format!(
            r#"{{"values":[{{"id":"{DEMO}","name":"demo","type":"ASSUME_ROLE","scope":"SYSTEM"}},{{"id":"{WEB}","name":"web","type":"ASSUME_ROLE"}}],"size":2}}"#
        )
    );
    let path = format!("{REST}/connectors/{WEB}/credentials");
    let mut connection = Connection::open(daemon.address("api")).await;
    for (path, status) in [
        (path.as_str(), 200),
        ("/account/prod/web/credentials", 403),
        (path.as_str(), 200),
    ] {
        connection.send(request("GET", path, &[]).as_bytes()).await;
        assert_eq!(connection.answer().await.unwrap().status, status, "{path}");
    }
    let accounts = get(&daemon, "/account").await;
    assert_eq!(accounts.body.replace(' ', ""), r#"{"local":["demo"]}"#);
    let events = daemon.daemon.vending.audit().events_after(0);
    let told = format!("{events:?}");
    assert!(
        told.contains("an administrator") && told.contains(WEB),
        "{told}"
    );
    daemon.end().await;
}

#[tokio::test]
async fn connectors_requests_are_counted_by_what_they_were_for() {
    let upstream = ScriptedSts::start(cloud).await;
    let daemon = start(&upstream, RoleKind::AssumeRole);
    for path in [
        format!("{REST}/connectors"),
        format!("{REST}/connectors/{WEB}/credentials"),
        format!("{REST}/connectors/{WEB}/credentials"),
        format!("{REST}/connectors/x/credentials"),
        format!("{REST}/nothing"),
        format!("{SERVLET}/{WEB}"),
    ] {
        get(&daemon, &path).await;
    }
    let page = daemon.daemon.metrics.encode().unwrap();
    for (route, code, count) in [
        ("list", 200, 1),
        ("credentials", 200, 2),
        ("credentials", 404, 1),
        ("none", 404, 1),
        ("signin", 302, 1),
    ] {
        let line = format!(
            "rolecall_requests_total{{api=\"connectors\",route=\"{route}\",code=\"{code}\"}} {count}\n"
        );
        assert!(page.contains(&line), "{line}{page}");
    }
    daemon.end().await;
}
