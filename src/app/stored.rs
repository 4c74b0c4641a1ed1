//! What is made through APIs beside what the configuration declares.

use std::sync::Arc;

use super::Daemon;
use crate::store::Reserved;

impl Daemon {
    /// No object of the store is given a name of the configuration's.
    pub(super) fn reserve_names(&self) {
        let policy = self.vending.policy();
        let roles = || policy.declared.roles();
        self.store.reserve(Reserved {
            aliases: self.config.load().accounts.keys().cloned().collect(),
            roles: roles().map(|shown| shown.role.clone()).collect(),
            connectors: roles().map(|shown| Arc::clone(&shown.name)).collect(),
        });
    }
}
