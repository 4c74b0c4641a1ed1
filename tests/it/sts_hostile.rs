//! What callers of STS try who mean harm.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Uid, setfsuid};
use rolecall::authority::totp::Seed;
use rolecall::clock::Clock;
use rolecall::store::{AccessKeyDraft, MfaDeviceDraft};
use rolecall::types::{AccessKeyId, AccountAlias, MfaSerial};
use tokio::time::Instant;

use super::sts::Scene;
use super::sts_roles::claims;
use crate::support::client::{Answer, Connection};
use crate::support::daemon::{TestDaemon, later, noon, with_secret};
use crate::support::is_root;
use crate::support::process::{self, Daemon, prod};
use crate::support::signed::{Keys, Signing, bytes, element, form, post_unsigned, send, signed};
use crate::support::sts::ScriptedSts;

const WHO: &[(&str, &str)] = &[("Action", "GetCallerIdentity")];
const INVALID_TOKEN: &str = "The security token included in the request is invalid.";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// The bytes of an AssumeRole of this ARN.
fn assumes(scene: &Scene, keys: &Keys, arn: &str) -> String {
    let body = form(&[
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleSessionName", "it"),
        ("RoleArn", arn),
    ]);
    signed(scene.api, keys, "POST", "", &body, Signing::default())
}

async fn told(connection: &mut Connection, request: &str) -> Answer {
    connection.send(request.as_bytes()).await;
    connection.answer().await.unwrap()
}

/// Roles of the built-in authority, and of a cloud; in both one that is another's.
async fn two_accounts() -> (ScriptedSts, Scene) {
    let sts = ScriptedSts::generous().await;
    let text = format!(
        r#"{}
[account.prod]
id = "123456789012"
region = "eu-central-1"
endpoint = "{}"
credentials = {{ from = "key", access-key-id = "AKIABASE", secret-access-key = "file:{{dir}}/secret" }}
[account.prod.role.secret]
[[grant]]
role = "prod/secret"
when = {{ principal = "eve" }}
[[grant]]
role = "local/secret"
when = {{ principal = "eve" }}
"#,
        super::sts::STS,
        sts.url()
    );
    let clock = Clock::System;
    let passed = rolecall::listener::Passed::default();
    let daemon = TestDaemon::start_in(with_secret(), &text, clock, passed);
    (sts, Scene::of(daemon))
}

#[tokio::test]
async fn a_role_that_is_anothers_is_told_in_the_same_bytes_as_none() {
    let (sts, scene) = two_accounts().await;
    let ann = scene.key("ann").await;
    let mut pages = Vec::new();
    for arn in [
        "arn:aws:iam::000000000000:role/secret",
        "arn:aws:iam::000000000000:role/nobody",
        "arn:aws:iam::123456789012:role/secret",
        "arn:aws:iam::123456789012:role/nobody",
        "arn:aws:iam::999999999999:role/secret",
    ] {
        let mut connection = Connection::open(scene.api).await;
        let mut answer = told(&mut connection, &assumes(&scene, &ann, arn)).await;
        let id = answer.header("x-amzn-requestid").to_owned();
        answer
            .headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
        for (_, value) in &mut answer.headers {
            *value = value.replace(&id, "ID");
        }
        let body = answer.body.replace(&id, "ID").replace(arn, "ARN");
        pages.push((answer.status, answer.headers, body));
    }
    assert_eq!(pages[0].0, 403);
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
    assert!(sts.received().is_empty(), "nobody upstream is asked");
}

/// The medians of requests that take turns: what happens to the machine happens to both.
#[tokio::test]
async fn a_role_that_is_anothers_is_refused_as_fast_as_none() {
    const ROUNDS: usize = 300;
    let (_sts, scene) = two_accounts().await;
    let ann = scene.key("ann").await;
    let mut connection = Connection::open(scene.api).await;
    for account in ["000000000000", "123456789012"] {
        let arns = ["secret", "nobody"].map(|role| format!("arn:aws:iam::{account}:role/{role}"));
        let requests = arns.map(|arn| assumes(&scene, &ann, &arn));
        let mut took = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for which in [round % 2, (round + 1) % 2] {
                let begun = Instant::now();
                let answer = told(&mut connection, &requests[which]).await;
                took[which].push(begun.elapsed());
                assert_eq!(answer.status, 403, "{}", answer.body);
            }
        }
        let [secret, nobody] = took.map(|mut took| {
            took.sort_unstable();
            took[ROUNDS / 2]
        });
        let apart = secret.abs_diff(nobody);
        let bound = (secret.min(nobody) / 2).max(Duration::from_micros(200));
        assert!(apart < bound, "{account}: {secret:?} and {nobody:?}");
    }
}

#[tokio::test]
async fn a_users_session_is_not_of_whoever_has_a_key_of_that_id_later() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let own = Keys::of(&scene.ask(&ann, &[("Action", "GetSessionToken")]).await);
    let vouched = [("Action", "GetFederationToken"), ("Name", "bob")];
    let vouched = Keys::of(&scene.ask(&ann, &vouched).await);
    for keys in [&own, &vouched] {
        assert_eq!(scene.ask(keys, WHO).await.status, 200);
    }
    let store = &scene.daemon.daemon.store;
    let id = AccessKeyId::new(&ann.id).unwrap();
    store.delete_key(id.clone()).await.unwrap();
    let draft = AccessKeyDraft {
        id,
        secret: "another secret of eve's".into(),
        user: "eve".into(),
        account: AccountAlias::new("local").unwrap(),
        label: "".into(),
    };
    store.create_key(draft).await.unwrap();
    let answer = scene.ask(&own, WHO).await;
    answer.assert_fault(403, "InvalidClientTokenId", INVALID_TOKEN);
}

#[tokio::test]
async fn a_session_does_not_begin_to_count_again_with_its_key() {
    let clock = Clock::simulated(noon());
    let daemon = TestDaemon::start_at(super::sts::STS, clock.clone());
    let scene = Scene::of(daemon);
    let ann = scene.key("ann").await;
    let at = |clock: &Clock| Signing {
        at: clock.now(),
        ..Signing::default()
    };
    let ask = async |keys: &Keys, pairs: &[(&str, &str)]| {
        crate::support::signed::post_as(scene.api, keys, pairs, at(&clock)).await
    };
    let vouched = [("Action", "GetFederationToken"), ("Name", "bob")];
    let sessions = [
        Keys::of(&ask(&ann, &[("Action", "GetSessionToken")]).await),
        Keys::of(&ask(&ann, &vouched).await),
    ];
    let store = &scene.daemon.daemon.store;
    let id = AccessKeyId::new(&ann.id).unwrap();
    store.delete_key(id.clone()).await.unwrap();
    later(&clock, Duration::from_secs(2));
    let again = scene.key("ann").await;
    assert_eq!(again.id, ann.id);
    assert_eq!(ask(&again, WHO).await.status, 200);
    for session in &sessions {
        let answer = ask(session, WHO).await;
        answer.assert_fault(403, "InvalidClientTokenId", INVALID_TOKEN);
    }
}

const VAULT: &str = r#"
[account.local.role.vault]
[[grant]]
role = "local/vault"
when = { principal = "ann", mfa = true }
"#;

#[tokio::test]
async fn a_roles_session_has_none_of_its_users_devices() {
    let scene = Scene::start(VAULT);
    let ann = scene.key("ann").await;
    let serial = "arn:aws:iam::000000000000:mfa/ann";
    let seed = Seed::generate().unwrap();
    let draft = MfaDeviceDraft {
        serial: MfaSerial::new(serial).unwrap(),
        seed: seed.clone(),
        user: "ann".into(),
    };
    scene.daemon.daemon.store.enrol_device(draft).await.unwrap();
    let since = Clock::System.now().duration_since(std::time::UNIX_EPOCH);
    let code = seed.code(since.unwrap().as_secs() / 30);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let role = Keys::of(&scene.assume(&ann, "demo").await);
    let shown = |code| [("SerialNumber", serial), ("TokenCode", code)];
    for code in [wrong, wrong, wrong, wrong, wrong, &code] {
        let answer = scene.assume_with(&role, "vault", &shown(code)).await;
        answer.assert_fault(
            403,
            "AccessDenied",
            "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA \
             serial number is valid and associated with this user.",
        );
    }
    // Nothing was counted against the device.
    let answer = scene.assume_with(&ann, "vault", &shown(&code)).await;
    assert!(claims(&scene, &answer).mfa);
}

#[tokio::test]
async fn tags_are_handed_down_in_every_script() {
    let grants = "[account.local.role.next]\n[[grant]]\nrole = \"local/next\"\nwhen = { principal = \"ann\" }\n";
    let scene = Scene::start(grants);
    let ann = scene.key("ann").await;
    let asked = [
        ("Tags.member.1.Key", "ГРУППА"),
        ("Tags.member.1.Value", "guests"),
        ("TransitiveTagKeys.member.1", "группа"),
    ];
    let session = Keys::of(&scene.assume_with(&ann, "demo", &asked).await);
    let overridden = [
        ("Tags.member.1.Key", "Группа"),
        ("Tags.member.1.Value", "owners"),
    ];
    let answer = scene.assume_with(&session, "next", &overridden).await;
    assert_eq!(
        element(&answer.body, "Code"),
        "ValidationError",
        "{}",
        answer.body
    );
    let next = claims(&scene, &scene.assume(&session, "next").await);
    assert_eq!(next.tags, [("ГРУППА".to_owned(), "guests".to_owned())]);
    assert_eq!(next.transitive_keys.len(), 1);
}

#[tokio::test]
async fn what_a_chain_hands_down_takes_its_room_each_time() {
    let grants = "[account.local.role.next]\n[[grant]]\nrole = \"local/next\"\nwhen = { principal = \"ann\" }\n";
    let scene = Scene::start(grants);
    let ann = scene.key("ann").await;
    let value = "v".repeat(256);
    let of = |letter: &str| -> Vec<(String, String)> {
        let tags = (1..=12).flat_map(|number| {
            let member = |part: &str| format!("Tags.member.{number}.{part}");
            let key = format!("{letter}{number}");
            let transitive = format!("TransitiveTagKeys.member.{number}");
            [
                (member("Key"), key.clone()),
                (member("Value"), value.clone()),
                (transitive, key),
            ]
        });
        tags.collect()
    };
    let (first, second) = (of("a"), of("b"));
    let first: Vec<(&str, &str)> = first.iter().map(|(a, b)| (&**a, &**b)).collect();
    let session = Keys::of(&scene.assume_with(&ann, "demo", &first).await);
    let second: Vec<(&str, &str)> = second.iter().map(|(a, b)| (&**a, &**b)).collect();
    let answer = scene.assume_with(&session, "next", &second).await;
    answer.assert_fault(
        400,
        "PackedPolicyTooLarge",
        "Packed policy consumes 153% of allotted space, please use smaller policy.",
    );
}

#[tokio::test]
async fn bombs_are_refused_before_they_are_looked_into() {
    let scene = Scene::start("");
    let ann = scene.key("ann").await;
    let many = "The request has more than 300 parameters.";
    let ampersands = "&".repeat(64 * 1024);
    let parameters = "a=1&".repeat(16 * 1024);
    for body in [&ampersands, &parameters] {
        let answer = post_unsigned(scene.api, body).await;
        answer.assert_fault(400, "MalformedInput", many);
        let request = signed(scene.api, &ann, "POST", "", body, Signing::default());
        send(scene.api, &request)
            .await
            .assert_fault(400, "MalformedInput", many);
    }
    let numbered: Vec<String> = (1..=6000)
        .map(|it| format!("Tags.member.{it}.Key="))
        .collect();
    let numbered = numbered
        .join("&")
        .chars()
        .take(64 * 1024)
        .collect::<String>();
    post_unsigned(scene.api, &numbered)
        .await
        .assert_fault(400, "MalformedInput", many);
    let query = bytes(
        "POST",
        &format!("/?{}", "&".repeat(7000)),
        &[],
        scene.api,
        "",
    );
    send(scene.api, &query)
        .await
        .assert_fault(400, "MalformedInput", many);
    // A hundred thousand parameters are more than is read.
    let endless = "p=&".repeat(100_000);
    post_unsigned(scene.api, &endless).await.assert_fault(
        413,
        "RequestEntityTooLarge",
        "The request is too large.",
    );
    let deep = "[".repeat(2048);
    let deep = scene.assume_with(&ann, "demo", &[("Policy", &deep)]).await;
    deep.assert_fault(
        400,
        "MalformedPolicyDocument",
        "This policy contains invalid Json",
    );
    // Nothing reads XML, so nothing expands it.
    let xml = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>";
    let kind = [("Content-Type", "text/xml")];
    send(scene.api, &bytes("POST", "/", &kind, scene.api, xml))
        .await
        .assert_fault(
            400,
            "MissingAction",
            "The request is missing an Action or operation parameter.",
        );
    assert_eq!(scene.ask(&ann, WHO).await.status, 200);
}

#[tokio::test]
async fn what_is_wrong_is_not_told_at_any_length() {
    let scene = Scene::start("");
    let quotes = "\"".repeat(60_000);
    let action = format!("Action={quotes}");
    let arn = format!("Action=AssumeRoleWithWebIdentity&RoleArn={quotes}");
    for body in [action, arn] {
        let answer = send(scene.api, &bytes("POST", "/", &[FORM], scene.api, &body)).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer.body.len() < 6 * 16 * 1024 + 1024,
            "{}",
            answer.body.len()
        );
        assert!(answer.body.ends_with("</ErrorResponse>"));
    }
}

/// Names and values that would be something else where they are told again.
#[tokio::test]
async fn what_callers_send_stays_text_where_it_is_told_again() {
    let scene = Scene::start("");
    for hostile in [
        "</Message><Code>OK</Code><Message>",
        "]]><x/>",
        "a\r\nSet-Cookie: x=y",
        "\0\u{1}\u{8}\u{b}\u{1f}\u{fffe}\u{ffff}",
        "&amp;&lt;!--",
    ] {
        let pairs = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleSessionName", hostile),
            ("RoleArn", hostile),
        ];
        let answer = post_unsigned_form(&scene, &form(&pairs)).await;
        assert_eq!(
            element(&answer.body, "Code"),
            "ValidationError",
            "{hostile:?}"
        );
        assert_eq!(answer.body.matches("<Code>").count(), 1, "{}", answer.body);
        assert_eq!(answer.header("set-cookie"), "");
        let written = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(answer.body.chars().all(written), "{}", answer.body);
        let named = post_unsigned_form(&scene, &form(&[("Action", hostile)])).await;
        assert_eq!(element(&named.body, "Code"), "InvalidAction");
    }
}

async fn post_unsigned_form(scene: &Scene, body: &str) -> Answer {
    send(scene.api, &bytes("POST", "/", &[FORM], scene.api, body)).await
}

/// A connection of this user, which waits for nothing for ever.
fn connected_as(uid: u32, address: &str) -> TcpStream {
    let before = setfsuid(Uid::from_raw(uid));
    let stream = TcpStream::connect(address);
    setfsuid(before);
    let stream = stream.unwrap();
    stream.set_read_timeout(Some(process::DEADLINE)).unwrap();
    stream
}

/// Sends the same request so many times at once, and counts which codes are told.
fn flood(stream: &mut TcpStream, request: &str, times: usize) -> (usize, usize) {
    let mut reading = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut wrong, mut throttled) = (0, 0);
        let (mut held, mut piece) = (String::new(), vec![0; 256 * 1024]);
        while wrong + throttled < times {
            let length = reading.read(&mut piece).unwrap();
            assert!(length > 0, "closed after {wrong} and {throttled}");
            held.push_str(&String::from_utf8_lossy(&piece[..length]));
            let end = held.rfind("</ErrorResponse>").map_or(0, |at| at + 16);
            let whole: String = held.drain(..end).collect();
            wrong += whole.matches("<Code>InvalidClientTokenId<").count();
            throttled += whole.matches("<Code>Throttling<").count();
        }
        (wrong, throttled)
    });
    let many = request.repeat(100);
    for _ in 0..times / 100 {
        stream.write_all(many.as_bytes()).unwrap();
    }
    reader.join().unwrap()
}

/// Needs root, to be two users. CI must run it.
#[test]
fn a_hundred_thousand_guesses_are_slowed_and_logged_and_hold_nobody_else_up() {
    const GUESSES: usize = 100_000;
    if !is_root() {
        return;
    }
    let text = format!(
        "[[listener]]\nname = \"all\"\nbind = [\"127.0.0.1:0\"]\napis = [\"sts\"]\n{}",
        prod("http://127.0.0.1:1", "", &["web"])
    );
    let variables = [process::BASE_SECRET];
    let mut daemon = Daemon::launch(&text, "to = [\"json\"]\nlevel = \"info\"", &variables);
    let first = daemon.wait_for(|event| event["message"] == "listening");
    let address = first["address"].as_str().unwrap().to_owned();
    daemon.wait_for(|event| event["listener"] == "admin");
    let made = daemon.says(&[
        "key",
        "create",
        "--user",
        "ann",
        "--account",
        "prod",
        "--json",
    ]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let ann = Keys::new(
        made["access"].as_str().unwrap(),
        made["secret"].as_str().unwrap(),
    );
    let api = address.parse().unwrap();
    let who = |keys: &Keys| {
        let body = form(&[WHO[0], ("Version", "2011-06-15")]);
        signed(api, keys, "POST", "", &body, Signing::default())
    };
    let guess = who(&Keys::new("AKNOBODYSKEY", "guess"));
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<usize>().unwrap()
    };
    let before = resident();
    let at = address.clone();
    let attacker =
        std::thread::spawn(move || flood(&mut connected_as(10_001, &at), &guess, GUESSES));
    // Ann signs meanwhile, on one connection.
    let (request, mut stream) = (who(&ann), connected_as(10_002, &address));
    let mut took = Vec::new();
    while !attacker.is_finished() {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with("</GetCallerIdentityResponse>") {
            let mut piece = [0; 4096];
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "{answer}");
            answer.push_str(&String::from_utf8_lossy(&piece[..length]));
            assert!(!answer.contains("</ErrorResponse>"), "{answer}");
        }
        took.push(begun.elapsed());
    }
    let (wrong, throttled) = attacker.join().unwrap();
    assert_eq!(wrong + throttled, GUESSES);
    // Ten at once, and one each thirty seconds.
    assert!((10..=12).contains(&wrong), "{wrong}");
    took.sort_unstable();
    let worst = took[took.len() * 99 / 100];
    assert!(
        worst < Duration::from_millis(500),
        "{worst:?} of {}",
        took.len()
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
    daemon.end(Signal::SIGTERM);
    let log = daemon.log();
    assert_eq!(log.matches("a signature was refused").count(), wrong);
    assert!(log.contains("AKNOBODYSKEY") && log.contains("InvalidClientTokenId"));
    assert!(log.lines().count() < 100, "{log}");
}
