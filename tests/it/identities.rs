//! Web identities on the wire: tokens of issuers, as EKS and Kubernetes project them into pods.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rolecall::clock::{Clock, Simulation};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::support::client::{Answer, Connection, ask, request};
use crate::support::daemon::{LOCAL, TestDaemon, noon};
use crate::support::issuer::{Issuer, now};
use crate::support::signer::{Signer, encoded, key_set, pod_claims};
use crate::support::sts::Reply;
use crate::support::tls::TlsServer;

const PODS: &str = "pods.eks.amazonaws.com";

/// A role for everybody whom the listener lets in, and this issuer.
fn configuration(issuer: &str) -> String {
    let anyone = LOCAL.replace("when = { uid = {uid} }", "when = \"anyone\"");
    format!("{anyone}\n[[issuer]]\n{issuer}\n")
}

fn discovered(issuer: &Issuer) -> String {
    configuration(&format!("url = \"{}\"", issuer.url()))
}

async fn show(at: SocketAddr, token: &str) -> Answer {
    ask(at, "GET", "/v1/credentials", &[("Authorization", token)]).await
}

fn code(answer: &Answer) -> (u16, String) {
    (
        answer.status,
        answer.json()["code"].as_str().unwrap().to_owned(),
    )
}

fn wrong() -> (u16, String) {
    (401, "AuthorizationInvalid".to_owned())
}

fn not_ready() -> (u16, String) {
    (503, "CredentialsUninitialized".to_owned())
}

/// A clock that the test sets, at the present.
fn clock() -> (Clock, Arc<Simulation>) {
    let clock = Clock::simulated(noon());
    let Clock::Simulated(simulation) = clock.clone() else {
        panic!("the clock is simulated")
    };
    (clock, simulation)
}

fn at_noon() -> u64 {
    noon()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[tokio::test]
async fn a_pods_token_opens_the_path_of_eks_and_all_others() {
    let signer = Signer::rsa("1");
    let issuer = Issuer::start(&[&signer]).await;
    let daemon = TestDaemon::start(&discovered(&issuer));
    let at = daemon.address("container");
    let token = signer.token(&pod_claims(&issuer.url(), PODS, now()));
    for path in [
        "/v1/credentials",
        "/creds",
        "/role/demo",
        "/role/local/demo",
    ] {
        for shown in [token.clone(), format!("Bearer {token}")] {
            let answer = ask(at, "GET", path, &[("Authorization", &shown)]).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert!(answer.json()["AccessKeyId"].is_string());
        }
    }
    let other = ask(at, "GET", "/role/local/other", &[("Authorization", &token)]).await;
    assert_eq!(code(&other), (404, "NoSuchRole".to_owned()));
    for host in ["169.254.170.23", "[fd00:ec2::23]"] {
        let headers = [("Host", host), ("Authorization", token.as_str())];
        let answer = ask(at, "GET", "/v1/credentials", &headers).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    assert_eq!(issuer.asked(), 2, "the keys were fetched once");
    let metrics = ask(daemon.address("metrics"), "GET", "/metrics", &[]).await;
    let line = "rolecall_web_identity_tokens_total{result=\"ok\"} 11";
    assert!(metrics.body.contains(line), "{}", metrics.body);
}

#[tokio::test]
async fn a_token_that_is_renewed_keeps_the_session() {
    let signer = Signer::p256("1");
    let issuer = Issuer::start(&[&signer]).await;
    let daemon = TestDaemon::start(&discovered(&issuer));
    let at = daemon.address("container");
    let mut keys = Vec::new();
    for moment in [now() - 300, now() - 200, now()] {
        let token = signer.token(&pod_claims(&issuer.url(), PODS, moment));
        keys.push(show(at, &token).await.json()["AccessKeyId"].clone());
    }
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0], keys[2]);
}

#[tokio::test]
async fn what_proves_nothing_is_401_and_asks_nobody() {
    let (signer, stranger) = (Signer::rsa("1"), Signer::rsa("1"));
    let issuer = Issuer::start(&[&signer]).await;
    let daemon = TestDaemon::start(&discovered(&issuer));
    let at = daemon.address("container");
    let url = issuer.url();
    let fine = || pod_claims(&url, PODS, now());
    assert_eq!(show(at, &signer.token(&fine())).await.status, 200);
    let changed = |name: &str, value: Value| {
        let mut claims = fine();
        claims[name] = value;
        signer.token(&claims)
    };
    let header = |header: Value| signer.sign(&header, &fine());
    let unsigned = format!(
        "{}.{}.",
        encoded(r#"{"alg":"none"}"#),
        encoded(fine().to_string())
    );
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &signer.public_der());
    let text = format!(
        "{}.{}",
        encoded(r#"{"alg":"HS256","kid":"1"}"#),
        encoded(fine().to_string())
    );
    let mac = aws_lc_rs::hmac::sign(&secret, text.as_bytes());
    let hmac = format!("{text}.{}", encoded(mac.as_ref()));
    let long = changed("padding", Value::from("x".repeat(1 << 20)));
    let answer = show(at, &long).await;
    assert_eq!(answer.status, 431, "an endless head is refused by itself");
    for (what, token) in [
        ("no signature", unsigned),
        ("`none`, signed", header(json!({"alg": "none", "kid": "1"}))),
        ("the public key as a secret", hmac),
        (
            "another algorithm",
            header(json!({"alg": "RS512", "kid": "1"})),
        ),
        (
            "another kind of token",
            header(json!({"alg": "RS256", "kid": "1", "typ": "logout+jwt"})),
        ),
        (
            "another audience",
            changed("aud", json!(["sts.amazonaws.com"])),
        ),
        (
            "another issuer",
            changed("iss", json!("https://issuer.example")),
        ),
        (
            "almost the same issuer",
            changed("iss", json!(format!("{url}/"))),
        ),
        ("expired", changed("exp", json!(now() - 60))),
        ("not valid yet", changed("nbf", json!(now() + 600))),
        ("no subject", changed("sub", json!(""))),
        ("somebody else's signature", stranger.token(&fine())),
    ] {
        assert_eq!(code(&show(at, &token).await), wrong(), "{what}");
    }
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn two_tokens_are_none() {
    let signer = Signer::p256("1");
    let issuer = Issuer::start(&[&signer]).await;
    let daemon = TestDaemon::start(&discovered(&issuer));
    let at = daemon.address("container");
    let token = signer.token(&pod_claims(&issuer.url(), PODS, now()));
    let own = fs::read_to_string(daemon.directory.path().join("token")).unwrap();
    for second in [&token, &own, "x"] {
        for pair in [[token.as_str(), second], [second, token.as_str()]] {
            let headers = pair.map(|token| ("Authorization", token));
            let answer = ask(at, "GET", "/v1/credentials", &headers).await;
            assert_eq!(code(&answer), wrong());
        }
    }
}

#[tokio::test]
async fn without_an_issuer_no_token_is_looked_at() {
    let signer = Signer::p256("1");
    let daemon = TestDaemon::start(LOCAL);
    let token = signer.token(&pod_claims("https://issuer.example", PODS, now()));
    let answer = show(daemon.address("container"), &token).await;
    assert_eq!(code(&answer), wrong());
}

#[tokio::test]
async fn unknown_keys_do_not_hammer_the_issuer_and_new_ones_are_found() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let issuer = Issuer::start(&[&old]).await;
    let daemon = TestDaemon::start(&discovered(&issuer));
    let at = daemon.address("container");
    let claims = pod_claims(&issuer.url(), PODS, now());
    assert_eq!(show(at, &old.token(&claims)).await.status, 200);
    issuer.publish(&[&old, &new]);
    assert_eq!(show(at, &new.token(&claims)).await.status, 200);
    for number in 0..100 {
        let stranger = json!({"alg": "ES256", "kid": format!("made up {number}")});
        let answer = show(at, &new.sign(&stranger, &claims)).await;
        assert!(code(&answer) == wrong() || code(&answer) == not_ready());
    }
    assert_eq!(show(at, &new.token(&claims)).await.status, 200);
    assert_eq!(issuer.asked(), 2 * 3, "three fetches of two documents");
}

#[tokio::test]
async fn an_issuer_that_hangs_makes_its_own_callers_wait_and_nobody_else() {
    let signer = Signer::p256("1");
    let issuer = Issuer::start(&[&signer]).await;
    issuer.discovery(Some(Reply::Hang));
    let daemon = TestDaemon::start(&discovered(&issuer));
    let at = daemon.address("container");
    let token = signer.token(&pod_claims(&issuer.url(), PODS, now()));
    let own = fs::read_to_string(daemon.directory.path().join("token")).unwrap();
    let begun = tokio::time::Instant::now();
    let (waiting, served) = tokio::join!(show(at, &token), show(at, &own));
    assert_eq!(code(&waiting), not_ready());
    assert_eq!(served.status, 200);
    // It is not waited for as long as the fetch lasts.
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn documents_that_are_wrong_are_not_believed() {
    let signer = Signer::p256("1");
    let issuer = Issuer::start(&[&signer]).await;
    issuer.discovery(Some(Reply::new(404, "")));
    let (clock, simulation) = clock();
    let daemon = TestDaemon::start_at(&discovered(&issuer), clock);
    let at = daemon.address("container");
    let token = signer.token(&pod_claims(&issuer.url(), PODS, at_noon()));
    let url = issuer.url();
    let endless = format!("{{\"issuer\":\"{url}\",\"x\":\"{}\"}}", "x".repeat(4 << 20));
    let names = |issuer: &str, keys: &str| {
        Reply::new(200, json!({"issuer": issuer, "jwks_uri": keys}).to_string())
    };
    for wrong in [
        Reply::new(200, endless),
        Reply::new(200, "{"),
        Reply::new(500, "{}"),
        Reply::new(302, "").with("location", format!("{url}/keys")),
        Reply::Reset,
        Reply::Half("{".to_owned()),
        names("https://issuer.example", &format!("{url}/keys")),
        names(&format!("{url}/"), &format!("{url}/keys")),
        names(&url, "http://192.0.2.1/keys"),
        names(&url, "file:///etc/passwd"),
        names(&url, &format!("http://{at}/keys")),
        names(&url, &format!("{url}/none")),
        names(&url, &format!("{url}/.well-known/openid-configuration")),
    ] {
        simulation.suspend(Duration::from_secs(11));
        issuer.discovery(Some(wrong.clone()));
        let before = issuer.asked();
        assert_eq!(code(&show(at, &token).await), not_ready(), "{wrong:?}");
        assert!(issuer.asked() > before, "{wrong:?}");
    }
    issuer.discovery(None);
    simulation.suspend(Duration::from_secs(11));
    let answer = show(at, &token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    drop(issuer);
    assert_eq!(show(at, &token).await.status, 200, "what is held is kept");
}

#[tokio::test]
async fn keys_of_a_file_are_read_again_when_it_changes() {
    let (old, new) = (Signer::rsa("old"), Signer::p256("new"));
    let text = configuration(
        "url = \"https://kubernetes.default.svc\"\nkeys = \"{dir}/keys.json\"\naudiences = \"us\"",
    );
    let (clock, simulation) = clock();
    let daemon = TestDaemon::start_at(&text, clock);
    let at = daemon.address("container");
    let claims = pod_claims("https://kubernetes.default.svc", "us", at_noon());
    assert_eq!(code(&show(at, &old.token(&claims)).await), not_ready());
    let file = daemon.directory.path().join("keys.json");
    fs::write(&file, key_set(&[&old])).unwrap();
    simulation.suspend(Duration::from_secs(2));
    assert_eq!(show(at, &old.token(&claims)).await.status, 200);
    fs::write(&file, key_set(&[&new])).unwrap();
    simulation.suspend(Duration::from_secs(2));
    assert_eq!(show(at, &new.token(&claims)).await.status, 200);
    assert_eq!(code(&show(at, &old.token(&claims)).await), wrong());
    fs::write(&file, "{").unwrap();
    simulation.suspend(Duration::from_mins(1));
    assert_eq!(show(at, &new.token(&claims)).await.status, 200);
}

#[tokio::test]
async fn a_cluster_with_an_authority_of_its_own_is_trusted_when_it_is_named() {
    let signer = Signer::rsa("1");
    let server = TlsServer::start("");
    let url = server.url();
    let mut document: Value = serde_json::from_str(&key_set(&[&signer])).unwrap();
    document["issuer"] = Value::from(url.as_str());
    document["jwks_uri"] = Value::from(format!("{url}/openid/v1/jwks"));
    server.answer(&document.to_string());
    let token = signer.token(&pod_claims(&url, PODS, now()));
    let unknown = TestDaemon::start(&configuration(&format!("url = \"{url}\"")));
    let answer = show(unknown.address("container"), &token).await;
    assert_eq!(code(&answer), not_ready());
    let authority = server.authority();
    let named = format!("url = \"{url}\"\nca-file = \"{}\"", authority.display());
    let daemon = TestDaemon::start(&configuration(&named));
    let mut answer = show(daemon.address("container"), &token).await;
    while answer.status == 503 {
        // The first handshake may take longer than a client waits.
        answer = show(daemon.address("container"), &token).await;
    }
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_reload_changes_whose_tokens_are_believed() {
    let signer = Signer::p256("1");
    let issuer = Issuer::start(&[&signer]).await;
    let daemon = TestDaemon::start(&discovered(&issuer));
    let at = daemon.address("container");
    let token = signer.token(&pod_claims(&issuer.url(), PODS, now()));
    let mut kept = Connection::open(at).await;
    let headers = [("Authorization", token.as_str())];
    let get = request("GET", "/v1/credentials", &headers);
    kept.send(get.as_bytes()).await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    daemon.write(&configuration(&format!(
        "url = \"{}\"\naudiences = \"others\"",
        issuer.url()
    )));
    let changes = daemon.reload.reload().await.unwrap();
    assert_eq!(
        changes,
        [format!("issuer {} changed: audiences", issuer.url())]
    );
    kept.send(get.as_bytes()).await;
    assert_eq!(code(&kept.answer().await.unwrap()), wrong());
    daemon.write(&discovered(&issuer));
    daemon.reload.reload().await.unwrap();
    kept.send(get.as_bytes()).await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
}

/// Prints the key that the SDK finds, for each line that it is given.
const SDK: &str = "
import boto3, sys
for line in sys.stdin:
    print(boto3.Session().get_credentials().get_frozen_credentials().access_key, flush=True)
";

#[tokio::test]
async fn an_unmodified_sdk_shows_the_token_that_the_kubelet_renews() {
    let signer = Signer::rsa("1");
    let issuer = Issuer::start(&[&signer]).await;
    let daemon = TestDaemon::start(&discovered(&issuer));
    let file = daemon.directory.path().join("pod-token");
    let url = format!("http://{}/v1/credentials", daemon.address("container"));
    let mut sdk = Command::new("bash")
        .arg("-ec")
        .arg(". ./python_environment.sh; python_environment moto moto.txt; exec \"$cache/moto/bin/python\" -c \"$SDK\"")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upstreams"))
        .env("SDK", SDK)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut ask = sdk.stdin.take().unwrap();
    let mut told = BufReader::new(sdk.stdout.take().unwrap()).lines();
    let mut keys = Vec::new();
    for age in [300, 0] {
        let token = signer.token(&pod_claims(&issuer.url(), PODS, now() - age));
        fs::write(&file, token).unwrap();
        ask.write_all(b"\n").await.unwrap();
        keys.push(told.next_line().await.unwrap().unwrap());
    }
    assert!(keys[0].starts_with("ASIA"), "{keys:?}");
    assert_eq!(keys[0], keys[1]);
}

/// Roles by service account, for tokens of this issuer only, and one for this user without any.
fn by_pod(issuers: &[&Issuer]) -> String {
    let first = issuers[0].url();
    let accounts = LOCAL
        .replace(
            "[account.local.role.demo]",
            "[account.local.role.demo]\n[account.local.role.till]\n[account.local.role.cart]",
        )
        .replace(
            "[[grant]]",
            &format!(
                r#"
                [[grant]]
                role = "local/till"
                when = {{ pod.namespace = "shop", pod.service-account = "till", token.issuer = "{first}" }}
                reason = "the till"
                [[grant]]
                role = "local/cart"
                when = {{ token.issuer = "{first}", token.subject = "system:serviceaccount:shop:cart" }}
                [[grant]]
                priority = -1
                "#
            ),
        );
    let known = issuers
        .iter()
        .map(|issuer| format!("\n[[issuer]]\nurl = \"{}\"\n", issuer.url()));
    accounts + &known.collect::<String>()
}

fn of_account(issuer: &Issuer, account: &str, now: u64) -> Value {
    let mut claims = pod_claims(&issuer.url(), PODS, now);
    claims["sub"] = Value::from(format!("system:serviceaccount:shop:{account}"));
    claims["kubernetes.io"]["serviceaccount"]["name"] = Value::from(account);
    claims
}

/// Which roles for pods a token opens, and what its bearer gets that names none.
async fn roles(at: SocketAddr, token: &str) -> (Vec<&'static str>, u16) {
    let mut open = Vec::new();
    for role in ["till", "cart"] {
        let path = format!("/role/local/{role}");
        let answer = ask(at, "GET", &path, &[("Authorization", token)]).await;
        match answer.status {
            200 => open.push(role),
            _ => assert_eq!(code(&answer), (404, "NoSuchRole".to_owned())),
        }
    }
    (open, show(at, token).await.status)
}

#[tokio::test]
async fn each_pod_gets_the_role_of_its_service_account() {
    let signer = Signer::p256("1");
    let issuer = Issuer::start(&[&signer]).await;
    let other_cluster = Issuer::start(&[&signer]).await;
    let daemon = TestDaemon::start(&by_pod(&[&issuer, &other_cluster]));
    let at = daemon.address("container");
    for (account, expected) in [
        ("till", &["till"][..]),
        ("cart", &["cart"]),
        ("nobody", &[]),
    ] {
        let token = signer.token(&of_account(&issuer, account, now()));
        assert_eq!(
            roles(at, &token).await,
            (expected.to_vec(), 200),
            "{account}"
        );
    }
    // The same name in another cluster, and in another namespace of this one.
    let elsewhere = signer.token(&of_account(&other_cluster, "till", now()));
    assert_eq!(roles(at, &elsewhere).await.0, [""; 0]);
    let mut claims = of_account(&issuer, "till", now());
    claims["kubernetes.io"]["namespace"] = Value::from("dev");
    claims["sub"] = Value::from("system:serviceaccount:dev:till");
    assert_eq!(roles(at, &signer.token(&claims)).await.0, [""; 0]);
}

#[tokio::test]
async fn a_kept_connection_gives_each_token_its_own_role_for_as_long_as_it_is_valid() {
    let signer = Signer::p256("1");
    let issuer = Issuer::start(&[&signer]).await;
    let (clock, simulation) = clock();
    let daemon = TestDaemon::start_at(&by_pod(&[&issuer]), clock);
    let own = fs::read_to_string(daemon.directory.path().join("token")).unwrap();
    let token = |account: &str| signer.token(&of_account(&issuer, account, at_noon()));
    let mut kept = Connection::open(daemon.address("container")).await;
    let mut keys = Vec::new();
    for shown in [
        &token("till"),
        &token("cart"),
        &own,
        &token("till"),
        &token("cart"),
        &own,
    ] {
        let get = request("GET", "/creds", &[("Authorization", shown)]);
        kept.send(get.as_bytes()).await;
        let answer = kept.answer().await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        keys.push(answer.json()["AccessKeyId"].clone());
    }
    assert_eq!(
        keys[..3],
        keys[3..],
        "each its own session, again and again"
    );
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    simulation.suspend(Duration::from_mins(11));
    let get = request("GET", "/creds", &[("Authorization", &token("till"))]);
    kept.send(get.as_bytes()).await;
    assert_eq!(code(&kept.answer().await.unwrap()), wrong());
    let events = daemon.daemon.vending.audit().events_after(0);
    let told: Vec<Value> = events
        .iter()
        .map(|event| serde_json::to_value(&**event).unwrap())
        .collect();
    let evidence = format!(
        "token of {} for system:serviceaccount:shop:till",
        issuer.url()
    );
    let till = told
        .iter()
        .find(|event| event["role"] == "local/till")
        .unwrap();
    assert!(
        till["caller"].as_str().unwrap().starts_with("shop/till ("),
        "{till}"
    );
    assert!(
        till["evidence"].as_str().unwrap().ends_with(&evidence),
        "{till}"
    );
    assert_eq!(
        (&till["session_name"], &till["reason"]),
        (&json!("shop-till"), &json!("the till"))
    );
}

#[tokio::test]
async fn a_token_that_cannot_be_told_never_stands_for_its_bearers_user() {
    let (signer, stranger) = (Signer::p256("1"), Signer::p256("1"));
    let issuer = Issuer::start(&[&signer]).await;
    issuer.discovery(Some(Reply::new(500, "")));
    let (clock, simulation) = clock();
    let daemon = TestDaemon::start_at(&by_pod(&[&issuer]), clock);
    let at = daemon.address("container");
    let claims = of_account(&issuer, "till", at_noon());
    assert_eq!(code(&show(at, &signer.token(&claims)).await), not_ready());
    issuer.discovery(None);
    simulation.suspend(Duration::from_secs(11));
    assert_eq!(code(&show(at, &stranger.token(&claims)).await), wrong());
    assert_eq!(show(at, &signer.token(&claims)).await.status, 200);
}
