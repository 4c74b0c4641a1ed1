//! What decides: the grants, how each role is obtained, and what is known of accounts.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Declared, Stored};
use crate::config::{Account, BaseCredentials, Dialect};
use crate::grants::Grants;
use crate::providers::Providers;
use crate::sessions::Catalogue;
use crate::types::{AccountAlias, AccountId, Partition, Region};

/// One configuration's worth of decisions. A reload makes a new one.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The grants, in the order in which they are tried.
    pub grants: Arc<Grants>,
    /// Who else is asked which roles a name has.
    pub providers: Arc<Providers>,
    /// How each role is obtained.
    pub catalogue: Arc<dyn Catalogue>,
    /// What answers tell of accounts.
    pub accounts: Arc<HashMap<AccountAlias, AccountFacts>>,
    /// What people are shown of the configuration.
    pub declared: Arc<Declared>,
    /// What is made through APIs.
    pub stored: Arc<Stored>,
}

/// What answers tell of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountFacts {
    /// Its id.
    pub id: Option<AccountId>,
    /// Its partition.
    pub partition: Option<Partition>,
    /// Its region.
    pub region: Option<Region>,
    /// Where it has a container registry.
    pub registry: Registry,
    /// What Keystone tells of its roles, instead of their names.
    pub keystone_roles: Option<Arc<[Arc<str>]>>,
    /// What it is for, in the operator's words.
    pub description: Option<Arc<str>>,
}

/// Where an account's container registry is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registry {
    /// It has none.
    #[default]
    None,
    /// At its partition's own hosts.
    Regional,
    /// At a host that the configuration names.
    Named,
}

impl Registry {
    /// That of this account.
    pub fn of(account: &Account) -> Self {
        let is_local = matches!(account.base, BaseCredentials::Local);
        let has_one = account.partition.dns_suffix().is_some() && !is_local;
        match account.dialect {
            _ if account.ecr_endpoint.is_some() => Self::Named,
            Dialect::Aws if has_one => Self::Regional,
            Dialect::Aws | Dialect::Ceph | Dialect::Minio | Dialect::Generic => Self::None,
        }
    }
}

impl Policy {
    /// What is known of an account.
    pub fn account(&self, alias: &AccountAlias) -> AccountFacts {
        let declared = self.accounts.get(alias).cloned();
        let facts = declared.or_else(|| self.stored.account(alias));
        facts.unwrap_or_default()
    }
}
