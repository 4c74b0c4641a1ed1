//! `rolecall credentials`: one set of credentials on standard output.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::daemon::{Daemon, UPSTREAM};
use super::exec::role_query;
use super::failure::Failure;
use super::output::{print, print_json};
use crate::api::admin::wire::Credentials;
use crate::types::RoleRef;

/// Print credentials, as SDKs want them from a credential_process
///
/// In ~/.aws/config:
///
///   [profile web]
///   credential_process = rolecall credentials --role prod/web
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Options {
    /// The role, as `status` lists it [default: the first that is granted to you]
    #[arg(long, value_name = "ACCOUNT/ROLE", value_parser = RoleRef::parse)]
    role: Option<RoleRef>,
    /// What to print
    #[arg(long, value_enum, default_value = "process")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// What SDKs expect of a credential_process, version 1
    Process,
    /// Lines for a shell: eval "$(rolecall credentials --format env)"
    Env,
    /// All that is known: role and region besides
    Json,
}

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let path = format!("/v1/credentials{}", role_query(self.role.as_ref()));
        let credentials: Credentials = Daemon::find(socket)?.get(&path, UPSTREAM)?;
        match self.format {
            Format::Process => print_json(&Process::of(&credentials)),
            Format::Env => print(&exports(&credentials)),
            Format::Json => print_json(&credentials),
        }
    }
}

/// What the format's description allows, and no more.
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Process<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

impl<'a> Process<'a> {
    fn of(credentials: &'a Credentials) -> Self {
        Self {
            version: 1,
            access_key_id: &credentials.access_key_id,
            secret_access_key: credentials.secret_access_key.expose(),
            session_token: credentials.session_token.expose(),
            expiration: &credentials.expiration,
            account_id: credentials.account_id.as_deref(),
        }
    }
}

fn exports(credentials: &Credentials) -> String {
    let region = credentials.region.as_deref();
    let variables = [
        (
            "AWS_ACCESS_KEY_ID",
            Some(credentials.access_key_id.as_str()),
        ),
        (
            "AWS_SECRET_ACCESS_KEY",
            Some(credentials.secret_access_key.expose()),
        ),
        (
            "AWS_SESSION_TOKEN",
            Some(credentials.session_token.expose()),
        ),
        ("AWS_CREDENTIAL_EXPIRATION", Some(&credentials.expiration)),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
    ];
    variables
        .into_iter()
        .filter_map(|(name, value)| Some(format!("export {name}={}\n", quoted(value?))))
        .collect()
}

/// For a shell of POSIX.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_read_values_back() {
        assert_eq!(quoted("a/b+c="), "'a/b+c='");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
