//! `rolecall forget`.

use std::path::PathBuf;

use clap::Args;

use super::daemon::{AT_ONCE, Daemon};
use super::failure::{Exit, Failure};
use super::output::print;
use crate::api::admin::wire::{Forget, Forgotten};
use crate::types::RoleRef;

/// Drop what is held for a role, after its sessions were revoked upstream
///
/// The next caller waits for a new session. Exit code 1 if nothing was held.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The role, as `status` lists it
    #[arg(value_name = "ACCOUNT/ROLE", value_parser = RoleRef::parse)]
    role: RoleRef,
}

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let asked = Forget {
            role: self.role.to_string(),
        };
        let done: Forgotten = Daemon::find(socket)?.post("/v1/forget", &asked, AT_ONCE)?;
        if done.sessions == 0 {
            let what = format!("no session of {} is held", self.role);
            return Err(Failure::new(Exit::No, what).remedy("`rolecall status` lists what is held"));
        }
        print(&format!("{}: {} dropped\n", self.role, done.sessions))
    }
}
