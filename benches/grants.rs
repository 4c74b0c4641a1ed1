//! What a decision costs with a thousand grants: `cargo bench --bench grants`.
//!
//! A daemon is made of a configuration, as `rolecall serve` makes it, and its one door is asked: by
//! one connection again and again, and by new connections of a caller whose place is known. Prints
//! one JSON object.

mod shown;

use std::error::Error;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rolecall::app::{self, Bound, Outside};
use rolecall::caller::Desk;
use rolecall::clock::Clock;
use rolecall::config::{Config, Purpose, Surroundings};
use rolecall::grants::{Select, Wanted};
use rolecall::listener::Passed;
use rolecall::source::Environment;
use rolecall::telemetry::metrics::Metrics;
use rolecall::vending::{Proof, Visit, Want};
use tokio::time::Instant;

use shown::shown;

const AGAIN: u32 = 1_000_000;
const ANEW: u32 = 20_000;
const GRANTS: usize = 1000;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let measured = runtime
        .map_err(Box::<dyn Error>::from)
        .and_then(|runtime| runtime.block_on(run()));
    shown(measured)
}

async fn run() -> Result<serde_json::Value, Box<dyn Error>> {
    let mut figures = serde_json::Map::new();
    for (shape, other) in [
        ("one", None),
        ("units", Some("{ unit = \"other-N.service\" }")),
        ("users", Some("{ uid = 10N }")),
        (
            "containers",
            Some("{ container.image = \"registry.example/N/*\" }"),
        ),
    ] {
        let (again, anew) = measure(other).await?;
        figures.insert(format!("{shape}_known_ns"), again.into());
        figures.insert(format!("{shape}_new_ns"), anew.into());
    }
    figures.insert("grants".to_owned(), GRANTS.into());
    Ok(figures.into())
}

/// Nanoseconds of an answer over a known connection, and of a decision over a new one, where this is
/// whom all grants but the last are for.
async fn measure(other: Option<&str>) -> Result<(u64, u64), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let bound = bind(&directory, other)?;
    let vending = &bound.daemon().vending;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (accepted, peer) = listener.accept()?;
    let desk = Desk::open(Clock::System)?;
    let caller = Arc::new(desk.identify_tcp(accepted.local_addr()?, peer, accepted.as_fd()));
    vending.identify(&caller).await;
    let visit = || Visit::new(Arc::from("metadata"), Arc::clone(&caller), Select::First);
    let want = Want {
        role: Wanted::First,
        proof: Proof::Shown,
        identity: None,
        assumption: None,
        patience: Duration::from_secs(5),
        api: "imds",
    };
    let known = visit();
    vending.ask(&known, &want).await?;
    let begun = Instant::now();
    for _ in 0..AGAIN {
        let now = Clock::System.boot();
        if vending
            .at_once(&known, &want.role, want.proof, now)
            .is_none()
        {
            return Err("a known connection was not answered at once".into());
        }
    }
    let again = begun.elapsed() / AGAIN;
    let anew_begun = Instant::now();
    for _ in 0..ANEW {
        vending.role(&visit(), &want).await?;
    }
    let anew = anew_begun.elapsed() / ANEW;
    drop(client);
    Ok((
        u64::try_from(again.as_nanos())?,
        u64::try_from(anew.as_nanos())?,
    ))
}

fn bind(directory: &tempfile::TempDir, other: Option<&str>) -> Result<Bound, Box<dyn Error>> {
    let at = directory.path().display();
    let mut text = format!(
        "[[listener]]\nname = \"metadata\"\nbind = [\"127.0.0.1:0\"]\napis = [\"imds\"]\n\
         [state]\ndirectory = \"{at}/state\"\n[admin]\nsocket = \"{at}/admin.sock\"\n\
         [account.local]\nid = \"000000000000\"\ncredentials = {{ from = \"local\" }}\n\
         [account.local.role.demo]\n"
    );
    for number in 1..GRANTS {
        if let Some(other) = other {
            let when = other.replace('N', &number.to_string());
            writeln!(text, "[[grant]]\nrole = \"local/demo\"\nwhen = {when}")?;
        }
    }
    let own = nix::unistd::geteuid();
    writeln!(
        text,
        "[[grant]]\nrole = \"local/demo\"\nwhen = {{ uid = {own} }}"
    )?;
    let file = directory.path().join("rolecall.toml");
    std::fs::write(&file, text)?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let surroundings = Surroundings::process(Purpose::Serve);
    let (config, _) = Config::load(Some(&file), &surroundings)?;
    let outside = Outside {
        clock: Clock::System,
        passed: Passed::default(),
        environment: Environment::of_process(),
        metrics: Arc::new(Metrics::new(
            prometheus_client::metrics::counter::Counter::default(),
        )),
        observer: Arc::new(()),
        descriptors: 1024,
        confinement: app::Confinement::default(),
    };
    Ok(app::bind(config, outside)?)
}
