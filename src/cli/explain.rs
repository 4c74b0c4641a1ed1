//! `rolecall explain`: who gets which role, and why.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::configuration;
use super::daemon::{AT_ONCE, Daemon};
use super::failure::{Exit, Failure};
use super::output::{plain, print, print_json, span};
use crate::api::admin::Question;
use crate::api::admin::wire::{Answer, Explained, Fact, Given};
use crate::app::{Offline, OfflineError};
use crate::config::Purpose;
use crate::grants::Wanted;
use crate::vending::Subject;

/// Tell which role somebody gets, by which grant and on which evidence; and why no other grant
///
/// Without --pid, --uid, --container or --principal it is about you: the process that asks.
/// Everybody may ask about their own processes; the daemon's user and root about all, and they
/// alone see what the grants ask for that do not match.
///
/// With --config it tells what that file would decide, without a daemon.
///
/// Exit code 0 if there is a role, 1 if there is none.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// What this file would decide, without a daemon
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// About the process of this number, as if it asked now
    #[arg(long, value_name = "N", group = "subject")]
    pid: Option<u32>,
    /// About the user of this number, outside of units and containers
    #[arg(long, value_name = "N", group = "subject")]
    uid: Option<u32>,
    /// About the container whose id begins like this, as if it asked from a network of its own
    #[arg(long, value_name = "ID", group = "subject")]
    container: Option<String>,
    /// About whoever proves this name to an API
    #[arg(long, value_name = "NAME", group = "subject")]
    principal: Option<String>,
    /// On this listener [default: on all that hand out credentials]
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    /// Whether they get this role, if they ask for it by name
    #[arg(value_name = "ROLE", value_parser = Wanted::parse)]
    role: Option<Wanted>,
}

impl Options {
    pub(super) fn run(self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let json = self.json;
        let explained = match &self.config {
            Some(file) => offline(file, &self.question())?,
            None => Daemon::find(socket)?.get(&self.path(), AT_ONCE)?,
        };
        if json {
            print_json(&explained)?;
        } else {
            print(&readable(&explained))?;
        }
        if explained.answers.iter().any(|answer| answer.role.is_some()) {
            Ok(())
        } else {
            Err(Failure::silent(Exit::No))
        }
    }

    fn subject(&self) -> Option<Subject> {
        let subjects = [
            self.pid.map(Subject::Process),
            self.uid.map(Subject::User),
            self.container.clone().map(Subject::Container),
            self.principal.clone().map(Subject::Principal),
        ];
        subjects.into_iter().flatten().next()
    }

    fn question(&self) -> Question {
        Question {
            subject: self.subject(),
            role: self.role.clone().unwrap_or(Wanted::First),
            listener: self.listener.clone(),
        }
    }

    fn path(&self) -> String {
        let role = self.role.as_ref().and_then(Wanted::role);
        let parameters = [
            ("pid", self.pid.map(|pid| pid.to_string())),
            ("uid", self.uid.map(|uid| uid.to_string())),
            ("container", self.container.clone()),
            ("principal", self.principal.clone()),
            ("role", role),
            ("listener", self.listener.clone()),
        ];
        let given = parameters.into_iter().filter_map(|(name, value)| {
            let value = value?;
            let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
            Some(format!("{name}={value}"))
        });
        let given: Vec<String> = given.collect();
        format!("/v1/explain?{}", given.join("&"))
    }
}

fn offline(file: &Path, question: &Question) -> Result<Explained, Failure> {
    let config = Arc::new(configuration::load(Some(file), Purpose::Check)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Fault, "cannot start").because(&error))?;
    let told = runtime.block_on(async { Offline::new(&config)?.explain(question).await });
    // A name service that hangs is not waited for.
    runtime.shutdown_background();
    told.map_err(|error| {
        let exit = match error {
            OfflineError::Caller(_) => Exit::No,
            OfflineError::Listener(_) => Exit::Usage,
            OfflineError::Plan(_) => Exit::Configuration,
            OfflineError::Desk(_) | OfflineError::NoKeys(_) => Exit::Fault,
        };
        Failure::new(exit, "nothing can be explained").because(&error)
    })
}

fn readable(explained: &Explained) -> String {
    let mut text = String::new();
    for answer in &explained.answers {
        text.push_str(&outcome(&explained.caller, answer));
        text.push('\n');
    }
    text.push_str("who asks\n");
    let mut rows: Vec<(&str, String)> = vec![
        ("caller", explained.caller.clone()),
        ("evidence", explained.evidence.clone()),
    ];
    rows.extend(
        explained
            .known
            .iter()
            .map(|Fact { name, value }| (name.as_str(), value.clone())),
    );
    rows.extend(placeholders(explained));
    text.push_str(&columns(&rows));
    for answer in &explained.answers {
        text.push_str("\ngrants, in the order in which they are tried");
        if explained.answers.len() > 1 {
            let _fits = write!(text, ", on {}", answer.listeners.join(", "));
        }
        text.push('\n');
        text.push_str(&grants(answer));
    }
    text
}

/// The role, or that there is none.
fn outcome(caller: &str, answer: &Answer) -> String {
    let caller = plain(caller);
    let listeners = answer.listeners.join(", ");
    let Some(given) = &answer.role else {
        let refusal = answer.refusal.as_ref();
        let why = refusal.map_or("nobody says why", |refusal| refusal.message.as_str());
        return format!("{caller} gets no role on {listeners}: {why}\n");
    };
    let mut text = format!("{caller} gets {} on {listeners}\n", given.role);
    text.push_str(&columns(&role(given)));
    text
}

fn role(given: &Given) -> Vec<(&str, String)> {
    let tags: Vec<String> = given
        .tags
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let because = if given.reason.is_empty() {
        given.grant.clone()
    } else {
        format!("{}: {}", given.grant, given.reason)
    };
    let rows = [
        ("because of", Some(because)),
        ("upstream", given.arn.clone()),
        ("session name", given.session_name.clone()),
        ("source identity", given.source_identity.clone()),
        ("session tags", (!tags.is_empty()).then(|| tags.join(", "))),
        ("life", Some(span(given.duration_seconds))),
    ];
    let rows = rows.into_iter();
    rows.filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// What `{caller}` and the user's name stand for; the others are facts that stand there already.
fn placeholders(explained: &Explained) -> impl Iterator<Item = (&str, String)> {
    let shown = [("user", "user"), ("caller", "{caller}")];
    shown.into_iter().filter_map(|(name, label)| {
        let value = explained.placeholders.get(name)?;
        Some((label, value.clone()))
    })
}

fn grants(answer: &Answer) -> String {
    if answer.grants.is_empty() {
        return "  there are none\n".to_owned();
    }
    let decides = answer.role.as_ref().map(|given| given.grant.as_str());
    let rows = answer.grants.iter().map(|tried| {
        let why = if Some(tried.grant.as_str()) == decides {
            format!("{}; this one decides", tried.why)
        } else {
            tried.why.clone()
        };
        let role = tried.role.as_deref().unwrap_or_default();
        [tried.grant.clone(), role.to_owned(), why]
    });
    let rows: Vec<[String; 3]> = rows.collect();
    let width = |column: fn(&[String; 3]) -> &String| {
        rows.iter()
            .map(|row| column(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (ids, roles) = (width(|[id, ..]| id), width(|[_, role, _]| role));
    let gap = if roles == 0 { "" } else { "  " };
    let lines = rows
        .iter()
        .map(|[id, role, why]| format!("  {id:<ids$}  {role:<roles$}{gap}{}\n", plain(why)));
    lines.collect()
}

/// Two columns, the first as wide as its widest cell.
fn columns(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(name, value)| format!("  {:<width$}  {}\n", plain(name), plain(value)));
    lines.collect()
}
