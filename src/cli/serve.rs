//! `rolecall serve`: runs the daemon.

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::configuration;
use super::failure::{Exit, Failure};
use super::refusal;
use crate::allocator;
use crate::app::{self, Bound, Fault, Outside, Reloader};
use crate::clock::Clock;
use crate::config::{Config, LoadError, Origin, Problem, Purpose, Surroundings};
use crate::source::Environment;
use crate::systemd;
use crate::telemetry::log::{LogError, Logging, StandardError};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::{FetchRecorder, count_panics};

/// Run the daemon
///
/// Without --config it reads /etc/rolecall/rolecall.toml. Where there is none it serves the built-in
/// default: a demo role of no cloud at all, for you alone, on 127.0.0.1:1338.
///
/// SIGHUP has it read its configuration again and reopen its log files; SIGTERM and SIGINT end it,
/// the second one at once.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration file; drop-ins are read from rolecall.d beside it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What a configuration is read from, now and at each reload.
#[derive(Debug)]
struct Origins {
    file: Option<PathBuf>,
    /// From the command line: goes before what the file says.
    socket: Option<PathBuf>,
    surroundings: Surroundings,
}

impl Options {
    pub(super) fn run(self, socket: Option<PathBuf>) -> Result<(), Failure> {
        allocator::give_back();
        let surroundings = Surroundings::process(Purpose::Serve);
        let variable = |name: &str| surroundings.variable(name);
        // Before the log starts its thread: it takes the variables out of the environment.
        let passed = systemd::passed_sockets(variable("LISTEN_FDNAMES").as_deref());
        let (journal, no_color) = (variable("JOURNAL_STREAM"), variable("NO_COLOR"));
        let notify = variable("NOTIFY_SOCKET");
        let standard_error = StandardError::detect(
            journal.as_deref().map(OsStr::new),
            no_color.as_deref().map(OsStr::new),
        );
        let clock = Clock::System;
        let logging = Logging::start(standard_error, clock.clone());
        let logging = logging.map_err(|error| log_failure(&error))?;
        let origins = Origins {
            file: self.config,
            socket,
            surroundings,
        };
        let (config, problems) = origins
            .load()
            .map_err(|error| configuration::refused(&error))?;
        let mut environment = Environment::of_process();
        // Before there are threads that serve, or write the log: they have what is given up here.
        let confinement = app::confine(&config, &environment, notify.as_deref());
        if !confinement.lets_programs_be() {
            environment.give_up_programs();
        }
        let configured = logging.configure(&config.log);
        configured.map_err(|error| log_failure(&error))?;
        confinement.tell();
        warn(&problems);
        let metrics = Arc::new(Metrics::new(logging.lost()));
        count_panics(metrics.panics.clone());
        let outside = Outside {
            clock,
            passed,
            environment,
            observer: Arc::new(FetchRecorder::new(Arc::clone(&metrics))),
            metrics,
            descriptors: app::raise_descriptors(),
            confinement,
        };
        let reloader = Reloader::new(
            Arc::new(move || origins.load_again()),
            Some(logging.clone()),
        );
        let served = app::serve(config, outside, reloader, greet);
        logging.flush();
        served.map_err(|error| {
            let exit = match error.fault() {
                Fault::Configuration => Exit::Configuration,
                Fault::Permission => Exit::Permission,
                Fault::Other => Exit::Fault,
            };
            let failure = Failure::new(exit, "the daemon cannot start").because(&error);
            match error.refused() {
                Some(refused) => refusal::explained(failure, refused),
                None => failure,
            }
        })
    }
}

impl Origins {
    fn load(&self) -> Result<(Config, Vec<Problem>), LoadError> {
        let (mut config, problems) = Config::load(self.file.as_deref(), &self.surroundings)?;
        if let Some(socket) = &self.socket {
            config.admin_socket.clone_from(socket);
        }
        Ok((config, problems))
    }

    fn load_again(&self) -> Result<Config, LoadError> {
        let (config, problems) = self.load()?;
        warn(&problems);
        Ok(config)
    }
}

/// Warnings and notes go to the log.
fn warn(problems: &[Problem]) {
    for problem in problems {
        tracing::warn!("the configuration can be used, but {problem}");
    }
}

fn log_failure(error: &LogError) -> Failure {
    Failure::new(Exit::Configuration, "the log cannot be set up")
        .because(error)
        .remedy("mend [log] in the configuration")
}

/// Tells a person at a terminal how to try the built-in default.
fn greet(bound: &Bound) {
    let config = bound.daemon().config.load();
    if config.origin != Origin::Embedded || !io::stdout().is_terminal() {
        return;
    }
    let Some(first) = bound.addresses().first() else {
        return;
    };
    let address = &first.address;
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
