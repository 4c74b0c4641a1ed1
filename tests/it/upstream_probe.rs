//! What `check --live` finds out.

use rolecall::config::{BaseCredentials, Dialect};
use rolecall::grants::Names;
use rolecall::source::{Finding, probe};
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

#[tokio::test]
async fn accounts_say_who_they_are_and_roles_are_obtained_once() {
    let sts = ScriptedSts::start(script).await;
    let mut hub = account("hub", &sts.url(), role("hub/base"));
    let denied = role("hub/denied");
    hub.roles.insert(denied.reference.role.clone(), denied);
    let mut prod = account("prod", &sts.url(), role("prod/web"));
    prod.base = BaseCredentials::Role(RoleRef::parse("hub/base").unwrap());
    let plans = plans(&config([hub, prod]), &engine(&[]));
    let findings = probe(&plans, &Names::default()).await;
    let [who, base, denied, web]: [Finding; 4] = findings.try_into().unwrap();
    assert_eq!(who.subject, "hub");
    assert!(
        who.works && who.sentence.contains("arn:aws:iam::123456789012:user/base"),
        "{who:?}"
    );
    assert_eq!(base.subject, "hub/base");
    assert!(
        base.works && base.sentence.contains("for 60 minutes"),
        "{base:?}"
    );
    assert!(
        !denied.works && denied.sentence.contains("trust policy"),
        "{denied:?}"
    );
    assert!(web.works, "{web:?}");
    assert_eq!(sts.received().len(), 4, "the base role is obtained once");
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
        let found = probe(&plans(&config([prod]), &engine(&[])), &Names::default()).await;
        let who = found.first().unwrap();
        assert_eq!(who.works, works, "{dialect:?} {who:?}");
        assert!(found.last().unwrap().works, "{found:?}");
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
    let found = probe(&plans(&config([prod]), &engine(&[])), &Names::default()).await;
    let web = found.last().unwrap();
    assert!(web.sentence.contains("obtained for 15 minutes"), "{web:?}");
    assert!(
        web.sentence.contains("60 minutes were asked for"),
        "{web:?}"
    );
    assert!(web.sentence.contains("the clocks differ"), "{web:?}");
}
