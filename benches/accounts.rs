//! What people's requests of AFP's API cost: `cargo bench --bench accounts`.
//!
//! Asked over one kept connection: for the list of a person with a thousand roles, once by a grant for
//! each and once by groups that one grant's pattern matches, and for credentials with a password that
//! was right a moment ago, beside a metadata document. Prints one JSON object.

#[path = "served/people.rs"]
mod people;
mod served;
mod shown;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use people::{HASH, of_person};
use served::{Addresses, Failure, ROUNDS, during, least};
use shown::shown;

const ROLES: usize = 1000;
const LISTS: u32 = 500;
const DOCUMENTS: u32 = 20_000;

fn main() -> ExitCode {
    shown(run())
}

fn run() -> Result<serde_json::Value, Failure> {
    let directory = tempfile::tempdir()?;
    let [config, users, groups] = files(directory.path())?;
    let files = [
        ("rolecall.toml", config.as_str()),
        ("users", &users),
        ("groups", &groups),
    ];
    during(directory.path(), &files, measure)
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
    let credentials = of_person("ann", "/account/local/demo/credentials");
    let mut figures = serde_json::Map::new();
    let (mut documents, mut peoples) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        documents.push(metadata.cost(&document, DOCUMENTS)?);
        peoples.push(api.cost(&credentials, DOCUMENTS)?);
    }
    for (name, kind) in [("ann", "grants"), ("bob", "groups")] {
        let list = of_person(name, "/account");
        let told = api.ask(&list)?;
        if told.matches("role-").count() != ROLES {
            return Err(format!("not a thousand roles: {told}").into());
        }
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(api.cost(&list, LISTS)?);
        }
        figures.insert(format!("list_{kind}_ns"), least(&rounds).into());
    }
    let (program, person) = (least(&documents), least(&peoples));
    figures.insert("metadata_ns".to_owned(), program.into());
    figures.insert("credentials_ns".to_owned(), person.into());
    let percent = person * 100 / program.max(1);
    figures.insert("credentials_percent_of_metadata".to_owned(), percent.into());
    Ok(figures.into())
}

/// The configuration, users and groups: Ann has a thousand roles by a grant each, Bob by a group
/// each; both have one more way in.
fn files(directory: &Path) -> Result<[String; 3], Failure> {
    let at = directory.display();
    let own = nix::unistd::geteuid();
    let mut text = format!(
        "[[listener]]\nname = \"metadata\"\nbind = \"127.0.0.1:0\"\napis = \"imds\"\n\
         [[listener]]\nname = \"api\"\nbind = \"127.0.0.1:0\"\napis = \"accounts\"\n\
         [people]\nusers-file = \"{at}/users\"\ngroups-file = \"{at}/groups\"\n\
         [state]\ndirectory = \"{at}/state\"\n[admin]\nsocket = \"{at}/admin.sock\"\n\
         [account.local]\nid = \"000000000000\"\ncredentials = {{ from = \"local\" }}\n\
         [account.local.role.demo]\n\
         [[grant]]\nrole = \"local/demo\"\nwhen = {{ uid = {own} }}\n\
         [[grant]]\nrole = \"local/demo\"\nwhen = {{ principal = \"ann\" }}\n\
         [[grant]]\nrole = \"local/{{role}}\"\n\
         when = {{ group = {{ regex = \"aws-(?<role>role-[0-9]+)\" }} }}\n"
    );
    let mut groups = String::new();
    for number in 0..ROLES {
        write!(
            text,
            "[account.local.role.role-{number}]\n[[grant]]\nrole = \"local/role-{number}\"\n\
             when = {{ principal = \"ann\" }}\n"
        )?;
        writeln!(groups, "aws-role-{number}: bob")?;
    }
    Ok([text, format!("ann:{HASH}\nbob:{HASH}\n"), groups])
}
