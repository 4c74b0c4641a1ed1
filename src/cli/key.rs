//! `rolecall key`.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::daemon::{AT_ONCE, Daemon};
use super::failure::Failure;
use super::output::{print, print_json, table};
use super::terminal::{Silent, first_line};
use crate::api::admin::wire::{
    AccessKeys, BearerToken, BearerTokens, DeleteKey, Devices, KnownDevice, KnownKey, MadeDevice,
    MadeKey, MadeToken, NewDevice, NewKey, NewToken, RemoveDevice, RemovedDevice, Secret,
    TakenOver,
};
use crate::api::date;
use crate::config::parse_duration;
use crate::secret::SecretString;

/// Make, list and delete access keys, bearer tokens and MFA devices
///
/// Who signs requests with an access key, or shows a token as `Authorization: Bearer` to people's APIs,
/// stands for its user. Only the daemon's user and root may make them here.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Create(Create),
    Token(Token),
    List(List),
    Delete(Delete),
    #[command(subcommand)]
    Mfa(Mfa),
}

/// Make an access key, with which requests to the STS and Keystone faces are signed
///
/// With --access it is one that was made elsewhere, such as in a Keystone or a Ceph: its secret is asked
/// for on the terminal, or is the first line of standard input.
#[derive(Debug, Args)]
struct Create {
    /// For whom it stands
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The account that it is for: Keystone's tenant [default: the only one]
    #[arg(long, value_name = "ALIAS")]
    account: Option<String>,
    /// The id of a key that was made elsewhere, and is taken over
    #[arg(long, value_name = "ID")]
    access: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Enrol, list and remove what makes one-time codes: STS takes them as SerialNumber and TokenCode
#[derive(Debug, Subcommand)]
enum Mfa {
    Enrol(Enrol),
    List(ListDevices),
    Remove(Remove),
}

/// Enrol an application that makes one-time codes; what it makes them of is printed once
#[derive(Debug, Args)]
struct Enrol {
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    user: String,
    /// What it is to be known by [default: arn:PARTITION:iam::ACCOUNT:mfa/NAME]
    #[arg(long, value_name = "TEXT", conflicts_with = "account")]
    serial: Option<String>,
    /// The account in that ARN [default: the only one]
    #[arg(long, value_name = "ALIAS")]
    account: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// List the devices
#[derive(Debug, Args)]
struct ListDevices {
    /// This user's only
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Remove a device; its codes count no more
#[derive(Debug, Args)]
struct Remove {
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    user: String,
    /// What it is known by [default: the user's only one]
    #[arg(long, value_name = "TEXT")]
    serial: Option<String>,
}

/// Make a bearer token; it is printed once and kept nowhere
#[derive(Debug, Args)]
struct Token {
    /// For whom it stands
    #[arg(long, value_name = "NAME")]
    user: String,
    /// After which time it ends, such as 30d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires: Duration,
    /// Print everything that is known of it, as JSON
    #[arg(long)]
    json: bool,
}

/// List the access keys, and the tokens that count
#[derive(Debug, Args)]
struct List {
    /// This user's only
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Delete an access key, or revoke a token
#[derive(Debug, Args)]
struct Delete {
    /// Its id, as `key list` shows it
    #[arg(value_name = "ID")]
    id: String,
}

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let daemon = Daemon::find(socket)?;
        match &self.what {
            What::Create(create) => create.run(&daemon),
            What::Mfa(Mfa::Enrol(enrol)) => enrol.run(&daemon),
            What::Mfa(Mfa::List(list)) => list.run(&daemon),
            What::Mfa(Mfa::Remove(remove)) => remove.run(&daemon),
            What::Token(token) => token.run(&daemon),
            What::List(list) => list.run(&daemon),
            What::Delete(delete) => delete.run(&daemon),
        }
    }
}

impl Token {
    fn run(&self, daemon: &Daemon) -> Result<(), Failure> {
        let asked = NewToken {
            user: self.user.clone(),
            expires_in_seconds: self.expires.as_secs(),
        };
        let made: MadeToken = daemon.post("/v1/tokens/create", &asked, AT_ONCE)?;
        if self.json {
            return print_json(&made);
        }
        print(&format!("{}\n", made.token.expose()))
    }
}

impl Create {
    fn run(&self, daemon: &Daemon) -> Result<(), Failure> {
        let taken_over = match &self.access {
            None => None,
            Some(access) => Some(TakenOver {
                access: access.clone(),
                secret: Secret::new(secret_of(access)?),
            }),
        };
        let is_known = taken_over.is_some();
        let asked = NewKey {
            user: self.user.clone(),
            account: self.account.clone(),
            taken_over,
        };
        let made: MadeKey = daemon.post("/v1/keys/create", &asked, AT_ONCE)?;
        if self.json {
            return print_json(&made);
        }
        let (access, secret) = (&made.access, made.secret.expose());
        if is_known {
            return print(&format!("access key id      {access}\n"));
        }
        print(&format!(
            "access key id      {access}\nsecret access key  {secret}\n"
        ))
    }
}

/// The secret of a key that was made elsewhere.
fn secret_of(access: &str) -> Result<SecretString, Failure> {
    if io::stdin().is_terminal() {
        Silent::open()?.ask(&format!("Secret access key of {access}: "))
    } else {
        first_line(io::stdin().lock())
    }
}

/// What `key list --json` prints.
#[derive(Debug, Serialize)]
struct Listed {
    keys: Vec<KnownKey>,
    tokens: Vec<BearerToken>,
}

impl List {
    fn run(&self, daemon: &Daemon) -> Result<(), Failure> {
        let AccessKeys { keys } = daemon.get("/v1/keys", AT_ONCE)?;
        let BearerTokens { tokens } = daemon.get("/v1/tokens", AT_ONCE)?;
        let mut listed = Listed { keys, tokens };
        if let Some(user) = &self.user {
            listed.keys.retain(|key| key.user == *user);
            listed.tokens.retain(|token| token.user == *user);
        }
        if self.json {
            return print_json(&listed);
        }
        if listed.keys.is_empty() && listed.tokens.is_empty() {
            return print("there are no access keys and no tokens\n");
        }
        let of_tokens = listed.tokens.iter().map(row);
        let rows: Vec<Vec<String>> = listed
            .keys
            .iter()
            .map(row_of_key)
            .chain(of_tokens)
            .collect();
        print(&table(
            &["ID", "KIND", "USER", "ACCOUNT", "MADE", "ENDS"],
            &rows,
        ))
    }
}

impl Delete {
    fn run(&self, daemon: &Daemon) -> Result<(), Failure> {
        let asked = DeleteKey {
            id: self.id.clone(),
        };
        let done: DeleteKey = daemon.post("/v1/keys/delete", &asked, AT_ONCE)?;
        print(&format!("{} deleted\n", done.id))
    }
}

impl Enrol {
    fn run(&self, daemon: &Daemon) -> Result<(), Failure> {
        let asked = NewDevice {
            user: self.user.clone(),
            serial: self.serial.clone(),
            account: self.account.clone(),
        };
        let made: MadeDevice = daemon.post("/v1/mfa/enrol", &asked, AT_ONCE)?;
        if self.json {
            return print_json(&made);
        }
        print(&format!(
            "serial  {}\nuri     {}\n",
            made.serial,
            made.uri.expose()
        ))
    }
}

impl ListDevices {
    fn run(&self, daemon: &Daemon) -> Result<(), Failure> {
        let Devices { mut devices } = daemon.get("/v1/mfa", AT_ONCE)?;
        devices.retain(|device| self.user.as_ref().is_none_or(|user| *user == device.user));
        if self.json {
            return print_json(&Devices { devices });
        }
        if devices.is_empty() {
            return print("there are no MFA devices\n");
        }
        let row = |device: &KnownDevice| {
            vec![
                device.serial.clone(),
                device.user.clone(),
                when(device.made),
            ]
        };
        let rows: Vec<Vec<String>> = devices.iter().map(row).collect();
        print(&table(&["SERIAL", "USER", "ENROLLED"], &rows))
    }
}

impl Remove {
    fn run(&self, daemon: &Daemon) -> Result<(), Failure> {
        let asked = RemoveDevice {
            user: self.user.clone(),
            serial: self.serial.clone(),
        };
        let done: RemovedDevice = daemon.post("/v1/mfa/remove", &asked, AT_ONCE)?;
        print(&format!("{} removed\n", done.serial))
    }
}

fn row(token: &BearerToken) -> Vec<String> {
    vec![
        token.id.clone(),
        "token".to_owned(),
        token.user.clone(),
        "-".to_owned(),
        when(token.made),
        when(token.expires),
    ]
}

fn row_of_key(key: &KnownKey) -> Vec<String> {
    vec![
        key.access.clone(),
        "access key".to_owned(),
        key.user.clone(),
        key.account.clone(),
        when(key.made),
        "-".to_owned(),
    ]
}

fn when(seconds: u64) -> String {
    date(UNIX_EPOCH + Duration::from_secs(seconds))
}
