//! Sessions that sign: chains of roles, users' own sessions, and second factors.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rolecall::authority::SessionOf;
use rolecall::authority::totp::Seed;
use rolecall::clock::Clock;
use rolecall::listener::Passed;
use rolecall::store::MfaDeviceDraft;
use rolecall::types::{AccessKeyId, MfaSerial};

use super::sts::{STS, Scene, not_authorized};
use super::sts_roles::{assert_denied, claims};
use crate::support::daemon::TestDaemon;
use crate::support::signed::{Keys, Signing, element, post_as};

const CHAIN: &str = r#"
[account.local.role.base]
duration = "2h"
max-duration = "12h"
[account.local.role.next]
duration = "2h"
max-duration = "12h"
[account.local.role.last]
[[grant]]
role = "local/base"
when = { principal = "ann" }
[[grant]]
role = "local/next"
when = { principal = "ann" }
[[grant]]
role = "local/last"
when = { principal = "ann" }
"#;

const WHO: &[(&str, &str)] = &[("Action", "GetCallerIdentity")];
const INVALID_TOKEN: &str = "The security token included in the request is invalid.";

#[tokio::test]
async fn a_chain_keeps_what_was_said_of_it() {
    let scene = Scene::start(CHAIN);
    let ann = scene.key("ann").await;
    let asked = [
        ("SourceIdentity", "ann"),
        ("Tags.member.1.Key", "Project"),
        ("Tags.member.1.Value", "x"),
        ("Tags.member.2.Key", "stage"),
        ("Tags.member.2.Value", "test"),
        ("TransitiveTagKeys.member.1", "project"),
    ];
    let base = Keys::of(&scene.assume_with(&ann, "base", &asked).await);
    let more = [
        ("Tags.member.1.Key", "stage"),
        ("Tags.member.1.Value", "live"),
    ];
    let answer = scene.assume_with(&base, "next", &more).await;
    answer.assert_element("SourceIdentity", "ann");
    let next = claims(&scene, &answer);
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(next.tags, [pair("Project", "x"), pair("stage", "live")]);
    assert_eq!(next.transitive_keys, ["Project"]);
    assert_eq!(next.principal.as_deref(), Some("ann"));
    assert_eq!(next.chain_depth, 1);
    let next = Keys::of(&answer);
    let answer = scene.assume(&next, "last").await;
    let last = claims(&scene, &answer);
    assert_eq!(
        (last.tags, last.chain_depth),
        (vec![pair("Project", "x")], 2)
    );
    assert_eq!(last.source_identity.as_deref(), Some("ann"));
    // What is handed down cannot be said otherwise.
    let again = [
        ("Tags.member.1.Key", "PROJECT"),
        ("Tags.member.1.Value", "y"),
    ];
    scene.assume_with(&next, "last", &again).await.assert_fault(
        400,
        "ValidationError",
        "One of the specified transitive tag keys can't be set because it conflicts with a \
         transitive tag key from the calling session.",
    );
    let arn = "arn:aws:iam::000000000000:role/last";
    let caller = "arn:aws:sts::000000000000:assumed-role/next/it";
    let other = [("SourceIdentity", "bob")];
    let answer = scene.assume_with(&next, "last", &other).await;
    let message = not_authorized(caller, "sts:SetSourceIdentity", arn);
    answer.assert_fault(403, "AccessDenied", &message);
    let same = [("SourceIdentity", "ann")];
    assert_eq!(scene.assume_with(&next, "last", &same).await.status, 200);
    assert_denied(
        &scene.assume(&next, "secret").await,
        caller,
        "arn:aws:iam::000000000000:role/secret",
    );
}

#[tokio::test]
async fn a_chains_sessions_live_for_an_hour_at_most() {
    let scene = Scene::start(CHAIN);
    let ann = scene.key("ann").await;
    let two = [("DurationSeconds", "7200")];
    let base = Keys::of(&scene.assume_with(&ann, "base", &two).await);
    scene.assume_with(&base, "next", &two).await.assert_fault(
        400,
        "ValidationError",
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role \
         chaining.",
    );
    let hour = [("DurationSeconds", "3600")];
    assert_eq!(scene.assume_with(&base, "next", &hour).await.status, 200);
    assert_eq!(scene.assume(&base, "next").await.status, 200);
}

#[tokio::test]
async fn tags_that_are_handed_down_count_among_the_fifty() {
    let scene = Scene::start(CHAIN);
    let ann = scene.key("ann").await;
    let named = |count: usize, list: &str, end: &str| -> Vec<String> {
        (1..=count)
            .map(|number| format!("{list}.member.{number}{end}"))
            .collect()
    };
    let (keys, values) = (named(40, "Tags", ".Key"), named(40, "Tags", ".Value"));
    let transitive = named(40, "TransitiveTagKeys", "");
    let tags = |prefix: &str| -> Vec<String> {
        (1..=40).map(|number| format!("{prefix}{number}")).collect()
    };
    let (first, second) = (tags("a"), tags("b"));
    let mut pairs = Vec::new();
    for number in 0..40 {
        pairs.push((keys[number].as_str(), first[number].as_str()));
        pairs.push((values[number].as_str(), "v"));
        pairs.push((transitive[number].as_str(), first[number].as_str()));
    }
    let base = Keys::of(&scene.assume_with(&ann, "base", &pairs).await);
    let mut more = Vec::new();
    for number in 0..11 {
        more.push((keys[number].as_str(), second[number].as_str()));
        more.push((values[number].as_str(), "v"));
    }
    let answer = scene.assume_with(&base, "next", &more).await;
    assert_eq!(element(&answer.body, "Code"), "ValidationError");
    let answer = scene
        .assume_with(&base, "next", more.get(..20).unwrap())
        .await;
    assert_eq!(claims(&scene, &answer).tags.len(), 50);
}

#[tokio::test]
async fn a_users_session_is_the_users_own_and_ends_with_the_key() {
    let scene = Scene::start(CHAIN);
    let ann = scene.key("ann").await;
    let answer = scene.ask(&ann, &[("Action", "GetSessionToken")]).await;
    let body = &answer.body;
    assert!(
        body.starts_with("<GetSessionTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetSessionTokenResult><Credentials>"),
        "{body}"
    );
    let said = claims(&scene, &answer);
    let events = scene.daemon.daemon.vending.audit().events_after(0);
    let [given] = events.as_slice() else {
        panic!("{events:?}");
    };
    let told = format!("{given:?}");
    for part in [
        "kind: HandOut",
        "name: \"ann\"",
        "api: \"sts\"",
        "role: None",
        "reason: \"GetSessionToken\"",
        element(body, "AccessKeyId"),
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let life = said.expires_at.duration_since(said.issued_at).unwrap();
    assert_eq!(life, Duration::from_hours(12));
    assert!(matches!(said.of, SessionOf::User { .. }), "{:?}", said.of);
    let session = Keys::of(&answer);
    let who = scene.ask(&session, WHO).await;
    who.assert_element("Arn", "arn:aws:iam::000000000000:user/ann");
    // It is no chain: a role may be had for its own longest life.
    let long = [("DurationSeconds", "43200")];
    let role = scene.assume_with(&session, "base", &long).await;
    assert_eq!(claims(&scene, &role).chain_depth, 0);
    for (operation, besides) in [
        ("GetSessionToken", None),
        ("GetFederationToken", Some(("Name", "bob"))),
    ] {
        let mut pairs = vec![("Action", operation)];
        pairs.extend(besides);
        for session in [&session, &Keys::of(&role)] {
            let answer = scene.ask(session, &pairs).await;
            let message = format!("Cannot call {operation} with session credentials");
            answer.assert_fault(403, "AccessDenied", &message);
        }
    }
    let id = AccessKeyId::new(&ann.id).unwrap();
    scene.daemon.daemon.store.delete_key(id).await.unwrap();
    for keys in [&ann, &session] {
        let answer = scene.ask(keys, WHO).await;
        answer.assert_fault(403, "InvalidClientTokenId", INVALID_TOKEN);
    }
}

#[tokio::test]
async fn who_is_vouched_for_is_nobody_else() {
    let scene = Scene::start(CHAIN);
    let ann = scene.key("ann").await;
    let asked = [
        ("Action", "GetFederationToken"),
        ("Name", "base"),
        ("Policy", "{ \"Statement\": [] }"),
        ("DurationSeconds", "900"),
        ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/A"),
        ("PolicyArns.member.2.arn", "arn:aws:iam::aws:policy/B"),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "ops"),
    ];
    let answer = scene.ask(&ann, &asked).await;
    let arn = "arn:aws:sts::000000000000:federated-user/base";
    answer.assert_element("Arn", arn);
    answer.assert_element("FederatedUserId", "000000000000:base");
    answer.assert_element("PackedPolicySize", "2");
    let said = claims(&scene, &answer);
    assert_eq!(said.policy.as_deref(), Some("{\"Statement\":[]}"));
    assert_eq!(
        said.policy_arns,
        ["arn:aws:iam::aws:policy/A", "arn:aws:iam::aws:policy/B"]
    );
    assert_eq!((said.principal, said.of.role()), (None, None));
    let session = Keys::of(&answer);
    scene.ask(&session, WHO).await.assert_element("Arn", arn);
    let role = "arn:aws:iam::000000000000:role/base";
    assert_denied(&scene.assume(&session, "base").await, arn, role);
}

#[tokio::test]
async fn a_session_that_ended_is_told_so() {
    let clock = Clock::simulated(Clock::System.now());
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{STS}{CHAIN}");
    let daemon = TestDaemon::start_in(directory, &text, clock.clone(), Passed::default());
    let scene = Scene::of(daemon);
    let ann = scene.key("ann").await;
    let session = Keys::of(&scene.assume(&ann, "demo").await);
    let Clock::Simulated(simulation) = &clock else {
        unreachable!("it was made so");
    };
    simulation.set_wall(clock.now() + Duration::from_hours(2));
    let later = Signing {
        at: clock.now(),
        ..Signing::default()
    };
    let answer = post_as(scene.api, &session, WHO, later).await;
    answer.assert_fault(
        403,
        "ExpiredToken",
        "The security token included in the request is expired",
    );
}

#[tokio::test]
async fn a_roles_not_before_ends_its_sessions() {
    let scene = Scene::start(CHAIN);
    let ann = scene.key("ann").await;
    let session = Keys::of(&scene.assume(&ann, "demo").await);
    let text = format!("{STS}{CHAIN}").replace(
        "[account.local.role.demo]",
        "[account.local.role.demo]\nnot-before = 2099-01-01T00:00:00Z",
    );
    scene.daemon.write(&text);
    scene.daemon.reload.reload().await.unwrap();
    let answer = scene.ask(&session, WHO).await;
    assert_eq!(element(&answer.body, "Code"), "ExpiredToken");
}

const FACTORS: &str = r#"
[account.local.role.vault]
[[grant]]
role = "local/vault"
when = { principal = "ann", mfa = true }
"#;

const SERIAL: &str = "arn:aws:iam::000000000000:mfa/ann";
const NO_DEVICE: &str = "MultiFactorAuthentication failed, unable to validate MFA code.  Please \
                         verify your MFA serial number is valid and associated with this user.";
const WRONG_CODE: &str = "MultiFactorAuthentication failed with invalid MFA one time pass code. ";

/// A device of this user's; its seed.
async fn device(scene: &Scene, user: &str) -> Seed {
    let seed = Seed::generate().unwrap();
    let draft = MfaDeviceDraft {
        serial: MfaSerial::new(SERIAL).unwrap(),
        seed: seed.clone(),
        user: Arc::from(user),
    };
    scene.daemon.daemon.store.enrol_device(draft).await.unwrap();
    seed
}

fn code(seed: &Seed, steps: u64) -> String {
    let now = Clock::System.now().duration_since(UNIX_EPOCH).unwrap();
    seed.code(now.as_secs() / 30 + steps)
}

#[tokio::test]
async fn a_code_is_a_second_factor_once() {
    let scene = Scene::start(FACTORS);
    let ann = scene.key("ann").await;
    let seed = device(&scene, "ann").await;
    let vault = "arn:aws:iam::000000000000:role/vault";
    let caller = "arn:aws:iam::000000000000:user/ann";
    assert_denied(&scene.assume(&ann, "vault").await, caller, vault);
    let now = code(&seed, 0);
    let wrong = if now == "000000" { "000001" } else { "000000" };
    let shown = |code| [("SerialNumber", SERIAL), ("TokenCode", code)];
    let answer = scene.assume_with(&ann, "vault", &shown(wrong)).await;
    answer.assert_fault(403, "AccessDenied", WRONG_CODE);
    let right = scene.assume_with(&ann, "vault", &shown(&now)).await;
    assert!(claims(&scene, &right).mfa);
    let again = scene.assume_with(&ann, "vault", &shown(&now)).await;
    again.assert_fault(403, "AccessDenied", WRONG_CODE);
    let other = [("SerialNumber", "123456789"), ("TokenCode", "123456")];
    let answer = scene.assume_with(&ann, "vault", &other).await;
    answer.assert_fault(403, "AccessDenied", NO_DEVICE);
    // What was shown once stands for the user's session.
    let next = code(&seed, 1);
    let mut pairs = vec![("Action", "GetSessionToken")];
    pairs.extend(shown(&next));
    let session = scene.ask(&ann, &pairs).await;
    let session = Keys::of(&session);
    assert_eq!(scene.assume(&session, "vault").await.status, 200);
    let plain = Keys::of(&scene.ask(&ann, &[("Action", "GetSessionToken")]).await);
    assert_eq!(scene.assume(&plain, "vault").await.status, 403);
}

#[tokio::test]
async fn a_device_is_its_users_and_is_locked_after_guesses() {
    let scene = Scene::start(FACTORS);
    let (ann, eve) = (scene.key("ann").await, scene.key("eve").await);
    let seed = device(&scene, "ann").await;
    let now = code(&seed, 0);
    let shown = |code| [("SerialNumber", SERIAL), ("TokenCode", code)];
    let answer = scene.assume_with(&eve, "vault", &shown(&now)).await;
    answer.assert_fault(403, "AccessDenied", NO_DEVICE);
    let wrong = if now == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        let answer = scene.assume_with(&ann, "vault", &shown(wrong)).await;
        answer.assert_fault(403, "AccessDenied", WRONG_CODE);
    }
    let answer = scene.assume_with(&ann, "vault", &shown(&now)).await;
    answer.assert_fault(403, "AccessDenied", WRONG_CODE);
}
