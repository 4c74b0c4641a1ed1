//! `rolecall import`.

mod afp;
mod toml;
mod yaml;

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::configuration;
use super::failure::{Exit, Failure};
use super::output::print;
use crate::config::{LoadError, Purpose, Surroundings, parse_text};
use yaml::{Node, YamlError};

/// Make a configuration of another program's
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    Afp(Afp),
}

/// Print the configuration that is equivalent to an AWS Federation Proxy's
///
/// Every *.yaml of both directories is read, merged as AFP merges them. What cannot be carried over
/// stands in the output as a comment. Secrets are not printed: the output names the credentials
/// that they have to be put into. Nothing is written but standard output.
#[derive(Debug, Args)]
struct Afp {
    /// AFP's CONFIG_PATH: the directory of the application's configuration
    config_path: PathBuf,
    /// AFP's ACCOUNT_CONFIG_PATH: the directory of the accounts
    account_config_path: PathBuf,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let From::Afp(from) = &self.from;
        let application = Node::of_directory(&from.config_path).map_err(|error| failed(&error))?;
        let accounts = Node::of_directory(&from.account_config_path);
        let accounts = accounts.map_err(|error| failed(&error))?;
        let text = afp::configuration(&application, &accounts);
        print(&text)?;
        check(&text)
    }
}

fn failed(error: &YamlError) -> Failure {
    let exit = match error {
        YamlError::Unreadable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            Exit::Permission
        }
        YamlError::Unreadable { .. } => Exit::Usage,
        YamlError::Malformed { .. } | YamlError::Nothing(_) => Exit::Configuration,
    };
    Failure::new(exit, "AFP's configuration cannot be read").because(error)
}

/// What was made is held against what `rolecall check` asks for.
fn check(text: &str) -> Result<(), Failure> {
    match parse_text("(imported)", text, &Surroundings::process(Purpose::Check)) {
        Ok((_, problems)) => {
            configuration::tell(&problems);
            Ok(())
        }
        Err(LoadError::Invalid(refused)) => {
            configuration::tell(&refused.problems);
            Err(Failure::new(
                Exit::Configuration,
                "what was printed does not pass `rolecall check` as it is",
            )
            .remedy("mend what stands above in the file that you make of it"))
        }
        Err(error) => Err(configuration::refusal(&error)),
    }
}
