//! `rolecall reload`.

use std::path::PathBuf;

use clap::Args;

use super::daemon::{Daemon, UPSTREAM};
use super::failure::Failure;
use super::output::print;
use crate::api::admin::wire::Reloaded;

/// Have the daemon read its configuration again
///
/// Waits for it. A configuration that is refused changes nothing: its errors are printed, and the
/// daemon goes on with the old one. Sessions whose roles did not change are kept.
#[derive(Debug, Args)]
pub(super) struct Options {}

impl Options {
    #[expect(clippy::unused_self, reason = "every command is run by its options")]
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let done: Reloaded = Daemon::find(socket)?.post("/v1/reload", &(), UPSTREAM)?;
        if done.changes.is_empty() {
            return print("nothing has changed\n");
        }
        print(&format!("{}\n", done.changes.join("\n")))
    }
}
