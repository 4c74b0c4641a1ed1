//! Accounts whose roles are assumed with the caller's own web identity token.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rolecall::clock::{Clock, Simulation};
use rolecall::config::BaseCredentials;
use rolecall::grants::{Names, Template, WebIdentity};
use rolecall::secret::{LatestToken, SecretString};
use rolecall::sessions::{Catalogue, FailureKind, NoRequest, Selector, Wish};
use rolecall::types::RoleRef;
use serde_json::Value;

use crate::support::client::{Answer, ask};
use crate::support::daemon::{LOCAL, TestDaemon, noon};
use crate::support::issuer::Issuer;
use crate::support::signer::{Signer, pod_claims};
use crate::support::sts::{Credentials, Received, Reply, ScriptedSts};
use crate::upstream::{account, config, engine, plans, role};

const PODS: &str = "pods.eks.amazonaws.com";

/// An issuer, an STS that gives every call another key, and a daemon between them.
struct World {
    signer: Signer,
    issuer: Issuer,
    sts: ScriptedSts,
    daemon: TestDaemon,
    simulation: Arc<Simulation>,
}

fn moment(after_noon: Duration) -> u64 {
    let at = noon() + after_noon;
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Sessions of an hour from when they are asked for, by a clock of its own.
async fn numbered_sts(clock: Clock) -> ScriptedSts {
    let count = std::sync::atomic::AtomicU64::new(1);
    ScriptedSts::start(move |request| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let ends = chrono::DateTime::<chrono::Utc>::from(clock.now() + Duration::from_hours(1));
        let session = Credentials {
            access_key_id: format!("ASIA{number:016}"),
            expiration: ends.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            ..Credentials::default()
        };
        Reply::session(request.field("Action"), &session)
    })
    .await
}

impl World {
    async fn new() -> Self {
        let signer = Signer::p256("1");
        let issuer = Issuer::start(&[&signer]).await;
        let clock = Clock::simulated(noon());
        let Clock::Simulated(simulation) = clock.clone() else {
            panic!("the clock is simulated")
        };
        let sts = numbered_sts(clock.clone()).await;
        let text = LOCAL
            .replace(
                "id = \"000000000000\"\ncredentials = { from = \"local\" }",
                &format!(
                    "id = \"123456789012\"\nregion = \"eu-central-1\"\nendpoint = \"{}\"\n\
                     credentials = {{ from = \"caller-token\" }}",
                    sts.url()
                ),
            )
            .replace("when = { uid = {uid} }", "when = \"anyone\"");
        let text = format!("{text}\n[[issuer]]\nurl = \"{}\"\n", issuer.url());
        Self {
            daemon: TestDaemon::start_at(&text, clock),
            signer,
            issuer,
            sts,
            simulation,
        }
    }

    fn at(&self) -> SocketAddr {
        self.daemon.address("container")
    }

    /// A token that this account of the namespace `shop` gets so long after noon, for ten minutes.
    fn token(&self, account: &str, after_noon: Duration) -> String {
        let mut claims = pod_claims(&self.issuer.url(), PODS, moment(after_noon));
        claims["sub"] = Value::from(format!("system:serviceaccount:shop:{account}"));
        claims["kubernetes.io"]["serviceaccount"]["name"] = Value::from(account);
        self.signer.token(&claims)
    }

    async fn show(&self, token: &str) -> Answer {
        let headers = [("Authorization", token)];
        ask(self.at(), "GET", "/v1/credentials", &headers).await
    }

    async fn key(&self, token: &str) -> String {
        let answer = self.show(token).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["AccessKeyId"].as_str().unwrap().to_owned()
    }

    /// Renews what is held; the kinds of failures.
    async fn renew(&self) -> Vec<Option<FailureKind>> {
        let sessions = self.daemon.daemon.vending.sessions();
        let renewed = sessions.refresh(&Selector::All).await;
        let kinds = renewed.into_iter();
        kinds
            .map(|(_, result)| result.err().map(|error| error.kind))
            .collect()
    }

    fn last_token(&self) -> String {
        let calls: Vec<Received> = self.sts.received();
        calls.last().unwrap().field("WebIdentityToken").to_owned()
    }
}

#[tokio::test]
async fn the_callers_own_token_assumes_the_role() {
    let world = World::new().await;
    let token = world.token("till", Duration::ZERO);
    assert_eq!(world.key(&token).await, "ASIA0000000000000001");
    let [call]: [Received; 1] = world.sts.received().try_into().unwrap();
    for (field, value) in [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("WebIdentityToken", &token),
        ("RoleArn", "arn:aws:iam::123456789012:role/demo"),
        ("RoleSessionName", "shop-till"),
        ("DurationSeconds", "3600"),
    ] {
        assert_eq!(call.field(field), value);
    }
    assert_eq!(call.header("authorization"), "", "a token signs nothing");
}

#[tokio::test]
async fn principals_share_nothing_and_renewed_tokens_everything() {
    let world = World::new().await;
    let minute = Duration::from_mins(1);
    let till = world.key(&world.token("till", Duration::ZERO)).await;
    let cart = world.key(&world.token("cart", Duration::ZERO)).await;
    assert_ne!(till, cart);
    world.simulation.suspend(minute);
    assert_eq!(world.key(&world.token("till", minute)).await, till);
    assert_eq!(world.key(&world.token("cart", minute)).await, cart);
    assert_eq!(world.sts.received().len(), 2);
}

#[tokio::test]
async fn a_renewal_shows_the_newest_token() {
    let world = World::new().await;
    let first = world.token("till", Duration::ZERO);
    let minutes = Duration::from_mins(5);
    world.key(&first).await;
    world.simulation.suspend(minutes);
    let second = world.token("till", minutes);
    world.key(&second).await;
    // An older one that is still valid takes nobody back.
    world.key(&first).await;
    assert_eq!(world.renew().await, [None]);
    assert_eq!(world.last_token(), second);
    assert_eq!(world.sts.received().len(), 2);
}

#[tokio::test]
async fn with_an_expired_token_the_held_session_stays_and_a_new_one_mends_it_at_once() {
    let world = World::new().await;
    let held = world.key(&world.token("till", Duration::ZERO)).await;
    let minutes = Duration::from_mins(20);
    world.simulation.suspend(minutes);
    assert_eq!(
        world.renew().await,
        [Some(FailureKind::BaseCredentials)],
        "its token lived ten minutes"
    );
    assert_eq!(world.sts.received().len(), 1, "nobody is asked in vain");
    let fresh = world.token("till", minutes);
    assert_eq!(world.key(&fresh).await, held);
    // Both expire; the failure is remembered when the next token comes.
    let hours = Duration::from_hours(2);
    world.simulation.suspend(hours);
    assert_eq!(world.renew().await, [Some(FailureKind::BaseCredentials)]);
    let answer = world.show(&fresh).await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    let newest = world.token("till", minutes + hours);
    assert_eq!(world.key(&newest).await, "ASIA0000000000000002");
    assert_eq!(world.last_token(), newest);
}

#[tokio::test]
async fn sessions_that_a_reload_keeps_go_on_with_new_tokens() {
    let world = World::new().await;
    let held = world.key(&world.token("till", Duration::ZERO)).await;
    let file = world.daemon.directory.path().join("rolecall.toml");
    let text = fs::read_to_string(file).unwrap();
    let audience = format!("audiences = [\"{PODS}\", \"others\"]");
    world.daemon.write(&format!("{text}\n{audience}\n"));
    let changes = world.daemon.reload.reload().await.unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    let minutes = Duration::from_mins(9);
    world.simulation.suspend(minutes);
    let newer = world.token("till", minutes);
    assert_eq!(world.key(&newer).await, held);
    assert_eq!(world.renew().await, [None]);
    assert_eq!(world.last_token(), newer);
}

#[tokio::test]
async fn who_shows_no_web_identity_gets_nothing() {
    let world = World::new().await;
    let own = fs::read_to_string(world.daemon.directory.path().join("token")).unwrap();
    let answer = world.show(&own).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["code"], "AuthorizationMissing");
    assert!(world.sts.received().is_empty());
}

/// A verified token of this principal, which asks for these session tags.
fn identity(issuer: &str, subject: &str, audience: &str, tags: &[(&str, &str)]) -> WebIdentity {
    let tags = tags.iter();
    WebIdentity {
        issuer: Arc::from(issuer),
        subject: Arc::from(subject),
        audiences: vec![Arc::from(audience)],
        claims: BTreeMap::new(),
        pod: None,
        tags: tags
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        expires_at: noon(),
        token: Arc::new(LatestToken::new(SecretString::from("canary"), noon())),
    }
}

fn wish(identity: WebIdentity) -> Wish {
    Wish {
        identity: Some(Arc::new(identity)),
        ..Wish::declared(RoleRef::parse("prod/web").unwrap(), Names::default())
    }
}

#[test]
fn the_whole_principal_is_part_of_the_key_and_nothing_else_of_its_token() {
    let mut prod = account("prod", "http://192.0.2.1:8000", role("prod/web"));
    prod.base = BaseCredentials::CallerToken;
    let far = {
        let mut far = account("far", "http://192.0.2.1:8000", role("far/web"));
        far.base = BaseCredentials::Role(RoleRef::parse("prod/web").unwrap());
        far
    };
    let plans = plans(&config([prod, far]), &engine(&[]));
    let far = RoleRef::parse("far/web").unwrap();
    let keys = |identity: WebIdentity| {
        let direct = wish(identity);
        let chained = Wish {
            role: far.clone(),
            ..direct.clone()
        };
        [direct, chained].map(|wish| plans.request(&wish).unwrap().key)
    };
    let first = keys(identity("https://a", "pod", "us", &[]));
    assert_eq!(keys(identity("https://a", "pod", "us", &[])), first);
    for other in [
        identity("https://b", "pod", "us", &[]),
        identity("https://a", "cod", "us", &[]),
        identity("https://a", "pod", "them", &[]),
    ] {
        let other = keys(other);
        assert!(other[0] != first[0] && other[1] != first[1]);
    }
    let nobody = Wish {
        identity: None,
        ..wish(identity("https://a", "pod", "us", &[]))
    };
    for role in [nobody.role.clone(), far] {
        let wish = Wish {
            role,
            ..nobody.clone()
        };
        assert_eq!(plans.request(&wish).unwrap_err(), NoRequest::NoIdentity);
    }
}

#[tokio::test]
async fn session_tags_of_a_token_go_beside_the_roles_own_and_never_in_their_place() {
    let sts = ScriptedSts::generous().await;
    let mut web = role("prod/web");
    web.tags = [("team", "{unit}"), ("host", "h1")]
        .map(|(key, value)| (key.to_owned(), Template::parse(value).unwrap()))
        .to_vec();
    let plans = plans(&config([account("prod", &sts.url(), web)]), &engine(&[]));
    let asked = [("Team", "admins"), ("cost", "7")];
    let tagged = wish(identity("https://a", "pod", "us", &asked));
    let request = plans.request(&tagged).unwrap();
    request.source.fetch(None).await.unwrap();
    let [call]: [Received; 1] = sts.received().try_into().unwrap();
    let tags: Vec<_> = call
        .form
        .iter()
        .filter(|(name, _)| name.starts_with("Tags."))
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(tags, ["host", "h1", "cost", "7"]);
    let plain = wish(identity("https://a", "pod", "us", &[]));
    assert_ne!(plans.request(&plain).unwrap().key, request.key);
}
