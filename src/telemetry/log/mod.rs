//! The log: events of `tracing`, carried to their targets by threads of their own.
//!
//! The thread that logs copies the event into a bounded queue and goes on. Each target (journal,
//! standard error, syslog, file) empties its queue on its own thread, so that a dead or slow one
//! holds up nothing; what it could not take is counted, and told once it takes events again.

mod file;
mod filter;
mod journald;
mod queue;
mod record;
mod render;
mod stderr;
mod syslog;
#[cfg(test)]
mod tests;

pub use stderr::StandardError;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{Registry, reload};

use crate::clock::Clock;
use crate::config;
use queue::Queue;
use record::Record;

/// The `tracing` target of the audit trail: written at every level.
pub const AUDIT: &str = "rolecall::audit";

/// How long the last events may take to reach their targets when the daemon ends.
const FLUSH: Duration = Duration::from_millis(500);

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `[log] level` is not a filter.
    #[error("the log level `{text}` is not understood")]
    Level {
        /// What was written.
        text: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A target cannot be opened.
    #[error("the log target {target} cannot be opened")]
    Target {
        /// The target, as the configuration spells it.
        target: String,
        /// Why not.
        source: io::Error,
    },
    /// A subscriber is installed already.
    #[error("the log is set up already")]
    Installed,
}

/// The running log.
#[derive(Clone, Debug)]
pub struct Logging {
    shared: Arc<Shared>,
    filter: reload::Handle<Targets, Registry>,
}

/// Where a configuration has events go, and which.
#[derive(Debug)]
pub struct Opened {
    queues: Vec<Queue>,
    filter: Targets,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    standard_error: StandardError,
    queues: ArcSwap<Vec<Queue>>,
    lost: Counter,
}

impl Logging {
    /// Starts with readable lines on standard error, as long as no configuration is known.
    pub fn start(standard_error: StandardError, clock: Clock) -> Result<Self, LogError> {
        let (logging, subscriber) = Self::build(standard_error, clock)?;
        tracing::subscriber::set_global_default(subscriber)
            .map_err(|_already| LogError::Installed)?;
        Ok(logging)
    }

    fn build(
        standard_error: StandardError,
        clock: Clock,
    ) -> Result<(Self, impl Subscriber + Send + Sync), LogError> {
        let lost = Counter::default();
        let early = open(&config::LogTarget::Text, standard_error, &lost)?;
        let shared = Arc::new(Shared {
            clock,
            standard_error,
            queues: ArcSwap::from_pointee(vec![early]),
            lost,
        });
        let (layer, filter) = reload::Layer::new(filter::targets(None)?);
        let carrier = Carrier(Arc::clone(&shared));
        let subscriber = Registry::default().with(layer).with(carrier);
        Ok((Self { shared, filter }, subscriber))
    }

    /// Sends events where the configuration says, from now on. A failure changes nothing.
    pub fn configure(&self, log: &config::Log) -> Result<(), LogError> {
        self.follow(self.open(log)?)
    }

    /// Opens the targets of this configuration, which may take its time, and lets what was logged so
    /// far reach the ones before.
    pub fn open(&self, log: &config::Log) -> Result<Opened, LogError> {
        let filter = filter::targets(log.level.as_deref())?;
        let standard_error = self.shared.standard_error;
        let chosen = [standard_error.default_target()];
        let targets = if log.to.is_empty() {
            chosen.as_slice()
        } else {
            log.to.as_slice()
        };
        let queues = targets
            .iter()
            .map(|target| open(target, standard_error, &self.shared.lost))
            .collect::<Result<Vec<_>, _>>()?;
        self.flush();
        Ok(Opened { queues, filter })
    }

    /// Sends events there from now on, at once.
    pub fn follow(&self, opened: Opened) -> Result<(), LogError> {
        let Opened { queues, filter } = opened;
        self.shared.queues.store(Arc::new(queues));
        self.filter
            .reload(filter)
            .map_err(|_gone| LogError::Installed)
    }

    /// Opens log files anew, after they were moved away (SIGHUP).
    pub fn reopen(&self) {
        for queue in self.shared.queues.load().iter() {
            queue.reopen();
        }
    }

    /// Lets what was logged so far reach its targets, for half a second at most each.
    pub fn flush(&self) {
        for queue in self.shared.queues.load().iter() {
            queue.flush(FLUSH);
        }
    }

    /// How many events a target could not take, for the metrics.
    pub fn lost(&self) -> Counter {
        self.shared.lost.clone()
    }
}

fn open(
    target: &config::LogTarget,
    standard_error: StandardError,
    lost: &Counter,
) -> Result<Queue, LogError> {
    use config::LogTarget::{File, Journald, Json, Syslog, Text};
    let named = |name: String| {
        move |source| LogError::Target {
            target: name,
            source,
        }
    };
    let (name, opened): (String, io::Result<Box<dyn queue::Target>>) = match target {
        Journald => ("journald".to_owned(), journald::open()),
        Json => ("json".to_owned(), Ok(stderr::json())),
        Text => ("text".to_owned(), Ok(stderr::text(standard_error))),
        Syslog(address) => (syslog::name(address), Ok(syslog::open(address))),
        File(path) => (format!("file:{}", path.display()), file::open(path)),
    };
    let writer = opened.map_err(named(name.clone()))?;
    Queue::start(&name, writer, lost.clone()).map_err(named(name))
}

/// Copies each event into the queues of all targets.
struct Carrier(Arc<Shared>);

impl<S: Subscriber> Layer<S> for Carrier {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let record = Arc::new(Record::of(event, self.0.clock.now()));
        for queue in self.0.queues.load().iter() {
            queue.push(&record);
        }
    }
}
