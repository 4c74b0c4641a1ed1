//! No secret shows in a log line, an error, a metric or the admin API: canaries are handed through
//! the whole daemon at its most talkative.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::issuer::{Issuer, now};
use crate::support::process::{BASE_SECRET, Daemon, prod, to_us};
use crate::support::signer::{Signer, pod_claims};
use crate::support::sts::{Credentials, Reply, ScriptedSts};

/// In secrets only, and in nothing else that is configured or answered here.
const CANARY: &str = "canary";

const ROLES: [&str; 4] = ["web", "garbled", "cut", "refused"];

fn configuration(sts: &str) -> String {
    let listener = r#"
        [[listener]]
        name = "all"
        bind = ["127.0.0.1:0"]
        apis = ["imds", "container", "metrics"]
        imdsv1 = true
        tokenless = true
    "#;
    let granted: String = ROLES.map(|role| to_us(&format!("prod/{role}"))).concat();
    format!("{listener}{}{granted}", prod(sts, "", &ROLES))
}

/// Answers each role in a way of its own, secrets always among it.
async fn sts() -> ScriptedSts {
    ScriptedSts::start(|request| {
        let whole = Credentials::default().xml("AssumeRole");
        let arn = request.field("RoleArn");
        if arn.ends_with("garbled") {
            let without_expiration = Credentials {
                expiration: String::new(),
                ..Credentials::default()
            };
            Reply::new(200, without_expiration.xml("AssumeRole"))
        } else if arn.ends_with("cut") {
            Reply::Half(whole)
        } else if arn.ends_with("refused") {
            Reply::new(403, whole)
        } else {
            Reply::new(200, whole)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_shows_anywhere() {
    let sts = sts().await;
    let url = sts.url();
    tokio::task::spawn_blocking(move || {
        let mut daemon = Daemon::start_with(&configuration(&url), &[BASE_SECRET]);
        let credentials = daemon.says(&["credentials", "--role", "prod/web"]);
        assert!(
            credentials.contains(CANARY),
            "the canary must fly: {credentials}"
        );
        let (status, document) = daemon.get("/role/prod/web", &[]);
        assert_eq!(status, 200);
        assert!(document.contains(CANARY), "{document}");
        let mut told = Vec::new();
        for role in ["prod/garbled", "prod/cut", "prod/refused"] {
            let output = daemon.run(&["credentials", "--role", role]);
            assert_ne!(output.status.code(), Some(0), "{role}");
            told.push(String::from_utf8(output.stderr).unwrap());
            told.push(daemon.get(&format!("/role/{role}"), &[]).1);
        }
        for command in [
            &["status"][..],
            &["status", "--json"],
            &["audit"],
            &["audit", "--json"],
        ] {
            told.push(daemon.says(command));
        }
        told.push(daemon.get("/metrics", &[]).1);
        let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let words: Vec<_> = core.unwrap().split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "memory could be dumped: {limits}");
        daemon.end(Signal::SIGTERM);
        let log = daemon.log();
        let failures = log.lines().filter(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            event["message"] == "credentials could not be fetched"
        });
        assert!(failures.count() >= 3, "{log}");
        told.push(log);
        for text in told {
            assert!(!text.contains(CANARY), "a secret shows in\n{text}");
        }
    })
    .await
    .unwrap();
    let keys = sts.received();
    assert!(keys.len() >= 4, "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_web_identity_token_shows_anywhere() {
    let signer = Signer::p256("1");
    let issuer = Issuer::start(&[&signer]).await;
    // An upstream that repeats what it is told.
    let sts = ScriptedSts::start(|request| {
        let token = request.field("WebIdentityToken");
        Reply::error(400, "InvalidIdentityToken", &format!("refused: {token}"))
    })
    .await;
    let configuration = format!(
        r#"
        [[listener]]
        name = "all"
        bind = ["127.0.0.1:0"]
        apis = ["container", "metrics"]

        [account.prod]
        id = "123456789012"
        region = "eu-central-1"
        endpoint = "{}"
        credentials = {{ from = "caller-token" }}
        [account.prod.role.web]

        [[grant]]
        role = "prod/web"
        when = "anyone"

        [[issuer]]
        url = "{}"
        "#,
        sts.url(),
        issuer.url()
    );
    let claims = pod_claims(&issuer.url(), "pods.eks.amazonaws.com", now());
    let mut expired = claims.clone();
    expired["exp"] = Value::from(now() - 3600);
    let tokens = [
        signer.token(&claims),
        signer.token(&expired),
        Signer::p256("1").token(&claims),
    ];
    tokio::task::spawn_blocking(move || {
        let mut daemon = Daemon::start_with(&configuration, &[]);
        let mut told = Vec::new();
        for token in &tokens {
            let (status, answer) = daemon.get("/v1/credentials", &[("Authorization", token)]);
            assert!([401, 403, 503].contains(&status), "{status} {answer}");
            told.push(answer);
        }
        for command in [&["status", "--json"][..], &["audit", "--json"]] {
            told.push(daemon.says(command));
        }
        told.push(daemon.get("/metrics", &[]).1);
        daemon.end(Signal::SIGTERM);
        let log = daemon.log();
        for said in ["a web identity token was refused", "could not be fetched"] {
            assert!(log.contains(said), "{said} in {log}");
        }
        told.push(log);
        for text in told {
            for part in tokens.iter().flat_map(|token| token.split('.').skip(1)) {
                assert!(!text.contains(part), "a token shows in\n{text}");
            }
        }
    })
    .await
    .unwrap();
    assert!(!sts.received().is_empty());
}
