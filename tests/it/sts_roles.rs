//! Which role a caller of STS gets, and what it may ask of it.

use std::sync::Arc;
use std::time::SystemTime;

use rolecall::authority::{Authority, KeyRing, SessionClaims};
use rolecall::clock::Clock;
use rolecall::config::{Purpose, Surroundings, parse_text};
use rolecall::listener::Passed;
use rolecall::source::Environment;
use rolecall::store::{AccountDraft, ConnectorDraft, ConnectorKind};
use rolecall::types::{AccessKeyId, AccountAlias, Partition, RoleArn};

use super::sts::{Scene, not_authorized};
use crate::support::client::Answer;
use crate::support::daemon::{TestDaemon, with_secret};
use crate::support::signed::{Keys, element};
use crate::support::sts::{Reply, ScriptedSts};

const ANN: &str = "arn:aws:iam::000000000000:user/ann";
const ASSUME: &str = "sts:AssumeRole";

/// What the session in an answer says of itself.
#[track_caller]
pub(crate) fn claims(scene: &Scene, answer: &Answer) -> SessionClaims {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let token = element(&answer.body, "SessionToken");
    let state = scene.daemon.directory.path().join("state");
    let ring = KeyRing::open(&state, "authority", None).unwrap();
    let authority = Authority::new(ring, None, Clock::System).unwrap();
    authority.open(token).unwrap()
}

#[track_caller]
pub(crate) fn assert_denied(answer: &Answer, caller: &str, arn: &str) {
    answer.assert_fault(403, "AccessDenied", &not_authorized(caller, ASSUME, arn));
}

/// For how long the session in an answer lives.
fn life(answer: &Answer) -> u64 {
    let expires = element(&answer.body, "Expiration");
    let expires: chrono::DateTime<chrono::Utc> = expires
        .parse()
        .unwrap_or_else(|error| panic!("{error}: {}", answer.body));
    let left = SystemTime::from(expires).duration_since(Clock::System.now());
    left.unwrap().as_secs() + 1
}

#[tokio::test]
async fn what_there_is_not_is_told_as_what_is_anothers() {
    let scene = Scene::start("");
    let (ann, eve) = (scene.key("ann").await, scene.key("eve").await);
    for arn in [
        "arn:aws:iam::000000000000:role/secret",
        "arn:aws:iam::000000000000:role/nothing",
        "arn:aws:iam::000000000001:role/demo",
        "arn:aws-cn:iam::000000000000:role/demo",
        "arn:aws:iam::000000000000:role/path/demo",
    ] {
        assert_denied(&scene.assume_arn(&ann, arn, &[]).await, ANN, arn);
    }
    let arn = "arn:aws:iam::000000000000:role/demo";
    let eves = "arn:aws:iam::000000000000:user/eve";
    assert_denied(&scene.assume_arn(&eve, arn, &[]).await, eves, arn);
    let events = scene.daemon.daemon.vending.audit().events_after(0);
    let denials: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
    let nothing = "role: Some(\"local/nothing\")";
    assert!(
        denials
            .iter()
            .any(|event| event.contains(nothing) && event.contains("\"sts\"")),
        "{denials:?}"
    );
}

const SEVERAL: &str = r#"
[account.one]
dialect = "ceph"
endpoint = "http://127.0.0.1:1"
credentials = { from = "local" }
[account.one.role.shared]
arn = "arn:aws:iam:::role/shared"
[account.two]
dialect = "ceph"
endpoint = "http://127.0.0.1:1"
credentials = { from = "local" }
[account.two.role.shared]
arn = "arn:aws:iam:::role/shared"
[account.two.role.other]
arn = "arn:aws:iam:::role/shared"
[account.two.role.alone]
arn = "arn:aws:iam:::role/alone"
[[grant]]
role = "one/shared"
when = { principal = "ann" }
[[grant]]
role = "two/shared"
when = { principal = "ann" }
[[grant]]
role = "two/alone"
when = { principal = "ann" }
"#;

#[tokio::test]
async fn where_several_accounts_have_a_role_the_keys_account_decides() {
    let text = SEVERAL.replace(
        "dialect = \"ceph\"\nendpoint = \"http://127.0.0.1:1\"\n",
        "",
    );
    let scene = Scene::start(&text);
    let shared = "arn:aws:iam:::role/shared";
    for (account, role) in [("one", "one/shared"), ("two", "two/shared")] {
        let key = scene.key_of("ann", account).await;
        let answer = scene.assume_arn(&key, shared, &[]).await;
        let of = claims(&scene, &answer).of;
        assert_eq!(of.role().unwrap().to_string(), role);
        let alone = scene
            .assume_arn(&key, "arn:aws:iam:::role/alone", &[])
            .await;
        assert_eq!(alone.status, 200, "{}", alone.body);
    }
    let neither = scene.key("ann").await;
    assert_denied(&scene.assume_arn(&neither, shared, &[]).await, ANN, shared);
}

#[tokio::test]
async fn a_role_that_only_a_group_names_has_its_derived_arn() {
    let text = r#"
[people]
groups-file = "{dir}/groups"
[account.team]
id = "000000000007"
credentials = { from = "local" }
[account.team.defaults]
duration = "30m"
[[grant]]
role = "{account}/{role}"
when = { group = { regex = "aws-(?<account>[a-z]+)-(?<role>[a-z]+)" } }
"#;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("groups"), "aws-team-build: ann\n").unwrap();
    let text = format!("{}{text}", super::sts::STS);
    let clock = Clock::System;
    let daemon = TestDaemon::start_in(directory, &text, clock, Passed::default());
    let scene = Scene::of(daemon);
    let ann = scene.key("ann").await;
    let build = scene
        .assume_arn(&ann, "arn:aws:iam::000000000007:role/build", &[])
        .await;
    assert_eq!(
        claims(&scene, &build).of.role().unwrap().to_string(),
        "team/build"
    );
    assert!(life(&build) <= 1800);
    let session = Keys::of(&build);
    let who = scene
        .ask(&session, &[("Action", "GetCallerIdentity")])
        .await;
    who.assert_element("Arn", "arn:aws:sts::000000000007:assumed-role/build/it");
    let other = "arn:aws:iam::000000000007:role/other";
    assert_denied(&scene.assume_arn(&ann, other, &[]).await, ANN, other);
}

const LIVES: &str = r#"
[account.local.role.long]
duration = "2h"
max-duration = "4h"
[account.local.role.short]
duration = "30m"
[account.local.role.narrowed]
duration = "4h"
[[grant]]
role = "local/long"
when = { principal = "ann" }
[[grant]]
role = "local/short"
when = { principal = "ann" }
[[grant]]
role = "local/narrowed"
when = { principal = "ann" }
duration = "15m"
"#;

#[tokio::test]
async fn a_life_is_asked_for_within_the_roles_bounds() {
    let scene = Scene::start(LIVES);
    let ann = scene.key("ann").await;
    let too_long =
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    for (role, asked, given) in [
        ("long", None, Some(3600)),
        ("long", Some("14400"), Some(14_400)),
        ("long", Some("14401"), None),
        ("short", None, Some(1800)),
        ("short", Some("1800"), Some(1800)),
        ("short", Some("3600"), None),
        ("narrowed", None, Some(900)),
        ("narrowed", Some("900"), Some(900)),
        ("narrowed", Some("901"), None),
    ] {
        let pairs: Vec<_> = asked
            .map(|asked| ("DurationSeconds", asked))
            .into_iter()
            .collect();
        let answer = scene.assume_with(&ann, role, &pairs).await;
        match given {
            Some(given) => {
                let life = life(&answer);
                assert!(
                    (given - 5..=given).contains(&life),
                    "{role} {asked:?}: {life}"
                );
            }
            None => answer.assert_fault(400, "ValidationError", too_long),
        }
    }
    // Who has no such role is not told how long it may live.
    let eve = scene.key("eve").await;
    let answer = scene
        .assume_with(&eve, "short", &[("DurationSeconds", "3600")])
        .await;
    assert_eq!(answer.status, 403, "{}", answer.body);
}

const POLICIES: &str = r#"
[account.local.role.bound]
policy-arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
[[grant]]
role = "local/bound"
when = { principal = "ann" }
[[grant]]
role = "local/bound"
when = { principal = "bob" }
caller-policy = "replace"
"#;

#[tokio::test]
async fn a_callers_policy_narrows_and_never_widens() {
    let scene = Scene::start(POLICIES);
    let (ann, bob) = (scene.key("ann").await, scene.key("bob").await);
    let policy = [("Policy", "{ \"Statement\": [] }")];
    let arns = [(
        "PolicyArns.member.1.arn",
        "arn:aws:iam::aws:policy/AdministratorAccess",
    )];
    let free = scene.assume_with(&ann, "demo", &policy).await;
    assert_eq!(
        claims(&scene, &free).policy.as_deref(),
        Some("{\"Statement\":[]}")
    );
    let arn = "arn:aws:iam::000000000000:role/bound";
    assert_denied(&scene.assume_with(&ann, "bound", &policy).await, ANN, arn);
    assert_denied(&scene.assume_with(&ann, "bound", &arns).await, ANN, arn);
    assert_eq!(scene.assume(&ann, "bound").await.status, 200);
    let replaced = scene.assume_with(&bob, "bound", &policy).await;
    assert_eq!(
        claims(&scene, &replaced).policy.as_deref(),
        Some("{\"Statement\":[]}")
    );
    let replaced = scene.assume_with(&bob, "bound", &arns).await;
    let said = claims(&scene, &replaced);
    assert_eq!(
        (said.policy, said.policy_arns),
        (None, vec![arns[0].1.to_owned()])
    );
    // Sessions of other policies are others.
    let other = [("PolicyArns.member.1.arn", READ_ONLY)];
    let replaced = scene.assume_with(&bob, "bound", &other).await;
    assert_eq!(claims(&scene, &replaced).policy_arns, [READ_ONLY]);
}

const TRUST: &str = r#"
[account.local.role.partner]
[account.local.role.traced]
tags = { team = "ops" }
[[grant]]
role = "local/partner"
when = { principal = "ann", external-id = "contract-7" }
[[grant]]
role = "local/traced"
when = { principal = "ann", source-identity = "ann@*" }
"#;

#[tokio::test]
async fn grants_ask_for_external_ids_and_source_identities() {
    let scene = Scene::start(TRUST);
    let ann = scene.key("ann").await;
    let arn = "arn:aws:iam::000000000000:role/partner";
    assert_denied(&scene.assume(&ann, "partner").await, ANN, arn);
    let wrong = [("ExternalId", "contract-8")];
    assert_denied(&scene.assume_with(&ann, "partner", &wrong).await, ANN, arn);
    let right = [("ExternalId", "contract-7")];
    assert_eq!(scene.assume_with(&ann, "partner", &right).await.status, 200);
    let arn = "arn:aws:iam::000000000000:role/traced";
    assert_denied(&scene.assume(&ann, "traced").await, ANN, arn);
    let traced = [
        ("SourceIdentity", "ann@example.org"),
        ("Tags.member.1.Key", "TEAM"),
        ("Tags.member.1.Value", "mine"),
        ("Tags.member.2.Key", "project"),
        ("Tags.member.2.Value", "größe 5"),
        ("TransitiveTagKeys.member.1", "project"),
    ];
    let answer = scene.assume_with(&ann, "traced", &traced).await;
    answer.assert_element("SourceIdentity", "ann@example.org");
    let claims = claims(&scene, &answer);
    assert_eq!(claims.source_identity.as_deref(), Some("ann@example.org"));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        claims.tags,
        [pair("team", "ops"), pair("project", "größe 5")]
    );
    assert_eq!(claims.transitive_keys, ["project"]);
}

#[tokio::test]
async fn groups_count_and_a_mount_may_ask_for_one() {
    let text = r#"
[people]
groups-file = "{dir}/groups"
[[grant]]
role = "local/secret"
when = { group = "keepers" }
"#;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("groups"),
        "keepers: ann eve\nsts-users: ann\n",
    )
    .unwrap();
    let mount = "apis = [\"sts\", \"metrics\"]\n[[listener.mount]]\nprefix = \"/\"\n\
                 authenticate = [\"token\"]\nrequire-group = [\"sts-users\"]";
    let text = format!("{}{text}", super::sts::STS).replace("apis = [\"sts\", \"metrics\"]", mount);
    let clock = Clock::System;
    let daemon = TestDaemon::start_in(directory, &text, clock, Passed::default());
    let scene = Scene::of(daemon);
    let (ann, eve) = (scene.key("ann").await, scene.key("eve").await);
    assert_eq!(scene.assume(&ann, "secret").await.status, 200);
    let arn = "arn:aws:iam::000000000000:role/secret";
    let eves = "arn:aws:iam::000000000000:user/eve";
    assert_denied(&scene.assume(&eve, "secret").await, eves, arn);
    let token = [("Action", "GetSessionToken")];
    scene
        .ask(&eve, &token)
        .await
        .assert_fault(403, "AccessDenied", "Access denied");
    let who = scene.ask(&eve, &[("Action", "GetCallerIdentity")]).await;
    who.assert_element("Arn", eves);
}

/// An account of the cloud at this endpoint, a role of it for ann, and IMDS for who runs the tests.
fn of_the_cloud(endpoint: &str) -> String {
    format!(
        r#"{}
[[listener]]
name = "metadata"
bind = ["127.0.0.1:0"]
apis = ["imds"]
[account.prod]
id = "123456789012"
region = "eu-central-1"
endpoint = "{endpoint}"
credentials = {{ from = "key", access-key-id = "AKIABASE", secret-access-key = "file:{{dir}}/secret" }}
[account.prod.role.web]
session-name = "shared"
[account.chained]
id = "123456789013"
endpoint = "{endpoint}"
region = "eu-central-1"
credentials = {{ from = "role", role = "prod/web" }}
[account.chained.role.app]
max-duration = "2h"
[[grant]]
role = "chained/app"
when = {{ principal = "ann" }}
[[grant]]
role = "prod/web"
when = {{ principal = "ann" }}
[[grant]]
role = "prod/web"
when = {{ uid = {{uid}} }}
"#,
        super::sts::STS
    )
}

fn cloud(sts: &ScriptedSts) -> Scene {
    let text = of_the_cloud(&sts.url());
    let clock = Clock::System;
    let passed = Passed::default();
    Scene::of(TestDaemon::start_in(with_secret(), &text, clock, passed))
}

const WEB: &str = "arn:aws:iam::123456789012:role/web";
const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";
const CENTER: &str = "arn:aws:iam::aws:contextProvider/IdentityCenter";

#[tokio::test]
async fn what_is_asked_of_a_clouds_role_is_asked_of_the_cloud_once() {
    let sts = ScriptedSts::generous().await;
    let scene = cloud(&sts);
    let ann = scene.key("ann").await;
    let asked = [
        ("RoleSessionName", "ann+1"),
        ("Policy", "{ \"Statement\": [] }"),
        ("ExternalId", "ours-only"),
        ("SourceIdentity", "ann"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "ops"),
        ("TransitiveTagKeys.member.1", "team"),
        ("DurationSeconds", "900"),
        ("PolicyArns.member.1.arn", READ_ONLY),
        ("ProvidedContexts.member.1.ProviderArn", CENTER),
        (
            "ProvidedContexts.member.1.ContextAssertion",
            "signed-for-ann",
        ),
    ];
    let answer = scene.assume_arn(&ann, WEB, &asked).await;
    answer.assert_element("AccessKeyId", "ASIASCRIPTEDSTS00001");
    answer.assert_element("Arn", "arn:aws:sts::123456789012:assumed-role/web/ann-1");
    answer.assert_element("SourceIdentity", "ann");
    answer.assert_element("PackedPolicySize", "2");
    for _ in 0..3 {
        let again = scene.assume_arn(&ann, WEB, &asked).await;
        again.assert_element("AccessKeyId", "ASIASCRIPTEDSTS00001");
    }
    let received = sts.received();
    let [call] = received.as_slice() else {
        panic!("{received:?}");
    };
    for (name, value) in [
        ("Action", "AssumeRole"),
        ("RoleArn", WEB),
        ("RoleSessionName", "ann-1"),
        ("Policy", "{\"Statement\":[]}"),
        ("SourceIdentity", "ann"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "ops"),
        ("TransitiveTagKeys.member.1", "team"),
        ("DurationSeconds", "900"),
        ("PolicyArns.member.1.arn", READ_ONLY),
        ("ProvidedContexts.member.1.ProviderArn", CENTER),
        (
            "ProvidedContexts.member.1.ContextAssertion",
            "signed-for-ann",
        ),
        ("ExternalId", ""),
        ("SerialNumber", ""),
    ] {
        assert_eq!(call.field(name), value, "{name}");
    }
    // What somebody else vouches for makes another session.
    let (plain, context) = asked.split_at(asked.len() - 2);
    let other = [
        plain,
        &context[..1],
        &[("ProvidedContexts.member.1.ContextAssertion", "another")],
    ];
    for (asked, calls) in [(other.concat(), 2), (plain.to_vec(), 3)] {
        assert_eq!(scene.assume_arn(&ann, WEB, &asked).await.status, 200);
        assert_eq!(sts.received().len(), calls);
    }
}

#[tokio::test]
async fn a_session_of_sts_and_of_the_metadata_service_are_one() {
    let sts = ScriptedSts::generous().await;
    let scene = cloud(&sts);
    let ann = scene.key("ann").await;
    let metadata = scene.daemon.address("metadata");
    let token = crate::support::client::imds_token(metadata).await;
    let list = crate::support::client::LIST;
    let document = crate::support::client::imds_get(metadata, &token, &format!("{list}web")).await;
    assert_eq!(document.json()["AccessKeyId"], "ASIASCRIPTEDSTS00001");
    let answer = scene
        .assume_arn(&ann, WEB, &[("RoleSessionName", "shared")])
        .await;
    answer.assert_element("AccessKeyId", "ASIASCRIPTEDSTS00001");
    assert_eq!(sts.received().len(), 1, "{:?}", sts.received());
}

const INTERNAL: &str =
    "The request processing has failed because of an unknown error, exception or failure.";

#[tokio::test]
async fn what_only_the_cloud_finds_wrong_is_the_callers_where_the_caller_brought_it() {
    let policy = [("Policy", "{\"Statement\":[]}")];
    let arns = [("PolicyArns.member.1.arn", READ_ONLY)];
    let tags = [
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "ops"),
    ];
    let life = [("DurationSeconds", "3600")];
    let nothing: [(&str, &str); 0] = [];
    let syntax = "Syntax errors in policy.";
    let large =
        "Packed policy consumes more than 100% of allotted space, please use smaller policy.";
    let long = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    for (told, status, code, message, by, others) in [
        (
            Reply::error(400, "MalformedPolicyDocument", "canary"),
            400,
            "MalformedPolicyDocument",
            syntax,
            vec![&policy[..], &arns],
            vec![&tags[..], &life, &nothing],
        ),
        (
            Reply::s3_error(400, "MalformedPolicyDocument"),
            400,
            "MalformedPolicyDocument",
            syntax,
            vec![&policy],
            vec![&nothing],
        ),
        (
            Reply::error(400, "PackedPolicyTooLarge", "canary 104%"),
            400,
            "PackedPolicyTooLarge",
            large,
            vec![&policy, &arns, &tags],
            vec![&life, &nothing],
        ),
        (
            Reply::error(
                400,
                "ValidationError",
                "canary exceeds the MaxSessionDuration",
            ),
            400,
            "ValidationError",
            long,
            vec![&life],
            vec![&policy, &nothing],
        ),
    ] {
        let sts = ScriptedSts::start(move |_| told.clone()).await;
        let scene = cloud(&sts);
        let ann = scene.key("ann").await;
        for asked in by {
            let answer = scene.assume_arn(&ann, WEB, asked).await;
            answer.assert_fault(status, code, message);
        }
        // The operator's mistake.
        for asked in others {
            let answer = scene.assume_arn(&ann, WEB, asked).await;
            answer.assert_fault(500, "InternalFailure", INTERNAL);
        }
    }
}

#[tokio::test]
async fn upstreams_words_are_not_told() {
    for (reply, status, code, message) in [
        (
            Reply::error(403, "AccessDenied", "canary"),
            403,
            "AccessDenied",
            not_authorized(ANN, ASSUME, WEB),
        ),
        (
            Reply::error(400, "MalformedPolicyDocument", "canary"),
            500,
            "InternalFailure",
            INTERNAL.to_owned(),
        ),
        (
            Reply::new(500, "canary"),
            503,
            "ServiceUnavailable",
            "The request has failed due to a temporary failure of the server.".to_owned(),
        ),
    ] {
        let sts = ScriptedSts::start(move |_| reply.clone()).await;
        let scene = cloud(&sts);
        let ann = scene.key("ann").await;
        let answer = scene.assume_arn(&ann, WEB, &[]).await;
        answer.assert_fault(status, code, &message);
    }
}

#[tokio::test]
async fn a_chain_behind_a_role_bounds_what_may_be_asked_of_it() {
    let sts = ScriptedSts::generous().await;
    let scene = cloud(&sts);
    let ann = scene.key("ann").await;
    let app = "arn:aws:iam::123456789013:role/app";
    let answer = scene
        .assume_arn(&ann, app, &[("DurationSeconds", "7200")])
        .await;
    answer.assert_fault(
        400,
        "ValidationError",
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role \
         chaining.",
    );
    let answer = scene
        .assume_arn(&ann, app, &[("DurationSeconds", "3600")])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_connectors_role_is_its_members_and_nobody_elses() {
    let sts = ScriptedSts::generous().await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("groups"), "devs: ann\n").unwrap();
    let text = format!(
        "{}[people]\ngroups-file = \"{{dir}}/groups\"\n",
        super::sts::STS
    );
    let text = text.replace("{dir}", directory.path().to_str().unwrap());
    let surroundings = Surroundings::process(Purpose::Serve);
    let (config, _) = parse_text("rolecall.toml", &text, &surroundings).unwrap();
    let environment = Environment::from_iter([("AWS_ENDPOINT_URL_STS".to_owned(), sts.url())]);
    let scene = Scene::of(TestDaemon::start_among(directory, config, environment));
    let store = &scene.daemon.daemon.store;
    let account = AccountDraft {
        name: Arc::from("Team"),
        access_key_id: AccessKeyId::new("AKIATEAM").unwrap(),
        secret_access_key: "canary-team".into(),
        partition: Partition::new("aws").unwrap(),
    };
    let account = store.create_account(account).await.unwrap();
    let arn = "arn:aws:iam::123456789012:role/path/deploy";
    let connector = ConnectorDraft {
        name: Arc::from("Deploy"),
        account: account.alias.clone(),
        kind: ConnectorKind::AssumeRole {
            arn: RoleArn::new(arn).unwrap(),
            external_id: None,
        },
        system: false,
        groups: vec![Arc::from("devs")],
        policy: None,
        policy_arns: Vec::new(),
        max_duration: None,
    };
    let connector = store.create_connector(connector).await.unwrap();
    let (ann, eve) = (scene.key("ann").await, scene.key("eve").await);
    let answer = scene.assume_arn(&ann, arn, &[]).await;
    answer.assert_element("AccessKeyId", "ASIASCRIPTEDSTS00001");
    answer.assert_element("Arn", "arn:aws:sts::123456789012:assumed-role/deploy/it");
    assert_eq!(sts.received()[0].field("RoleArn"), arn);
    let eves = "arn:aws:iam::000000000000:user/eve";
    assert_denied(&scene.assume_arn(&eve, arn, &[]).await, eves, arn);
    store.delete_connector(connector.id, None).await.unwrap();
    assert_denied(&scene.assume_arn(&ann, arn, &[]).await, ANN, arn);
}

#[tokio::test]
async fn a_connector_is_known_by_its_arn_whatever_it_is_called() {
    let sts = ScriptedSts::generous().await;
    let text = format!(
        r#"{}
[people]
groups-file = "{{dir}}/groups"
[account.open]
id = "123456789014"
endpoint = "{}"
credentials = {{ from = "key", access-key-id = "AKIAOPEN", secret-access-key = "file:{{dir}}/secret" }}
"#,
        super::sts::STS,
        sts.url()
    );
    let directory = with_secret();
    std::fs::write(directory.path().join("groups"), "devs: ann\n").unwrap();
    let daemon = TestDaemon::start_in(directory, &text, Clock::System, Passed::default());
    let scene = Scene::of(daemon);
    let arn = "arn:aws:iam::123456789014:role/s3app";
    let connector = ConnectorDraft {
        name: Arc::from("Object store"),
        account: AccountAlias::new("open").unwrap(),
        kind: ConnectorKind::AssumeRole {
            arn: RoleArn::new(arn).unwrap(),
            external_id: None,
        },
        system: true,
        groups: vec![Arc::from("devs")],
        policy: None,
        policy_arns: Vec::new(),
        max_duration: None,
    };
    let store = &scene.daemon.daemon.store;
    store.create_connector(connector).await.unwrap();
    let ann = scene.key_of("ann", "open").await;
    let answer = scene.assume_arn(&ann, arn, &[]).await;
    answer.assert_element("AccessKeyId", "ASIASCRIPTEDSTS00001");
    let call = sts.received();
    assert_eq!(call.last().unwrap().field("RoleArn"), arn);
    let eve = scene.key_of("eve", "open").await;
    let eves = "arn:aws:iam::123456789014:user/eve";
    assert_denied(&scene.assume_arn(&eve, arn, &[]).await, eves, arn);
}
