//! What a hundred thousand stored connectors cost: `cargo bench --bench connectors [-- DIRECTORY]`.
//!
//! The store is filled as the API fills it; then the connectors API is asked over one kept connection
//! for the list of a person of ten groups with a hundred connectors each, of one who is in a group of
//! all, and of an administrator, and for one connector. A directory that is named keeps the store,
//! beside the configuration for a daemon of it. Prints one JSON object.

#[path = "served/people.rs"]
mod people;
mod served;
mod shown;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rolecall::clock::Clock;
use rolecall::store::{ConnectorDraft, ConnectorKind, Reserved, Store};
use rolecall::types::{AccountAlias, RoleArn};
use tokio::time::Instant;

use people::{HASH, of_person};
use served::{Addresses, Client, Failure, ROUNDS, during, least};
use shown::shown;

const CONNECTORS: usize = 100_000;
const TEAMS: usize = 1000;
/// How many teams one person is in.
const OWN: usize = 10;
const REST: &str = "/rest/identity-federation-for-aws/2.1/connectors";

/// How long the store may take to open.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let named = arguments.find(|argument| !argument.starts_with('-'));
    shown(run(named.as_deref().map(Path::new)))
}

fn run(named: Option<&Path>) -> Result<serde_json::Value, Failure> {
    let own = tempfile::tempdir()?;
    let directory = named.unwrap_or_else(|| own.path());
    fill(&directory.join("state"))?;
    let config = configuration(directory);
    let users = format!("ann:{HASH}\nbob:{HASH}\ncarol:{HASH}\n");
    let groups = groups()?;
    let files = [
        ("rolecall.toml", config.as_str()),
        ("users", &users),
        ("groups", &groups),
    ];
    during(directory, &files, measure)
}

fn measure(addresses: &Addresses) -> Result<serde_json::Value, Failure> {
    let mut api = addresses.connect("api")?;
    let first = format!("{REST}?limit=1");
    let id = id_of_first(&mut api, &of_person("carol", &first))?;
    let one = format!("{REST}/{id}");
    let mut figures = serde_json::Map::new();
    for (kind, name, path, expected, times) in [
        ("list_some", "ann", REST, CONNECTORS / TEAMS * OWN, 50),
        ("list_all", "bob", REST, CONNECTORS, 3),
        ("list_administrator", "carol", REST, CONNECTORS, 3),
        ("list_page", "carol", &first, 1, 3),
        ("one", "bob", &one, 1, 2000),
    ] {
        let request = of_person(name, path);
        let told = api.ask(&request)?.matches("\"id\":").count();
        if told != expected {
            return Err(format!("{kind}: not {expected} connectors, but {told}").into());
        }
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(api.cost(&request, times)?);
        }
        figures.insert(format!("{kind}_ns"), least(&rounds).into());
    }
    Ok(figures.into())
}

/// The id of the only connector of this list, once the store is open.
fn id_of_first(api: &mut Client, request: &str) -> Result<String, Failure> {
    let begun = Instant::now();
    loop {
        match api.ask(request) {
            Ok(list) => {
                let list: serde_json::Value = serde_json::from_str(list)?;
                let id = list.pointer("/values/0/id").and_then(|id| id.as_str());
                return Ok(id.ok_or("the list is empty")?.to_owned());
            }
            Err(error) if begun.elapsed() > PATIENCE => return Err(error),
            Err(_not_open_yet) => {}
        }
    }
}

/// Makes the connectors in the store of this state directory, a batch at a time.
fn fill(state: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let account = AccountAlias::new("prod")?;
    runtime.block_on(async {
        let store = Store::at(state, None, Clock::System);
        let reserved = account.clone();
        store.reserve(|| Reserved {
            aliases: [reserved].into(),
            ..Reserved::default()
        });
        let mut made = tokio::task::JoinSet::new();
        for number in 0..CONNECTORS {
            let draft = draft(number, &account)?;
            let store = store.clone();
            made.spawn(async move { store.create_connector(draft).await });
        }
        while let Some(made) = made.join_next().await {
            made??;
        }
        // Its thread lets go of the file before it lets go of these.
        let mut changes = store.changes();
        drop(store);
        while changes.changed().await.is_ok() {}
        Ok(())
    })
}

fn draft(number: usize, account: &AccountAlias) -> Result<ConnectorDraft, Failure> {
    let team = number % TEAMS;
    let arn = format!("arn:aws:iam::123456789012:role/team-{team}/deploy-{number}");
    Ok(ConnectorDraft {
        name: format!("Team {team}: Deployment {number}").into(),
        account: account.clone(),
        kind: ConnectorKind::AssumeRole {
            arn: RoleArn::new(&arn)?,
            external_id: None,
        },
        system: number.is_multiple_of(10),
        groups: vec![Arc::from(format!("team-{team}")), Arc::from("everyone")],
        policy: None,
        policy_arns: Vec::new(),
        max_duration: Some(Duration::from_hours(1)),
    })
}

fn configuration(directory: &Path) -> String {
    let at = directory.display();
    format!(
        "[[listener]]\nname = \"api\"\nbind = \"127.0.0.1:0\"\napis = \"connectors\"\n\
         [people]\nusers-file = \"{at}/users\"\ngroups-file = \"{at}/groups\"\n\
         administrators = [\"carol\"]\n\
         [state]\ndirectory = \"{at}/state\"\n[admin]\nsocket = \"{at}/admin.sock\"\n\
         [account.prod]\nid = \"123456789012\"\nregion = \"us-east-1\"\n"
    )
}

/// Ann is in ten teams, and everyone in the group of all.
fn groups() -> Result<String, Failure> {
    let mut groups = "everyone: bob carol\n".to_owned();
    for team in 0..OWN {
        writeln!(groups, "team-{team}: ann")?;
    }
    Ok(groups)
}
