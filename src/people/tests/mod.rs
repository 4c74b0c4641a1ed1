//! Web identities against scripted issuers, in simulated time; and the gate.

mod algorithms;
mod fetching;
mod gate;
mod introspected;
#[path = "../../../tests/support/signer.rs"]
mod signer;
mod tokens;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::issuer::Issuer;
use super::jwt::Jwt;
use super::key_set::KeySet;
use super::memory::Marker;
use super::origin::{Loading, NoKeys, Origin};
use super::*;
use crate::clock::Simulation;
use crate::config::{Algorithm, IssuerKeys};
use signer::{Signer, key_set, pod_claims};

const URL: &str = "https://issuer.example/cluster";
const PODS: &str = "pods.eks.amazonaws.com";
const NOON: u64 = 1_800_000_000;
const PATIENCE: Duration = Duration::from_millis(400);

/// What the origin does when it is asked.
#[derive(Clone, Debug)]
enum Reply {
    Keys(String),
    Down,
    Hangs,
}

/// An origin that does what the test says, and counts.
#[derive(Clone, Debug)]
struct Script(Arc<Mutex<(VecDeque<Reply>, usize)>>);

impl Script {
    /// These in turn; the last one from then on.
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self(Arc::new(Mutex::new((replies.into_iter().collect(), 0))))
    }

    fn then(&self, reply: Reply) {
        self.0.lock().unwrap().0 = [reply].into();
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Origin for Script {
    fn load(&self) -> Loading {
        let mut script = self.0.lock().unwrap();
        script.1 += 1;
        let reply = if script.0.len() > 1 {
            script.0.pop_front().unwrap()
        } else {
            script.0[0].clone()
        };
        Box::pin(async move {
            match reply {
                Reply::Keys(text) => KeySet::parse(text.as_bytes())
                    .map_err(|error| NoKeys::Keys(URL.to_owned(), error)),
                Reply::Down => Err(NoKeys::Status(URL.to_owned(), 500)),
                Reply::Hangs => std::future::pending().await,
            }
        })
    }

    fn believed(&self) -> Duration {
        Duration::from_mins(30)
    }

    fn pace(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// One issuer with simulated clocks.
struct World {
    issuer: Issuer,
    marker: Marker,
    clock: Clock,
}

fn config() -> config::Issuer {
    config::Issuer {
        url: Arc::from(URL),
        audiences: vec![Arc::from(PODS)],
        keys: IssuerKeys::Discovery { ca_file: None },
        algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
        tags: false,
        introspection: None,
    }
}

impl World {
    fn new(script: &Script) -> Self {
        Self::of(config(), script)
    }

    fn of(config: config::Issuer, script: &Script) -> Self {
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH + Duration::from_secs(NOON));
        Self {
            issuer: Issuer::new(config, Box::new(script.clone()), &Arc::default(), &clock),
            marker: Marker::default(),
            clock,
        }
    }

    fn simulation(&self) -> &Simulation {
        match &self.clock {
            Clock::Simulated(simulation) => simulation,
            Clock::System => panic!("the clock is simulated"),
        }
    }

    /// As [`Issuers::verify`] asks.
    async fn verify(&self, token: &str) -> Result<Arc<WebIdentity>, NotProven> {
        let mark = self.marker.mark(token);
        if let Some(known) = mark.and_then(|mark| self.issuer.recall(&mark)) {
            return Ok(known);
        }
        let jwt = Jwt::parse(token).map_err(Refused::from)?;
        self.issuer.verify(token, &jwt, mark, PATIENCE).await
    }

    async fn refused(&self, token: &str) -> NotProven {
        self.verify(token).await.unwrap_err()
    }
}

fn claims() -> serde_json::Value {
    pod_claims(URL, PODS, NOON)
}
