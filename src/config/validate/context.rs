//! What all parts of a validation share, and which accounts and roles there are for them.

use crate::config::problem::{At, Problems};
use crate::config::raw::{PartId, Tree};
use crate::config::suggest;
use crate::config::surroundings::Surroundings;
use crate::types::RoleRef;

/// What all parts of a validation share.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) problems: &'a Problems,
    pub(super) surroundings: &'a Surroundings,
    /// What the files say. It has the accounts and roles, whatever else is wrong with them.
    pub(super) tree: &'a Tree<'a>,
    /// Roles are made through an API too.
    pub(super) makes_roles: bool,
    /// A file could not be read: what it declares is not known.
    pub(super) incomplete: bool,
    /// There are people, who have groups that this host need not know.
    pub(super) has_people: bool,
}

impl<'a> Context<'a> {
    /// The names of the tables under this key.
    fn tables(&self, within: PartId, key: &str) -> impl Iterator<Item = &'a str> {
        let tree = self.tree;
        let table = tree.get(tree.keys(within), key);
        let keys = table.map_or(&[][..], |table| tree.keys(table)).iter();
        keys.filter(|part| tree.data(**part).as_table().is_some())
            .map(|part| tree.name(*part))
    }

    /// The table of this name under a key.
    fn declared(&self, within: PartId, key: &str, name: &str) -> Option<PartId> {
        let tree = self.tree;
        let table = tree.get(tree.keys(within), key)?;
        let part = tree.get(tree.keys(table), name)?;
        tree.data(part).as_table().map(|_| part)
    }

    fn account(&self, account: &str) -> Option<PartId> {
        self.declared(PartId::default(), "account", account)
    }

    fn role(&self, role: &RoleRef) -> Option<PartId> {
        let account = self.account(role.account.as_str())?;
        self.declared(account, "role", role.role.as_str())
    }

    /// Whether this account is declared; a problem there otherwise.
    pub(super) fn knows_account(&self, account: &str, at: &At) -> bool {
        let known = self.account(account).is_some();
        if !known && !self.incomplete {
            let accounts = self.tables(PartId::default(), "account");
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
        if self.role(role).is_none() && !self.incomplete {
            let message = format!("{role} is not declared");
            self.problems.warning(at, message).hint(
                "the grant gives nothing until a connector of that name is made through the API",
            );
        }
        true
    }

    /// Whether this role is declared; a problem there otherwise.
    pub(super) fn knows(&self, role: &RoleRef, at: &At) -> bool {
        if self.role(role).is_some() {
            return true;
        }
        if !self.knows_account(role.account.as_str(), at) {
            return false;
        }
        if !self.incomplete {
            let account = self.account(role.account.as_str()).unwrap_or_default();
            let roles = self.tables(account, "role");
            self.problems
                .error(
                    at,
                    format!("account `{}` has no role `{}`", role.account, role.role),
                )
                .hint(suggest::hint(role.role.as_str(), roles));
        }
        false
    }
}
