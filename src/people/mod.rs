//! Who proves a name in a request.
//!
//! [`Gate::prove`] says who a person is: by a password of the users file or of a directory, a
//! trusted proxy's word, a bearer token, a cookie, or the kernel's evidence. [`Issuers::verify`]
//! says for whom a web identity stands, a token that an issuer signed, as Kubernetes projects them
//! into its pods. [`Codes`] says whether somebody has shown a second factor.
//!
//! Nothing here is done on the thread that serves but to look up what was proved lately: passwords
//! are held against hashes on threads of low priority, files and name services are asked on
//! blocking ones, issuers' keys are fetched off the request's path. What was proved is remembered
//! by a keyed hash.
//!
//! Where to begin: a name goes through `gate`. `shown` takes its `Authorization` apart, `throttle`
//! holds up who guesses, `roster` asks the file of `users` on the threads of `workers` and each
//! [`Directory`] (`ldap`, `pam`), and adds `groups`; `logins` keeps cookies; `proxy` and `oidc`
//! need no password of ours. A web identity goes through `issuer`: `jwt` takes it apart, `keys`
//! holds what `origin` loads, `claims` says whom it is for, `memory` and `bearers` remember it.

mod admission;
mod bearers;
mod claims;
mod codes;
mod directory;
mod file;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
mod groups;
mod introspection;
mod issuer;
mod jwt;
mod key_set;
mod keys;
mod ldap;
mod logins;
mod memory;
mod oidc;
mod origin;
mod pam;
mod password;
mod proxy;
mod roster;
mod shown;
#[cfg(test)]
mod tests;
mod throttle;
mod told;
mod users;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::config;
use crate::grants::WebIdentity;
use crate::transport::Client;
pub use admission::{Admitted, Asking, Proven, Unproven};
pub use codes::{Codes, NoCode};
pub use directory::{Asked, Directory, Member, NotMember, is_name};
pub use gate::{Gate, Proofs, token_hash};
pub use ldap::Ldap;
pub use oidc::Tokens;
pub use pam::{Hanging, Pam};
pub use password::{NoHash, NoPassword, hashed};
pub use proxy::{NoWord, Proxy};
pub use roster::Standing;
pub use throttle::{Attempt, Peer};

use bearers::Bearers;
use introspection::Introspection;
use issuer::Issuer;
use jwt::Jwt;
use memory::Marker;
use told::Told;

/// The directories that this configuration names, with the count of PAM's stacks that hang. Nothing
/// is opened or connected yet.
pub fn directories(
    people: &config::People,
    clock: &Clock,
    hanging: Hanging,
) -> Vec<Arc<dyn Directory>> {
    let mut directories: Vec<Arc<dyn Directory>> = Vec::new();
    if let Some(ldap) = people.ldap.clone() {
        directories.push(Arc::new(Ldap::new(ldap, clock.clone())));
    }
    if let Some(service) = people.pam.clone() {
        directories.push(Arc::new(Pam::new(service, clock.clone(), hanging)));
    }
    directories
}

/// How long a text of others the log shows.
const SHOWN: usize = 200;

/// The issuers whose tokens are believed.
#[derive(Debug)]
pub struct Issuers {
    known: ArcSwap<Vec<Arc<Issuer>>>,
    client: Client,
    clock: Clock,
    marker: Marker,
    bearers: Arc<Bearers>,
    told: Told<Refused>,
}

/// A token does not say who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// It never will.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Its issuer's keys are not there yet.
    #[error("the keys of its issuer are not there yet")]
    NotReady,
}

/// Why a token is refused. Who shows it is told none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refused {
    /// It is no token in compact form, or one of another kind.
    #[error("it cannot be read")]
    Malformed,
    /// No issuer of this name is believed.
    #[error("its issuer is none of the configuration's")]
    Issuer,
    /// It is signed with what its issuer may not use.
    #[error("its algorithm is none of its issuer's `algorithms`")]
    Algorithm,
    /// Its issuer has no such key.
    #[error("its issuer has no key of that id for that algorithm")]
    Key,
    /// It is not its issuer's signature.
    #[error("its signature is wrong")]
    Signature,
    /// It is meant for somebody else.
    #[error("its audience is none of its issuer's `audiences`")]
    Audience,
    /// Its issuer says that it no longer counts, or never did.
    #[error("its issuer says that it is not active")]
    Inactive,
    /// It was valid once.
    #[error("it has expired")]
    Expired,
    /// It will be valid.
    #[error("it is not valid yet; is this machine's clock right?")]
    NotYetValid,
    /// It says too little, or what cannot be read.
    #[error("`sub`, `aud` or `exp` is missing or malformed")]
    Claims,
}

impl From<jwt::Malformed> for Refused {
    fn from(_: jwt::Malformed) -> Self {
        Self::Malformed
    }
}

/// Whether a text has the shape of a web identity token.
pub fn is_token(text: &str) -> bool {
    jwt::is_jwt(text)
}

impl Issuers {
    /// Believes these issuers. Nothing is fetched yet.
    pub fn new(configured: &[config::Issuer], client: Client, clock: Clock) -> Self {
        let issuers = Self {
            known: ArcSwap::default(),
            client,
            clock,
            marker: Marker::default(),
            bearers: Arc::default(),
            told: Told::default(),
        };
        issuers.follow(configured);
        issuers
    }

    /// Believes these from now on. What is the same keeps its keys.
    pub fn follow(&self, configured: &[config::Issuer]) {
        let before = self.known.load();
        let of = |config: &config::Issuer| {
            let same = before.iter().find(|issuer| issuer.config() == config);
            same.map_or_else(
                || {
                    let client = origin::client_of(config, &self.client);
                    let origin = origin::of(config, &client);
                    let introspection = config.introspection.clone();
                    Arc::new(
                        Issuer::new(config.clone(), origin, &self.bearers, &self.clock)
                            .asked_at(introspection.map(|at| Introspection::new(at, client))),
                    )
                },
                Arc::clone,
            )
        };
        let after = configured.iter().map(of).collect();
        self.known.store(Arc::new(after));
    }

    /// Begins to fetch all keys that are not there, so that the first caller need not wait.
    pub fn prepare(&self) {
        for issuer in self.known.load().iter() {
            issuer.keys().prepare();
        }
    }

    /// Who a token stands for. Waits for its issuer's keys as long as `patience` lasts.
    pub async fn verify(
        &self,
        token: &str,
        patience: Duration,
    ) -> Result<Arc<WebIdentity>, NotProven> {
        let issuers = self.known.load_full();
        if issuers.is_empty() || token.len() > jwt::LONGEST {
            return Err(Refused::Malformed.into());
        }
        let mark = self.marker.mark(token);
        let known = mark.and_then(|mark| issuers.iter().find_map(|issuer| issuer.recall(&mark)));
        if let Some(known) = known {
            return Ok(known);
        }
        let jwt = Jwt::parse(token).map_err(Refused::from)?;
        let named = jwt.text("iss");
        let verified = match issuers
            .iter()
            .find(|issuer| named == Some(&*issuer.config().url))
        {
            Some(issuer) => issuer.verify(token, &jwt, mark, patience).await,
            None => Err(Refused::Issuer.into()),
        };
        if let Err(NotProven::Refused(why)) = verified {
            self.tell(why, named.unwrap_or_default());
        }
        verified
    }

    /// Who an OAuth 2.0 access token of this provider stands for. A provider is one of the issuers,
    /// by its URL, or as STS has it, without the scheme.
    pub async fn access_token(
        &self,
        provider: &str,
        token: &str,
        patience: Duration,
    ) -> Result<Arc<WebIdentity>, NotProven> {
        let issuers = self.known.load_full();
        let mut issuers = issuers.iter();
        let Some(issuer) = issuers.find(|issuer| issuer.is_called(provider)) else {
            self.tell(Refused::Issuer, provider);
            return Err(Refused::Issuer.into());
        };
        let verified = if jwt::is_jwt(token) {
            let verified = self.verify(token, patience).await?;
            if verified.issuer == issuer.config().url {
                Ok(verified)
            } else {
                Err(Refused::Issuer.into())
            }
        } else {
            let mark = self.marker.mark(token);
            issuer.introspected(token, mark, patience).await
        };
        if let Err(NotProven::Refused(why)) = verified {
            self.tell(why, provider);
        }
        verified
    }

    /// Tells the operator why a token was refused: nobody else is told.
    fn tell(&self, why: Refused, issuer: &str) {
        if !self.told.is_due(why, self.clock.boot()) {
            return;
        }
        let issuer: String = issuer.chars().take(SHOWN).collect();
        tracing::warn!(?issuer, reason = %why, "a web identity token was refused");
    }
}
