//! `rolecall serve`: runs the daemon.

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::failure::{Exit, Failure};
use crate::app::{self, Bound, Outside, Reloader};
use crate::clock::Clock;
use crate::config::{Config, LoadError, Origin, Purpose, Surroundings};
use crate::source::Environment;
use crate::systemd;
use crate::telemetry::log::{Logging, StandardError};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{FetchRecorder, count_panics};

/// Run the daemon
///
/// Without --config it reads /etc/rolecall/rolecall.toml. Where there is none it serves the built-in
/// default: a demo role of the built-in authority, for this user only, on 127.0.0.1:1338.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration file; drop-ins are read from rolecall.d beside it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Options {
    pub(super) fn run(self) -> Result<(), Failure> {
        let clock = Clock::System;
        let surroundings = Surroundings::process(Purpose::Serve);
        let variable = |name: &str| surroundings.variable(name);
        let (journal, no_color) = (variable("JOURNAL_STREAM"), variable("NO_COLOR"));
        let standard_error = StandardError::detect(
            journal.as_deref().map(OsStr::new),
            no_color.as_deref().map(OsStr::new),
        );
        let logging = Logging::start(standard_error, clock.clone());
        let logging = logging.map_err(|error| fault("the log cannot be set up", &error))?;
        let passed = systemd::passed_sockets(variable("LISTEN_FDNAMES").as_deref());
        let (config, problems) =
            Config::load(self.config.as_deref(), &surroundings).map_err(|error| refused(&error))?;
        logging
            .configure(&config.log)
            .map_err(|error| fault("the log cannot be set up", &error))?;
        for problem in &problems {
            tracing::warn!(%problem, "configuration");
        }
        let metrics = Arc::new(Metrics::new(logging.lost()));
        count_panics(metrics.panics.clone());
        let outside = Outside {
            clock,
            passed,
            environment: Environment::of_process(),
            observer: Arc::new(FetchRecorder::new(Arc::clone(&metrics))),
            metrics,
        };
        let load = {
            let file = self.config.clone();
            move || Config::load(file.as_deref(), &surroundings).map(|(config, _)| config)
        };
        let reloader = Reloader::new(Box::new(load), Some(logging.clone()));
        let served = app::serve(config, outside, reloader, greet);
        logging.flush();
        served.map_err(|error| fault("the daemon cannot start", &error))
    }
}

fn fault(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Fault, what).because(error)
}

fn refused(error: &LoadError) -> Failure {
    let exit = if error.exit_code() == 77 {
        Exit::Permission
    } else {
        Exit::Configuration
    };
    Failure::new(exit, error.to_string())
}

/// Tells a person at a terminal how to try the built-in default.
fn greet(bound: &Bound) {
    let config = bound.daemon().config.load();
    if config.origin != Origin::Embedded || !io::stdout().is_terminal() {
        return;
    }
    let Some((_, address)) = bound.addresses().first() else {
        return;
    };
    let text = format!(
        "No configuration file: serving the built-in default, role local/demo for this user only.\n\
         In another terminal:\n\n    \
         export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://{address}/\n    \
         aws configure list\n\n\
         or, through the container protocol with a token of its own:\n\n    \
         rolecall exec -- aws configure list\n\n\
         The demo keys are issued by rolecall itself and are worth nothing at AWS.\n\
         For real roles write /etc/rolecall/rolecall.toml; `rolecall check` says whether it is right.\n\n"
    );
    // A terminal that is gone need not be told.
    drop(io::stdout().lock().write_all(text.as_bytes()));
}
