//! The STS source against a scripted STS: what it sends. The other `upstream` modules use its
//! accounts.

use std::sync::Arc;
use std::time::Duration;

use rolecall::clock::Clock;
use rolecall::config::{
    Account, BaseCredentials, Config, Console, Dialect, RateLimit, Role, RoleKind, embedded,
};
use rolecall::grants::{Names, Placeholder, Template};
use rolecall::secret::{ExposeSecret, SecretString};
use rolecall::sessions::{
    Catalogue, FailureKind, FetchError, Fetched, NoRequest, Request, Session, Wish,
};
use rolecall::source::{Engine, Plans};
use rolecall::transport::OwnAddresses;
use rolecall::types::{
    AccessKeyId, AccountAlias, AccountId, ExternalId, Partition, Region, RoleArn, RoleRef,
};

use crate::support::sts::{Credentials, Received, Reply, ScriptedSts};

/// A catalogue without a role: there is no built-in authority here.
#[derive(Debug)]
pub(crate) struct NoLocalRoles;

impl Catalogue for NoLocalRoles {
    fn request(&self, _: &Wish) -> Result<Arc<Request>, NoRequest> {
        Err(NoRequest::NoRole)
    }
}

pub(crate) fn role(reference: &str) -> Role {
    let reference = RoleRef::parse(reference).unwrap();
    let id = AccountId::new("123456789012").unwrap();
    let partition = Partition::new("aws").unwrap();
    let arn = RoleArn::derived(&partition, Some(&id), &reference.role);
    Role::plain(reference, arn, RoleKind::AssumeRole)
}

pub(crate) fn key(id: &str, secret: &str) -> BaseCredentials {
    BaseCredentials::Key {
        id: AccessKeyId::new(id).unwrap(),
        secret: SecretString::from(secret),
        token: None,
    }
}

pub(crate) fn account(alias: &str, endpoint: &str, role: Role) -> Account {
    Account {
        defaults: None,
        alias: AccountAlias::new(alias).unwrap(),
        id: Some(AccountId::new("123456789012").unwrap()),
        partition: Partition::new("aws").unwrap(),
        region: Some(Region::new("eu-central-1").unwrap()),
        dialect: Dialect::Aws,
        endpoint: Some(endpoint.to_owned()),
        base: key("AKIABASE", "canary-base-secret"),
        rate_limit: RateLimit::default(),
        description: None,
        console: Console::default(),
        ecr_endpoint: None,
        ecr_region: None,
        keystone_roles: None,
        roles: [(role.reference.role.clone(), role)].into(),
    }
}

pub(crate) fn config(accounts: impl IntoIterator<Item = Account>) -> Config {
    let mut config = embedded(0, "/nowhere".into()).unwrap();
    let named = accounts.into_iter();
    config.accounts = named
        .map(|account| (account.alias.clone(), account))
        .collect();
    config
}

pub(crate) fn engine(environment: &[(&str, &str)]) -> Engine {
    let variables = environment.iter();
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Engine::new(Clock::System, variables.collect(), OwnAddresses::default())
}

pub(crate) fn plans(config: &Config, engine: &Engine) -> Plans {
    Plans::build(config, engine, Arc::new(NoLocalRoles)).unwrap()
}

fn names() -> Names {
    Names::default()
        .with(Placeholder::User, "build")
        .with(Placeholder::Hostname, "host1")
}

/// Obtains the one role of this account.
pub(crate) async fn fetch(account: Account) -> Result<Fetched, FetchError> {
    let role = account.roles.values().next().unwrap().reference.clone();
    let plans = plans(&config([account]), &engine(&[]));
    let request = plans
        .request(&Wish::declared(role.clone(), names()))
        .unwrap();
    request.source.fetch(None).await
}

#[tokio::test]
async fn assume_role_sends_every_parameter_and_signs() {
    let sts = ScriptedSts::generous().await;
    let mut web = role("prod/web");
    web.duration = Duration::from_hours(2);
    web.policy = Some(Arc::from(r#"{"Version":"2012-10-17"}"#));
    web.policy_arns = vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()];
    web.tags = vec![("host".to_owned(), Template::parse("{hostname}").unwrap())];
    web.transitive_tags = vec!["host".to_owned()];
    web.external_id = Some(ExternalId::new("ex-1").unwrap());
    web.source_identity = Some(Template::parse("{user}").unwrap());
    let fetched = fetch(account("prod", &sts.url(), web)).await.unwrap();

    assert_eq!(
        fetched.credentials.access_key_id.as_str(),
        "ASIASCRIPTEDSTS00001"
    );
    let expected = Credentials::default();
    assert_eq!(
        fetched.credentials.secret_access_key.expose_secret(),
        expected.secret_access_key
    );
    assert_eq!(
        fetched.credentials.session_token.expose_secret(),
        expected.session_token
    );
    let [sent]: [Received; 1] = sts.received().try_into().unwrap();
    assert_eq!(sent.method, "POST");
    for (field, value) in [
        ("Action", "AssumeRole"),
        ("RoleArn", "arn:aws:iam::123456789012:role/web"),
        ("RoleSessionName", "build"),
        ("DurationSeconds", "7200"),
        ("Policy", r#"{"Version":"2012-10-17"}"#),
        (
            "PolicyArns.member.1.arn",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
        ),
        ("Tags.member.1.Key", "host"),
        ("Tags.member.1.Value", "host1"),
        ("TransitiveTagKeys.member.1", "host"),
        ("ExternalId", "ex-1"),
        ("SourceIdentity", "build"),
    ] {
        assert_eq!(sent.field(field), value, "{field}");
    }
    let signature = sent.header("authorization");
    assert!(signature.contains("Credential=AKIABASE/"), "{signature}");
    assert!(
        signature.contains("/eu-central-1/sts/aws4_request"),
        "{signature}"
    );
}

#[tokio::test]
async fn other_kinds_of_roles_make_their_own_calls() {
    let sts = ScriptedSts::generous().await;
    let mut federation = role("prod/a-role-with-a-name-of-its-own");
    federation.kind = RoleKind::FederationToken;
    federation.duration = Duration::from_hours(12);
    federation.session_name = Template::parse("somebody.with.a.long.name@example.org").unwrap();
    federation.tags = vec![("team".to_owned(), Template::parse("red").unwrap())];
    fetch(account("prod", &sts.url(), federation))
        .await
        .unwrap();
    let mut session = role("prod/mine");
    session.kind = RoleKind::SessionToken;
    session.policy = Some(Arc::from("{}"));
    fetch(account("prod", &sts.url(), session)).await.unwrap();

    let [federated, temporary]: [Received; 2] = sts.received().try_into().unwrap();
    assert_eq!(federated.field("Action"), "GetFederationToken");
    assert_eq!(federated.field("Name").len(), 32);
    assert_eq!(federated.field("DurationSeconds"), "43200");
    assert_eq!(federated.field("Tags.member.1.Value"), "red");
    assert_eq!(temporary.field("Action"), "GetSessionToken");
    assert_eq!(temporary.field("DurationSeconds"), "3600");
    assert_eq!(temporary.field("Policy"), "", "GetSessionToken takes none");
}

#[tokio::test]
async fn a_web_identity_token_is_sent_unsigned_and_read_at_each_call() {
    let sts = ScriptedSts::generous().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first.token.x\n").unwrap();
    let mut prod = account("prod", &sts.url(), role("prod/web"));
    prod.base = BaseCredentials::WebIdentity {
        token_file: file.path().to_owned(),
    };
    let engine = engine(&[]);
    let plans = plans(&config([prod]), &engine);
    let request = plans
        .request(&Wish::declared(
            RoleRef::parse("prod/web").unwrap(),
            names(),
        ))
        .unwrap();
    request.source.fetch(None).await.unwrap();
    std::fs::write(file.path(), "second.token.x").unwrap();
    request.source.fetch(None).await.unwrap();
    std::fs::write(file.path(), "").unwrap();
    let error = request.source.fetch(None).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::BaseCredentials, "{error}");

    let [first, second]: [Received; 2] = sts.received().try_into().unwrap();
    assert_eq!(first.field("Action"), "AssumeRoleWithWebIdentity");
    assert_eq!(first.field("WebIdentityToken"), "first.token.x");
    assert_eq!(first.header("authorization"), "");
    assert_eq!(second.field("WebIdentityToken"), "second.token.x");
}

#[tokio::test]
async fn ceph_and_minio_are_sent_what_they_read() {
    for (dialect, sent, unsent) in [
        (
            Dialect::Ceph,
            &["Policy", "ExternalId"][..],
            &["Tags.member.1.Key", "SourceIdentity"][..],
        ),
        (
            Dialect::Minio,
            &["Policy"],
            &["ExternalId", "Tags.member.1.Key", "PolicyArns.member.1.arn"],
        ),
    ] {
        let sts = ScriptedSts::generous().await;
        let mut web = role("prod/web");
        web.policy = Some(Arc::from("{}"));
        web.policy_arns = vec!["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()];
        web.tags = vec![("team".to_owned(), Template::parse("red").unwrap())];
        web.transitive_tags = vec!["team".to_owned()];
        web.external_id = Some(ExternalId::new("ex-1").unwrap());
        web.source_identity = Some(Template::parse("me").unwrap());
        let mut prod = account("prod", &sts.url(), web);
        prod.dialect = dialect;
        fetch(prod).await.unwrap();
        let [received]: [Received; 1] = sts.received().try_into().unwrap();
        for field in sent {
            assert_ne!(received.field(field), "", "{dialect:?} {field}");
        }
        for field in unsent {
            assert_eq!(received.field(field), "", "{dialect:?} {field}");
        }
    }
}

#[tokio::test]
async fn a_chain_signs_with_its_parents_session_for_an_hour_at_most() {
    let sts = ScriptedSts::generous().await;
    let hub = account("hub", &sts.url(), role("hub/base"));
    let mut web = role("prod/web");
    web.duration = Duration::from_hours(12);
    let mut prod = account("prod", &sts.url(), web);
    prod.base = BaseCredentials::Role(RoleRef::parse("hub/base").unwrap());
    let engine = engine(&[]);
    let plans = plans(&config([hub, prod]), &engine);
    let request = plans
        .request(&Wish::declared(
            RoleRef::parse("prod/web").unwrap(),
            names(),
        ))
        .unwrap();
    assert_eq!(request.duration, Duration::from_hours(1));
    let parent = request.base.as_ref().unwrap();
    let fetched = parent.source.fetch(None).await.unwrap();
    let session = Session::obtained(fetched, parent.duration, &Clock::System);
    request.source.fetch(Some(&session)).await.unwrap();
    let [first, second]: [Received; 2] = sts.received().try_into().unwrap();
    assert!(
        first
            .header("authorization")
            .contains("Credential=AKIABASE/")
    );
    assert!(
        second
            .header("authorization")
            .contains("Credential=ASIASCRIPTEDSTS00001/")
    );
    assert_eq!(
        second.header("x-amz-security-token"),
        Credentials::default().session_token
    );
    // An hour is what it gets anyway, and a console takes no session that asked for it.
    assert_eq!(second.field("DurationSeconds"), "");
}

#[tokio::test]
async fn session_keys_that_turn_out_to_be_a_roles_get_an_hour() {
    let sts = ScriptedSts::start(|request| {
        if request.field("DurationSeconds").is_empty() {
            return Reply::session("AssumeRole", &Credentials::default());
        }
        let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles \
                       assumed by role chaining.";
        Reply::error(400, "ValidationError", message)
    });
    let sts = sts.await;
    let mut web = role("prod/web");
    web.duration = Duration::from_hours(12);
    let mut prod = account("prod", &sts.url(), web);
    let base = BaseCredentials::Key {
        id: AccessKeyId::new("ASIABASE").unwrap(),
        secret: SecretString::from("canary-base-secret"),
        token: Some(SecretString::from("canary-base-token")),
    };
    prod.base = base;
    fetch(prod).await.unwrap();
    assert_eq!(sts.received().len(), 2);
}
