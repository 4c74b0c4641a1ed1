//! Roles as connectors: no two have one id.

use std::collections::HashMap;

use uuid::Uuid;

use super::reader::Reader;
use crate::config::{Account, Config, Role};
use crate::types::RoleRef;

impl Role {
    /// Its id as a connector: the same on every host and after every restart.
    pub fn id(&self) -> Uuid {
        self.connector_id
            .unwrap_or_else(|| id_of_role(&self.reference))
    }
}

impl Account {
    /// Its id in the connectors API.
    pub fn connectors_id(&self) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_URL, self.alias.as_str().as_bytes())
    }
}

/// The id of a role that is given none.
pub fn id_of_role(role: &RoleRef) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, role.to_string().as_bytes())
}

/// Ids that two roles have.
pub(super) fn check(root: &Reader<'_>, config: &Config) {
    let roles = || config.accounts.values().flat_map(|one| one.roles.values());
    if roles().all(|role| role.connector_id.is_none()) {
        return;
    }
    let mut known: HashMap<Uuid, &RoleRef> = HashMap::new();
    for role in roles() {
        let Some(other) = known.insert(role.id(), &role.reference) else {
            continue;
        };
        // Of the two whichever says it.
        for of in [&role.reference, other] {
            let account = root.named_one("account", of.account.as_str());
            let table = account.and_then(|one| one.named_one("role", of.role.as_str()));
            if let Some(at) = table.and_then(|table| table.own("connector-id")) {
                let message = format!("{} and {other} have the same id", role.reference);
                root.problems().error(&at, message);
                break;
            }
        }
    }
}
