//! Base credentials: each kind is found, signs the call, and never leads back to the daemon.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rolecall::clock::Clock;
use rolecall::config::{Account, BaseCredentials, RoleKind};
use rolecall::grants::Names;
use rolecall::secret::SecretString;
use rolecall::sessions::{Catalogue, FailureKind, FetchError, Fetched, Request, Wish};
use rolecall::source::{Engine, PlanError, Plans};
use rolecall::transport::{LOOP_HEADER, OwnAddresses};
use rolecall::types::RoleRef;

use crate::support::sts::{Credentials, Received, Reply, ScriptedSts};
use crate::upstream::{NoLocalRoles, account, config, engine, key, plans, role};

const DOCUMENT: &str = r#"{"Version":1,"Code":"Success","AccessKeyId":"ASIAFOUND",
    "SecretAccessKey":"canary-found","Token":"canary-token","Expiration":"2099-01-01T00:00:00Z"}"#;

/// An STS, and an endpoint for base credentials beside it.
async fn upstream() -> ScriptedSts {
    ScriptedSts::start(|request| match request.target.as_str() {
        "/" => Reply::session(request.field("Action"), &Credentials::default()),
        "/latest/api/token" => {
            Reply::new(200, "token").with("x-aws-ec2-metadata-token-ttl-seconds", "21600")
        }
        "/latest/meta-data/iam/security-credentials/" => Reply::new(200, "instance"),
        "/latest/meta-data/iam/security-credentials/instance" | "/creds" => {
            Reply::new(200, DOCUMENT)
        }
        _ => Reply::new(404, ""),
    })
    .await
}

fn prod(sts: &ScriptedSts, base: BaseCredentials) -> Account {
    let mut prod = account("prod", &sts.url(), role("prod/web"));
    prod.base = base;
    prod
}

fn request(plans: &Plans) -> Arc<Request> {
    let web = RoleRef::parse("prod/web").unwrap();
    plans
        .request(&Wish::declared(web, Names::default()))
        .unwrap()
}

async fn fetch(
    sts: &ScriptedSts,
    base: BaseCredentials,
    engine: &Engine,
) -> Result<Fetched, FetchError> {
    let plans = plans(&config([prod(sts, base)]), engine);
    request(&plans).source.fetch(None).await
}

/// Which key the last call to the STS was signed with.
fn signer(sts: &ScriptedSts) -> String {
    let received = sts.received();
    let call = received
        .iter()
        .rfind(|request| request.target == "/")
        .unwrap();
    let header = call.header("authorization");
    let (_, credential) = header.split_once("Credential=").unwrap();
    credential.split('/').next().unwrap().to_owned()
}

/// An engine of a daemon that listens at these addresses.
fn engine_of(environment: &[(&str, &str)], own: &[SocketAddr]) -> Engine {
    let variables = environment.iter();
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let own: OwnAddresses = own.iter().copied().collect();
    Engine::new(Clock::System, variables.collect(), own)
}

fn write(directory: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn shell(script: String) -> BaseCredentials {
    BaseCredentials::Process(vec!["sh".to_owned(), "-c".to_owned(), script])
}

#[tokio::test]
async fn the_environments_keys_come_first() {
    let sts = upstream().await;
    let engine = engine(&[
        ("AWS_ACCESS_KEY_ID", "AKIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "canary"),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &format!("{}/creds", sts.url()),
        ),
    ]);
    fetch(&sts, BaseCredentials::Environment, &engine)
        .await
        .unwrap();
    assert_eq!(signer(&sts), "AKIAENV");
}

#[tokio::test]
async fn the_environments_profile_container_and_instance_follow() {
    let sts = upstream().await;
    let home = tempfile::tempdir().unwrap();
    let credentials = write(
        &home,
        "credentials",
        "[default]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = canary\n",
    );
    let nothing = write(&home, "nothing", "");
    let container = format!("{}/creds", sts.url());
    let instance = sts.url();
    for (variables, key) in [
        (
            vec![("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str())],
            "AKIAPROFILE",
        ),
        (
            vec![
                ("AWS_SHARED_CREDENTIALS_FILE", nothing.as_str()),
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in"),
            ],
            "ASIAFOUND",
        ),
        (
            vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.as_str())],
            "ASIAFOUND",
        ),
    ] {
        fetch(&sts, BaseCredentials::Environment, &engine(&variables))
            .await
            .unwrap();
        assert_eq!(signer(&sts), key, "{variables:?}");
    }
    let received = sts.received();
    let asked = received
        .iter()
        .find(|request| request.target == "/creds")
        .unwrap();
    assert_eq!(asked.header("authorization"), "let me in");
    assert_ne!(
        asked.header(LOOP_HEADER),
        "",
        "a redirection to ourselves must be seen"
    );
}

#[tokio::test]
async fn an_environment_without_credentials_says_what_it_lacks() {
    let sts = upstream().await;
    let engine = engine(&[("AWS_EC2_METADATA_DISABLED", "true")]);
    let error = fetch(&sts, BaseCredentials::Environment, &engine)
        .await
        .unwrap_err();
    assert_eq!(error.kind, FailureKind::BaseCredentials);
    for part in [
        "AWS_ACCESS_KEY_ID",
        "profile",
        "AWS_ROLE_ARN",
        "container",
        "DISABLED",
    ] {
        assert!(error.message.contains(part), "{part}: {error}");
    }
    assert_eq!(sts.received().len(), 0);
}

#[tokio::test]
async fn an_environment_that_only_the_instance_could_help_says_what_it_lacks_too() {
    let sts = upstream().await;
    let instance = ScriptedSts::start(|_| Reply::new(404, "")).await;
    let engine = engine(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &instance.url())]);
    let error = fetch(&sts, BaseCredentials::Environment, &engine)
        .await
        .unwrap_err();
    assert_eq!(error.kind, FailureKind::BaseCredentials);
    for part in ["AWS_ACCESS_KEY_ID", "; profile: ", "; instance: "] {
        assert!(error.message.contains(part), "{part}: {error}");
    }
}

#[tokio::test]
async fn what_leads_to_the_daemon_is_left_out_of_the_environment() {
    let sts = upstream().await;
    let ours = upstream().await;
    let container = format!("{}/creds", ours.url());
    let by_name = container.replace("127.0.0.1", "127.1");
    for variables in [
        [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ],
        [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", by_name.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ],
        [
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &ours.url()),
            ("AWS_PROFILE", "nobody"),
        ],
    ] {
        let instance: SocketAddr = "169.254.169.254:80".parse().unwrap();
        let engine = engine_of(&variables, &[ours.address(), instance]);
        let error = fetch(&sts, BaseCredentials::Environment, &engine)
            .await
            .unwrap_err();
        assert_eq!(
            error.kind,
            FailureKind::BaseCredentials,
            "{variables:?}: {error}"
        );
    }
    assert_eq!(ours.received().len(), 0);
}

#[tokio::test]
async fn a_profile_that_names_the_instance_does_not_reach_the_daemon() {
    let sts = upstream().await;
    let ours = upstream().await;
    let home = tempfile::tempdir().unwrap();
    let file = write(
        &home,
        "config",
        "[profile ec2]\nrole_arn = arn:aws:iam::123456789012:role/x\n\
         credential_source = Ec2InstanceMetadata\n",
    );
    let url = ours.url();
    let variables = [
        ("AWS_CONFIG_FILE", file.as_str()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url),
    ];
    let instance: SocketAddr = "169.254.169.254:80".parse().unwrap();
    let engine = engine_of(&variables, &[ours.address(), instance]);
    let base = BaseCredentials::Profile("ec2".to_owned());
    let error = fetch(&sts, base, &engine).await.unwrap_err();
    assert!(error.message.contains("is this daemon"), "{error}");
    assert_eq!(ours.received().len(), 0);
}

#[tokio::test]
async fn a_named_profile_is_read() {
    let sts = upstream().await;
    let home = tempfile::tempdir().unwrap();
    let file = write(
        &home,
        "config",
        "[profile deploy]\naws_access_key_id = AKIADEPLOY\naws_secret_access_key = canary\n",
    );
    let variables = [("AWS_CONFIG_FILE", file.as_str())];
    let base = BaseCredentials::Profile("deploy".to_owned());
    fetch(&sts, base, &engine(&variables)).await.unwrap();
    assert_eq!(signer(&sts), "AKIADEPLOY");
    let other = BaseCredentials::Profile("other".to_owned());
    let error = fetch(&sts, other, &engine(&variables)).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::BaseCredentials);
    assert!(error.message.contains("other"), "{error}");

    let nowhere = home.path().join("absent");
    let nowhere = nowhere.to_str().unwrap();
    let files = [
        ("AWS_CONFIG_FILE", nowhere),
        ("AWS_SHARED_CREDENTIALS_FILE", nowhere),
    ];
    for (variables, place) in [(&files[..], nowhere), (&[], "HOME")] {
        let deploy = BaseCredentials::Profile("deploy".to_owned());
        let error = fetch(&sts, deploy, &engine(variables)).await.unwrap_err();
        assert!(error.message.contains("profile `deploy`"), "{error}");
        assert!(error.message.contains(place), "{error}");
    }
}

#[tokio::test]
async fn a_profile_that_signs_a_person_in_is_left_to_the_cli() {
    let sts = upstream().await;
    let home = tempfile::tempdir().unwrap();
    let sso = "[profile me]\nsso_start_url = https://sso.example\nsso_region = eu-central-1\n\
               sso_account_id = 123456789012\nsso_role_name = r\n";
    let file = write(&home, "config", sso);
    let base = BaseCredentials::Profile("me".to_owned());
    let engine = engine(&[("AWS_CONFIG_FILE", file.as_str())]);
    let error = fetch(&sts, base, &engine).await.unwrap_err();
    assert!(error.message.contains("export-credentials"), "{error}");
}

#[tokio::test]
async fn a_profile_that_wants_codes_says_that_nobody_types_them() {
    let sts = upstream().await;
    let home = tempfile::tempdir().unwrap();
    let role = "role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = base\n";
    let text = format!(
        "[profile base]\ncredential_process = /bin/false\n\
         [profile me]\n{role}mfa_serial = arn:aws:iam::123456789012:mfa/me\n\
         [profile you]\n{role}"
    );
    let file = write(&home, "config", &text);
    let engine = engine(&[("AWS_CONFIG_FILE", file.as_str())]);
    for (profile, told) in [("me", true), ("you", false)] {
        let base = BaseCredentials::Profile(profile.to_owned());
        let error = fetch(&sts, base, &engine).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::BaseCredentials, "{error}");
        assert_eq!(error.message.contains("mfa_serial"), told, "{error}");
    }
}

#[tokio::test]
async fn an_endpoint_is_asked_with_its_token() {
    let sts = upstream().await;
    let base = |path: &str| BaseCredentials::Endpoint {
        url: format!("{}{path}", sts.url()),
        token: Some(SecretString::from("Basic abc")),
    };
    fetch(&sts, base("/creds"), &engine(&[])).await.unwrap();
    assert_eq!(signer(&sts), "ASIAFOUND");
    let received = sts.received();
    let asked = received
        .iter()
        .find(|request| request.target == "/creds")
        .unwrap();
    assert_eq!(asked.header("authorization"), "Basic abc");
    let error = fetch(&sts, base("/none"), &engine(&[])).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::BaseCredentials);
    assert!(error.message.contains("answered 404"), "{error}");
}

#[tokio::test]
async fn the_instances_credentials_are_asked_for_by_imdsv2() {
    let sts = upstream().await;
    let url = sts.url();
    let engine = engine(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())]);
    fetch(&sts, BaseCredentials::Imds, &engine).await.unwrap();
    assert_eq!(signer(&sts), "ASIAFOUND");
    let targets: Vec<_> = sts
        .received()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert_eq!(targets.first().unwrap(), "/latest/api/token");
}

#[tokio::test]
async fn a_program_is_run_once_for_as_long_as_its_credentials_are_good() {
    let sts = upstream().await;
    let home = tempfile::tempdir().unwrap();
    let runs = home.path().join("runs");
    let document = write(&home, "document", DOCUMENT);
    let base = shell(format!("echo run >> {}; cat {document}", runs.display()));
    let engine = engine(&[]);
    let plans = plans(&config([prod(&sts, base)]), &engine);
    let request = request(&plans);
    for _ in 0..2 {
        request.source.fetch(None).await.unwrap();
    }
    assert_eq!(signer(&sts), "ASIAFOUND");
    assert_eq!(lines(&runs), 1);
}

#[tokio::test]
async fn credentials_that_upstream_refuses_are_found_anew() {
    let sts = ScriptedSts::start(|_| Reply::error(403, "ExpiredToken", "expired")).await;
    let home = tempfile::tempdir().unwrap();
    let runs = home.path().join("runs");
    let document = write(&home, "document", DOCUMENT);
    let base = shell(format!("echo run >> {}; cat {document}", runs.display()));
    let engine = engine(&[]);
    let plans = plans(&config([prod(&sts, base)]), &engine);
    for _ in 0..2 {
        let error = request(&plans).source.fetch(None).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::BaseCredentials);
    }
    assert_eq!(lines(&runs), 2);
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap().lines().count()
}

#[tokio::test]
async fn a_program_that_fails_says_so() {
    let sts = upstream().await;
    let expired = DOCUMENT.replace("2099", "2001");
    for (base, why) in [
        (
            shell("echo 'log in first' >&2; exit 3".to_owned()),
            "log in first",
        ),
        (shell("echo '{}'".to_owned()), "lacks AccessKeyId"),
        (shell("yes".to_owned()), "more than 64 KiB"),
        (shell("echo hello".to_owned()), "no JSON"),
        (
            shell(format!("cat <<'END'\n{expired}\nEND")),
            "expired already",
        ),
        (
            BaseCredentials::Process(vec!["/no/such/program".to_owned()]),
            "could not be started",
        ),
    ] {
        let error = fetch(&sts, base, &engine(&[])).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::BaseCredentials, "{error}");
        assert!(error.message.contains(why), "{why}: {error}");
        assert!(!error.message.contains("canary"), "{error}");
    }
    assert_eq!(sts.received().len(), 0);
}

#[tokio::test]
async fn a_program_does_not_find_the_daemon_in_its_environment() {
    let sts = upstream().await;
    let instance: SocketAddr = "169.254.169.254:80".parse().unwrap();
    let engine = engine_of(&[], &[instance]);
    let base = shell("echo \"disabled: $AWS_EC2_METADATA_DISABLED\" >&2; exit 1".to_owned());
    let error = fetch(&sts, base, &engine).await.unwrap_err();
    assert!(error.message.contains("disabled: true"), "{error}");
}

#[tokio::test]
async fn long_term_keys_are_asked_for_where_upstream_wants_them() {
    let sts = upstream().await;
    let mut session = role("prod/web");
    session.kind = RoleKind::SessionToken;
    let mut prod = account("prod", &sts.url(), session);
    prod.base = BaseCredentials::Environment;
    let container = format!("{}/creds", sts.url());
    let engine = engine(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container)]);
    let plans = plans(&config([prod]), &engine);
    let error = request(&plans).source.fetch(None).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Misconfigured);
    assert!(error.message.contains("long-term keys"), "{error}");
    let calls: Vec<Received> = sts.received();
    assert!(calls.iter().all(|call| call.target != "/"), "{calls:?}");
}

#[tokio::test]
async fn sources_that_are_the_daemon_itself_are_refused() {
    let sts = upstream().await;
    let refused = |account: Account, own: &[SocketAddr]| {
        let config = config([account]);
        let built = Plans::build(&config, &engine_of(&[], own), Arc::new(NoLocalRoles));
        assert!(
            matches!(built, Err(PlanError::OwnAddress { .. })),
            "{built:?}"
        );
    };
    let ours = sts.address();
    refused(prod(&sts, key("AKIA1", "s")), &[ours]);
    let url = "http://localhost:1338/creds".to_owned();
    let endpoint = BaseCredentials::Endpoint { url, token: None };
    refused(prod(&sts, endpoint), &["127.0.0.1:1338".parse().unwrap()]);
    let instance = "169.254.169.254:80".parse().unwrap();
    refused(prod(&sts, BaseCredentials::Imds), &[instance]);

    let by_name = sts.url().replace("127.0.0.1", "127.1");
    let account = account("prod", &by_name, role("prod/web"));
    let plans = plans(&config([account]), &engine_of(&[], &[ours]));
    let error = request(&plans).source.fetch(None).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Misconfigured, "{error}");
    assert!(error.message.contains("serves itself"), "{error}");
    assert_eq!(sts.received().len(), 0);
}

#[tokio::test]
async fn roles_that_an_account_cannot_have_are_refused() {
    for (kind, base) in [
        (RoleKind::SessionToken, BaseCredentials::Imds),
        (RoleKind::FederationToken, BaseCredentials::Imds),
        (RoleKind::WebIdentity, key("AKIA1", "s")),
    ] {
        let mut web = role("prod/web");
        web.kind = kind;
        let mut prod = account("prod", "http://192.0.2.1", web);
        prod.base = base;
        let built = Plans::build(&config([prod]), &engine(&[]), Arc::new(NoLocalRoles));
        assert!(matches!(built, Err(PlanError::Role { .. })), "{built:?}");
    }
}
