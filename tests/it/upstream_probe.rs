//! What `check --live` finds out.

use rolecall::config::{BaseCredentials, Dialect};
use rolecall::grants::Names;
use rolecall::sessions::FetchError;
use rolecall::source::{self, Plans};
use rolecall::types::RoleRef;

use crate::support::sts::{Credentials, Received, Reply, ScriptedSts};
use crate::upstream::{account, config, engine, plans, role};

const IDENTITY: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
    <Arn>arn:aws:iam::123456789012:user/base</Arn><UserId>U</UserId><Account>123456789012</Account>\
    </GetCallerIdentityResult></GetCallerIdentityResponse>";

fn script(request: &Received) -> Reply {
    match (request.field("Action"), request.field("RoleArn")) {
        ("GetCallerIdentity", _) => Reply::new(200, IDENTITY),
        (_, arn) if arn.ends_with("denied") => Reply::error(403, "AccessDenied", "no"),
        (action, _) => Reply::session(action, &Credentials::default()),
    }
}

/// Everything that was found, in order.
pub(crate) async fn probe(plans: &Plans) -> Vec<(String, Result<String, FetchError>)> {
    let mut findings = Vec::new();
    source::probe(plans, &Names::default(), |found| {
        findings.push((found.subject, found.outcome));
    })
    .await;
    findings
}

#[tokio::test]
async fn accounts_say_who_they_are_and_roles_are_obtained_once() {
    let sts = ScriptedSts::start(script).await;
    let mut hub = account("hub", &sts.url(), role("hub/base"));
    let denied = role("hub/denied");
    hub.roles.insert(denied.reference.role.clone(), denied);
    let mut prod = account("prod", &sts.url(), role("prod/web"));
    prod.base = BaseCredentials::Role(RoleRef::parse("hub/base").unwrap());
    let plans = plans(&config([hub, prod]), &engine(&[]));
    let found = probe(&plans).await;
    let subjects: Vec<_> = found.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(subjects, ["hub", "hub/base", "hub/denied", "prod/web"]);
    let [who, base, refused, web] = found
        .try_into()
        .map(|found: [_; 4]| found.map(|(_, o)| o))
        .unwrap();
    assert!(who.unwrap().contains("arn:aws:iam::123456789012:user/base"));
    assert!(base.unwrap().contains("for 60 minutes"));
    assert!(refused.unwrap_err().message.contains("trust policy"));
    web.unwrap();
    assert_eq!(sts.received().len(), 4, "the base role is obtained once");
}

#[tokio::test]
async fn a_role_for_its_callers_tokens_is_not_tried() {
    let sts = ScriptedSts::start(script).await;
    let mut prod = account("prod", &sts.url(), role("prod/web"));
    prod.base = BaseCredentials::CallerToken;
    let found = probe(&plans(&config([prod]), &engine(&[]))).await;
    let [(subject, outcome)] = found.try_into().unwrap();
    assert_eq!(subject, "prod/web");
    assert!(outcome.unwrap().starts_with("not tried"));
    assert!(sts.received().is_empty());
}

#[tokio::test]
async fn a_server_that_does_not_tell_who_is_calling_is_no_fault() {
    for (dialect, works) in [
        (Dialect::Ceph, true),
        (Dialect::Generic, true),
        (Dialect::Aws, false),
    ] {
        let sts = ScriptedSts::start(|request| match request.field("Action") {
            "GetCallerIdentity" => Reply::s3_error(405, "MethodNotAllowed"),
            action => Reply::session(action, &Credentials::default()),
        });
        let sts = sts.await;
        let mut prod = account("prod", &sts.url(), role("prod/web"));
        prod.dialect = dialect;
        let found = probe(&plans(&config([prod]), &engine(&[]))).await;
        let who = &found.first().unwrap().1;
        assert_eq!(who.is_ok(), works, "{dialect:?} {who:?}");
        assert!(found.last().unwrap().1.is_ok(), "{found:?}");
    }
}

#[tokio::test]
async fn a_short_session_and_a_wrong_clock_are_told() {
    let sts = ScriptedSts::start(|request| {
        let expiration = "2001-01-01T00:15:00Z".to_owned();
        let session = Credentials {
            expiration,
            ..Credentials::default()
        };
        Reply::session(request.field("Action"), &session)
            .with("Date", "Mon, 01 Jan 2001 00:00:00 GMT")
    });
    let sts = sts.await;
    let mut prod = account("prod", &sts.url(), role("prod/web"));
    prod.dialect = Dialect::Minio;
    let mut found = probe(&plans(&config([prod]), &engine(&[]))).await;
    let (_, web) = found.pop().unwrap();
    let web = web.unwrap();
    assert!(web.contains("obtained for 15 minutes"), "{web}");
    assert!(web.contains("60 minutes were asked for"), "{web}");
    assert!(web.contains("the clocks differ"), "{web}");
}
