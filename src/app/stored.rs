//! What is made through APIs beside what the configuration declares: made known to all who decide.

use std::sync::{Arc, PoisonError};

use super::Daemon;
use super::decisions::Decisions;
use crate::config::Config;
use crate::store::{Objects, Reserved, Store};
use crate::vending::{Declared, Policy, Stored};

impl Decisions {
    /// The same beside what is in the store, which has no name of this configuration's from now on.
    pub(super) fn beside(self, store: &Store, config: &Arc<Config>) -> Self {
        let Self { policy, plans } = self;
        let (names, declared) = (Arc::clone(config), Arc::clone(&policy.declared));
        store.reserve(move || reserved(&names, &declared));
        let objects = objects(store);
        plans.follow(objects.clone());
        let policy = Policy {
            stored: Arc::new(Stored::new(objects, config)),
            ..policy
        };
        Self { policy, plans }
    }
}

impl Daemon {
    /// Decides by this configuration from now on.
    pub(super) fn decide_by(&self, config: &Arc<Config>, decisions: Decisions) {
        let _one_at_a_time = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let Decisions { policy, plans } = decisions.beside(&self.store, config);
        self.plans.store(plans);
        self.vending.follow(policy);
    }

    /// Follows what is written to the store from now on.
    pub(super) fn follow_store(self: &Arc<Self>) {
        let followed = Arc::downgrade(self);
        self.store.when_changed(move || {
            if let Some(daemon) = followed.upgrade() {
                daemon.adopt();
            }
        });
        // What was read before it was followed.
        self.adopt();
    }

    /// Decides by what is in the store now. Called on the store's thread.
    fn adopt(&self) {
        let _one_at_a_time = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = objects(&self.store);
        self.plans.load().follow(objects.clone());
        let stored = self.vending.policy().stored.with(objects);
        self.vending.follow_stored(&Arc::new(stored));
        self.derived.clear();
        self.adopted.notify_one();
    }

    /// Lets sessions go that are no connector's any more, after each change.
    pub(super) async fn let_go_of_changed(&self) -> ! {
        loop {
            self.adopted.notified().await;
            let sessions = self.vending.sessions();
            sessions.retain(&*self.vending.policy().catalogue).await;
            // What could not be told before is held again.
            self.resume().await;
        }
    }
}

/// What is in the store and in nobody's way; `None` while that is not known.
fn objects(store: &Store) -> Option<Arc<Objects>> {
    let objects = store.objects().ok()?;
    let (objects, hidden) = objects.beside(&store.reserved());
    if !hidden.is_empty() {
        tracing::warn!(
            names = hidden.join(", "),
            "what was made through APIs under these names is not served: the configuration has them"
        );
    }
    Some(objects)
}

/// What no object of the store may be called.
fn reserved(config: &Config, declared: &Declared) -> Reserved {
    let roles = || declared.roles();
    Reserved {
        aliases: config.accounts.keys().cloned().collect(),
        roles: roles().map(|shown| shown.role.clone()).collect(),
        connectors: roles().map(|shown| Arc::clone(&shown.name)).collect(),
    }
}
