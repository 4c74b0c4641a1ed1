//! What people's APIs ask beside credentials: every role of a person, a session with nearly all of
//! its life, and what one can be exchanged for.

use std::collections::HashSet;
use std::sync::Arc;

use super::stored::Own;
use super::visit::Asked;
use super::{Handout, MAX_FACTS, Policy, Refusal, Vending, Visit, Want};
use crate::caller::Caller;
use crate::grants::{Fact, Facts, Known, Person, every};
use crate::sessions::{
    Callback, CallerIdentity, Exchange, FailureKind, FetchError, LongTermKey, Offers, RegistryAsk,
    RegistryLogin, SigninAsk, SigninUrl,
};
use crate::store::{AccountDraft, Connector};
use crate::types::{AccountAlias, AccountId, RoleRef};

/// Every role of a caller.
#[derive(Debug)]
pub struct Roles {
    /// Those that grants give, in the order of the grants.
    pub given: Vec<RoleRef>,
    own: Own,
    policy: Arc<Policy>,
}

impl Roles {
    /// All of them: those that grants give, then the connectors that are the caller's own.
    pub fn iter(&self) -> impl Iterator<Item = &RoleRef> {
        let own = self.connectors().map(|connector| &connector.role);
        self.given.iter().chain(own)
    }

    /// The connectors that are the caller's own, and that no grant gives, in the order of their names.
    pub fn connectors(&self) -> impl Iterator<Item = &Arc<Connector>> {
        let given: HashSet<&RoleRef> = self.given.iter().collect();
        let own = self.own.iter();
        own.filter(move |connector| !given.contains(&connector.role))
    }

    /// The id of an account, where it has one.
    pub fn account_id(&self, alias: &AccountAlias) -> Option<&AccountId> {
        self.policy.accounts.get(alias)?.id.as_ref()
    }
}

impl Vending {
    /// Somebody who proved a name over this caller's connection.
    pub fn person(&self, person: &Arc<Person>, connected: &Caller) -> Caller {
        self.desk.of_person(Arc::clone(person), connected)
    }

    /// Somebody who showed a web identity over this caller's connection, which for others than itself
    /// speaks where it is a proxy's.
    pub fn bearer(&self, connected: &Caller, for_many: bool) -> Caller {
        self.desk.of_token(connected, for_many)
    }

    /// Somebody whose proof another party passed on: no connection is its own.
    pub fn absent(&self, person: &Arc<Person>) -> Caller {
        self.desk.of_absent(Arc::clone(person))
    }

    /// Every role that is this caller's.
    pub async fn roles(&self, visit: &Visit, want: &Want) -> Result<Roles, Refusal> {
        let policy = self.policy.load_full();
        let mut provided = Known::NotYet;
        for _ in 0..MAX_FACTS {
            let facts = Facts {
                provided: provided.clone(),
                ..visit.facts(want)
            };
            match every(&facts, &policy.grants) {
                Ok(granted) if granted.is_empty() && !facts.is_identified() => {
                    return Err(self.refused(visit, want, Refusal::NotIdentified));
                }
                Ok(all) => {
                    let stored = &policy.stored;
                    let given = all.iter().filter(|it| stored.allows(it, &facts).is_ok());
                    let given = given.map(|granted| granted.role().clone()).collect();
                    let own = stored.own(&facts);
                    return Ok(Roles { given, own, policy });
                }
                Err(Fact::Provided) => {
                    provided = self.provided(&policy, visit, want).await;
                    if provided == Known::NotYet {
                        break;
                    }
                }
                Err(fact) => self.desk.look_up(visit.caller(), fact).await,
            }
        }
        Err(Refusal::NotReady)
    }

    /// As [`Self::ask`], of a session that has most of its life before it: people expect all of it.
    pub async fn ask_fresh(&self, visit: &Visit, want: &Want) -> Result<Handout, Refusal> {
        let (decided, spent) = self.decided(visit, want).await?;
        let left = want.patience.saturating_sub(spent);
        let session = decided.lease().fresh(left).await;
        let session = session.map_err(|missing| self.missed(visit, want, &missing))?;
        Ok(self.handed(visit, want, decided, session))
    }
}

/// Why a session was not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Who asks could not be told in time.
    Evidence,
    /// No answer came in time: its flight goes on, or was given up.
    Flight,
    /// Its flight failed.
    Failed(FailureKind),
}

impl Delay {
    /// What came instead of an answer.
    fn of(error: &FetchError) -> Self {
        if error.late {
            Self::Flight
        } else {
            Self::Failed(error.kind)
        }
    }
}

/// A session could not be exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unexchanged {
    /// As a refusal.
    pub refusal: Refusal,
    /// Why, where upstream was asked.
    pub delay: Delay,
}

impl Unexchanged {
    /// The account has no such thing.
    const NOT_OFFERED: Self = Self {
        refusal: Refusal::NotOffered,
        delay: Delay::Failed(FailureKind::Misconfigured),
    };

    /// What upstream answered is not what was asked for.
    pub const UNREADABLE: Self = Self {
        refusal: Refusal::NotReady,
        delay: Delay::Failed(FailureKind::Unavailable),
    };

    fn of(error: &FetchError) -> Self {
        Self {
            refusal: Refusal::from(error.kind),
            delay: Delay::of(error),
        }
    }
}

impl From<Unexchanged> for Refusal {
    fn from(unexchanged: Unexchanged) -> Self {
        unexchanged.refusal
    }
}

impl Vending {
    /// Whose this key is, as upstream says.
    pub async fn whose(&self, draft: &AccountDraft) -> Result<CallerIdentity, Unexchanged> {
        let policy = self.policy.load_full();
        let key = LongTermKey {
            access_key_id: draft.access_key_id.clone(),
            secret_access_key: draft.secret_access_key.clone(),
            partition: draft.partition.clone(),
        };
        let asked = policy.catalogue.whose(&key);
        let told = asked.ok_or(Unexchanged::NOT_OFFERED)?.await;
        told.map_err(|error| {
            let key = &key.access_key_id;
            tracing::warn!(%key, kind = error.kind.as_str(), %error, "a key could not be checked");
            Unexchanged::of(&error)
        })
    }

    /// What there is for sessions of the role that is asked for, without obtaining one.
    pub async fn offers(&self, visit: &Visit, want: &Want) -> Result<Offers, Refusal> {
        let (decided, _) = self.decided(visit, want).await?;
        let exchange = decided.request().source.exchange();
        Ok(exchange.map(Exchange::offers).unwrap_or_default())
    }

    /// Why it is that this was refused as not ready just now.
    pub fn delay(&self, visit: &Visit, want: &Want) -> Delay {
        match self.recall(visit, &self.policy.load(), &Asked::of(want)) {
            None => Delay::Evidence,
            Some(decided) => match decided.lease().failure() {
                None => Delay::Flight,
                Some(error) => Delay::of(&error),
            },
        }
    }
}

impl Handout {
    /// What the session can be exchanged for.
    pub fn offers(&self) -> Offers {
        self.exchange().map(Exchange::offers).unwrap_or_default()
    }

    /// Who the session is, as upstream says.
    pub async fn identity(&self) -> Result<CallerIdentity, Unexchanged> {
        let exchange = self.exchange().ok_or(Unexchanged::NOT_OFFERED)?;
        let identity = exchange.identity(&self.session).await;
        identity.map_err(|error| self.failed(&error))
    }

    /// The callback, where the account lets people be sent there when their console session ends.
    pub fn callback(&self, url: &str) -> Option<Callback> {
        self.exchange()?.callback(url)
    }

    /// A URL that signs a browser in to the account's console.
    pub async fn signin(&self, ask: &SigninAsk) -> Result<SigninUrl, Unexchanged> {
        let exchange = self.exchange().filter(|exchange| exchange.offers().signin);
        let exchange = exchange.ok_or(Unexchanged::NOT_OFFERED)?;
        let url = exchange.signin(&self.session, ask).await;
        url.map_err(|error| self.failed(&error))
    }

    /// Logins to the account's container registries.
    pub async fn registry(&self, ask: &RegistryAsk) -> Result<Vec<RegistryLogin>, Unexchanged> {
        let exchange = self
            .exchange()
            .filter(|exchange| exchange.offers().registry);
        let exchange = exchange.ok_or(Unexchanged::NOT_OFFERED)?;
        let logins = exchange.registry(&self.session, ask).await;
        logins.map_err(|error| self.failed(&error))
    }

    fn exchange(&self) -> Option<&dyn Exchange> {
        self.decided.request().source.exchange()
    }

    /// What upstream says goes to the log, never to the caller.
    fn failed(&self, error: &FetchError) -> Unexchanged {
        tracing::warn!(role = %self.role(), kind = error.kind.as_str(), %error, "a session could not be exchanged");
        Unexchanged::of(error)
    }
}
