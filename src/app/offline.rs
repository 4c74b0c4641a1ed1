//! What a configuration would decide on this host, without a daemon.

use std::sync::Arc;

use super::control;
use super::decisions::Decisions;
use super::run::follow_containers;
use crate::api::admin::wire::Explained;
use crate::api::admin::{Door, NoDoor, Question, explained};
use crate::authority::{Authority, KeyRing, KeyRingError};
use crate::caller::{Desk, DeskError};
use crate::clock::Clock;
use crate::config::Config;
use crate::runtime::Containers;
use crate::sessions::Sessions;
use crate::source::{Engine, Environment, PlanError};
use crate::telemetry::audit::Audit;
use crate::transport::OwnAddresses;
use crate::vending::{NoCaller, Subject, Vending};

/// A configuration that decides, and serves nobody.
#[derive(Debug)]
pub struct Offline {
    vending: Vending,
    doors: Vec<Door>,
    containers: Option<Containers>,
}

/// Nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// Callers cannot be identified.
    #[error("callers cannot be identified here")]
    Desk(#[source] DeskError),
    /// There is no randomness.
    #[error("no keys could be made")]
    NoKeys(#[source] KeyRingError),
    /// A role can never be obtained.
    #[error("the configuration asks for what cannot be")]
    Plan(#[source] PlanError),
    /// There is nobody to tell about.
    #[error(transparent)]
    Caller(NoCaller),
    /// There is no such listener.
    #[error(transparent)]
    Listener(NoDoor),
}

impl Offline {
    /// Decides as this configuration says. Nothing is bound, called or written.
    pub fn new(config: &Arc<Config>) -> Result<Self, OfflineError> {
        let clock = Clock::System;
        let desk = Desk::open(clock.clone()).map_err(OfflineError::Desk)?;
        let ring = KeyRing::in_memory().map_err(OfflineError::NoKeys)?;
        let authority = Authority::new(ring, None, clock.clone()).map_err(OfflineError::NoKeys)?;
        let own = OwnAddresses::default();
        let engine = Engine::new(clock.clone(), Environment::of_process(), own);
        let authority = Arc::new(authority);
        let decisions = Decisions::of(config, &engine, &authority, Arc::new(()));
        let policy = decisions.map_err(OfflineError::Plan)?.policy;
        let containers = config.runtime.as_ref();
        let containers = containers.map(|unit| Containers::new(unit.socket.clone(), clock.clone()));
        let desk = desk.asking(containers.clone());
        desk.follow(&policy.grants);
        let sessions = Sessions::new(clock.clone(), config.limits.sessions, Arc::new(()));
        let audit = Arc::new(Audit::new(clock.clone()));
        Ok(Self {
            vending: Vending::new(
                policy,
                sessions,
                config.limits.flights_per_caller,
                Arc::new(desk),
                audit,
                clock,
            ),
            doors: control::doors(config),
            containers,
        })
    }

    /// What somebody gets, this very process where nobody is named.
    pub async fn explain(&self, question: &Question) -> Result<Explained, OfflineError> {
        tokio::select! {
            told = self.told(question) => told,
            never = follow_containers(self.containers.as_ref()) => never,
        }
    }

    async fn told(&self, question: &Question) -> Result<Explained, OfflineError> {
        let own = Subject::Process(std::process::id());
        let subject = question.subject.as_ref().unwrap_or(&own);
        let caller = self.vending.caller_of(subject).await;
        let caller = caller.map_err(OfflineError::Caller)?;
        explained(&self.vending, &self.doors, &caller, question, true)
            .await
            .map_err(OfflineError::Listener)
    }
}
