//! What requests to STS cost: `cargo bench --bench authority`.
//!
//! Asked over one kept connection, signed: for a session that is held, for one that has to be issued,
//! and for nothing but who asks; beside a metadata document of a held session. Prints one JSON object.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints what it measured"
)]

mod served;

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use rolecall::clock::Clock;
use rolecall::store::{AccessKeyDraft, Store};
use rolecall::types::{AccessKeyId, AccountAlias};

use served::{Addresses, Failure, ROUNDS, during, least};

const KEY: &str = "AKIABENCH0000000";
const SECRET: &str = "benchbenchbenchbenchbenchbenchbenchbench";
const REQUESTS: u32 = 10_000;
const ISSUED: usize = 2000;

fn main() -> ExitCode {
    match run() {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<serde_json::Value, Failure> {
    let directory = tempfile::tempdir()?;
    make_key(&directory.path().join("state"))?;
    let config = configuration(directory.path());
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
        "GET /latest/meta-data/iam/security-credentials/demo HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         X-aws-ec2-metadata-token: {token}\r\n\r\n"
    );
    let mut api = addresses.connect("api")?;
    let held = assume("held")?;
    let who = signed("Action=GetCallerIdentity&Version=2011-06-15")?;
    let mut figures = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        let names = (0..ISSUED).map(|number| assume(&format!("s{round}-{number}")));
        let new: Vec<String> = names.collect::<Result<_, _>>()?;
        let [documents, identities, sessions, issued] = &mut figures;
        documents.push(metadata.cost(&document, REQUESTS)?);
        identities.push(api.cost(&who, REQUESTS)?);
        sessions.push(api.cost(&held, REQUESTS)?);
        issued.push(api.cost_of(new.iter().map(String::as_str))?);
    }
    let [program, identity, session, issued] = figures.map(|rounds| least(&rounds));
    Ok(serde_json::json!({
        "metadata_ns": program,
        "caller_identity_ns": identity,
        "held_session_ns": session,
        "held_session_percent_of_metadata": session * 100 / program.max(1),
        "issued_session_ns": issued,
    }))
}

/// A request for a session of this name.
fn assume(name: &str) -> Result<String, Failure> {
    signed(&format!(
        "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Fdemo\
         &RoleSessionName={name}&Version=2011-06-15"
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
    store.reserve(rolecall::store::Reserved {
        aliases: [AccountAlias::new("local")?].into(),
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

/// One role for this user and for the key's; sessions are issued as fast as they are asked for.
fn configuration(directory: &Path) -> String {
    let at = directory.display();
    let own = nix::unistd::geteuid();
    format!(
        "[[listener]]\nname = \"metadata\"\nbind = \"127.0.0.1:0\"\napis = \"imds\"\n\
         [[listener]]\nname = \"api\"\nbind = \"127.0.0.1:0\"\napis = \"sts\"\n\
         [state]\ndirectory = \"{at}/state\"\n[admin]\nsocket = \"{at}/admin.sock\"\n\
         [account.local]\nid = \"000000000000\"\ncredentials = {{ from = \"local\" }}\n\
         rate-limit = {{ per-second = 1000000, burst = 1000000 }}\n\
         [account.local.role.demo]\n\
         [[grant]]\nrole = \"local/demo\"\nwhen = {{ uid = {own} }}\n\
         [[grant]]\nrole = \"local/demo\"\nwhen = {{ principal = \"ann\" }}\n"
    )
}
