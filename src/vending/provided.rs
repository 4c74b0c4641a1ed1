//! What grant sources say of a caller, asked by a name that is its own.

use std::sync::Arc;

use super::{Policy, Vending, Visit, Want};
use crate::grants::{Fact, Facts, Known, Place, Provided};

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
        match uid_on_host(&visit.facts(want)) {
            Known::Yes(uid) => self.desk.user(uid).await,
            Known::No => Known::No,
            Known::NotYet => Known::NotYet,
        }
    }
}

fn uid_on_host(facts: &Facts) -> Known<u32> {
    match &facts.place {
        Known::Yes(place) if matches!(**place, Place::Host(_)) => facts.uid.clone(),
        Known::Yes(_) | Known::No => Known::No,
        Known::NotYet => Known::NotYet,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::{ContainerId, ContainerPlace, HostPlace};

    #[test]
    fn only_users_outside_containers_have_names_of_the_systems_database() {
        let host = || Known::Yes(Arc::new(Place::Host(HostPlace::default())));
        let container = Place::Container(ContainerPlace {
            id: ContainerId::new("3f4a"),
            owner: Some(7),
        });
        for (uid, place, asked) in [
            (Known::Yes(7), host(), Known::Yes(7)),
            (Known::No, host(), Known::No),
            (Known::NotYet, host(), Known::NotYet),
            (Known::Yes(7), Known::Yes(Arc::new(container)), Known::No),
            (Known::Yes(7), Known::No, Known::No),
            (Known::Yes(7), Known::NotYet, Known::NotYet),
        ] {
            let facts = Facts {
                uid,
                place,
                ..Facts::default()
            };
            assert_eq!(uid_on_host(&facts), asked, "{facts:?}");
        }
    }
}
