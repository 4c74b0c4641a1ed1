//! How each role is obtained: the configuration, turned into requests.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Engine;
use super::account::{PlanError, StsAccount};
use super::call::Call;
use super::sts::StsSource;
use crate::config::{Account, BaseCredentials, Config, Role};
use crate::grants::Names;
use crate::sessions::{Catalogue, Request, SessionKey};
use crate::types::{AccountAlias, RoleRef};

/// The requests of a configuration's roles.
#[derive(Debug)]
pub struct Plans {
    engine: Engine,
    local: Arc<dyn Catalogue>,
    accounts: BTreeMap<AccountAlias, AccountPlan>,
    /// For each role, the request of each caller's names that asked lately.
    asked: HashMap<RoleRef, Known<Names>>,
    /// Requests that are in use, so that equal ones are one.
    in_use: Known<(SessionKey, RoleRef)>,
}

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
        let mut asked = HashMap::new();
        for (alias, account) in &config.accounts {
            check_chain(config, account)?;
            let plan = if matches!(account.base, BaseCredentials::Local) {
                AccountPlan::Local
            } else {
                AccountPlan::Sts(Box::new(StsAccount::new(account, engine)?))
            };
            accounts.insert(alias.clone(), plan);
            let roles = account.roles.values();
            asked.extend(roles.map(|role| (role.reference.clone(), Known::default())));
        }
        Ok(Self {
            engine: engine.clone(),
            local,
            accounts,
            asked,
            in_use: Known::default(),
        })
    }

    /// The accounts, by alias.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (&AccountAlias, &AccountPlan)> {
        self.accounts.iter()
    }

    /// All declared roles, in order.
    pub(super) fn roles(&self) -> Vec<RoleRef> {
        let mut roles: Vec<_> = self.asked.keys().cloned().collect();
        roles.sort();
        roles
    }

    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    fn make(&self, role: &RoleRef, names: &Names) -> Option<Arc<Request>> {
        match self.accounts.get(&role.account)? {
            AccountPlan::Sts(plan) => self.of_sts(plan, plan.role(role)?, names),
            AccountPlan::Local => self.local.request(role, names),
        }
    }

    fn of_sts(&self, plan: &StsAccount, role: &Role, names: &Names) -> Option<Arc<Request>> {
        let account = &plan.account;
        let base = if let BaseCredentials::Role(base) = &account.base {
            Some(self.request(base, names)?)
        } else {
            None
        };
        let call = Arc::new(Call::new(role, account.dialect, &account.base, names));
        let signer = plan.signer(&call);
        let key = plan.key(&call, &signer, base.as_deref());
        let in_use = (key, role.reference.clone());
        if let Some(same) = recall(&self.in_use, &in_use) {
            return Some(same);
        }
        let session_name = call.session_name.as_ref();
        let request = Arc::new(Request {
            key,
            role: role.reference.clone(),
            role_arn: call.role_arn.clone(),
            session_name: session_name.map(|name| Arc::from(name.as_str())),
            upstream: Arc::clone(&plan.upstream),
            duration: call.duration,
            idle: role.idle,
            names: names.clone(),
            base,
            source: Arc::new(StsSource {
                engine: self.engine.clone(),
                endpoint: Arc::clone(&plan.endpoint),
                signer,
                call,
            }),
        });
        remember(&self.in_use, in_use, &request);
        Some(request)
    }
}

impl Catalogue for Plans {
    fn request(&self, role: &RoleRef, names: &Names) -> Option<Arc<Request>> {
        let asked = self.asked.get(role)?;
        if let Some(known) = recall(asked, names) {
            return Some(known);
        }
        let request = self.make(role, names)?;
        remember(asked, names.clone(), &request);
        Some(request)
    }
}

fn recall<K: Eq + Hash>(known: &Known<K>, key: &K) -> Option<Arc<Request>> {
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
