//! `rolecall refresh`.

use std::path::PathBuf;

use clap::Args;

use super::daemon::{Daemon, UPSTREAM};
use super::failure::{Exit, Failure};
use super::output::{print, span};
use crate::api::admin::wire::{Refresh, Refreshed};
use crate::types::RoleRef;

/// Fetch new credentials now, without waiting for the next refresh
///
/// What is held is served on until the new session is there, and if it does not come. Failures that
/// the daemon remembers are forgotten first.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The role, as `status` lists it
    #[arg(value_name = "ACCOUNT/ROLE", value_parser = RoleRef::parse, required_unless_present = "all")]
    role: Option<RoleRef>,
    /// Every role that is held
    #[arg(long, conflicts_with = "role")]
    all: bool,
}

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let asked = Refresh {
            role: self.role.as_ref().map(ToString::to_string),
        };
        let done: Refreshed = Daemon::find(socket)?.post("/v1/refresh", &asked, UPSTREAM)?;
        if done.sessions.is_empty() {
            return print("nothing is held, nothing was fetched\n");
        }
        let mut failed = 0;
        for session in &done.sessions {
            let name = session.session_name.as_deref().unwrap_or_default();
            let line = match (&session.failure, session.remaining_seconds) {
                (Some(failure), _) => {
                    failed += 1;
                    let message = failure.message.as_deref().unwrap_or_default();
                    format!("{} {name}: {}: {message}\n", session.role, failure.kind)
                }
                (None, Some(seconds)) => {
                    let key = session.access_key_id.as_deref().unwrap_or_default();
                    format!("{} {name}: {key}, {} left\n", session.role, span(seconds))
                }
                (None, None) => format!("{} {name}: nothing is held\n", session.role),
            };
            print(&line)?;
        }
        if failed > 0 {
            let what = format!("{failed} of {} could not be fetched", done.sessions.len());
            return Err(Failure::new(Exit::No, what));
        }
        Ok(())
    }
}
