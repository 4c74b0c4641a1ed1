//! `rolecall healthcheck`.

use std::path::PathBuf;

use clap::Args;

use super::daemon::{AT_ONCE, Daemon};
use super::failure::{Exit, Failure};
use crate::api::admin::wire::Health;

/// Ask the daemon whether it serves, for HEALTHCHECK lines of containers
///
/// Exit code 0 if it answers and is ready, 1 if not, whatever the reason: container runtimes know
/// no other codes.
#[derive(Debug, Args)]
pub(super) struct Options {}

impl Options {
    #[expect(clippy::unused_self, reason = "every command is run by its options")]
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let asked = Daemon::find(socket)?.get::<Health>("/v1/health", AT_ONCE);
        match asked {
            Ok(Health { ready: true }) => Ok(()),
            Ok(Health { ready: false }) => Err(Failure::new(Exit::No, "the daemon is not ready")
                .why("it waits for prefetched roles")
                .remedy("`rolecall status` shows what it waits for")),
            Err(failure) => Err(failure.exiting(Exit::No)),
        }
    }
}
