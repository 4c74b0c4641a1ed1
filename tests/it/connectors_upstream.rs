//! What connectors of a scripted cloud give: identities, the console, registries, and the failures
//! that are told apart.

use std::sync::Arc;

use rolecall::config::{BaseCredentials, RoleKind};
use rolecall::grants::{Grant, GrantId, Template, UserIds, When};
use rolecall::types::RoleRef;

use crate::connectors::{REST, SERVLET, own_config, problem};
use crate::support::client::{Answer, ask};
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

/// A daemon with the connector `prod/web` of this kind, at this upstream.
fn start(upstream: &ScriptedSts, kind: RoleKind) -> TestDaemon {
    let directory = tempfile::tempdir().unwrap();
    let mut config = own_config(&directory);
    let reference = RoleRef::parse("prod/web").unwrap();
    let mut prod = account("prod", &upstream.url(), role("prod/web"));
    prod.console.signin_endpoint = Some(upstream.url());
    prod.ecr_endpoint = Some(upstream.url());
    for role in prod.roles.values_mut() {
        role.kind = kind;
    }
    assert!(matches!(prod.base, BaseCredentials::Key { .. }));
    config.accounts.insert(prod.alias.clone(), prod);
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
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (
            200,
            r#"{"account":"123456789012","arn":"arn:aws:sts::123456789012:assumed-role/web/ann","userId":"AROA:ann"}"#
        )
    );
    daemon.end().await;
}

#[tokio::test]
async fn connectors_sign_browsers_in_by_a_redirect_alone() {
    let upstream = ScriptedSts::start(cloud).await;
    let daemon = start(&upstream, RoleKind::AssumeRole);
    let url = get(&daemon, &format!("{REST}/connectors/{WEB}/console/url")).await;
    let at = daemon.address("api");
    assert_eq!(
        (url.status, url.body.as_str()),
        (
            200,
            format!(r#"{{"url":"http://{at}{SERVLET}/{WEB}"}}"#).as_str()
        )
    );
    assert!(upstream.received().is_empty(), "nothing was asked yet");
    let signin = get(&daemon, &format!("{SERVLET}/{WEB}")).await;
    assert_eq!((signin.status, signin.body.as_str()), (302, ""));
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
        assert_eq!((answer.status, answer.body), (409, problem(409, message)));
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
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (
                200,
                r#"{"values":[{"authorizationToken":"QVdTOmNhbmFyeTpw","expirationDate":"20160217T045542Z","proxyEndpoint":"https://123456789012.dkr.ecr.eu-central-1.amazonaws.com","proxyEndpointDomain":"123456789012.dkr.ecr.eu-central-1.amazonaws.com","username":"AWS","password":"canary:p"}],"size":1}"#
            )
        );
    }
    let wrong = get(&daemon, &format!("{path}?region=US%20East")).await;
    assert_eq!(
        (wrong.status, wrong.body),
        (
            400,
            problem(400, "region: is no region").replace("{}", r#"{"region":"is no region"}"#)
        )
    );
    daemon.end().await;
}

#[tokio::test]
async fn connectors_failures_upstream_are_told_apart_and_not_repeated() {
    for (reply, status, message) in [
        (
            Reply::error(403, "AccessDenied", "canary"),
            403,
            "you may use this connector, but AWS denied its request",
        ),
        (
            Reply::error(400, "Throttling", "canary"),
            503,
            "AWS asks for fewer requests; try again later",
        ),
        (
            Reply::error(500, "InternalFailure", "canary"),
            502,
            "the request to AWS failed; try again",
        ),
    ] {
        let upstream = ScriptedSts::start(move |_| reply.clone()).await;
        let daemon = start(&upstream, RoleKind::AssumeRole);
        let path = format!("{REST}/connectors/{WEB}/credentials");
        let answer = get(&daemon, &path).await;
        assert_eq!(
            (answer.status, answer.body),
            (status, problem(status, message))
        );
        daemon.end().await;
    }
}
