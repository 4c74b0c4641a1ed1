//! What sessions are exchanged for: identities, console sign-ins, registry logins.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rolecall::clock::Clock;
use rolecall::config::{Account, BaseCredentials, Dialect, RoleKind, WebOrigin};
use rolecall::grants::{Names, Placeholder};
use rolecall::secret::{ExposeSecret, SecretString};
use rolecall::sessions::{
    Callback, CallerIdentity, Catalogue, Exchange, FailureKind, FetchError, Offers, RegistryAsk,
    RegistryLogin, Request, Session, SigninAsk, Wish,
};
use rolecall::source::{Engine, Environment, Plans};
use rolecall::types::{AccessKeyId, Partition, Region, RoleRef};

use crate::support::sts::{Credentials, Received, Reply, ScriptedSts};
use crate::upstream::{NoLocalRoles, account, config, engine, plans, role};

/// A session of an account's one role, and what it was obtained by.
struct Held {
    request: Arc<Request>,
    session: Session,
}

impl Held {
    async fn of(account: Account) -> Self {
        Self::in_all([account]).await
    }

    /// Of the last account's role; it may be chained from others'.
    async fn in_all(accounts: impl IntoIterator<Item = Account>) -> Self {
        let accounts: Vec<Account> = accounts.into_iter().collect();
        let last = accounts.last().unwrap().roles.values().next().unwrap();
        let wanted = last.reference.clone();
        let plans = plans(&config(accounts), &engine(&[]));
        let names = Names::default().with(Placeholder::User, "ann");
        let request = plans.request(&Wish::declared(wanted, names)).unwrap();
        let base = match &request.base {
            Some(base) => Some(obtain(base, None).await),
            None => None,
        };
        let session = obtain(&request, base.as_ref()).await;
        Self { request, session }
    }

    fn exchange(&self) -> &dyn Exchange {
        self.request.source.exchange().unwrap()
    }

    fn offers(&self) -> Offers {
        self.exchange().offers()
    }

    async fn identity(&self) -> Result<CallerIdentity, FetchError> {
        self.exchange().identity(&self.session).await
    }

    async fn signin(&self, ask: SigninAsk) -> Result<String, FetchError> {
        let url = self.exchange().signin(&self.session, &ask).await?;
        Ok(url.0.expose_secret().to_owned())
    }

    async fn logins(&self, ask: RegistryAsk) -> Result<Vec<RegistryLogin>, FetchError> {
        self.exchange().registry(&self.session, &ask).await
    }
}

async fn obtain(request: &Request, base: Option<&Session>) -> Session {
    let fetched = request.source.fetch(base).await.unwrap();
    Session::obtained(fetched, request.duration, &Clock::System)
}

/// An upstream that issues sessions, and answers everything else by this script.
async fn upstream(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> ScriptedSts {
    ScriptedSts::start(move |request| match request.field("Action") {
        "AssumeRole" | "GetFederationToken" | "GetSessionToken" | "AssumeRoleWithWebIdentity" => {
            Reply::session(request.field("Action"), &Credentials::default())
        }
        _ => script(request),
    })
    .await
}

/// An account whose STS, sign-in and registry are all this upstream.
fn prod(upstream: &ScriptedSts) -> Account {
    let mut prod = account("prod", &upstream.url(), role("prod/web"));
    prod.console.signin_endpoint = Some(upstream.url());
    prod.ecr_endpoint = Some(upstream.url());
    prod
}

fn with_kind(mut account: Account, kind: RoleKind) -> Account {
    for role in account.roles.values_mut() {
        role.kind = kind;
    }
    account
}

fn signs_in(_: &Received) -> Reply {
    Reply::new(200, r#"{"SigninToken":"a/token+of=theirs"}"#)
}

/// The requests that are no STS's.
fn beside_sts(upstream: &ScriptedSts) -> Vec<Received> {
    let received = upstream.received().into_iter();
    received
        .filter(|request| !request.form.contains_key("Version"))
        .collect()
}

#[tokio::test]
async fn a_session_becomes_a_login_url() {
    let upstream = upstream(signs_in).await;
    let held = Held::of(prod(&upstream)).await;
    assert!(held.offers().signin);
    let url = held.signin(SigninAsk::default()).await.unwrap();
    assert_eq!(
        url,
        format!(
            "{}/federation?Action=login&Issuer=&Destination=https%3A%2F%2Fconsole.aws.amazon.com\
             %2F&SigninToken=a%2Ftoken%2Bof%3Dtheirs",
            upstream.url()
        )
    );
    let [asked] = <[Received; 1]>::try_from(beside_sts(&upstream)).unwrap();
    assert_eq!(asked.method, "GET");
    assert!(
        asked
            .target
            .starts_with("/federation?Action=getSigninToken&SessionDuration=43200&")
    );
    let session: serde_json::Value = serde_json::from_str(asked.field("Session")).unwrap();
    let credentials = Credentials::default();
    assert_eq!(
        session,
        serde_json::json!({
            "sessionId": credentials.access_key_id,
            "sessionKey": credentials.secret_access_key,
            "sessionToken": credentials.session_token,
        })
    );
}

#[tokio::test]
async fn only_a_role_assumed_with_long_term_keys_has_a_console_session_of_its_own_length() {
    let upstream = upstream(signs_in).await;
    let session_key = BaseCredentials::Key {
        id: AccessKeyId::new("ASIABASE").unwrap(),
        secret: SecretString::from("canary-base-secret"),
        token: Some(SecretString::from("canary-base-token")),
    };
    let mut of_session = prod(&upstream);
    of_session.base = session_key;
    let mut of_token = prod(&upstream);
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "a.web.identity").unwrap();
    of_token.base = BaseCredentials::WebIdentity {
        token_file: token.path().to_owned(),
    };
    let federated = with_kind(prod(&upstream), RoleKind::FederationToken);
    let hub = account("hub", &upstream.url(), role("hub/base"));
    let mut chained = prod(&upstream);
    chained.base = BaseCredentials::Role(RoleRef::parse("hub/base").unwrap());
    for accounts in [
        vec![of_session],
        vec![of_token],
        vec![federated],
        vec![hub, chained],
    ] {
        let held = Held::in_all(accounts).await;
        held.signin(SigninAsk::default()).await.unwrap();
        let asked = beside_sts(&upstream).pop().unwrap();
        assert_eq!(asked.field("SessionDuration"), "", "{:?}", held.request);
    }
}

/// AWS documents that the console takes no credentials of a chained role for which a duration was
/// asked: the hour that it gives anyway is not asked for.
#[tokio::test]
async fn a_chained_role_asks_for_no_duration_that_it_gets_anyway() {
    let upstream = upstream(signs_in).await;
    let hub = || account("hub", &upstream.url(), role("hub/base"));
    let chained = |life| {
        let mut prod = prod(&upstream);
        prod.base = BaseCredentials::Role(RoleRef::parse("hub/base").unwrap());
        prod.roles.values_mut().next().unwrap().duration = life;
        prod
    };
    let hour = Duration::from_hours(1);
    let mut other = chained(hour);
    other.dialect = Dialect::Generic;
    for (account, said) in [
        (chained(hour), ""),
        (chained(hour * 2), ""),
        (chained(hour / 2), "1800"),
        (other, "3600"),
    ] {
        Held::in_all([hub(), account]).await;
        let asked = upstream.received().pop().unwrap();
        assert_eq!(asked.field("DurationSeconds"), said);
    }
}

#[tokio::test]
async fn keys_that_only_look_long_term_sign_in_without_a_duration() {
    let upstream = upstream(|request| match request.field("SessionDuration") {
        "" => signs_in(request),
        _ => Reply::new(400, "Invalid credentials parameter"),
    })
    .await;
    let held = Held::of(prod(&upstream)).await;
    held.signin(SigninAsk::default()).await.unwrap();
    assert_eq!(beside_sts(&upstream).len(), 2);
}

#[tokio::test]
async fn the_console_and_its_callbacks_are_the_accounts() {
    let upstream = upstream(signs_in).await;
    let mut prod = prod(&upstream);
    prod.console.endpoint = Some("https://console.example/".to_owned());
    prod.console.destination = Some("/s3/home?tab=all#list".to_owned());
    prod.console.region = Some(Region::new("eu-west-1").unwrap());
    prod.console.callback_origins = vec![WebOrigin::of("https://wiki.example").unwrap()];
    let held = Held::of(prod).await;
    for refused in [
        "https://evil.example/",
        "http://wiki.example/",
        "javascript:x",
        "",
    ] {
        assert_eq!(held.exchange().callback(refused), None, "{refused}");
    }
    let page = "https://wiki.example/a?b=c d#e".replace(' ', "+");
    let callback = held.exchange().callback(&page);
    assert_eq!(callback.as_ref().map(Callback::as_str), Some(page.as_str()));
    let ask = SigninAsk {
        callback,
        patience: None,
    };
    let url = held.signin(ask).await.unwrap();
    assert!(
        url.contains(
            "&Issuer=https%3A%2F%2Fwiki.example%2Fa%3Fb%3Dc%2Bd%23e&Destination=https%3A%2F%2F\
             console.example%2Fs3%2Fhome%3Ftab%3Dall%26region%3Deu-west-1%23list&SigninToken="
        ),
        "{url}"
    );
}

#[tokio::test]
async fn any_site_may_be_called_back_where_none_is_named() {
    let upstream = upstream(signs_in).await;
    let held = Held::of(prod(&upstream)).await;
    assert!(held.exchange().callback("http://any.example/").is_some());
    assert!(held.exchange().callback("ftp://any.example/").is_none());
}

#[tokio::test]
async fn a_signin_that_fails_tells_its_status_and_no_secret() {
    let secrets = Credentials::default();
    let echo = format!("{} {}", secrets.secret_access_key, secrets.session_token);
    for (reply, kind) in [
        (Reply::new(403, echo.clone()), FailureKind::Denied),
        (Reply::new(429, echo.clone()), FailureKind::Throttled),
        (Reply::new(400, echo.clone()), FailureKind::Unavailable),
        (Reply::new(500, echo.clone()), FailureKind::Unavailable),
        (
            Reply::new(302, "").with("Location", "https://evil.example/"),
            FailureKind::Unavailable,
        ),
        (Reply::new(200, echo.clone()), FailureKind::Unavailable),
        (
            Reply::new(200, r#"{"SigninToken":""}"#),
            FailureKind::Unavailable,
        ),
        (
            Reply::new(200, "x".repeat(70_000)),
            FailureKind::Unavailable,
        ),
        (Reply::Half(echo.clone()), FailureKind::Unavailable),
        (Reply::Reset, FailureKind::Unavailable),
    ] {
        let told = format!("{reply:?}");
        let upstream = upstream(move |_| reply.clone()).await;
        let held = Held::of(prod(&upstream)).await;
        let error = held.signin(SigninAsk::default()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{told}: {error}");
        assert!(!error.message.contains("canary"), "{error}");
        assert!(error.message.contains("`signin-endpoint`"), "{error}");
    }
}

#[tokio::test]
async fn a_signin_that_hangs_is_given_up_when_its_asker_does() {
    let upstream = upstream(|_| Reply::Hang).await;
    let held = Held::of(prod(&upstream)).await;
    let ask = SigninAsk {
        callback: None,
        patience: Some(Duration::from_millis(30)),
    };
    let error = held.signin(ask).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unavailable);
    assert!(error.message.contains("no answer within 30 ms"), "{error}");
}

#[tokio::test]
async fn a_signin_takes_two_seconds_at_most() {
    let upstream = upstream(|_| Reply::Hang).await;
    let held = Held::of(prod(&upstream)).await;
    let ask = SigninAsk {
        callback: None,
        patience: Some(Duration::from_mins(1)),
    };
    let error = held.signin(ask).await.unwrap_err();
    assert!(
        error.message.contains("no answer within 2000 ms"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_offered_depends_on_dialect_and_kind() {
    let upstream = upstream(signs_in).await;
    let offers = |signin, registry| Offers { signin, registry };
    let plain = || account("prod", &upstream.url(), role("prod/web"));
    let of = |dialect| {
        let mut account = plain();
        account.dialect = dialect;
        account
    };
    let mut elsewhere = of(Dialect::Generic);
    elsewhere.console.signin_endpoint = Some(upstream.url());
    elsewhere.console.endpoint = Some(upstream.url());
    let mut isolated = plain();
    isolated.partition = Partition::new("aws-iso").unwrap();
    for (account, offered) in [
        (plain(), offers(true, true)),
        (
            with_kind(plain(), RoleKind::FederationToken),
            offers(true, true),
        ),
        (
            with_kind(plain(), RoleKind::SessionToken),
            offers(false, true),
        ),
        (of(Dialect::Ceph), offers(false, false)),
        (of(Dialect::Minio), offers(false, false)),
        (of(Dialect::Generic), offers(false, false)),
        (elsewhere, offers(true, false)),
        (isolated, offers(false, true)),
    ] {
        let held = Held::of(account).await;
        assert_eq!(held.offers(), offered, "{:?}", held.request);
    }
}

const LOGINS: &str = r#"{"authorizationData":[{"authorizationToken":"QVdTOmNhbmFyeQ==",
    "expiresAt":1700000000.25,"proxyEndpoint":"https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"}]}"#;

#[tokio::test]
async fn a_session_becomes_registry_logins() {
    let upstream = upstream(|_| Reply::new(200, LOGINS)).await;
    let held = Held::of(prod(&upstream)).await;
    let logins = held.logins(RegistryAsk::default()).await.unwrap();
    let [login] = logins.as_slice() else {
        panic!("{logins:?}");
    };
    assert_eq!(login.token.expose_secret(), "QVdTOmNhbmFyeQ==");
    assert_eq!(
        login.expires_at,
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    );
    assert_eq!(
        login.endpoint,
        "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    );
    assert_eq!(
        login.domain(),
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    );
    let (user, password) = login.user_and_password().unwrap();
    assert_eq!((user.as_str(), password.expose_secret()), ("AWS", "canary"));

    let [asked] = <[Received; 1]>::try_from(beside_sts(&upstream)).unwrap();
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("POST", "/")
    );
    assert_eq!(asked.body, "{}");
    assert_eq!(asked.header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(
        asked.header("x-amz-target"),
        "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
    );
    assert_eq!(
        asked.header("x-amz-security-token"),
        Credentials::default().session_token
    );
    let signature = asked.header("authorization");
    assert!(
        signature.contains("Credential=ASIASCRIPTEDSTS00001/"),
        "{signature}"
    );
    assert!(
        signature.contains("/eu-central-1/ecr/aws4_request"),
        "{signature}"
    );
    assert!(signature.contains("content-type;host;x-amz-date;x-amz-security-token;x-amz-target"));
}

#[tokio::test]
async fn the_region_asked_for_comes_before_the_accounts() {
    let upstream = upstream(|_| Reply::new(200, LOGINS)).await;
    let mut prod = prod(&upstream);
    prod.ecr_region = Some(Region::new("eu-west-3").unwrap());
    let held = Held::of(prod).await;
    held.logins(RegistryAsk::default()).await.unwrap();
    let ask = RegistryAsk {
        region: Some(Region::new("us-east-2").unwrap()),
        registries: vec!["210987654321".to_owned()],
    };
    held.logins(ask).await.unwrap();
    let [own, asked] = <[Received; 2]>::try_from(beside_sts(&upstream)).unwrap();
    assert!(own.header("authorization").contains("/eu-west-3/ecr/"));
    assert!(asked.header("authorization").contains("/us-east-2/ecr/"));
    assert_eq!(asked.body, r#"{"registryIds":["210987654321"]}"#);
}

#[tokio::test]
async fn a_registry_that_fails_is_told_by_kind() {
    let secrets = Credentials::default();
    for (reply, kind) in [
        (
            Reply::new(
                400,
                r#"{"__type":"com.amazonaws.ecr#AccessDeniedException","Message":"User: x is not authorized to perform: ecr:GetAuthorizationToken"}"#,
            ),
            FailureKind::Denied,
        ),
        (
            Reply::new(400, r#"{"__type":"ThrottlingException"}"#),
            FailureKind::Throttled,
        ),
        (
            Reply::new(400, r#"{"__type":"ExpiredTokenException"}"#),
            FailureKind::BaseCredentials,
        ),
        (
            Reply::new(400, r#"{"__type":"InvalidParameterException"}"#),
            FailureKind::Misconfigured,
        ),
        (
            Reply::new(500, r#"{"__type":"ServerException"}"#),
            FailureKind::Unavailable,
        ),
        (
            Reply::new(
                403,
                format!(
                    r#"{{"__type":"Forbidden","message":"{}"}}"#,
                    secrets.session_token
                ),
            ),
            FailureKind::Denied,
        ),
        (Reply::new(200, "<html/>"), FailureKind::Misconfigured),
        (
            Reply::new(
                200,
                r#"{"authorizationData":[{"authorizationToken":"x","expiresAt":-1,"proxyEndpoint":"y"}]}"#,
            ),
            FailureKind::Misconfigured,
        ),
        (Reply::Reset, FailureKind::Unavailable),
    ] {
        let told = format!("{reply:?}");
        let upstream = upstream(move |_| reply.clone()).await;
        let held = Held::of(prod(&upstream)).await;
        let error = held.logins(RegistryAsk::default()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{told}: {error}");
        assert!(!error.message.contains("canary"), "{error}");
    }
}

const IDENTITY: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult>\
    <Arn>arn:aws:sts::123456789012:federated-user/ann</Arn><UserId>123456789012:ann</UserId>\
    <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

fn identity(account: &str, arn: &str, user_id: &str) -> CallerIdentity {
    CallerIdentity {
        account: account.to_owned(),
        arn: arn.to_owned(),
        user_id: user_id.to_owned(),
    }
}

#[tokio::test]
async fn aws_says_who_a_session_is() {
    let upstream = upstream(|_| Reply::new(200, IDENTITY)).await;
    let held = Held::of(with_kind(prod(&upstream), RoleKind::FederationToken)).await;
    let arn = "arn:aws:sts::123456789012:federated-user/ann";
    let expected = identity("123456789012", arn, "123456789012:ann");
    assert_eq!(held.identity().await.unwrap(), expected);
    let asked = upstream.received().pop().unwrap();
    assert_eq!(asked.field("Action"), "GetCallerIdentity");
    assert_eq!(
        asked.header("x-amz-security-token"),
        Credentials::default().session_token
    );
}

#[tokio::test]
async fn aws_that_does_not_answer_is_no_identity() {
    let upstream = upstream(|_| Reply::error(403, "AccessDenied", "no")).await;
    let held = Held::of(prod(&upstream)).await;
    assert_eq!(held.identity().await.unwrap_err().kind, FailureKind::Denied);
}

#[tokio::test]
async fn where_nobody_tells_who_a_session_is_its_issue_does() {
    let user = "</Credentials><AssumedRoleUser><Arn>arn:aws:sts:::assumed-role/web/ann</Arn>\
                <AssumedRoleId>f1ff:ann</AssumedRoleId></AssumedRoleUser>";
    let issued = identity("", "arn:aws:sts:::assumed-role/web/ann", "f1ff:ann");
    for dialect in [Dialect::Ceph, Dialect::Minio, Dialect::Generic] {
        let sts = ScriptedSts::start(move |request| match request.field("Action") {
            "GetCallerIdentity" => Reply::s3_error(405, "MethodNotAllowed"),
            action => {
                let session = Credentials::default().xml(action);
                Reply::new(200, session.replace("</Credentials>", user))
            }
        })
        .await;
        let mut account = account("ceph", &sts.url(), role("ceph/web"));
        account.dialect = dialect;
        let held = Held::of(account).await;
        assert_eq!(held.identity().await.unwrap(), issued, "{dialect:?}");
    }
}

#[tokio::test]
async fn where_not_even_its_issue_tells_who_a_session_is_the_call_does() {
    let upstream = upstream(signs_in).await;
    let ceph = |kind| {
        let mut ceph = with_kind(account("ceph", &upstream.url(), role("ceph/web")), kind);
        ceph.dialect = Dialect::Generic;
        ceph
    };
    let assumed = "arn:aws:sts::123456789012:assumed-role/web/ann";
    let federated = "arn:aws:sts::123456789012:federated-user/ann";
    for (kind, arn, user) in [
        (RoleKind::AssumeRole, assumed, "AROAXU22MAGWJIOYVLAZO:ann"),
        (RoleKind::FederationToken, federated, "123456789012:ann"),
        (RoleKind::SessionToken, "", "ASIASCRIPTEDSTS00001"),
    ] {
        let held = Held::of(ceph(kind)).await;
        let expected = identity("123456789012", arn, user);
        assert_eq!(held.identity().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn outlets_that_are_the_daemons_own_are_refused() {
    let own = "127.0.0.1:1338".parse().unwrap();
    let engine = Engine::new(
        Clock::System,
        Environment::default(),
        std::iter::once(own).collect(),
    );
    let url = "http://127.0.0.1:1338".to_owned();
    let mut console = account("prod", "https://sts.example", role("prod/web"));
    console.console.signin_endpoint = Some(url.clone());
    let mut registry = account("prod", "https://sts.example", role("prod/web"));
    registry.ecr_endpoint = Some(url);
    for account in [console, registry] {
        let local = Arc::new(NoLocalRoles);
        let built = Plans::build(&config([account]), &engine, local);
        let error = built.unwrap_err().to_string();
        assert!(error.contains("this daemon serves itself"), "{error}");
    }
}
