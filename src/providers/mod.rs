//! What an operator's own programs and services say of who has which role: `[[grant-source]]`.
//!
//! A source is asked by a name that its caller proved or has in the system's database, never by one
//! that a caller chose, and off the path of requests: once for all who wait, with a deadline, few
//! at once, remembered for a while. What fails, is late or cannot be understood grants nothing.

mod answer;
mod command;
mod service;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use command::Command;
use service::Service;

use crate::clock::Clock;
use crate::config::{GrantSource, RolesFrom};
use crate::grants::{Known, Provided};
use crate::lookups::{Bounds, Lookups};
use crate::transport::Client;

/// How long a source has for its answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long a caller waits for all of them: their deadline, and their turn.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How much of an answer is read.
const ANSWER: usize = 64 * 1024;
/// A program that hangs takes one of these turns, for no longer than its deadline.
const BOUNDS: Bounds = Bounds {
    at_once: 4,
    open: 64,
    remembered: 1024,
};
/// How long a source's roles are believed.
const ROLES_AGE: Duration = Duration::from_mins(1);
/// How long it is believed that a name has none.
const NONE_AGE: Duration = Duration::from_secs(15);
/// How long a source that failed is left alone with that name.
const FAILURE_AGE: Duration = Duration::from_secs(5);
/// The longest name that is asked about.
const NAME: usize = 256;

/// What became of one question to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It gives roles.
    Roles,
    /// It gives none.
    None,
    /// It failed, was late, or answered what cannot be understood.
    Failed,
}

impl Outcome {
    /// As metrics spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::None => "none",
            Self::Failed => "failed",
        }
    }
}

/// Is told of every question to a source.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A source was asked.
    fn asked(&self, outcome: Outcome);
}

/// Nobody is told.
impl Observer for () {
    fn asked(&self, _outcome: Outcome) {}
}

/// The sources of one configuration, and what they said.
#[derive(Debug)]
pub struct Providers {
    sources: Vec<Arc<Source>>,
    observer: Arc<dyn Observer>,
}

#[derive(Debug)]
struct Source {
    number: usize,
    from: From,
    told: Lookups<Arc<str>, Arc<[Provided]>>,
}

#[derive(Debug)]
enum From {
    Command(Command),
    Service(Service),
}

/// Why a source granted nothing.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error("{0}")]
    Command(#[from] command::CommandError),
    #[error("{0}")]
    Service(#[from] service::ServiceError),
    #[error("{0}")]
    Answer(#[from] answer::AnswerError),
}

impl Providers {
    /// The sources of a configuration. None is asked yet.
    pub fn new(
        sources: &[GrantSource],
        client: &Client,
        clock: &Clock,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let source = |source: &GrantSource| {
            Arc::new(Source {
                number: source.number,
                from: match &source.from {
                    RolesFrom::Command(command) => {
                        From::Command(Command::new(command, client.clone()))
                    }
                    RolesFrom::Service(service) => From::Service(Service::new(service, client)),
                },
                told: Lookups::new(clock.clone(), BOUNDS),
            })
        };
        Self {
            sources: sources.iter().map(source).collect(),
            observer,
        }
    }

    /// All roles that the sources give to who has this name. [`Known::NotYet`] where one of them
    /// has not been asked in time: it may say more to the next request.
    pub async fn of(&self, name: &str) -> Known<Arc<[Provided]>> {
        if !is_fit(name) {
            tracing::warn!(
                name,
                "grant sources are not asked about a name of this form"
            );
            return Known::No;
        }
        let name: Arc<str> = Arc::from(name);
        let asked = self.sources.iter().map(|source| {
            let look = look(
                Arc::clone(source),
                Arc::clone(&name),
                Arc::clone(&self.observer),
            );
            source.told.ask(Arc::clone(&name), look)
        });
        // All are asked before the first is waited for.
        let asked: Vec<_> = asked.collect();
        let told = tokio::time::timeout(PATIENCE, async {
            let mut all = Vec::new();
            for one in asked {
                all.extend(one.told().await?.iter().cloned());
            }
            Some(all.into())
        });
        told.await.ok().flatten().map_or(Known::NotYet, Known::Yes)
    }
}

/// Asks one source, and says how long its answer may be remembered.
async fn look(
    source: Arc<Source>,
    name: Arc<str>,
    observer: Arc<dyn Observer>,
) -> (Arc<[Provided]>, Duration) {
    let (roles, outcome, age) = match source.ask(&name).await {
        Ok(roles) if roles.is_empty() => (roles, Outcome::None, NONE_AGE),
        Ok(roles) => (roles, Outcome::Roles, ROLES_AGE),
        Err(error) => {
            let source = source.number;
            tracing::warn!(source, %name, %error, "a grant source grants nothing: it failed");
            (Vec::new(), Outcome::Failed, FAILURE_AGE)
        }
    };
    observer.asked(outcome);
    (roles.into(), age)
}

impl Source {
    async fn ask(&self, name: &str) -> Result<Vec<Provided>, SourceError> {
        let text = match &self.from {
            From::Command(command) => command.ask(name).await?,
            From::Service(service) => service.ask(name).await?,
        };
        Ok(answer::read(&text, self.number)?)
    }
}

/// Whether a name can be asked about: no program takes it for an option, no path for a step up,
/// and no line for two.
fn is_fit(name: &str) -> bool {
    (1..=NAME).contains(&name.len())
        && !name.starts_with('-')
        && !matches!(name, "." | "..")
        && !name.chars().any(char::is_control)
}
