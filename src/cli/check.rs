//! `rolecall check`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::configuration::{self, count};
use super::failure::{Exit, Failure};
use super::live;
use super::output::{print, print_json};
use crate::app::{self, StartError};
use crate::config::{Config, LoadError, Origin, Problem, Purpose, Severity, Surroundings};

/// Validate the configuration: every mistake, with its file, line and a hint
///
/// Nothing is started and nothing is asked of the network, unless --live is given. A configuration
/// that passes here is accepted by `serve` and `reload`. Exit code 78 if it does not pass.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file [default: /etc/rolecall/rolecall.toml, else what is built in]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Obtain every role once, as its account's credentials: exit code 1 if one cannot be had
    #[arg(long)]
    live: bool,
    /// Print what was found as JSON, for programs
    #[arg(long, conflicts_with = "live")]
    json: bool,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), Failure> {
        if self.json {
            return self.report();
        }
        // To sign, secrets must be readable; to validate, they need not.
        let purpose = if self.live {
            Purpose::Serve
        } else {
            Purpose::Check
        };
        let config = configuration::load(self.config.as_deref(), purpose)?;
        certificates(&config)?;
        print(&summary(&config))?;
        if self.live {
            return live::check(&config);
        }
        Ok(())
    }

    fn report(&self) -> Result<(), Failure> {
        let surroundings = Surroundings::process(Purpose::Check);
        match Config::load(self.config.as_deref(), &surroundings) {
            Ok((config, problems)) => {
                let unusable = app::check_certificates(&config).err();
                let unusable = unusable.map(|error| of_certificate(&config, &error));
                let is_usable = unusable.is_none();
                let all: Vec<Problem> = problems.into_iter().chain(unusable).collect();
                print_json(&Report::of(is_usable, &all))?;
                if is_usable {
                    Ok(())
                } else {
                    Err(Failure::silent(Exit::Configuration))
                }
            }
            Err(LoadError::Invalid(refused)) => {
                print_json(&Report::of(false, &refused.problems))?;
                Err(Failure::silent(Exit::Configuration))
            }
            Err(error) => Err(configuration::refusal(&error)),
        }
    }
}

/// `serve` would not start without them.
fn certificates(config: &Config) -> Result<(), Failure> {
    app::check_certificates(config).map_err(|error| {
        Failure::new(Exit::Configuration, "a certificate cannot be used").because(&error)
    })
}

/// The same as a problem of the configuration.
fn of_certificate(config: &Config, error: &StartError) -> Problem {
    let mut message = "a certificate cannot be used".to_owned();
    let mut key = "listener".to_owned();
    if let StartError::Tls { listener, .. } = error {
        let mut names = config.listeners.iter().map(|one| &*one.name);
        if let Some(index) = names.position(|name| name == listener) {
            key = format!("listener#{}.tls", index + 1);
        }
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(because) = cause {
        message = format!("{message}: {because}");
        cause = because.source();
    }
    Problem {
        severity: Severity::Error,
        message,
        position: None,
        key,
        other: None,
        hint: None,
    }
}

fn summary(config: &Config) -> String {
    let origin = match &config.origin {
        Origin::Embedded => "the built-in configuration".to_owned(),
        Origin::File(path) => path.display().to_string(),
    };
    let roles = config.accounts.values().map(|account| account.roles.len());
    let counts = [
        count(config.listeners.len(), "listener", "listeners"),
        count(config.accounts.len(), "account", "accounts"),
        count(roles.sum(), "role", "roles"),
        count(config.grants.len(), "grant", "grants"),
    ];
    format!("{origin}: valid ({})\n", counts.join(", "))
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    valid: bool,
    problems: Vec<Told<'a>>,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    severity: String,
    message: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> Report<'a> {
    fn of(valid: bool, problems: &'a [Problem]) -> Self {
        let told = problems.iter().map(|problem| {
            let position = problem.position.as_ref();
            Told {
                severity: problem.severity.to_string(),
                message: &problem.message,
                key: &problem.key,
                file: position.map(|position| position.file.display().to_string()),
                line: position.map(|position| position.line),
                column: position.map(|position| position.column),
                hint: problem.hint.as_deref(),
            }
        });
        Self {
            valid,
            problems: told.collect(),
        }
    }
}
