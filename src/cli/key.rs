//! `rolecall key`.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand};

use super::daemon::{AT_ONCE, Daemon};
use super::failure::Failure;
use super::output::{print, print_json, table};
use crate::api::admin::wire::{BearerToken, BearerTokens, MadeToken, NewToken, RevokeToken};
use crate::api::date;
use crate::config::parse_duration;

/// Make, list and revoke the bearer tokens of build servers
///
/// Who shows a token as `Authorization: Bearer` to people's APIs stands for its user, on mounts that
/// take tokens. Only the daemon's user and root may.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Token(Token),
    List(List),
    Delete(Delete),
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

/// List the tokens that count
#[derive(Debug, Args)]
struct List {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Revoke a token
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

impl List {
    fn run(&self, daemon: &Daemon) -> Result<(), Failure> {
        let known: BearerTokens = daemon.get("/v1/tokens", AT_ONCE)?;
        if self.json {
            return print_json(&known);
        }
        if known.tokens.is_empty() {
            return print("there are no tokens\n");
        }
        let rows: Vec<Vec<String>> = known.tokens.iter().map(row).collect();
        print(&table(&["ID", "USER", "MADE", "ENDS"], &rows))
    }
}

impl Delete {
    fn run(&self, daemon: &Daemon) -> Result<(), Failure> {
        let asked = RevokeToken {
            id: self.id.clone(),
        };
        let done: RevokeToken = daemon.post("/v1/tokens/delete", &asked, AT_ONCE)?;
        print(&format!("{} revoked\n", done.id))
    }
}

fn row(token: &BearerToken) -> Vec<String> {
    let when = |seconds: u64| date(UNIX_EPOCH + Duration::from_secs(seconds));
    vec![
        token.id.clone(),
        token.user.clone(),
        when(token.made),
        when(token.expires),
    ]
}
