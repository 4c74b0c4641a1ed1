//! AssumeRoleWithWebIdentity: tokens of issuers, and what they open.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rolecall::clock::Clock;
use serde_json::{Value, json};

use crate::support::client::{Answer, ask};
use crate::support::daemon::{TestDaemon, later, noon};
use crate::support::issuer::Issuer;
use crate::support::signer::{Signer, encoded, pod_claims};
use crate::support::sts::{Reply, ScriptedSts};

const ROLE: &str = "arn:aws:iam::000000000000:role/deploy";
const AUDIENCE: &str = "sts.example.org";

/// An issuer, an endpoint that knows access tokens, and a daemon that believes both.
struct World {
    signer: Signer,
    issuer: Issuer,
    endpoint: ScriptedSts,
    daemon: TestDaemon,
    clock: Clock,
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
            daemon: TestDaemon::start_in(directory, &text, clock.clone(), passed),
            clock,
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
    let less = "&DurationSeconds=900&Policy=%7B%22Statement%22%3A%5B%5D%7D\
                &PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FReadOnlyAccess";
    let less = world.assume(ROLE, &token, less).await;
    assert_eq!(
        element(&less.body, "PackedPolicySize"),
        Some("2"),
        "{}",
        less.body
    );
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

const NO_JWT: &str = "The ID Token provided is not a valid JWT. (You may see this error if you sent an \
                      Access Token)";
const WRONG_SIGNATURE: &str =
    "Couldn&apos;t verify the token&apos;s signature with its issuer&apos;s keys";
const SILENT: &str =
    "The identity provider could not be reached to verify the incoming identity token.";

/// Keys that are not known are asked for no more often than that.
const PACE: Duration = Duration::from_secs(10);

/// The token with another signature: of this key, which everybody knows.
fn shared(world: &World, key: &[u8]) -> String {
    let header = json!({ "alg": "HS256", "kid": "1", "typ": "JWT" });
    let signed = world.signer.sign(&header, &world.claims("repo:shop:main"));
    let (signed, _) = signed.rsplit_once('.').unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let signature = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encoded(signature))
}

#[tokio::test]
async fn sts_says_of_tokens_that_are_forged_no_more_than_that() {
    let world = World::new(json!({})).await;
    let claims = world.claims("repo:shop:main");
    let with = |header: Value| world.signer.sign(&header, &claims);
    let unsigned = with(json!({ "alg": "none" }));
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    let said = |key: &str, value: Value| {
        let mut claims = claims.clone();
        claims[key] = value;
        world.signer.token(&claims)
    };
    let jwk = world.signer.jwk().to_string();
    let audience = "Incorrect token audience";
    let issuer = "No OpenIDConnect provider found in your account for the token&apos;s issuer";
    for (token, message) in [
        (format!("{unsigned}.AA"), WRONG_SIGNATURE),
        (format!("{unsigned}."), NO_JWT),
        (with(json!({ "alg": "None" })), WRONG_SIGNATURE),
        (with(json!({ "alg": "nOnE", "kid": "1" })), WRONG_SIGNATURE),
        (shared(&world, &world.signer.public_der()), WRONG_SIGNATURE),
        (shared(&world, jwk.as_bytes()), WRONG_SIGNATURE),
        (shared(&world, b""), WRONG_SIGNATURE),
        (with(json!({ "alg": "RS256", "kid": "1" })), WRONG_SIGNATURE),
        (
            with(json!({ "alg": "ES256", "kid": "../../../../dev/null" })),
            WRONG_SIGNATURE,
        ),
        (
            with(json!({ "alg": "ES256", "kid": "1' OR '1'='1" })),
            WRONG_SIGNATURE,
        ),
        (
            with(json!({ "alg": "ES256", "kid": "http://evil.example/keys" })),
            WRONG_SIGNATURE,
        ),
        (with(json!({ "alg": "ES256", "kid": "" })), WRONG_SIGNATURE),
        (with(json!({ "alg": "ES256", "kid": 1 })), NO_JWT),
        (
            with(json!({ "alg": "ES256", "kid": "1", "crit": ["exp"] })),
            NO_JWT,
        ),
        (
            with(json!({ "alg": "ES256", "kid": "1", "typ": "logout+jwt" })),
            NO_JWT,
        ),
        (said("aud", json!("others")), audience),
        (said("aud", json!([])), audience),
        (
            said("aud", json!(["others", "sts.example.org.evil.example"])),
            audience,
        ),
        (said("aud", json!("STS.example.org")), audience),
        (said("aud", json!([[AUDIENCE]])), NO_JWT),
        (said("aud", json!({ AUDIENCE: true })), NO_JWT),
        (said("iss", json!("https://elsewhere.example")), issuer),
        (
            said("iss", json!(format!("{}/", world.issuer.url()))),
            issuer,
        ),
        (said("iss", Value::Null), issuer),
        (
            said("nbf", json!(4_000_000_000_u64)),
            "The token is not valid yet",
        ),
        (said("exp", json!("tomorrow")), NO_JWT),
        (said("exp", json!(1e300)), NO_JWT),
        (said("sub", json!("")), NO_JWT),
    ] {
        later(&world.clock, PACE);
        let answer = world.assume(ROLE, &token, "").await;
        let told = (
            answer.status,
            element(&answer.body, "Code"),
            element(&answer.body, "Message"),
        );
        let expected = (400, Some("InvalidIdentityToken"), Some(message));
        assert_eq!(told, expected, "{token}");
    }
    // A key's own place and address in the token are nobody's but its maker's.
    let stranger = Signer::p256("1");
    for header in [
        json!({ "alg": "ES256", "kid": "1", "jwk": stranger.jwk() }),
        json!({ "alg": "ES256", "kid": "1", "jku": world.endpoint.url() }),
        json!({ "alg": "ES256", "kid": "1", "x5u": world.endpoint.url() }),
    ] {
        later(&world.clock, PACE);
        let answer = world
            .assume(ROLE, &stranger.sign(&header, &claims), "")
            .await;
        let told = (answer.status, element(&answer.body, "Message"));
        assert_eq!(told, (400, Some(WRONG_SIGNATURE)));
    }
    assert!(world.endpoint.received().is_empty());
}

/// However an issuer fails, callers hear of it in time and in the same words.
#[tokio::test]
async fn sts_says_so_where_an_issuers_keys_cannot_be_had() {
    let elsewhere = Issuer::start(&[]).await;
    let there = format!("{}/.well-known/openid-configuration", elsewhere.url());
    for reply in [
        Reply::Hang,
        Reply::Reset,
        Reply::new(200, "[".repeat(4 << 20)),
        Reply::new(200, "[".repeat(100_000)),
        Reply::new(302, "").with("Location", there.clone()),
        Reply::new(307, "").with("Location", there),
        Reply::new(
            200,
            json!({ "issuer": elsewhere.url(), "jwks_uri": elsewhere.url() }).to_string(),
        ),
        Reply::new(500, ""),
    ] {
        let world = World::new(json!({})).await;
        world.issuer.discovery(Some(reply.clone()));
        let answer = world.assume(ROLE, &world.token("repo:shop:main"), "").await;
        let told = (
            answer.status,
            element(&answer.body, "Code"),
            element(&answer.body, "Message"),
        );
        let expected = (400, Some("IDPCommunicationError"), Some(SILENT));
        assert_eq!(told, expected, "{reply:?}");
        let asked = world.issuer.asked();
        assert!(asked <= 3, "{asked}");
    }
    assert_eq!(elsewhere.asked(), 0, "nobody follows anything");
}

/// Each guess is a question to the issuer.
#[tokio::test]
async fn sts_asks_an_issuer_about_few_of_many_guesses() {
    let world = World::new(json!({ "active": false })).await;
    let url = world.issuer.url();
    let named = format!("&ProviderId={}", url.trim_start_matches("http://"));
    let mut codes = Vec::new();
    for number in 0..50 {
        let answer = world.assume(ROLE, &format!("guess-{number}"), &named).await;
        codes.push(element(&answer.body, "Code").unwrap().to_owned());
    }
    let (looked_at, rest) = codes.split_at(10);
    assert!(
        looked_at.iter().all(|code| code == "IDPRejectedClaim"),
        "{codes:?}"
    );
    assert!(rest.iter().all(|code| code == "Throttling"), "{codes:?}");
    assert_eq!(world.endpoint.received().len(), 10);
    // Of tokens that say themselves who they are nothing has to be asked.
    let answer = world.assume(ROLE, &world.token("repo:shop:main"), "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}
