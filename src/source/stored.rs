//! Connectors and accounts that were made through an API, as roles and accounts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Engine;
use super::account::{PlanError, StsAccount};
use crate::config::{Account, BaseCredentials, Console, Dialect, RateLimit, Role, RoleKind};
use crate::sessions::{LongTermKey, NoRequest};
use crate::store::{Connector, ConnectorKind, Objects, Version};
use crate::types::{AccountAlias, AccountId, Partition, RoleArn, RoleRef};
use uuid::Uuid;

/// What there is at one moment, and the accounts of it that were used.
#[derive(Debug)]
pub(super) struct Stored {
    /// `None` while the store is not open.
    objects: Option<Arc<Objects>>,
    used: Mutex<HashMap<Uuid, (Version, Arc<StsAccount>)>>,
}

impl Default for Stored {
    fn default() -> Self {
        Self::new(Some(Arc::default()))
    }
}

impl Stored {
    pub(super) fn new(objects: Option<Arc<Objects>>) -> Self {
        let used = Mutex::default();
        Self { objects, used }
    }

    pub(super) const fn is_known(&self) -> bool {
        self.objects.is_some()
    }

    /// The connector of this role.
    pub(super) fn connector(&self, role: &RoleRef) -> Option<&Arc<Connector>> {
        self.objects.as_ref()?.roles.get(role)
    }

    /// The account of this alias, ready to make calls.
    pub(super) fn account(
        &self,
        alias: &AccountAlias,
        engine: &Engine,
    ) -> Result<Arc<StsAccount>, NoRequest> {
        let objects = self.objects.as_ref().ok_or(NoRequest::NotYet)?;
        let account = objects.aliases.get(alias).ok_or(NoRequest::NoAccount)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, plan)) = used.get(&account.id)
            && *version == account.version
        {
            return Ok(Arc::clone(plan));
        }
        let draft = &account.draft;
        let key = LongTermKey {
            access_key_id: draft.access_key_id.clone(),
            secret_access_key: draft.secret_access_key.clone(),
            partition: draft.partition.clone(),
        };
        let plan = of_key(alias, &key, engine).map_err(|error| {
            tracing::warn!(account = %alias, %error, "a stored account cannot be used");
            NoRequest::NoAccount
        })?;
        let plan = Arc::new(plan);
        used.insert(account.id, (account.version, Arc::clone(&plan)));
        Ok(plan)
    }
}

/// An account of this key, ready to make calls.
pub(super) fn of_key(
    alias: &AccountAlias,
    key: &LongTermKey,
    engine: &Engine,
) -> Result<StsAccount, PlanError> {
    StsAccount::new(&configured(alias, key.clone(), engine), engine)
}

/// The account as if it stood in the configuration. Where its STS is asked, the environment may say.
fn configured(alias: &AccountAlias, key: LongTermKey, engine: &Engine) -> Account {
    let environment = engine.environment();
    let endpoint = environment
        .get("AWS_ENDPOINT_URL_STS")
        .or_else(|| environment.get("AWS_ENDPOINT_URL"));
    Account {
        alias: alias.clone(),
        id: None,
        partition: key.partition,
        region: None,
        dialect: Dialect::Aws,
        endpoint: endpoint.map(str::to_owned),
        base: BaseCredentials::Key {
            id: key.access_key_id,
            secret: key.secret_access_key,
            token: None,
        },
        rate_limit: RateLimit::default(),
        description: None,
        console: Console::default(),
        ecr_endpoint: None,
        ecr_region: None,
        keystone_roles: None,
        roles: std::collections::BTreeMap::new(),
        defaults: None,
    }
}

/// The connector as if it stood in the configuration, in this account.
pub(super) fn role(connector: &Connector, account: &Account) -> Role {
    let draft = &connector.draft;
    let reference = connector.role.clone();
    let own = |partition: &Partition, id: Option<&AccountId>| {
        RoleArn::derived(partition, id, &reference.role)
    };
    let (arn, kind, external_id, life) = match &draft.kind {
        ConnectorKind::AssumeRole { arn, external_id } => (
            arn.clone(),
            RoleKind::AssumeRole,
            external_id.clone(),
            Duration::from_hours(1),
        ),
        ConnectorKind::FederationToken => (
            own(&account.partition, account.id.as_ref()),
            RoleKind::FederationToken,
            None,
            Duration::from_hours(12),
        ),
        ConnectorKind::SessionToken => (
            own(&account.partition, account.id.as_ref()),
            RoleKind::SessionToken,
            None,
            Duration::from_hours(12),
        ),
    };
    Role {
        duration: draft.max_duration.unwrap_or(life),
        external_id,
        policy: draft.policy.clone(),
        policy_arns: draft.policy_arns.clone(),
        ..Role::plain(reference, arn, kind)
    }
}
