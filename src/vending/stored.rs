//! Whose the connectors are that were made through an API: people's of their groups, and
//! administrators'. Programs have one only where a grant of the configuration names it and it is of
//! scope SYSTEM.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{AccountFacts, Offered, Refusal};
use crate::config::{Administrator, Config};
use crate::grants::{
    Facts, Grant, GrantId, Granted, GroupWhen, NoGrant, Pattern, Patterns, Person, Template,
    UserIds, Wanted, Way, When, every,
};
use crate::store::{Connector, Objects};
use crate::types::{AccountAlias, RoleArn, RoleRef};

/// Why administrators have a connector.
pub(super) const ADMINISTRATOR: &str = "an administrator";
/// Why others have one.
const MEMBER: &str = "a member of one of its groups";

/// What is made through APIs, as far as decisions go.
#[derive(Clone, Debug)]
pub struct Stored {
    /// `None` while the store is not open.
    objects: Option<Arc<Objects>>,
    /// Administrators whom the kernel tells, and where they are asked for no other proof.
    peers: Vec<u32>,
    listeners: Vec<Arc<str>>,
}

impl Default for Stored {
    fn default() -> Self {
        Self {
            objects: Some(Arc::default()),
            peers: Vec::new(),
            listeners: Vec::new(),
        }
    }
}

impl Stored {
    /// These objects, none of whose names is the configuration's, beside this configuration; `None`
    /// while they are not known.
    pub fn new(objects: Option<Arc<Objects>>, config: &Config) -> Self {
        let administrators = config.people.administrators.iter();
        let peers = administrators.filter_map(|administrator| match administrator {
            Administrator::Uid(uid) => Some(*uid),
            Administrator::Person(_) | Administrator::Group(_) => None,
        });
        let listeners = config.listeners.iter().filter(|listener| {
            let mut mounts = listener.mounts.iter();
            mounts.any(|mount| mount.authenticate.contains(&Way::Peer))
        });
        Self {
            objects,
            peers: peers.collect(),
            listeners: listeners.map(|it| Arc::clone(&it.name)).collect(),
        }
    }

    /// Other objects beside the same configuration.
    #[must_use]
    pub fn with(&self, objects: Option<Arc<Objects>>) -> Self {
        Self {
            objects,
            ..self.clone()
        }
    }

    /// The connector of this role.
    pub fn connector(&self, role: &RoleRef) -> Option<&Arc<Connector>> {
        self.objects.as_ref()?.roles.get(role)
    }

    /// The roles of the connectors of this ARN.
    pub(super) fn of_arn(&self, arn: &RoleArn) -> impl Iterator<Item = &RoleRef> {
        let objects = self.objects.as_ref();
        let roles = objects.and_then(|objects| objects.arns.get(arn));
        roles.into_iter().flat_map(|roles| roles.iter())
    }

    /// What is known of an account.
    pub(super) fn account(&self, alias: &AccountAlias) -> Option<AccountFacts> {
        let account = self.objects.as_ref()?.aliases.get(alias)?;
        Some(AccountFacts {
            partition: Some(account.draft.partition.clone()),
            ..AccountFacts::default()
        })
    }

    /// What gives this caller the connector that it asks for, if anything may.
    pub(super) fn grant(&self, facts: &Facts, wanted: &Wanted) -> Option<Arc<Grant>> {
        let Wanted::Chosen(role) = wanted else {
            return None;
        };
        self.grant_of(self.connector(role)?, facts)
    }

    fn grant_of(&self, connector: &Connector, facts: &Facts) -> Option<Arc<Grant>> {
        let (when, reason) = match &facts.person {
            Some(person) if !person.administrator => (of_groups(connector), MEMBER),
            Some(_) => (of_anybody(), ADMINISTRATOR),
            None => (self.of_peers()?, ADMINISTRATOR),
        };
        let (id, role) = (GrantId::Connector(connector.id), connector.role.clone());
        let grant = Grant::of(id, role, when, Template::text(reason));
        Some(Arc::new(grant))
    }

    /// Programs get no connector that is not of scope SYSTEM, whatever a grant says.
    pub(super) fn allows(&self, granted: &Granted, facts: &Facts) -> Result<(), Refusal> {
        let connector = self.connector(granted.role());
        let for_people = connector.is_some_and(|connector| !connector.draft.system);
        let by_itself = matches!(granted.grant().id, GrantId::Connector(_));
        if for_people && !by_itself && facts.person.is_none() {
            return Err(Refusal::NoSuchRole);
        }
        Ok(())
    }

    /// A denial, where it is known that no connector would have been the caller's.
    pub(super) fn denial(&self, reason: NoGrant, facts: &Facts) -> Refusal {
        if self.objects.is_none() && facts.person.is_some() {
            return Refusal::NotReady;
        }
        Refusal::from(reason)
    }

    /// What grants give a caller, and then the connectors that are its own, in the order of their
    /// names.
    pub(super) fn beside(&self, mut given: Vec<Offered>, facts: &Facts) -> Vec<Offered> {
        let known: HashSet<RoleRef> = given.iter().map(|it| it.role.clone()).collect();
        let (connectors, reason) = self.own(facts);
        let reason: Arc<str> = Arc::from(reason);
        let further = connectors
            .into_iter()
            .filter(|connector| !known.contains(&connector.role));
        given.extend(further.map(|connector| Offered {
            role: connector.role.clone(),
            account_id: None,
            reason: Arc::clone(&reason),
        }));
        given
    }

    /// A caller's own connectors, and why they are.
    fn own(&self, facts: &Facts) -> (Vec<&Arc<Connector>>, &'static str) {
        let Some(objects) = &self.objects else {
            return (Vec::new(), MEMBER);
        };
        match &facts.person {
            Some(person) if !person.administrator => (of_person(objects, person), MEMBER),
            None if !self.is_peer(objects, facts) => (Vec::new(), MEMBER),
            Some(_) | None => (objects.names.values().collect(), ADMINISTRATOR),
        }
    }

    /// Whether the kernel tells that an administrator asks: one who has any connector has all.
    fn is_peer(&self, objects: &Objects, facts: &Facts) -> bool {
        let any = objects.names.values().next();
        let grant = any.and_then(|connector| self.grant_of(connector, facts));
        every(facts, grant.as_slice()).is_ok_and(|granted| !granted.is_empty())
    }

    fn of_peers(&self) -> Option<When> {
        (!self.peers.is_empty()).then(|| When {
            users: Some(UserIds::new(self.peers.clone())),
            listeners: Some(self.listeners.clone()),
            ..When::default()
        })
    }
}

/// Whoever proves a name.
fn of_anybody() -> When {
    When {
        principal: Some(Patterns::new(vec![Pattern::new("*")])),
        ..When::default()
    }
}

/// Whoever proves the name of a member. The numbers are no group's: people's groups have none.
fn of_groups(connector: &Connector) -> When {
    let groups = connector.draft.groups.iter();
    When {
        groups: Some(GroupWhen {
            ids: groups.map(|name| (u32::MAX, Arc::clone(name))).collect(),
            names: Patterns::default(),
        }),
        ..of_anybody()
    }
}

fn of_person<'o>(objects: &'o Objects, person: &Person) -> Vec<&'o Arc<Connector>> {
    let groups = person.groups.iter();
    let names = groups.filter_map(|group| objects.groups.get(group));
    let own: BTreeMap<_, _> = names
        .flat_map(|names| names.iter())
        .filter_map(|name| Some((name, objects.names.get(name)?)))
        .collect();
    own.into_values().collect()
}
