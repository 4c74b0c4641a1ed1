//! Every parameter of STS is held against what AWS says of it.

use std::time::Duration;

use super::sts::Scene;
use crate::support::client::Answer;
use crate::support::signed::{Keys, element, form, post_unsigned};

const ARN: &str = "arn:aws:iam::000000000000:role/demo";
const ARN_PATTERN: &str =
    r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+";
const NAME_PATTERN: &str = r"[\w+=,.@-]*";
const TAG_KEY_PATTERN: &str = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+";
const TAG_VALUE_PATTERN: &str = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*";

/// One violation as it is told.
fn wrong(value: &str, at: &str, constraint: &str) -> String {
    format!("Value {value} at '{at}' failed to satisfy constraint: {constraint}")
}

fn longer_than(least: usize) -> String {
    format!("Member must have length greater than or equal to {least}")
}

fn shorter_than(most: usize) -> String {
    format!("Member must have length less than or equal to {most}")
}

fn like(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

fn told(violations: &[String]) -> String {
    let count = match violations.len() {
        1 => "1 validation error".to_owned(),
        many => format!("{many} validation errors"),
    };
    format!("{count} detected: {}", violations.join("; "))
}

#[track_caller]
fn assert_wrong(answer: &Answer, violations: &[String]) {
    answer.assert_fault(400, "ValidationError", &told(violations));
}

/// A parameter that is wrong, and how.
type Row = (&'static str, String, Vec<String>);

fn row(name: &'static str, value: impl Into<String>, at: &str, constraints: &[String]) -> Row {
    let value = value.into();
    let shown = format!("'{value}'");
    let violations = constraints.iter().map(|it| wrong(&shown, at, it)).collect();
    (name, value, violations)
}

fn of_names(name: &'static str, at: &str, most: usize) -> Vec<Row> {
    vec![
        row(name, "x", at, &[longer_than(2)]),
        row(name, "x".repeat(most + 1), at, &[shorter_than(most)]),
        row(name, "a b", at, &[like(NAME_PATTERN)]),
        row(name, "é", at, &[like(NAME_PATTERN), longer_than(2)]),
        row(name, "", at, &[longer_than(2)]),
    ]
}

fn of_durations(most: u32) -> Vec<Row> {
    let at = "durationSeconds";
    let bound =
        |what: &str, bound| format!("Member must have value {what} than or equal to {bound}");
    vec![
        row("DurationSeconds", "899", at, &[bound("greater", 900)]),
        row("DurationSeconds", "-1", at, &[bound("greater", 900)]),
        row(
            "DurationSeconds",
            (most + 1).to_string(),
            at,
            &[bound("less", most)],
        ),
        row(
            "DurationSeconds",
            "1h",
            at,
            &["Member must be an integer".to_owned()],
        ),
    ]
}

fn of_policies() -> Vec<Row> {
    let pattern = like(r"[\u0009\u000A\u000D\u0020-\u00FF]+");
    let policy = |text: &str| format!("{{\"Statement\":\"{text}\"}}");
    vec![
        row("Policy", "", "policy", &[pattern.clone(), longer_than(1)]),
        row(
            "Policy",
            policy(&"x".repeat(2048)),
            "policy",
            &[shorter_than(2048)],
        ),
        row("Policy", policy("\u{100}"), "policy", &[pattern]),
        row(
            "PolicyArns.member.1.arn",
            "arn:aws:x",
            "policyArns.1.member.arn",
            &[longer_than(20)],
        ),
    ]
}

fn of_factors() -> Vec<Row> {
    vec![
        row(
            "SerialNumber",
            "12345678",
            "serialNumber",
            &[longer_than(9)],
        ),
        row(
            "SerialNumber",
            "x".repeat(257),
            "serialNumber",
            &[shorter_than(256)],
        ),
        row(
            "SerialNumber",
            "a b c d e f",
            "serialNumber",
            &[like(r"[\w+=/:,.@-]*")],
        ),
        row("TokenCode", "12345", "tokenCode", &[longer_than(6)]),
        row("TokenCode", "1234567", "tokenCode", &[shorter_than(6)]),
        row("TokenCode", "12345a", "tokenCode", &[like(r"[\d]*")]),
    ]
}

fn of_tags() -> Vec<Row> {
    let alone = |name, value: &str, at: &str, constraints: &[String], other: &str| {
        let (name, value, mut all) = row(name, value, at, constraints);
        all.push(wrong("null", other, "Member must not be null"));
        (name, value, all)
    };
    let (key, value) = ("tags.1.member.key", "tags.1.member.value");
    let long = "k".repeat(129);
    vec![
        alone(
            "Tags.member.1.Key",
            "",
            key,
            &[like(TAG_KEY_PATTERN), longer_than(1)],
            value,
        ),
        alone("Tags.member.1.Key", &long, key, &[shorter_than(128)], value),
        alone(
            "Tags.member.1.Key",
            "a!",
            key,
            &[like(TAG_KEY_PATTERN)],
            value,
        ),
        (
            "Tags.member.1.Value",
            "a!".to_owned(),
            vec![
                wrong("null", key, "Member must not be null"),
                wrong("'a!'", value, &like(TAG_VALUE_PATTERN)),
            ],
        ),
        (
            "Tags.member.7.Value",
            "v".repeat(257),
            vec![
                wrong("null", key, "Member must not be null"),
                wrong(&format!("'{}'", "v".repeat(257)), value, &shorter_than(256)),
            ],
        ),
    ]
}

fn of_roles() -> Vec<Row> {
    let mut rows = of_names("RoleSessionName", "roleSessionName", 64);
    rows.extend([
        row(
            "RoleArn",
            "arn:aws:iam:::role/",
            "roleArn",
            &[longer_than(20)],
        ),
        row(
            "RoleArn",
            format!("{ARN}{}", "x".repeat(2048)),
            "roleArn",
            &[shorter_than(2048)],
        ),
        row(
            "RoleArn",
            format!("{ARN}\u{7f}"),
            "roleArn",
            &[like(ARN_PATTERN)],
        ),
    ]);
    rows.extend(of_durations(43_200));
    rows.extend(of_policies());
    rows
}

/// Asks with each parameter wrong, all others being right.
async fn each(scene: &Scene, keys: Option<&Keys>, right: &[(&str, &str)], rows: Vec<Row>) {
    for (name, value, violations) in rows {
        let mut pairs = right.to_vec();
        pairs.retain(|(known, _)| *known != name);
        pairs.push((name, &value));
        let answer = match keys {
            Some(keys) => scene.ask(keys, &pairs).await,
            None => post_unsigned(scene.api, &form(&pairs)).await,
        };
        assert_wrong(&answer, &violations);
    }
}

#[tokio::test]
async fn assume_role_checks_its_parameters() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let right = [
        ("Action", "AssumeRole"),
        ("RoleArn", ARN),
        ("RoleSessionName", "it"),
    ];
    let mut rows = of_roles();
    rows.extend(of_factors());
    rows.extend(of_tags());
    rows.extend(of_names("SourceIdentity", "sourceIdentity", 64));
    rows.extend([
        row("ExternalId", "x", "externalId", &[longer_than(2)]),
        row(
            "ExternalId",
            "x".repeat(1225),
            "externalId",
            &[shorter_than(1224)],
        ),
        row(
            "ExternalId",
            "a b",
            "externalId",
            &[like(r"[\w+=,.@:\/-]*")],
        ),
    ]);
    let list = format!(
        "Member must satisfy constraint: [{}, {}, {}]",
        shorter_than(128),
        longer_than(1),
        like(TAG_KEY_PATTERN)
    );
    rows.push((
        "TransitiveTagKeys.member.1",
        "a!".to_owned(),
        vec![wrong("'[a!]'", "transitiveTagKeys", &list)],
    ));
    each(&scene, Some(&ann), &right, rows).await;
    let nothing = scene.ask(&ann, &[("Action", "AssumeRole")]).await;
    let null = "Member must not be null";
    assert_wrong(
        &nothing,
        &[
            wrong("null", "roleArn", null),
            wrong("null", "roleSessionName", null),
        ],
    );
    // What is not wrong is not told, and who proves nothing is told nothing of it.
    let unsigned = post_unsigned(scene.api, &form(&[("Action", "AssumeRole")])).await;
    assert_eq!(
        element(&unsigned.body, "Code"),
        "MissingAuthenticationToken"
    );
}

#[tokio::test]
async fn several_mistakes_are_told_at_once() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let answer = scene
        .ask(
            &ann,
            &[
                ("Action", "AssumeRole"),
                ("RoleArn", "x"),
                ("RoleSessionName", "a b"),
                ("DurationSeconds", "7"),
            ],
        )
        .await;
    assert_wrong(
        &answer,
        &[
            wrong("'x'", "roleArn", &longer_than(20)),
            wrong("'a b'", "roleSessionName", &like(NAME_PATTERN)),
            wrong(
                "'7'",
                "durationSeconds",
                "Member must have value greater than or equal to 900",
            ),
        ],
    );
}

#[tokio::test]
async fn lists_have_bounds() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let numbered = |count: usize, begin: &str, end: &str| -> Vec<String> {
        (1..=count)
            .map(|number| format!("{begin}.member.{number}{end}"))
            .collect()
    };
    for (list, end, at, most, value) in [
        ("TransitiveTagKeys", "", "transitiveTagKeys", 50, "k"),
        ("Tags", ".Key", "tags", 50, "k"),
        (
            "PolicyArns",
            ".arn",
            "policyArns",
            10,
            "arn:aws:iam::aws:policy/X",
        ),
        (
            "ProvidedContexts",
            ".ProviderArn",
            "providedContexts",
            5,
            "arn:aws:iam::aws:x/X",
        ),
    ] {
        let names = numbered(most + 1, list, end);
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), value)).collect();
        let answer = scene.assume_with(&ann, "demo", &pairs).await;
        let shown = format!("'[{}]'", vec![value; most + 1].join(", "));
        assert_wrong(&answer, &[wrong(&shown, at, &shorter_than(most))]);
    }
    let malformed = scene
        .assume_with(&ann, "demo", &[("Tags.member.x.Key", "k")])
        .await;
    malformed.assert_fault(
        400,
        "MalformedInput",
        "Tags.member.x.Key is no parameter of a list.",
    );
    // As botocore writes an empty list.
    assert_eq!(
        scene
            .assume_with(&ann, "demo", &[("Tags", "")])
            .await
            .status,
        200
    );
}

fn context<'a>(provider: &'a str, assertion: &'a str) -> [(&'static str, &'a str); 2] {
    [
        ("ProvidedContexts.member.1.ProviderArn", provider),
        ("ProvidedContexts.member.1.ContextAssertion", assertion),
    ]
}

#[tokio::test]
async fn contexts_have_a_provider_and_an_assertion_which_is_not_repeated() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let provider = "providedContexts.1.member.providerArn";
    let assertion = "providedContexts.1.member.contextAssertion";
    let null = |at: &str| wrong("null", at, "Member must not be null");
    let long = "secret".repeat(400);
    let center = "arn:aws:iam::aws:contextProvider/IdentityCenter";
    let both = |first, second| context(first, second).to_vec();
    for (pairs, violation) in [
        (
            both("arn", "signed"),
            wrong("'arn'", provider, &longer_than(20)),
        ),
        (
            both(center, &long),
            format!(
                "Value at '{assertion}' failed to satisfy constraint: {}",
                shorter_than(2048)
            ),
        ),
        (
            both(center, "abc"),
            format!(
                "Value at '{assertion}' failed to satisfy constraint: {}",
                longer_than(4)
            ),
        ),
        (context(center, "")[..1].to_vec(), null(assertion)),
        (context("", "signed")[1..].to_vec(), null(provider)),
    ] {
        let answer = scene.assume_with(&ann, "demo", &pairs).await;
        assert_wrong(&answer, &[violation]);
        assert!(!answer.body.contains("secret"), "{}", answer.body);
    }
    let right = both(center, "signed");
    assert_eq!(scene.assume_with(&ann, "demo", &right).await.status, 200);
}

#[tokio::test]
async fn what_has_a_meaning_is_looked_into() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let factor = "MultiFactorAuthentication failed, must provide both MFA serial number and one \
                  time pass code.";
    let twice = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
    let reserved = "Tag keys may not begin with aws:, which is reserved for system use.";
    let absent = "The specified transitive tag key must be included in the requested tags.";
    let policy = "ARN arn:aws:iam::aws:role/NoPolicy is not valid.";
    let tag = |number: u8, key: &'static str| {
        let names = match number {
            1 => ["Tags.member.1.Key", "Tags.member.1.Value"],
            _ => ["Tags.member.2.Key", "Tags.member.2.Value"],
        };
        [(names[0], key), (names[1], "v")]
    };
    let no_arn = "arn:aws:iam::000000000000:user/ann";
    for (pairs, code, message) in [
        (
            vec![("RoleArn", no_arn)],
            "ValidationError",
            "Request ARN is invalid",
        ),
        (
            vec![("SerialNumber", "123456789")],
            "ValidationError",
            factor,
        ),
        (vec![("TokenCode", "123456")], "ValidationError", factor),
        (
            [tag(1, "Team"), tag(2, "team")].concat(),
            "ValidationError",
            twice,
        ),
        (tag(1, "aws:team").to_vec(), "ValidationError", reserved),
        (
            vec![("TransitiveTagKeys.member.1", "team")],
            "ValidationError",
            absent,
        ),
        (
            vec![("PolicyArns.member.1.arn", "arn:aws:iam::aws:role/NoPolicy")],
            "ValidationError",
            policy,
        ),
        (
            context("arn:aws:iam::aws:policy/IdentityCenter", "signed").to_vec(),
            "ValidationError",
            "ARN arn:aws:iam::aws:policy/IdentityCenter is not valid.",
        ),
        (
            context("arn:aws:iam::aws:contextProvider/", "signed").to_vec(),
            "ValidationError",
            "ARN arn:aws:iam::aws:contextProvider/ is not valid.",
        ),
        (
            vec![("Policy", "{")],
            "MalformedPolicyDocument",
            "This policy contains invalid Json",
        ),
        (
            vec![("Policy", "[1]")],
            "MalformedPolicyDocument",
            "Syntax errors in policy.",
        ),
        (
            vec![("Policy", "{\"Version\":\"2012-10-17\"}")],
            "MalformedPolicyDocument",
            "Syntax errors in policy.",
        ),
    ] {
        let answer = scene.assume_with(&ann, "demo", &pairs).await;
        answer.assert_fault(400, code, message);
    }
}

#[tokio::test]
async fn policies_and_tags_have_so_much_room() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let policy = format!("{{ \"Statement\" : \"{}\" }}", "x".repeat(2000));
    let small = scene
        .assume_with(&ann, "demo", &[("Policy", "{\"Statement\":[]}")])
        .await;
    small.assert_element("PackedPolicySize", "1");
    let half = scene
        .assume_with(&ann, "demo", &[("Policy", &policy)])
        .await;
    half.assert_element("PackedPolicySize", "50");
    let plain = scene.assume(&ann, "demo").await;
    assert!(!plain.body.contains("PackedPolicySize"), "{}", plain.body);
    let names: Vec<[String; 2]> = (1..=12)
        .map(|number| ["Key", "Value"].map(|part| format!("Tags.member.{number}.{part}")))
        .collect();
    let keys: Vec<String> = (1..=12).map(|number| format!("k{number}")).collect();
    let value = "v".repeat(256);
    let mut pairs = vec![("Policy", policy.as_str())];
    for ([key_name, value_name], key) in names.iter().zip(&keys) {
        pairs.push((key_name, key));
        pairs.push((value_name, &value));
    }
    scene.assume_with(&ann, "demo", &pairs).await.assert_fault(
        400,
        "PackedPolicyTooLarge",
        "Packed policy consumes 126% of allotted space, please use smaller policy.",
    );
}

#[tokio::test]
async fn web_identities_parameters_are_checked_without_a_signature() {
    let scene = Scene::start("");
    let right = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("RoleArn", ARN),
        ("RoleSessionName", "it"),
        ("WebIdentityToken", "token"),
    ];
    let mut rows = of_roles();
    rows.extend([
        row("ProviderId", "abc", "providerId", &[longer_than(4)]),
        row(
            "ProviderId",
            "x".repeat(2049),
            "providerId",
            &[shorter_than(2048)],
        ),
    ]);
    each(&scene, None, &right, rows).await;
    let secret = |constraint: &str| {
        vec![format!(
            "Value at 'webIdentityToken' failed to satisfy constraint: {constraint}"
        )]
    };
    let rows = vec![
        (
            "WebIdentityToken",
            "abc".to_owned(),
            secret(&longer_than(4)),
        ),
        (
            "WebIdentityToken",
            "x".repeat(20_001),
            secret(&shorter_than(20_000)),
        ),
    ];
    each(&scene, None, &right, rows).await;
    let nothing = post_unsigned(scene.api, "Action=AssumeRoleWithWebIdentity").await;
    let null = "Member must not be null";
    let names = ["roleArn", "roleSessionName", "webIdentityToken"];
    assert_wrong(&nothing, &names.map(|name| wrong("null", name, null)));
}

#[tokio::test]
async fn users_sessions_parameters_are_checked() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let mut rows = of_durations(129_600);
    rows.extend(of_factors());
    each(&scene, Some(&ann), &[("Action", "GetSessionToken")], rows).await;
    let mut rows = of_durations(129_600);
    rows.extend(of_policies());
    rows.extend(of_tags());
    rows.extend(of_names("Name", "name", 32));
    let right = [("Action", "GetFederationToken"), ("Name", "bob")];
    each(&scene, Some(&ann), &right, rows).await;
    let nothing = scene.ask(&ann, &[("Action", "GetFederationToken")]).await;
    assert_wrong(
        &nothing,
        &[wrong("null", "name", "Member must not be null")],
    );
    let longest = Duration::from_hours(36).as_secs().to_string();
    let pairs = [("Action", "GetSessionToken"), ("DurationSeconds", &longest)];
    assert_eq!(scene.ask(&ann, &pairs).await.status, 200);
}
