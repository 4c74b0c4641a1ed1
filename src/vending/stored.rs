//! Whose the connectors are that were made through an API: people's of their groups, and
//! administrators'. Programs have one only where a grant of the configuration names it and it is of
//! scope SYSTEM.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::collections::btree_set;
use std::sync::Arc;

use super::{AccountFacts, Refusal};
use crate::config::{Administrator, Config};
use crate::grants::{
    Facts, Grant, GrantId, Granted, GroupWhen, NoGrant, Pattern, Patterns, Person, Template,
    UserIds, Wanted, Way, When, every,
};
use crate::store::{ByName, Connector, Connectors, Objects};
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

    /// A caller's own connectors.
    pub(super) fn own(&self, facts: &Facts) -> Own {
        let Some(objects) = &self.objects else {
            return Own::default();
        };
        match &facts.person {
            Some(person) if !person.administrator => Own::of_groups(objects, person),
            None if !self.is_peer(objects, facts) => Own::default(),
            Some(_) | None => Own(vec![Arc::clone(&objects.names)]),
        }
    }

    /// Whether the kernel tells that an administrator asks: one who has any connector has all.
    fn is_peer(&self, objects: &Objects, facts: &Facts) -> bool {
        let any = objects.names.first();
        let grant = any.and_then(|named| self.grant_of(&named.0, facts));
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

/// The connectors that are a caller's by themselves: all of these at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Own(Vec<Arc<Connectors>>);

impl Own {
    fn of_groups(objects: &Objects, person: &Person) -> Self {
        let groups = person.groups.iter();
        let groups = groups.filter_map(|group| objects.groups.get(group));
        Self(groups.map(Arc::clone).collect())
    }

    /// Each of them once, in the order of their names.
    pub(super) fn iter(&self) -> InOrder<'_> {
        let heads = self.0.iter().filter_map(|some| {
            let mut rest = some.iter();
            let next = rest.next()?;
            Some(Head { next, rest })
        });
        InOrder(heads.collect())
    }
}

/// Connectors of several groups as one list.
pub(super) struct InOrder<'o>(BinaryHeap<Head<'o>>);

/// What is left of a group's connectors. The one with the first name is the greatest.
struct Head<'o> {
    next: &'o ByName,
    rest: btree_set::Iter<'o, ByName>,
}

impl<'o> InOrder<'o> {
    fn first(&mut self) -> Option<&'o Arc<Connector>> {
        let mut head = self.0.peek_mut()?;
        let ByName(first) = head.next;
        if let Some(next) = head.rest.next() {
            head.next = next;
        } else {
            PeekMut::pop(head);
        }
        Some(first)
    }
}

impl<'o> Iterator for InOrder<'o> {
    type Item = &'o Arc<Connector>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.first()?;
        let again = |head: &Head<'_>| Arc::ptr_eq(&head.next.0, first);
        while self.0.peek().is_some_and(again) {
            self.first();
        }
        Some(first)
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.next.cmp(self.next)
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.next == other.next
    }
}

impl Eq for Head<'_> {}
