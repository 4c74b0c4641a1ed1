//! `rolecall check`.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use clap::Args;
use nix::unistd::Uid;
use serde::Serialize;

use super::as_daemon::AsDaemon;
use super::configuration::{self, count};
use super::daemon::Daemon;
use super::failure::{Exit, Failure};
use super::live;
use super::output::{print, print_json};
use crate::app::{self, StartError};
use crate::config::{
    Config, DEFAULT_FILE, LoadError, Origin, Problem, Purpose, Severity, Surroundings,
};
use crate::source::Finding;

/// Validate the configuration: every mistake, with its file, line and a hint
///
/// Nothing is started and nothing is asked of the network, unless --live is given. A configuration
/// that passes here is accepted by `serve` and `reload`. Exit code 78 if it does not pass.
///
/// With --live root asks as the daemon that runs with this file: as its user, with its variables
/// and systemd credentials. Anybody else asks with what is their own.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file [default: /etc/rolecall/rolecall.toml, else what is built in]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Obtain every role once, as its account's credentials: exit code 1 if one cannot be had
    #[arg(long)]
    live: bool,
    /// Print what was found as JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        if self.live
            && let Some(status) = self.asked_as_the_daemon(socket)?
        {
            return Failure::of_status(status).map_or(Ok(()), Err);
        }
        if self.json {
            return self.report();
        }
        let config = configuration::load(self.config.as_deref(), self.purpose())?;
        certificates(&config)?;
        print(&summary(&config))?;
        if self.live {
            return live::check(&config, |found| print(&told(&found)));
        }
        Ok(())
    }

    /// To sign, secrets must be readable; to validate, they need not.
    const fn purpose(&self) -> Purpose {
        if self.live {
            Purpose::Serve
        } else {
            Purpose::Check
        }
    }

    /// Where root asks and a daemon runs with this file: how it ends when asked as that.
    fn asked_as_the_daemon(&self, socket: Option<PathBuf>) -> Result<Option<ExitStatus>, Failure> {
        let file = self.config.as_deref();
        let file = file.unwrap_or_else(|| Path::new(DEFAULT_FILE));
        let Some(file) = fs::canonicalize(file)
            .ok()
            .filter(|_| Uid::effective().is_root())
        else {
            return Ok(None);
        };
        let Some(daemon) = AsDaemon::with(&Daemon::find(socket)?, &file) else {
            return Ok(None);
        };
        let (uid, pid) = (daemon.uid, daemon.pid);
        // Nobody is left to be told when standard error is gone.
        drop(writeln!(
            io::stderr(),
            "asked as the daemon: uid {uid}, with the variables of process {pid}"
        ));
        let mut arguments = ["check", "--live", "--config"].map(OsStr::new).to_vec();
        arguments.push(file.as_os_str());
        if self.json {
            arguments.push(OsStr::new("--json"));
        }
        let status = daemon.run(arguments);
        status.map(Some).map_err(|error| {
            Failure::new(Exit::Fault, format!("it cannot be asked as uid {uid}")).because(&error)
        })
    }

    fn report(&self) -> Result<(), Failure> {
        let surroundings = Surroundings::process(self.purpose());
        match Config::load(self.config.as_deref(), &surroundings) {
            Ok((config, problems)) => {
                let unusable = app::check_certificates(&config).err();
                let unusable = unusable.map(|error| of_certificate(&config, &error));
                let is_usable = unusable.is_none();
                let all: Vec<Problem> = problems.into_iter().chain(unusable).collect();
                let mut tried = Vec::new();
                let all_works = if self.live && is_usable {
                    live::check(&config, |found| {
                        tried.push(Tried::of(found));
                        Ok(())
                    })
                } else {
                    Ok(())
                };
                print_json(&Report::of(is_usable, &all).with(tried))?;
                if is_usable {
                    all_works
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

fn told(found: &Finding) -> String {
    let subject = &found.subject;
    match &found.outcome {
        Ok(sentence) => format!("works  {subject}: {sentence}\n"),
        Err(error) => format!("FAILS  {subject}: {error}\n"),
    }
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    valid: bool,
    problems: Vec<Told<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tried: Vec<Tried>,
}

/// What `--live` tried.
#[derive(Debug, Serialize)]
struct Tried {
    /// An account, or a role.
    subject: String,
    works: bool,
    message: String,
}

impl Tried {
    fn of(found: Finding) -> Self {
        let works = found.outcome.is_ok();
        let message = found.outcome.unwrap_or_else(|error| error.to_string());
        Self {
            subject: found.subject,
            works,
            message,
        }
    }
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
            tried: Vec::new(),
        }
    }

    fn with(self, tried: Vec<Tried>) -> Self {
        Self { tried, ..self }
    }
}
