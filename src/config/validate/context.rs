//! What all parts of a validation share, and which accounts and roles there are for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::problem::{At, Problems};
use crate::config::suggest;
use crate::config::surroundings::Surroundings;
use crate::types::RoleRef;

/// What all parts of a validation share.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) problems: &'a Problems,
    pub(super) surroundings: &'a Surroundings,
    /// The accounts and roles that the files name, whatever else is wrong with them.
    pub(super) declared: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Roles are made through an API too.
    pub(super) makes_roles: bool,
    /// A file could not be read: what it declares is not known.
    pub(super) incomplete: bool,
    /// There are people, who have groups that this host need not know.
    pub(super) has_people: bool,
}

impl Context<'_> {
    /// Whether this account is declared; a problem there otherwise.
    pub(super) fn knows_account(&self, account: &str, at: &At) -> bool {
        let known = self.declared.contains_key(account);
        if !known && !self.incomplete {
            let accounts = self.declared.keys().copied();
            self.problems
                .error(at, format!("there is no account `{account}`"))
                .hint(suggest::hint(account, accounts));
        }
        known
    }

    /// Whether a grant may name this role: one that is not declared may be made through an API, where
    /// one is served; a problem there otherwise.
    pub(super) fn may_be(&self, role: &RoleRef, at: &At) -> bool {
        if !self.makes_roles {
            return self.knows(role, at);
        }
        let roles = self.declared.get(role.account.as_str());
        let declared = roles.is_some_and(|roles| roles.contains(role.role.as_str()));
        if !declared && !self.incomplete {
            let message = format!("{role} is not declared");
            self.problems.warning(at, message).hint(
                "the grant gives nothing until a connector of that name is made through the API",
            );
        }
        true
    }

    /// Whether this role is declared; a problem there otherwise.
    pub(super) fn knows(&self, role: &RoleRef, at: &At) -> bool {
        if !self.knows_account(role.account.as_str(), at) {
            return false;
        }
        let Some(roles) = self.declared.get(role.account.as_str()) else {
            return false;
        };
        if roles.contains(role.role.as_str()) {
            return true;
        }
        if !self.incomplete {
            self.problems
                .error(
                    at,
                    format!("account `{}` has no role `{}`", role.account, role.role),
                )
                .hint(suggest::hint(role.role.as_str(), roles.iter().copied()));
        }
        false
    }
}
