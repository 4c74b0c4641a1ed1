//! What every operation of STS answers, whatever it is for.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rolecall::api::sts::{Operation, operations};
use rolecall::clock::Clock;
use rolecall::listener::Passed;
use serde_json::Value;

use super::sts::{STS, Scene};
use crate::support::client::Answer;
use crate::support::daemon::{TestDaemon, with_secret};
use crate::support::issuer::Issuer;
use crate::support::signed::{
    Keys, Signing, bytes, element, form, post_as, post_unsigned, send, signed,
};
use crate::support::signer::{Signer, pod_claims};
use crate::support::sts::{Reply, ScriptedSts};

const ARN: &str = "arn:aws:iam::000000000000:role/demo";

/// A request of this operation with which nothing is wrong.
fn right(operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let mut pairs = vec![("Action", operation.action)];
    let needed = operation.parameters.iter().filter(|it| it.needed);
    pairs.extend(needed.map(|parameter| match parameter.name {
        "RoleArn" => ("RoleArn", ARN),
        name => (name, "it-is-something"),
    }));
    pairs
}

fn all_signed() -> impl Iterator<Item = Operation> {
    operations()
        .into_iter()
        .filter(|operation| operation.signed)
}

#[track_caller]
fn assert_code(answer: &Answer, status: u16, code: &str) {
    let told = (answer.status, element(&answer.body, "Code"));
    assert_eq!(told, (status, code), "{}", answer.body);
}

#[tokio::test]
async fn every_operation_is_of_one_version_and_names_parameters_once() {
    let scene = Scene::start("");
    for operation in operations() {
        let mut pairs = right(&operation);
        pairs.push(("Version", "2010-05-08"));
        let answer = post_unsigned(scene.api, &form(&pairs)).await;
        assert_code(&answer, 400, "InvalidAction");
        let mut pairs = right(&operation);
        pairs.extend([("Policy", "{}"), ("Policy", "{}")]);
        let answer = post_unsigned(scene.api, &form(&pairs)).await;
        assert_code(&answer, 400, "MalformedInput");
    }
}

#[tokio::test]
async fn no_operation_is_for_pages_of_the_web_and_proxies() {
    let scene = Scene::start("");
    for operation in operations() {
        for header in [
            ("Origin", "https://evil.example"),
            ("X-Forwarded-For", "192.0.2.1"),
        ] {
            let form = form(&right(&operation));
            let request = bytes("POST", "/", &[header], scene.api, &form);
            let answer = send(scene.api, &request).await;
            answer.assert_fault(403, "AccessDenied", "Access denied");
        }
    }
}

#[tokio::test]
async fn no_operation_reads_an_endless_form() {
    let scene = Scene::start("");
    let long = "x".repeat(70_000);
    let forms = operations().into_iter().map(|operation| {
        let mut pairs = right(&operation);
        pairs.push(("Policy", &long));
        form(&pairs)
    });
    for form in forms.chain([form(&[("Policy", &long)])]) {
        let answer = post_unsigned(scene.api, &form).await;
        answer.assert_fault(413, "RequestEntityTooLarge", "The request is too large.");
    }
}

#[tokio::test]
async fn what_proves_no_name_is_refused_by_every_operation() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let nobody = Keys::new("AKNOBODY", "secret");
    let wrong = Keys::new(&ann.id, "wrong");
    let old = Signing {
        at: Clock::System.now() - Duration::from_hours(1),
        ..Signing::default()
    };
    for operation in all_signed() {
        let pairs = right(&operation);
        let answer = post_unsigned(scene.api, &form(&pairs)).await;
        assert_code(&answer, 403, "MissingAuthenticationToken");
        let answer = scene.ask(&nobody, &pairs).await;
        assert_code(&answer, 403, "InvalidClientTokenId");
        let answer = scene.ask(&wrong, &pairs).await;
        assert_code(&answer, 403, "SignatureDoesNotMatch");
        let answer = post_as(scene.api, &ann, &pairs, old).await;
        assert_code(&answer, 400, "RequestExpired");
        let request = signed(
            scene.api,
            &ann,
            "POST",
            "",
            &form(&pairs),
            Signing::default(),
        );
        let broken = request.replace("aws4_request", "aws5_request");
        assert_code(&send(scene.api, &broken).await, 400, "IncompleteSignature");
        let mut half = pairs.clone();
        half.extend([
            ("AWSAccessKeyId", &*ann.id),
            ("SignatureVersion", "2"),
            ("Signature", "x"),
        ]);
        let half = bytes("GET", &format!("/?{}", form(&half)), &[], scene.api, "");
        let answer = send(scene.api, &half).await;
        assert_code(&answer, 400, "MissingParameter");
    }
}

#[tokio::test]
async fn a_session_that_ended_may_no_operation() {
    let clock = Clock::simulated(Clock::System.now());
    let directory = tempfile::tempdir().unwrap();
    let daemon = TestDaemon::start_in(directory, STS, clock.clone(), Passed::default());
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
    for operation in all_signed() {
        let answer = post_as(scene.api, &session, &right(&operation), later).await;
        assert_code(&answer, 403, "ExpiredToken");
    }
}

#[tokio::test]
async fn a_key_that_is_guessed_may_no_operation_for_a_while() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let guess = Keys::new(&ann.id, "guess");
    let who = [("Action", "GetCallerIdentity")];
    let mut last = scene.ask(&guess, &who).await;
    for _ in 0..10 {
        last = scene.ask(&guess, &who).await;
    }
    assert_code(&last, 400, "Throttling");
    for operation in all_signed() {
        let answer = scene.ask(&ann, &right(&operation)).await;
        answer.assert_fault(400, "Throttling", "Rate exceeded");
    }
}

#[tokio::test]
async fn no_operation_works_while_the_store_cannot_be_read() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let (_, directory) = scene.daemon.end().await;
    let store = directory.path().join("state/store.db");
    fs::write(&store, "this is no database, nor will it be one").unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = TestDaemon::start_in(directory, STS, Clock::System, Passed::default());
    let scene = Scene::of(daemon);
    for operation in all_signed() {
        let answer = scene.ask(&ann, &right(&operation)).await;
        assert_code(&answer, 503, "ServiceUnavailable");
    }
}

#[tokio::test]
async fn policies_are_looked_into_wherever_they_are_taken() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let names: Vec<String> = (1..=10)
        .map(|number| format!("PolicyArns.member.{number}.arn"))
        .collect();
    let arn = format!("arn:aws:iam::aws:policy/{}", "x".repeat(400));
    let takes_policies = |operation: &Operation| {
        let mut parameters = operation.parameters.iter();
        parameters.any(|parameter| parameter.name == "Policy")
    };
    for operation in operations().into_iter().filter(takes_policies) {
        let ask = async |besides: &[(&str, &str)]| {
            let mut pairs = right(&operation);
            pairs.extend(besides);
            if operation.signed {
                scene.ask(&ann, &pairs).await
            } else {
                post_unsigned(scene.api, &form(&pairs)).await
            }
        };
        let answer = ask(&[("Policy", "{")]).await;
        assert_code(&answer, 400, "MalformedPolicyDocument");
        let many: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), arn.as_str()))
            .collect();
        assert_code(&ask(&many).await, 400, "PackedPolicyTooLarge");
    }
}

#[tokio::test]
async fn a_clouds_failures_are_told_to_whom_a_token_stands_for() {
    for (reply, status, code) in [
        (Reply::new(500, "canary"), 503, "ServiceUnavailable"),
        (
            Reply::error(400, "ValidationError", "canary"),
            500,
            "InternalFailure",
        ),
    ] {
        let cloud = ScriptedSts::start(move |_| reply.clone()).await;
        let signer = Signer::p256("1");
        let issuer = Issuer::start(&[&signer]).await;
        let text = format!(
            r#"{STS}
[account.prod]
id = "123456789012"
region = "eu-central-1"
endpoint = "{cloud}"
credentials = {{ from = "key", access-key-id = "AKIABASE", secret-access-key = "file:{{dir}}/secret" }}
[account.prod.role.web]
[[issuer]]
url = "{issuer}"
audiences = ["sts.example.org"]
[[grant]]
role = "prod/web"
when = {{ token.issuer = "{issuer}" }}
"#,
            cloud = cloud.url(),
            issuer = issuer.url(),
        );
        let clock = Clock::System;
        let now = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let daemon = TestDaemon::start_in(with_secret(), &text, clock, Passed::default());
        let claims: Value = pod_claims(&issuer.url(), "sts.example.org", now.as_secs());
        let token = signer.token(&claims);
        let form = form(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", "arn:aws:iam::123456789012:role/web"),
            ("RoleSessionName", "it"),
            ("WebIdentityToken", &token),
        ]);
        let answer = post_unsigned(daemon.address("api"), &form).await;
        assert_code(&answer, status, code);
        assert!(!answer.body.contains("canary"), "{}", answer.body);
    }
}
