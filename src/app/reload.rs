//! Reading the configuration again: applied at once, or not at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::Daemon;
use super::decisions::Decisions;
use crate::config::{self, Changes, Config, LoadError};
use crate::systemd;
use crate::telemetry::error_chain;
use crate::telemetry::log::{Logging, Opened};

/// How long reading a configuration, and what it names, may take.
const LONGEST_LOAD: Duration = Duration::from_secs(20);

/// Why nothing was applied.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReloadError(pub String);

/// What a reload changed, in words.
pub type Reloaded = Result<Vec<String>, ReloadError>;

/// Reads the configuration again.
type Load = Arc<dyn Fn() -> Result<Config, LoadError> + Send + Sync>;

/// Reloads when a signal or the admin socket asks.
pub struct Reloader {
    load: Load,
    logging: Option<Logging>,
    ask: AskReload,
    asked: Mutex<mpsc::Receiver<oneshot::Sender<Reloaded>>>,
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").finish_non_exhaustive()
    }
}

/// Asks for a reload.
#[derive(Clone, Debug)]
pub struct AskReload(mpsc::Sender<oneshot::Sender<Reloaded>>);

impl AskReload {
    /// Reloads, and says what changed or why nothing did.
    pub async fn reload(&self) -> Reloaded {
        let (answer, answered) = oneshot::channel();
        let ending = || ReloadError("the daemon is ending".to_owned());
        self.0.send(answer).await.ok().ok_or_else(ending)?;
        answered.await.ok().ok_or_else(ending)?
    }
}

impl Reloader {
    /// Reads the configuration with `load`; log files are reopened with `logging`.
    pub fn new(load: Load, logging: Option<Logging>) -> Self {
        let (ask, asked) = mpsc::channel(4);
        let ask = AskReload(ask);
        Self {
            load,
            logging,
            ask,
            asked: Mutex::new(asked),
        }
    }

    /// Asks this reloader.
    pub fn ask(&self) -> AskReload {
        self.ask.clone()
    }

    /// A signal asks: log files are reopened at once, the configuration is read in its turn.
    pub(super) fn by_signal(&self) {
        if let Some(logging) = &self.logging {
            logging.reopen();
        }
        let (nobody, _listens) = oneshot::channel();
        // Where the queue is full, a reload that has not begun yet will see the same files.
        drop(self.ask.0.try_send(nobody));
    }

    /// Reloads whenever somebody asks, one at a time.
    pub(super) async fn run(&self, daemon: &Arc<Daemon>) {
        while let Some(answer) = self.asked.lock().await.recv().await {
            // Who asked may have gone.
            drop(answer.send(self.reload(daemon).await));
        }
    }

    async fn reload(&self, daemon: &Arc<Daemon>) -> Reloaded {
        // While it starts it is told that nothing is ready yet, which a reload does not change.
        let was_ready = daemon.readiness.is_ready();
        if was_ready {
            systemd::reloading();
        }
        let reloaded = self.apply(daemon).await;
        daemon.in_force.set(reloaded.is_ok());
        match &reloaded {
            Ok(changes) if changes.is_empty() => tracing::info!("reloaded: nothing changed"),
            Ok(changes) => tracing::info!("reloaded: {}", changes.join("; ")),
            Err(error) => {
                // In the message itself: that is what `systemctl status` and `journalctl` show.
                tracing::error!("the configuration was refused; the old one stays: {error}");
            }
        }
        if was_ready {
            systemd::ready(&daemon.status());
        }
        reloaded
    }

    async fn apply(&self, daemon: &Arc<Daemon>) -> Reloaded {
        let work = {
            let (load, logging) = (Arc::clone(&self.load), self.logging.clone());
            let daemon = Arc::clone(daemon);
            move || prepare(&*load, logging.as_ref(), &daemon)
        };
        // Files, users' names and log targets take their time: nobody who is served waits for them.
        let preparing = tokio::task::spawn_blocking(work);
        let prepared = tokio::time::timeout(LONGEST_LOAD, preparing).await;
        let prepared = prepared.map_err(|_elapsed| {
            ReloadError(
                "reading it took too long: is a file of it a pipe, or on a server that hangs?"
                    .to_owned(),
            )
        })?;
        let Prepared {
            config,
            applied,
            decisions,
            log,
        } = prepared.map_err(|error| refused(&error))??;
        if let (Some(logging), Some(log)) = (&self.logging, log) {
            logging.follow(log).map_err(|error| refused(&error))?;
        }
        daemon.follow(config, decisions).await;
        Ok(applied)
    }
}

/// A configuration that can be applied at once.
struct Prepared {
    config: Arc<Config>,
    /// What it changes, in words.
    applied: Vec<String>,
    decisions: Decisions,
    log: Option<Opened>,
}

/// Does what may take its time; nothing is changed.
fn prepare(
    load: &dyn Fn() -> Result<Config, LoadError>,
    logging: Option<&Logging>,
    daemon: &Daemon,
) -> Result<Prepared, ReloadError> {
    let config = load().map_err(|error| refused(&error))?;
    let Changes {
        applied,
        mut restart,
    } = config::diff(&daemon.config.load(), &config);
    restart.extend(daemon.confinement.lacks(&config));
    if !restart.is_empty() {
        let keys = restart.join(", ");
        return Err(ReloadError(format!(
            "nothing was applied: {keys} need a restart"
        )));
    }
    let (config, asked) = (Arc::new(config), Arc::clone(&daemon.metrics));
    let decisions = Decisions::of(&config, &daemon.engine, &daemon.authority, asked);
    let decisions = decisions.map_err(|error| refused(&error))?;
    decisions.policy.declared.prepare();
    let log = logging.map(|logging| logging.open(&config.log));
    Ok(Prepared {
        log: log.transpose().map_err(|error| refused(&error))?,
        config,
        applied,
        decisions,
    })
}

fn refused(error: &dyn std::error::Error) -> ReloadError {
    ReloadError(error_chain(error))
}
