//! `rolecall console`: a URL that signs a browser in.

use std::path::PathBuf;

use clap::Args;

use super::daemon::{Daemon, UPSTREAM};
use super::exec::role_query;
use super::failure::Failure;
use super::output::print;
use crate::api::admin::wire::Console;
use crate::types::RoleRef;

/// Print a URL that signs a browser in to the console with a role
///
/// Whoever opens it within a quarter of an hour is signed in: it is a secret.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The role, as `status` lists it [default: the first that is granted to you]
    #[arg(long, value_name = "ACCOUNT/ROLE", value_parser = RoleRef::parse)]
    role: Option<RoleRef>,
}

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let path = format!("/v1/console{}", role_query(self.role.as_ref()));
        let console: Console = Daemon::find(socket)?.get(&path, UPSTREAM)?;
        print(&format!("{}\n", console.url.expose()))
    }
}
