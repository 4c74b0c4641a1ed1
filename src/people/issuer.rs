//! One issuer of web identities: whether a token is its own, and for us.

use std::sync::Arc;
use std::time::Duration;

use super::bearers::{Bearers, Principal};
use super::claims::{self, Checked};
use super::jwt::Jwt;
use super::key_set::{KeySet, NoSignature};
use super::keys::{Keys, NoNewer};
use super::memory::{Mark, Memory};
use super::origin::Origin;
use super::{NotProven, Refused};
use crate::clock::Clock;
use crate::config::{self, Algorithm};
use crate::grants::WebIdentity;

#[derive(Debug)]
pub(super) struct Issuer {
    config: config::Issuer,
    keys: Keys,
    memory: Memory,
    bearers: Arc<Bearers>,
    clock: Clock,
}

impl Issuer {
    pub(super) fn new(
        config: config::Issuer,
        origin: Box<dyn Origin>,
        bearers: &Arc<Bearers>,
        clock: &Clock,
    ) -> Self {
        Self {
            bearers: Arc::clone(bearers),
            keys: Keys::new(Arc::clone(&config.url), origin, clock.clone()),
            memory: Memory::default(),
            clock: clock.clone(),
            config,
        }
    }

    pub(super) const fn config(&self) -> &config::Issuer {
        &self.config
    }

    pub(super) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The identity of a token that was verified before, as long as it is valid.
    pub(super) fn recall(&self, mark: &Mark) -> Option<Arc<WebIdentity>> {
        let identity = self.memory.recall(mark, &self.keys.held()?)?;
        (self.clock.now() < identity.expires_at + claims::LEEWAY).then_some(identity)
    }

    /// Verifies a token that names this issuer. What costs nothing is looked at first: nobody gets
    /// signatures verified or keys fetched for a token that could not count anyway.
    pub(super) async fn verify(
        &self,
        token: &str,
        jwt: &Jwt<'_>,
        mark: Option<Mark>,
        patience: Duration,
    ) -> Result<Arc<WebIdentity>, NotProven> {
        let algorithm = Algorithm::parse(&jwt.header.alg)
            .filter(|algorithm| self.config.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(Refused::Algorithm)?;
        let checked = claims::check(jwt, &self.config, self.clock.now())?;
        let keys = self.verifying(jwt, algorithm, patience).await?;
        let identity = Arc::new(self.identity(token, jwt, checked));
        if let Some(mark) = mark {
            let now = self.clock.now();
            self.memory.remember(mark, &identity, &keys, now);
        }
        Ok(identity)
    }

    /// The keys with which the signature is right. A key that is not among those held may be
    /// among newer ones: only who has asked for them knows that it is not.
    async fn verifying(
        &self,
        jwt: &Jwt<'_>,
        algorithm: Algorithm,
        patience: Duration,
    ) -> Result<Arc<KeySet>, NotProven> {
        if let Some(held) = self.keys.held() {
            match held.verify(jwt, algorithm) {
                Ok(()) => return Ok(held),
                Err(NoSignature::Wrong) => return Err(Refused::Signature.into()),
                Err(NoSignature::UnknownKey) => {}
            }
        }
        let newer = self.keys.newer(patience).await;
        let newer = newer.map_err(|NoNewer| NotProven::NotReady)?;
        match newer.verify(jwt, algorithm) {
            Ok(()) => Ok(newer),
            Err(NoSignature::Wrong) => Err(Refused::Signature.into()),
            Err(NoSignature::UnknownKey) => Err(Refused::Key.into()),
        }
    }

    fn identity(&self, token: &str, jwt: &Jwt<'_>, checked: Checked) -> WebIdentity {
        let tags = if self.config.tags {
            claims::tags(&jwt.claims)
        } else {
            Vec::new()
        };
        let principal = Principal {
            issuer: Arc::clone(&self.config.url),
            subject: Arc::clone(&checked.subject),
            audiences: checked.audiences.clone(),
        };
        WebIdentity {
            token: self.bearers.see(principal, token, checked.expires_at),
            issuer: Arc::clone(&self.config.url),
            pod: claims::pod(jwt, &checked.subject),
            subject: checked.subject,
            audiences: checked.audiences,
            claims: claims::flat(&jwt.claims),
            tags,
            expires_at: checked.expires_at,
        }
    }
}
