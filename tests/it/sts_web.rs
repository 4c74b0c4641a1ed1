//! AssumeRoleWithWebIdentity: tokens of issuers, and what they open.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rolecall::clock::Clock;
use serde_json::{Value, json};

use crate::support::client::{Answer, ask};
use crate::support::daemon::{TestDaemon, noon};
use crate::support::issuer::Issuer;
use crate::support::signer::{Signer, pod_claims};
use crate::support::sts::{Reply, ScriptedSts};

const ROLE: &str = "arn:aws:iam::000000000000:role/deploy";
const AUDIENCE: &str = "sts.example.org";

/// An issuer, an endpoint that knows access tokens, and a daemon that believes both.
struct World {
    signer: Signer,
    issuer: Issuer,
    endpoint: ScriptedSts,
    daemon: TestDaemon,
}

impl World {
    async fn new(said: Value) -> Self {
        let signer = Signer::p256("1");
        let issuer = Issuer::start(&[&signer]).await;
        let endpoint = ScriptedSts::start(move |_| Reply::new(200, said.to_string())).await;
        let text = format!(
            r#"
[[listener]]
name = "api"
bind = "127.0.0.1:0"
apis = "sts"

[account.local]
id = "000000000000"
credentials = {{ from = "local" }}
[account.local.role.deploy]
max-duration = "2h"
[account.local.role.other]

[[issuer]]
url = "{issuer}"
audiences = ["{AUDIENCE}"]
tags = true
introspection = {{ url = "{endpoint}/introspect", client-id = "us", client-secret = "file:{{dir}}/secret" }}

[[grant]]
role = "local/deploy"
when = {{ token.issuer = "{issuer}", token.subject = "repo:shop:*" }}

[[grant]]
role = "local/other"
when = {{ uid = {{uid}} }}

[[grant]]
role = "local/other"
when = {{ principal = "*" }}

[state]
directory = "{{dir}}/state"

[admin]
socket = "{{dir}}/admin.sock"
"#,
            issuer = issuer.url(),
            endpoint = endpoint.url(),
        );
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "hush").unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret, private).unwrap();
        let clock = Clock::simulated(noon());
        let passed = rolecall::listener::Passed::default();
        Self {
            daemon: TestDaemon::start_in(directory, &text, clock, passed),
            signer,
            issuer,
            endpoint,
        }
    }

    fn claims(&self, subject: &str) -> Value {
        let since = noon().duration_since(std::time::SystemTime::UNIX_EPOCH);
        let mut claims = pod_claims(&self.issuer.url(), AUDIENCE, since.unwrap().as_secs());
        claims["sub"] = Value::from(subject);
        claims
    }

    fn token(&self, subject: &str) -> String {
        self.signer.token(&self.claims(subject))
    }

    async fn assume(&self, role: &str, token: &str, further: &str) -> Answer {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let target = format!(
            "/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=run-7\
             &RoleArn={}&WebIdentityToken={}{further}",
            encoded(role),
            encoded(token)
        );
        ask(self.daemon.address("api"), "GET", &target, &[]).await
    }

    async fn refused(&self, token: &str, status: u16, code: &str) {
        let answer = self.assume(ROLE, token, "").await;
        let told = (answer.status, element(&answer.body, "Code"));
        assert_eq!(told, (status, Some(code)), "{}", answer.body);
    }
}

fn element<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
}

#[tokio::test]
async fn sts_gives_a_role_to_whom_a_token_stands_for() {
    let world = World::new(json!({})).await;
    let answer = world.assume(ROLE, &world.token("repo:shop:main"), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let issuer = world.issuer.url();
    let in_an_hour = chrono::DateTime::<chrono::Utc>::from(noon() + Duration::from_hours(1));
    let in_an_hour = in_an_hour.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (name, text) in [
        ("Arn", "arn:aws:sts::000000000000:assumed-role/deploy/run-7"),
        ("SubjectFromWebIdentityToken", "repo:shop:main"),
        ("Audience", AUDIENCE),
        ("Provider", &issuer),
        ("Expiration", &in_an_hour),
    ] {
        assert_eq!(element(&answer.body, name), Some(text), "{}", answer.body);
    }
    let token = world.token("repo:shop:main");
    let more = world.assume(ROLE, &token, "&DurationSeconds=7201").await;
    assert_eq!(
        (more.status, element(&more.body, "Code")),
        (400, Some("ValidationError"))
    );
}

#[tokio::test]
async fn sts_tells_nobody_which_roles_there_are() {
    let world = World::new(json!({})).await;
    let token = world.token("repo:shop:main");
    let answers = [
        // Of the connection nothing counts, and a token proves nobody's name.
        world
            .assume("arn:aws:iam::000000000000:role/other", &token, "")
            .await,
        world
            .assume("arn:aws:iam::000000000000:role/nowhere", &token, "")
            .await,
        world
            .assume("arn:aws:iam::999999999999:role/deploy", &token, "")
            .await,
        world.assume(ROLE, &world.token("repo:bank:main"), "").await,
    ];
    for answer in answers {
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert_eq!(element(&answer.body, "Code"), Some("AccessDenied"));
        let said = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
        assert_eq!(element(&answer.body, "Message"), Some(said));
    }
}

#[tokio::test]
async fn sts_shares_no_session_between_subjects() {
    let world = World::new(json!({})).await;
    let mut keys = std::collections::BTreeSet::new();
    for subject in ["repo:shop:a", "repo:shop:b", "repo:shop:a"] {
        let answer = world.assume(ROLE, &world.token(subject), "").await;
        keys.insert(element(&answer.body, "AccessKeyId").unwrap().to_owned());
    }
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn sts_refuses_tokens_in_its_own_words() {
    let world = World::new(json!({})).await;
    let with = |key: &str, value: Value| {
        let mut claims = world.claims("repo:shop:main");
        claims[key] = value;
        world.signer.token(&claims)
    };
    let stranger = Signer::p256("1").token(&world.claims("repo:shop:main"));
    let unsigned = world
        .signer
        .sign(&json!({"alg": "none"}), &world.claims("repo:shop:main"));
    let shared = world
        .signer
        .sign(&json!({"alg": "HS256", "kid": "1"}), &world.claims("x"));
    let path = world.signer.sign(
        &json!({"alg": "ES256", "kid": "../../1"}),
        &world.claims("repo:shop:main"),
    );
    for token in [
        "no token at all",
        "a.b.c",
        &with("iss", "https://elsewhere.example".into()),
        &with("aud", "others".into()),
        &with("sub", Value::Null),
        &with("exp", Value::Null),
        &stranger,
        &unsigned,
        &shared,
        &path,
    ] {
        world.refused(token, 400, "InvalidIdentityToken").await;
    }
    world
        .refused(&with("exp", 1.into()), 400, "ExpiredTokenException")
        .await;
    world.refused("abc", 400, "ValidationError").await;
}

#[tokio::test]
async fn sts_takes_access_tokens_of_the_providers_that_it_knows() {
    let world = World::new(json!({
        "active": true, "sub": "repo:shop:main", "client_id": AUDIENCE, "exp": 4_000_000_000_u64,
    }))
    .await;
    let url = world.issuer.url();
    let provider = url.trim_start_matches("http://");
    let named = format!("&ProviderId={provider}");
    let answer = world.assume(ROLE, "opaque", &named).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(element(&answer.body, "Provider"), Some(provider));
    assert_eq!(world.endpoint.received().len(), 1);
    let unknown = world
        .assume(ROLE, "opaque", "&ProviderId=www.amazon.com")
        .await;
    let told = (unknown.status, element(&unknown.body, "Code"));
    assert_eq!(told, (400, Some("InvalidIdentityToken")));
}

#[tokio::test]
async fn sts_tells_a_withdrawn_token_from_an_issuer_that_is_silent() {
    let withdrawn = World::new(json!({ "active": false })).await;
    let url = withdrawn.issuer.url();
    let named = format!("&ProviderId={}", url.trim_start_matches("http://"));
    let answer = withdrawn.assume(ROLE, "opaque", &named).await;
    let told = (answer.status, element(&answer.body, "Code"));
    assert_eq!(told, (403, Some("IDPRejectedClaim")));
    let silent = World::new(json!("rubbish")).await;
    let url = silent.issuer.url();
    let named = format!("&ProviderId={}", url.trim_start_matches("http://"));
    let answer = silent.assume(ROLE, "opaque", &named).await;
    let told = (answer.status, element(&answer.body, "Code"));
    assert_eq!(told, (400, Some("IDPCommunicationError")));
}
