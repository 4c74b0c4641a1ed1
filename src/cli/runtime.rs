//! `rolecall runtime`: the unit that tells the daemon of containers.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;

use super::configuration;
use super::failure::{Exit, Failure};
use crate::app::{self, Fault};
use crate::clock::Clock;
use crate::config::{Purpose, Surroundings};
use crate::telemetry::log::{Logging, StandardError};

/// Tell the daemon of containers
///
/// Asks the container runtimes of `[[runtime.engine]]` and answers, on the socket of `[runtime]` (or
/// --socket; $ROLECALL_SOCKET is the daemon's), which containers run, what one is, and what changes: to
/// root and to the daemon's user only. It alone holds the runtimes' sockets; the daemon never does. Run
/// it as rolecall-runtime.service.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration file; drop-ins are read from rolecall.d beside it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        // The daemon's secrets are not for this unit.
        let config = configuration::load(self.config.as_deref(), Purpose::Check)?;
        let Some(mut runtime) = config.runtime else {
            return Err(
                Failure::new(Exit::Configuration, "there is nothing to tell of")
                    .why("the configuration has no [runtime]")
                    .remedy("name a runtime: [[runtime.engine]] with kind = \"docker\""),
            );
        };
        let surroundings = Surroundings::process(Purpose::Check);
        let variable = |name: &str| surroundings.variable(name);
        let (journal, no_color) = (variable("JOURNAL_STREAM"), variable("NO_COLOR"));
        let standard_error = StandardError::detect(
            journal.as_deref().map(OsStr::new),
            no_color.as_deref().map(OsStr::new),
        );
        runtime.socket = socket.unwrap_or(runtime.socket);
        let confinement = app::confine_unit(&runtime.socket, variable("NOTIFY_SOCKET").as_deref());
        let logging = Logging::start(standard_error, Clock::System);
        let logging = logging.map_err(|error| {
            Failure::new(Exit::Fault, "the log cannot be set up").because(&error)
        })?;
        confinement.tell();
        let told = app::tell_containers(runtime);
        logging.flush();
        told.map_err(|error| {
            let exit = match error.fault() {
                Fault::Configuration => Exit::Configuration,
                Fault::Permission => Exit::Permission,
                Fault::Other => Exit::Fault,
            };
            Failure::new(exit, "the unit cannot start").because(&error)
        })
    }
}
