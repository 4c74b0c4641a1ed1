//! How each role is obtained: the configuration, turned into requests.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;

use super::Engine;
use super::account::{PlanError, StsAccount};
use super::call::Call;
use super::exchange::Issued;
use super::stored::{self, Stored};
use super::sts::{Signer, StsSource, identity};
use crate::config::{Account, BaseCredentials, Config, Role};
use crate::sessions::{
    CallerIdentity, Catalogue, Excess, ExchangeFuture, FailureKind, FetchError, LongTermKey,
    NoRequest, Request, SessionKey, Wish,
};
use crate::store::{Connector, Objects};
use crate::types::{AccountAlias, RoleRef, SessionName, same_tag};

/// The requests of a configuration's roles.
#[derive(Debug)]
pub struct Plans {
    engine: Engine,
    local: Arc<dyn Catalogue>,
    accounts: BTreeMap<AccountAlias, AccountPlan>,
    declared: Vec<RoleRef>,
    /// What is made through APIs.
    stored: ArcSwap<Stored>,
    /// The requests of wishes that were made lately.
    asked: Known<Arc<Wish>>,
    /// Requests that are in use, so that equal ones are one.
    in_use: Known<(SessionKey, RoleRef)>,
}

/// How many session tags STS takes.
const MOST_TAGS: usize = 50;

/// Requests for as long as somebody uses them.
type Known<K> = Mutex<HashMap<K, Weak<Request>>>;

/// How the roles of an account are obtained.
#[derive(Debug)]
pub(super) enum AccountPlan {
    Sts(Box<StsAccount>),
    Local,
}

impl Plans {
    /// Turns the configuration into plans; `local` knows the roles of the accounts whose base
    /// credentials are `local`. Nothing is called and nothing of the SDK is made yet.
    pub fn build(
        config: &Config,
        engine: &Engine,
        local: Arc<dyn Catalogue>,
    ) -> Result<Self, PlanError> {
        let mut accounts = BTreeMap::new();
        let mut declared = Vec::new();
        for (alias, account) in &config.accounts {
            check_chain(config, account)?;
            let plan = if matches!(account.base, BaseCredentials::Local) {
                AccountPlan::Local
            } else {
                AccountPlan::Sts(Box::new(StsAccount::new(account, engine)?))
            };
            accounts.insert(alias.clone(), plan);
            declared.extend(account.roles.values().map(|role| role.reference.clone()));
        }
        declared.sort();
        Ok(Self {
            engine: engine.clone(),
            local,
            accounts,
            declared,
            stored: ArcSwap::default(),
            asked: Known::default(),
            in_use: Known::default(),
        })
    }

    /// The accounts, by alias.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&AccountAlias, &AccountPlan)> {
        self.accounts.iter()
    }

    /// All declared roles, in order.
    pub(super) fn roles(&self) -> &[RoleRef] {
        &self.declared
    }

    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Follows what is made through APIs, none of whose names is the configuration's; `None` while it
    /// is not known.
    pub fn follow(&self, objects: Option<Arc<Objects>>) {
        let old = self.stored.swap(Arc::new(Stored::new(objects)));
        let new = self.stored.load();
        // What the configuration alone says is asked for again and again.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|wish, _| {
            let is_of = |stored: &Stored| stored.connector(&wish.role).is_some();
            !is_of(&old) && !is_of(&new)
        });
    }

    fn make(&self, wish: &Arc<Wish>) -> Result<Arc<Request>, NoRequest> {
        let stored = self.stored.load();
        if let Some(connector) = stored.connector(&wish.role) {
            return self.of_connector(&stored, connector, wish);
        }
        let made = match self.accounts.get(&wish.role.account) {
            Some(AccountPlan::Sts(plan)) => {
                role_of(&plan.account, wish).and_then(|role| self.of_sts(plan, &role, wish))
            }
            Some(AccountPlan::Local) => self.local.request(wish),
            None => Err(NoRequest::NoAccount),
        };
        match made {
            Err(NoRequest::NoRole | NoRequest::NoAccount) if !stored.is_known() => {
                Err(NoRequest::NotYet)
            }
            made => made,
        }
    }

    /// The request of a connector: of an account of its own kind, or of the configuration's.
    fn of_connector(
        &self,
        stored: &Stored,
        connector: &Connector,
        wish: &Arc<Wish>,
    ) -> Result<Arc<Request>, NoRequest> {
        let own;
        let plan = match self.accounts.get(&connector.role.account) {
            Some(AccountPlan::Sts(plan)) => plan.as_ref(),
            Some(AccountPlan::Local) => return Err(NoRequest::NoAccount),
            None => {
                own = stored.account(&connector.role.account, &self.engine)?;
                own.as_ref()
            }
        };
        let role = stored::role(connector, &plan.account);
        if let Some(why) = plan.unfit(role.kind) {
            tracing::warn!(role = %role.reference, why, "a connector cannot be used with its account");
            return Err(NoRequest::NoAccount);
        }
        let role = as_wished(Cow::Owned(role), wish)?;
        self.of_sts(plan, &role, wish)
    }

    fn of_sts(
        &self,
        plan: &StsAccount,
        role: &Role,
        wish: &Arc<Wish>,
    ) -> Result<Arc<Request>, NoRequest> {
        let account = &plan.account;
        let base = if let BaseCredentials::Role(base) = &account.base {
            let wish = Wish {
                identity: wish.identity.clone(),
                principal: wish.principal.clone(),
                ..Wish::declared(base.clone(), wish.names.clone())
            };
            Some(self.request(&wish)?)
        } else {
            None
        };
        let call = Arc::new(Call::new(role, account.dialect, &account.base, wish));
        let asked = wish.assumption.as_ref().and_then(|asked| asked.duration);
        if asked.is_some_and(|asked| asked > call.duration) {
            return Err(Excess::ChainedLife.into());
        }
        let signer = plan.signer(&call, wish.identity.as_ref())?;
        let key = plan.key(&call, &signer, wish, base.as_deref());
        let in_use = (key, role.reference.clone());
        if let Some(same) = recall(&self.in_use, &in_use) {
            return Ok(same);
        }
        let text = |name: &SessionName| Arc::from(name.as_str());
        let request = Arc::new(Request {
            key,
            role: role.reference.clone(),
            role_arn: call.role_arn.clone(),
            session_name: call.session_name.as_ref().map(text),
            source_identity: call.source_identity.as_ref().map(text),
            upstream: Arc::clone(&plan.upstream),
            duration: call.duration,
            idle: role.idle,
            wish: Arc::clone(wish),
            base,
            source: Arc::new(StsSource {
                engine: self.engine.clone(),
                endpoint: Arc::clone(&plan.endpoint),
                signer,
                call,
                issued: Issued::of(&plan.outlets),
                outlets: Arc::clone(&plan.outlets),
            }),
        });
        remember(&self.in_use, in_use, &request);
        Ok(request)
    }
}

impl Catalogue for Plans {
    fn request(&self, wish: &Wish) -> Result<Arc<Request>, NoRequest> {
        if let Some(known) = recall(&self.asked, wish) {
            return Ok(known);
        }
        let wish = Arc::new(wish.clone());
        let request = self.make(&wish)?;
        remember(&self.asked, wish, &request);
        Ok(request)
    }

    fn whose(&self, key: &LongTermKey) -> Option<ExchangeFuture<'_, CallerIdentity>> {
        let alias = AccountAlias::new("new").ok()?;
        let account = stored::of_key(&alias, key, &self.engine);
        let engine = self.engine.clone();
        Some(Box::pin(self.engine.run(async move {
            let account = account
                .map_err(|error| FetchError::new(FailureKind::Misconfigured, error.to_string()))?;
            let Signer::Base(base) = account.own_signer() else {
                return Err(FetchError::new(
                    FailureKind::Misconfigured,
                    "nothing is signed",
                ));
            };
            let keys = base.load(&engine).await?;
            identity(&engine, &account.endpoint, &keys).await
        })))
    }
}

/// The role that is wished for, narrowed as the grant says.
pub(super) fn role_of<'a>(account: &'a Account, wish: &Wish) -> Result<Cow<'a, Role>, NoRequest> {
    let name = &wish.role.role;
    let role = match account.roles.get(name) {
        Some(role) => Cow::Borrowed(role),
        None if wish.may_be_undeclared => {
            Cow::Owned(account.undeclared(name).ok_or(NoRequest::NoAccount)?)
        }
        None => return Err(NoRequest::NoRole),
    };
    as_wished(role, wish)
}

/// The role as the grant narrows it, and then as the caller asks for it.
fn as_wished<'a>(role: Cow<'a, Role>, wish: &Wish) -> Result<Cow<'a, Role>, NoRequest> {
    let narrowing = wish.narrowing.as_deref();
    let role = match narrowing {
        Some(by) => Cow::Owned(role.narrowed(by).ok_or(NoRequest::TwoPolicies)?),
        None => role,
    };
    let Some(asked) = &wish.assumption else {
        return Ok(role);
    };
    let policy = narrowing.map(|by| by.caller_policy).unwrap_or_default();
    Ok(Cow::Owned(role.assumed(asked, policy)?))
}

/// The session tags of a role for one caller. Of those that its token asks for, no key is the
/// role's own, even where the role's has no value for this caller.
pub(super) fn tags_of(role: &Role, wish: &Wish) -> Vec<(String, String)> {
    let mut tags = role.tags_of(&wish.names);
    let is_own = |key: &str| {
        let mut own = role.tags.iter();
        own.any(|(own, _)| same_tag(own, key))
    };
    let asked = wish.identity.iter().flat_map(|identity| &identity.tags);
    tags.extend(asked.filter(|(key, _)| !is_own(key)).cloned());
    tags.truncate(MOST_TAGS);
    tags
}

fn recall<K, Q>(known: &Known<K>, key: &Q) -> Option<Arc<Request>>
where
    K: Eq + Hash + Borrow<Q>,
    Q: Eq + Hash + ?Sized,
{
    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.get(key)?.upgrade()
}

/// Before it grows, what nobody uses any more is forgotten.
fn remember<K: Eq + Hash>(known: &Known<K>, key: K, request: &Arc<Request>) {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() == known.capacity() {
        known.retain(|_, old| old.strong_count() > 0);
    }
    known.insert(key, Arc::downgrade(request));
}

/// Follows the base roles of an account to their end.
fn check_chain(config: &Config, account: &Account) -> Result<(), PlanError> {
    let mut seen = vec![&account.alias];
    let mut at = account;
    while let BaseCredentials::Role(role) = &at.base {
        let wrong = |why| PlanError::BaseRole {
            account: at.alias.clone(),
            role: role.clone(),
            why,
        };
        let (base, _) = config.role(role).ok_or_else(|| wrong("is not declared"))?;
        if seen.contains(&&base.alias) {
            return Err(wrong("leads back to this account"));
        }
        seen.push(&base.alias);
        at = base;
    }
    Ok(())
}
