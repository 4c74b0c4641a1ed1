//! What requests to the authority cost: `cargo bench --bench authority`.
//!
//! Asked over kept connections: STS for a session of a cloud that is held, for a local one that is
//! held, for local ones that have to be issued, and for who asks; Keystone whose a signature is. Beside
//! each a metadata document of the cloud's session, in the same round. Prints one JSON object, of each
//! kind of request its nanoseconds of CPU.

mod served;
mod shown;
#[path = "served/upstream.rs"]
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use rolecall::clock::Clock;
use rolecall::store::{AccessKeyDraft, Store};
use rolecall::types::{AccessKeyId, AccountAlias};

use served::{Addresses, Client, Failure, ROUNDS, during, least};
use shown::shown;

const KEY: &str = "AKIABENCH0000000";
const SECRET: &str = "benchbenchbenchbenchbenchbenchbenchbench";
const SERVICE: &str = "bench-service-token";
const CLOUD: &str = "123456789012";
const REQUESTS: u32 = 10_000;
const ISSUED: usize = 1000;

fn main() -> ExitCode {
    shown(run())
}

fn run() -> Result<serde_json::Value, Failure> {
    let directory = tempfile::tempdir()?;
    make_key(&directory.path().join("state"))?;
    let config = configuration(directory.path(), upstream::start()?)?;
    during(
        directory.path(),
        &[("rolecall.toml", config.as_str())],
        measure,
    )
}

fn measure(addresses: &Addresses) -> Result<serde_json::Value, Failure> {
    let mut metadata = addresses.connect("metadata")?;
    let put = "PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\n\
               X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n";
    let token = metadata.ask(put)?;
    let document = format!(
        "GET /latest/meta-data/iam/security-credentials/app HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         X-aws-ec2-metadata-token: {token}\r\n\r\n"
    );
    let mut api = addresses.connect("api")?;
    let mut figures: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for round in 0..ROUNDS {
        // Signed anew in each round, as clients sign anew in each second.
        let upstream = assume(CLOUD, "app", "held")?;
        let local = assume("000000000000", "demo", "held")?;
        let who = signed("Action=GetCallerIdentity&Version=2011-06-15")?;
        let told = told(&who)?;
        let names = (0..ISSUED).map(|number| format!("s{round}-{number}"));
        let new: Vec<String> = names
            .map(|name| assume("000000000000", "demo", &name))
            .collect::<Result<_, _>>()?;
        let mut cost = |name, client: &mut Client, request: &str| -> Result<(), Failure> {
            let cost = client.cost(request, REQUESTS)?;
            figures.entry(name).or_default().push(cost);
            Ok(())
        };
        cost("metadata_ns", &mut metadata, &document)?;
        cost("held_upstream_ns", &mut api, &upstream)?;
        cost("held_local_ns", &mut api, &local)?;
        cost("caller_identity_ns", &mut api, &who)?;
        cost("ec2tokens_ns", &mut api, &told)?;
        let issued = api.cost_of(new.iter().map(String::as_str))?;
        figures.entry("issued_local_ns").or_default().push(issued);
    }
    let figures = figures.iter();
    Ok(figures
        .map(|(name, rounds)| (*name, least(rounds)))
        .collect())
}

/// A request for a session of this role of this account, of this name.
fn assume(account: &str, role: &str, name: &str) -> Result<String, Failure> {
    signed(&format!(
        "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A{account}%3Arole%2F{role}\
         &RoleSessionName={name}&Version=2011-06-15"
    ))
}

/// What a service that received this signed request asks Keystone.
fn told(request: &str) -> Result<String, Failure> {
    let (head, body) = request.split_once("\r\n\r\n").ok_or("no head")?;
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let headers: serde_json::Map<_, _> = headers
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let authorization = headers.get("authorization");
    let authorization = authorization.and_then(serde_json::Value::as_str);
    let signature = authorization.and_then(|text| text.rsplit_once("Signature="));
    let (_, signature) = signature.ok_or("no signature")?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
    let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
    let credentials = serde_json::json!({ "credentials": {
        "access": KEY, "signature": signature, "host": "127.0.0.1", "verb": "POST", "path": "/",
        "params": {}, "headers": headers, "body_hash": hash.collect::<String>(),
    }});
    let asked = credentials.to_string();
    Ok(format!(
        "POST /v2.0/ec2tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Auth-Token: {SERVICE}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{asked}",
        asked.len()
    ))
}

/// The form, posted and signed.
fn signed(form: &str) -> Result<String, Failure> {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let lines = [("host", "127.0.0.1"), kind];
    let body = SignableBody::Bytes(form.as_bytes());
    let request = SignableRequest::new("POST", "http://127.0.0.1/", lines.into_iter(), body)?;
    let identity = Credentials::new(KEY, SECRET, None, None, "bench").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name("sts")
        .time(Clock::System.now())
        .settings(SigningSettings::default())
        .build()?;
    let (instructions, _) = sign(request, &params.into())?.into_parts();
    let added = instructions.headers();
    let added: Vec<String> = std::iter::once(kind)
        .chain(added)
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    Ok(format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n{}Content-Length: {}\r\n\r\n{form}",
        added.concat(),
        form.len()
    ))
}

/// Puts the key into the store that the daemon will open.
fn make_key(state: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new().mode(0o700).create(state)?;
    let store = Store::at(state, None, Clock::System);
    let draft = AccessKeyDraft {
        id: AccessKeyId::new(KEY)?,
        secret: SECRET.into(),
        user: Arc::from("ann"),
        account: AccountAlias::new("local")?,
        label: Arc::from(""),
    };
    let reserved = AccountAlias::new("local")?;
    store.reserve(|| rolecall::store::Reserved {
        aliases: [reserved].into(),
        ..rolecall::store::Reserved::default()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        store.create_key(draft).await?;
        let mut changes = store.changes();
        drop(store);
        // Its thread lets go of the file before it is gone.
        while changes.changed().await.is_ok() {}
        Ok(())
    })
}

/// A local role and one of a cloud, for this user and for the key's; sessions are issued as fast as
/// they are asked for.
fn configuration(directory: &Path, cloud: SocketAddr) -> Result<String, Failure> {
    let at = directory.display();
    for (name, secret) in [
        ("service", SERVICE),
        ("key", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"),
    ] {
        let file = directory.join(name);
        std::fs::write(&file, secret)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    }
    let own = nix::unistd::geteuid();
    Ok(format!(
        "[[listener]]\nname = \"metadata\"\nbind = \"127.0.0.1:0\"\napis = \"imds\"\n\
         [[listener]]\nname = \"api\"\nbind = \"127.0.0.1:0\"\napis = [\"sts\", \"keystone\"]\n\
         [authority]\nservice-token = \"file:{at}/service\"\n\
         [state]\ndirectory = \"{at}/state\"\n[admin]\nsocket = \"{at}/admin.sock\"\n\
         [account.local]\nid = \"000000000000\"\ncredentials = {{ from = \"local\" }}\n\
         rate-limit = {{ per-second = 1000000, burst = 1000000 }}\n\
         [account.local.role.demo]\n\
         [account.cloud]\nid = \"{CLOUD}\"\nregion = \"us-east-1\"\nendpoint = \"http://{cloud}\"\n\
         credentials = {{ from = \"key\", access-key-id = \"AKIAIOSFODNN7EXAMPLE\", \
         secret-access-key = \"file:{at}/key\" }}\n\
         [account.cloud.role.app]\n\
         [[grant]]\nrole = \"cloud/app\"\nwhen = {{ uid = {own} }}\n\
         [[grant]]\nrole = \"cloud/app\"\nwhen = {{ principal = \"ann\" }}\n\
         [[grant]]\nrole = \"local/demo\"\nwhen = {{ principal = \"ann\" }}\n"
    ))
}
