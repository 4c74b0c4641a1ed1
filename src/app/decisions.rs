//! What a configuration decides, and how it is obtained.

use std::collections::HashMap;
use std::sync::Arc;

use crate::authority::Authority;
use crate::config::Config;
use crate::grants::Grants;
use crate::providers::{self, Providers};
use crate::sessions::Catalogue;
use crate::source::local::LocalPlans;
use crate::source::{Engine, PlanError, Plans};
use crate::vending::{AccountFacts, Declared, Policy, Registry};

/// What is decided by, and how it is obtained.
pub(super) struct Decisions {
    pub(super) policy: Policy,
    pub(super) plans: Arc<Plans>,
}

impl Decisions {
    /// Those of a configuration, beside a store in which nothing is.
    pub(super) fn of(
        config: &Arc<Config>,
        engine: &Engine,
        authority: &Arc<Authority>,
        observer: Arc<impl providers::Observer + 'static>,
    ) -> Result<Self, PlanError> {
        let local = Arc::new(LocalPlans::new(Arc::clone(authority), config));
        let plans = Arc::new(Plans::build(config, engine, local)?);
        let accounts: HashMap<_, _> = config
            .accounts
            .iter()
            .map(|(alias, account)| {
                let facts = AccountFacts {
                    id: account.id.clone(),
                    partition: Some(account.partition.clone()),
                    region: account.region.clone(),
                    registry: Registry::of(account),
                    keystone_roles: account.keystone_roles.clone(),
                    description: account.description.as_deref().map(Arc::from),
                };
                (alias.clone(), facts)
            })
            .collect();
        let providers = Providers::new(&config.sources, &engine.client(), engine.clock(), observer);
        let catalogue: Arc<dyn Catalogue> = Arc::<Plans>::clone(&plans);
        let policy = Policy {
            grants: Arc::new(Grants::new(config.grants.clone())),
            providers: Arc::new(providers),
            catalogue,
            accounts: Arc::new(accounts),
            declared: Arc::new(Declared::of(Arc::clone(config))),
            stored: Arc::default(),
        };
        Ok(Self { policy, plans })
    }
}
