//! `rolecall status`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::daemon::{AT_ONCE, Daemon};
use super::failure::Failure;
use super::output::{print, print_json, span, table};
use crate::api::admin::wire::{Session, Status};

/// How often `--watch` looks again.
const PERIOD: Duration = Duration::from_secs(2);

/// Clears the screen and goes to its top (ECMA-48).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Show what the daemon holds: roles, their remaining life, next refresh and last failure
///
/// The daemon's own user and root see everything, other users what was obtained for them.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    /// Show it anew every two seconds until interrupted
    #[arg(long)]
    watch: bool,
}

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let daemon = Daemon::find(socket)?;
        loop {
            let status: Status = daemon.get("/v1/status", AT_ONCE)?;
            match (self.json, self.watch) {
                (true, _) => print_json(&status)?,
                (false, false) => print(&readable(&status))?,
                (false, true) => print(&format!("{CLEAR}{}", readable(&status)))?,
            }
            if !self.watch {
                return Ok(());
            }
            daemon.wait(PERIOD);
        }
    }
}

fn readable(status: &Status) -> String {
    let ready = if status.ready { "ready" } else { "not ready" };
    let up = span(status.uptime_seconds);
    let mut text = format!(
        "rolecall {}, process {}, uid {}, up {up}, {ready}\nconfiguration: {}\n",
        status.version, status.pid, status.uid, status.configuration
    );
    if let Some(confinement) = &status.confinement {
        text.extend(["confinement: ", &confinement.to_string(), "\n"]);
    }
    let mut section = |title: &str, header: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            text.extend(["\n", title, "\n", &table(header, &rows)]);
        }
    };
    let sockets = status.listeners.iter();
    section(
        "listeners",
        &["NAME", "ADDRESS", "SERVES"],
        sockets
            .map(|socket| {
                vec![
                    socket.name.clone(),
                    socket.address.clone(),
                    socket.apis.join(", "),
                ]
            })
            .collect(),
    );
    section(
        "sessions",
        &[
            "ROLE",
            "SESSION NAME",
            "ACCESS KEY",
            "LEFT",
            "NEXT FETCH",
            "LAST FAILURE",
        ],
        status.sessions.iter().map(session_row).collect(),
    );
    let upstreams = status.upstreams.iter();
    section(
        "upstreams",
        &["NAME", "CALLS A SECOND", ""],
        upstreams
            .map(|upstream| {
                let note = if upstream.throttled { "throttled" } else { "" };
                let rate = format!("{:.1}", upstream.per_second);
                vec![upstream.name.clone(), rate, note.to_owned()]
            })
            .collect(),
    );
    let callers = status.callers.iter();
    section(
        "callers",
        &["CALLER", "EVIDENCE", "ROLES"],
        callers
            .map(|caller| {
                vec![
                    caller.caller.clone(),
                    caller.evidence.clone(),
                    caller.roles.join(", "),
                ]
            })
            .collect(),
    );
    text
}

fn session_row(session: &Session) -> Vec<String> {
    let dash = || "-".to_owned();
    let next = match (session.fetching, session.next_fetch_seconds) {
        (true, _) => "now".to_owned(),
        (false, Some(seconds)) => span(seconds),
        (false, None) => dash(),
    };
    let failure = session.failure.as_ref().map(|failure| {
        let ago = span(failure.seconds_ago);
        match &failure.message {
            Some(message) => format!("{} {ago} ago: {message}", failure.kind),
            None => format!("{} {ago} ago", failure.kind),
        }
    });
    vec![
        session.role.clone(),
        session.session_name.clone().unwrap_or_else(dash),
        session.access_key_id.clone().unwrap_or_else(dash),
        session.remaining_seconds.map_or_else(dash, span),
        next,
        failure.unwrap_or_else(dash),
    ]
}
