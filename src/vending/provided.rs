//! What grant sources say of a caller, asked by a name that is its own.

use std::sync::Arc;

use super::{Policy, Vending, Visit, Want};
use crate::grants::{Fact, Known, Provided};

impl Vending {
    /// What the sources say of this caller, if they say it within the client's patience. Nobody is
    /// asked about a caller without a name.
    pub(super) async fn provided(
        &self,
        policy: &Policy,
        visit: &Visit,
        want: &Want,
    ) -> Known<Arc<[Provided]>> {
        let asked = async {
            match self.own_name(visit, want).await {
                Known::Yes(name) => policy.providers.of(&name).await,
                Known::No => Known::No,
                Known::NotYet => Known::NotYet,
            }
        };
        let told = tokio::time::timeout(want.patience, asked).await;
        told.unwrap_or(Known::NotYet)
    }

    /// The name that the caller proved, or else its user's in the system's database; users in
    /// containers are not those of that database.
    async fn own_name(&self, visit: &Visit, want: &Want) -> Known<Arc<str>> {
        let facts = visit.facts(want);
        if let Some(name) = facts.principal() {
            return Known::Yes(Arc::clone(name));
        }
        if facts.place == Known::NotYet {
            self.desk.look_up(visit.caller(), Fact::Place).await;
        }
        match visit.facts(want).uid_on_host() {
            Known::Yes(uid) => self.desk.user(uid).await,
            Known::No => Known::No,
            Known::NotYet => Known::NotYet,
        }
    }
}
