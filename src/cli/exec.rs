//! `rolecall exec`: a command that finds its credentials here.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use hyper::Uri;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::daemon::{Daemon, UPSTREAM};
use super::failure::{Exit, Failure};
use super::shared_files;
use crate::api::admin::wire::Token;
use crate::types::RoleRef;

/// Run a command that finds its AWS credentials here, renewed while it runs
///
/// The command gets the daemon's container credentials endpoint and a token that works for you, and
/// only as long as this process lives. Variables and default profiles that SDKs would prefer (static
/// keys, profiles, web identities) are hidden from it.
///
/// Its exit code is the command's; 126 if it cannot be run, 127 if it does not exist.
#[derive(Debug, Args)]
#[command(override_usage = "rolecall exec [--role ACCOUNT/ROLE] -- COMMAND [ARGUMENT]...")]
pub(super) struct Options {
    /// The role, as `status` lists it [default: the first that is granted to you]
    #[arg(long, value_name = "ACCOUNT/ROLE", value_parser = RoleRef::parse)]
    role: Option<RoleRef>,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

/// What SDKs would use before they ask the container endpoint, or instead of it.
const PREFERRED: [&str; 16] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    // Names that the first Java and Go SDKs read.
    "AWS_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_ACCOUNT_ID",
    "AWS_CREDENTIAL_SCOPE",
];

impl Options {
    pub(super) fn run(self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let mut words = self.command.into_iter();
        let Some(program) = words.next() else {
            return Err(Failure::new(Exit::Usage, "no command is given"));
        };
        // As other programs of this kind take a profile; here it would be the command.
        if words.as_slice().first().is_some_and(|word| word == "--") {
            let program = program.display();
            let what = format!("`{program}` stands where the command is to stand");
            let usage = format!("name a role by `rolecall exec --role {program} -- COMMAND`");
            return Err(Failure::new(Exit::Usage, what).remedy(usage));
        }
        let path = format!("/v1/token{}", role_query(self.role.as_ref()));
        let token: Token = Daemon::find(socket)?.post(&path, &(), UPSTREAM)?;
        let mut command = Command::new(&program);
        command.args(words);
        for name in PREFERRED {
            command.env_remove(name);
        }
        command.envs(additions(&token, |name| env::var_os(name)));
        // The token is bound to this process, which becomes the command.
        let error = command.exec();
        let exit = if error.kind() == ErrorKind::NotFound {
            Exit::NoCommand
        } else {
            Exit::NotRunnable
        };
        let what = format!("{} cannot be run", program.display());
        Err(Failure::new(exit, what).because(&error))
    }
}

/// `?role=…` for the admin API.
pub(super) fn role_query(role: Option<&RoleRef>) -> String {
    role.map_or_else(String::new, |role| {
        let text = role.to_string();
        format!("?role={}", utf8_percent_encode(&text, NON_ALPHANUMERIC))
    })
}

/// The variables that lead to the daemon, given the present ones.
fn additions(
    token: &Token,
    present: impl Fn(&str) -> Option<OsString>,
) -> BTreeMap<&'static str, OsString> {
    let mut variables = BTreeMap::from([
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            OsString::from(&token.uri),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            OsString::from(token.token.expose()),
        ),
    ]);
    // Whoever has chosen a region keeps it.
    let chosen = ["AWS_REGION", "AWS_DEFAULT_REGION"].map(&present);
    if let (Some(region), [None, None]) = (&token.region, chosen) {
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            variables.insert(name, OsString::from(region));
        }
    }
    // botocore and others send plain-http requests to HTTP_PROXY, even to this address.
    for name in ["NO_PROXY", "no_proxy"] {
        variables.insert(name, without_proxy(present(name), &token.uri));
    }
    variables.extend(shared_files::hidden(&present));
    variables
}

fn without_proxy(present: Option<OsString>, uri: &str) -> OsString {
    let host = uri.parse::<Uri>().ok();
    let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
    let host = OsStr::new(host.trim_matches(['[', ']']));
    match present {
        Some(mut list) if !list.is_empty() => {
            list.push(",");
            list.push(host);
            list
        }
        Some(_) | None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::api::admin::wire::Secret;

    fn added(present: &[(&str, &str)]) -> BTreeMap<&'static str, OsString> {
        let token = Token {
            uri: "http://127.0.0.1:1338/role/prod/web".to_owned(),
            token: Secret::new(SecretString::from("sealed")),
            role: "prod/web".to_owned(),
            region: Some("eu-central-1".to_owned()),
        };
        additions(&token, |name| {
            let value = present.iter().find(|(present, _)| *present == name);
            value.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn a_chosen_region_is_kept() {
        assert_eq!(added(&[])["AWS_REGION"], "eu-central-1");
        assert_eq!(added(&[])["AWS_DEFAULT_REGION"], "eu-central-1");
        assert!(!added(&[("AWS_DEFAULT_REGION", "us-east-1")]).contains_key("AWS_REGION"));
    }

    #[test]
    fn proxies_are_told_to_keep_out() {
        assert_eq!(added(&[])["NO_PROXY"], "127.0.0.1");
        let kept = added(&[("no_proxy", "example.org")]);
        assert_eq!(kept["no_proxy"], "example.org,127.0.0.1");
        let six = without_proxy(None, "http://[fd00:ec2::23]/v1/credentials");
        assert_eq!(six, "fd00:ec2::23");
    }

    #[test]
    fn roles_are_named_in_the_query() {
        let role = RoleRef::parse("prod/a+b").unwrap();
        assert_eq!(role_query(Some(&role)), "?role=prod%2Fa%2Bb");
        assert_eq!(role_query(None), "");
    }
}
