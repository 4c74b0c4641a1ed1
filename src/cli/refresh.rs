//! `rolecall refresh`.

use std::path::PathBuf;

use clap::Args;

use super::daemon::{Daemon, MANY, UPSTREAM};
use super::failure::{Exit, Failure};
use super::output::print;
use crate::api::admin::wire::{Refresh, Refreshed};
use crate::types::RoleRef;

/// Fetch new credentials now, without waiting for the next refresh
///
/// What is held is served on until the new session is there, and if it does not come. Failures that
/// the daemon remembers are forgotten first.
#[derive(Debug, Args)]
#[command(override_usage = "rolecall refresh <ACCOUNT/ROLE>\n       rolecall refresh --all")]
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
        let limit = if self.all { MANY } else { UPSTREAM };
        let done: Refreshed = Daemon::find(socket)?.post("/v1/refresh", &asked, limit)?;
        if done.fetches.is_empty() {
            return self.nothing();
        }
        let mut failed = 0;
        for fetch in &done.fetches {
            let line = match &fetch.failure {
                Some(failure) => {
                    failed += 1;
                    let message = failure.message.as_deref().unwrap_or_default();
                    format!("{}: {}: {message}\n", fetch.role, failure.kind)
                }
                None => format!("{}: fetched\n", fetch.role),
            };
            print(&line)?;
        }
        if failed > 0 {
            let what = format!("{failed} of {} could not be fetched", done.fetches.len());
            return Err(Failure::new(Exit::No, what));
        }
        Ok(())
    }

    /// All of nothing is done; one role that is not there is not.
    fn nothing(&self) -> Result<(), Failure> {
        let Some(role) = &self.role else {
            return print("nothing is held, nothing was fetched\n");
        };
        let what = format!("no session of {role} is held");
        Err(Failure::new(Exit::No, what).remedy("it is fetched when its first caller asks"))
    }
}
