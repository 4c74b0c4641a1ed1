//! How each role is obtained: the configuration, turned into requests.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Engine;
use super::base::Base;
use super::call::Call;
use super::sts::{Endpoint, Signer, StsSource};
use crate::config::{Account, BaseCredentials, Config, Role};
use crate::grants::Names;
use crate::sessions::{Catalogue, KeyDigest, Request, SessionKey, Upstream};
use crate::types::{AccountAlias, Region, RoleRef};

/// A configuration that cannot be turned into requests.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The account says neither where its STS is nor in which region.
    #[error("account {account}: no `region`, and the partition {partition} has no default one")]
    NoRegion {
        /// The account.
        account: AccountAlias,
        /// Its partition.
        partition: String,
    },
    /// Chained roles that lead back to themselves, or to a role that is not there.
    #[error("account {account}: its base role {role} {why}")]
    BaseRole {
        /// The account.
        account: AccountAlias,
        /// The base role that it names.
        role: RoleRef,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A kind of base credentials that cannot do what the roles ask.
    #[error("account {account}: {why}")]
    Base {
        /// The account.
        account: AccountAlias,
        /// Why not.
        why: String,
    },
}

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
enum AccountPlan {
    Sts(StsAccount),
    Local,
}

/// An account whose roles are obtained from an STS.
#[derive(Debug)]
struct StsAccount {
    account: Account,
    region: Region,
    endpoint: Arc<Endpoint>,
    signer: Signer,
    upstream: Arc<Upstream>,
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
                AccountPlan::Sts(StsAccount::new(account, engine)?)
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

    fn make(&self, role: &RoleRef, names: &Names) -> Option<Arc<Request>> {
        match self.accounts.get(&role.account)? {
            AccountPlan::Sts(plan) => self.of_sts(plan, plan.account.roles.get(&role.role)?, names),
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
        let key = plan.key(&call, base.as_deref());
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
                signer: plan.signer.clone(),
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
        known.retain(|_, request| request.strong_count() > 0);
    }
    known.insert(key, Arc::downgrade(request));
}

impl StsAccount {
    fn new(account: &Account, engine: &Engine) -> Result<Self, PlanError> {
        let region = region(account, engine)?;
        let endpoint = Endpoint::new(account.endpoint.clone(), region.clone());
        let upstream = Upstream {
            name: format!("{} {region}", account.alias),
            per_second: account.rate_limit.per_second,
            burst: account.rate_limit.burst,
        };
        Ok(Self {
            account: account.clone(),
            endpoint: engine.endpoint(endpoint),
            signer: signer(account, engine)?,
            upstream: Arc::new(upstream),
            region,
        })
    }

    /// The key of a session: everything that changes the call's meaning, and no alias.
    fn key(&self, call: &Call, base: Option<&Request>) -> SessionKey {
        let account = &self.account;
        let id = account.id.as_ref().map(|id| id.as_str().as_bytes());
        let endpoint = account.endpoint.as_deref().map(str::as_bytes);
        let base_role = base.map(|base| base.key.as_bytes());
        let own = match &self.signer {
            Signer::Base(own) => Some(own.fingerprint().as_bytes()),
            Signer::Chained => None,
        };
        let key = KeyDigest::default()
            .field("kind", b"sts")
            .field("partition", account.partition.as_str().as_bytes())
            .optional("account", id)
            .field("region", self.region.as_str().as_bytes())
            .field("dialect", account.dialect.as_str().as_bytes())
            .optional("endpoint", endpoint)
            .optional("base-credentials", own)
            .optional("base-role", base_role);
        call.digest(key).finish()
    }
}

fn signer(account: &Account, engine: &Engine) -> Result<Signer, PlanError> {
    if matches!(account.base, BaseCredentials::Role(_)) {
        return Ok(Signer::Chained);
    }
    let base = Base::new(&account.base, engine).ok_or_else(|| PlanError::Base {
        account: account.alias.clone(),
        why: "these base credentials are not supported".to_owned(),
    })?;
    Ok(Signer::Base(engine.base(base)))
}

/// The region whose STS is asked, or that requests to a named endpoint are signed for.
fn region(account: &Account, engine: &Engine) -> Result<Region, PlanError> {
    if let Some(region) = &account.region {
        return Ok(region.clone());
    }
    let environment = engine.environment();
    let ambient = environment
        .get("AWS_REGION")
        .or_else(|| environment.get("AWS_DEFAULT_REGION"));
    let default = match account.partition.as_str() {
        "aws" => Some("us-east-1"),
        "aws-cn" => Some("cn-north-1"),
        "aws-us-gov" => Some("us-gov-west-1"),
        _ if account.endpoint.is_some() => Some("us-east-1"),
        _ => None,
    };
    ambient
        .filter(|_| matches!(account.base, BaseCredentials::Environment))
        .into_iter()
        .chain(default)
        .find_map(|name| Region::new(name).ok())
        .ok_or_else(|| PlanError::NoRegion {
            account: account.alias.clone(),
            partition: account.partition.as_str().to_owned(),
        })
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
