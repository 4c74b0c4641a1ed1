//! One issuer of web identities: whether a token is its own, and for us.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::bearers::{Bearers, Principal};
use super::claims::{self, Checked};
use super::introspection::Introspection;
use super::jwt::Jwt;
use super::key_set::{KeySet, NoSignature};
use super::keys::{Keys, NoNewer};
use super::memory::{Mark, Memory};
use super::origin::Origin;
use super::{NotProven, Refused};
use crate::clock::Clock;
use crate::config::{self, Algorithm};
use crate::grants::WebIdentity;
use crate::lookups::{Bounds, Lookups};
use crate::secret::{ExposeSecret as _, SecretString};

#[derive(Debug)]
pub(super) struct Issuer {
    config: config::Issuer,
    keys: Keys,
    memory: Memory,
    bearers: Arc<Bearers>,
    clock: Clock,
    introspection: Option<Introspection>,
    introspected: Lookups<Mark, Result<Arc<WebIdentity>, NotProven>>,
}

/// What an issuer said of an access token counts for so long: it may be withdrawn.
const SAID: Duration = Duration::from_mins(1);

/// That it said nothing is not asked again for so long.
const UNSAID: Duration = Duration::from_secs(2);

const BOUNDS: Bounds = Bounds {
    at_once: 8,
    open: 64,
    remembered: 1024,
};

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
            introspection: None,
            introspected: Lookups::new(clock.clone(), BOUNDS),
            config,
        }
    }

    /// The same, which is asked here about tokens that only it can read.
    pub(super) fn asked_at(self, introspection: Option<Introspection>) -> Self {
        Self {
            introspection,
            ..self
        }
    }

    /// Whether a caller means this issuer: STS's names of providers have no scheme.
    pub(super) fn is_called(&self, provider: &str) -> bool {
        let url = self.config.url.trim_end_matches('/');
        let name = url.split_once("://").map_or(url, |(_, name)| name);
        let provider = provider.trim_end_matches('/');
        provider == url || provider == name
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
        let checked = claims::check(&jwt.claims, &self.config, self.clock.now())?;
        let keys = self.verifying(jwt, algorithm, patience).await?;
        let identity = Arc::new(self.identity(token, &jwt.claims, checked));
        if let Some(mark) = mark {
            let now = self.clock.now();
            self.memory.remember(mark, &identity, &keys, now);
        }
        Ok(identity)
    }

    /// Who an access token stands for that only this issuer can read.
    pub(super) async fn introspected(
        self: &Arc<Self>,
        token: &str,
        mark: Option<Mark>,
        patience: Duration,
    ) -> Result<Arc<WebIdentity>, NotProven> {
        let asked = self.introspection.clone().ok_or(Refused::Malformed)?;
        let mark = mark.ok_or(NotProven::NotReady)?;
        let (issuer, token) = (Arc::clone(self), SecretString::from(token));
        let look = async move {
            let said = asked.claims(&token).await;
            let said = said.and_then(|claims| Ok(issuer.said(&token, &claims)?));
            let age = match &said {
                Ok(_) | Err(NotProven::Refused(_)) => SAID,
                Err(NotProven::NotReady) => UNSAID,
            };
            (said, age)
        };
        let told = self.introspected.get(mark, patience, look).await;
        let identity = told.unwrap_or(Err(NotProven::NotReady))?;
        // Remembered, it may have come to its end since.
        if self.clock.now() < identity.expires_at + claims::LEEWAY {
            Ok(identity)
        } else {
            Err(Refused::Expired.into())
        }
    }

    fn said(
        &self,
        token: &SecretString,
        claims: &Map<String, Value>,
    ) -> Result<Arc<WebIdentity>, Refused> {
        let named = claims.get("iss").and_then(Value::as_str);
        if named.is_some_and(|named| *named != *self.config.url) {
            return Err(Refused::Issuer);
        }
        let checked = claims::check(claims, &self.config, self.clock.now())?;
        Ok(Arc::new(self.identity(
            token.expose_secret(),
            claims,
            checked,
        )))
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

    fn identity(&self, token: &str, claims: &Map<String, Value>, checked: Checked) -> WebIdentity {
        let tags = if self.config.tags {
            claims::tags(claims)
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
            pod: claims::pod(claims, &checked.subject),
            subject: checked.subject,
            audiences: checked.audiences,
            claims: claims::flat(claims),
            tags,
            expires_at: checked.expires_at,
        }
    }
}
