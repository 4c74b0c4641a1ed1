//! All grants in the order in which they are tried, found by what most of them ask for: of a
//! thousand, a caller's decision looks at its own.

use std::collections::HashMap;
use std::iter::Peekable;
use std::ops::Deref;
use std::sync::Arc;

use super::{ContainerWhen, Facts, Grant, Known, Patterns, Place, When};

/// The grants of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    all: Vec<Arc<Grant>>,
    by_uid: HashMap<u32, Vec<usize>>,
    by_unit: HashMap<Arc<str>, Vec<usize>>,
    contained: Vec<usize>,
    rest: Vec<usize>,
}

/// What a grant asks of everybody whom it is for.
enum Asks {
    /// One of these users.
    Uid(Vec<u32>),
    /// One of these system units.
    Unit(Vec<Arc<str>>),
    /// That it runs in a container.
    Container,
    /// Nothing that callers are found by.
    Other,
}

impl Grants {
    /// These, in this order.
    pub fn new(all: Vec<Arc<Grant>>) -> Self {
        let mut grants = Self::default();
        for (place, grant) in all.iter().enumerate() {
            match asks(&grant.when) {
                Asks::Uid(uids) => {
                    for uid in uids {
                        grants.by_uid.entry(uid).or_default().push(place);
                    }
                }
                Asks::Unit(mut units) => {
                    units.sort_unstable();
                    units.dedup();
                    for unit in units {
                        grants.by_unit.entry(unit).or_default().push(place);
                    }
                }
                Asks::Container => grants.contained.push(place),
                Asks::Other => grants.rest.push(place),
            }
        }
        Self { all, ..grants }
    }

    /// Those that may match these facts or need another, in order. Of all others it is known which
    /// key does not match.
    pub fn candidates(&self, facts: &Facts) -> impl Iterator<Item = &Arc<Grant>> {
        let unknown = (facts.uid == Known::NotYet && !self.by_uid.is_empty())
            || (facts.place == Known::NotYet && !self.by_unit.is_empty());
        let (all, own) = if unknown {
            (self.all.as_slice(), None)
        } else {
            (&[][..], Some(self.own(facts)))
        };
        let own = own.into_iter().flatten();
        let own = own.filter_map(|place| self.all.get(place));
        all.iter().chain(own)
    }

    fn own(&self, facts: &Facts) -> impl Iterator<Item = usize> + use<'_> {
        let (unit, contained) = match &facts.place {
            Known::Yes(place) => match place.as_ref() {
                Place::Host(host) => (host.unit.as_ref(), None),
                Place::Container(_) => (None, Some(&self.contained)),
            },
            Known::No => (None, None),
            Known::NotYet => (None, Some(&self.contained)),
        };
        let by_uid = facts.uid.yes().and_then(|uid| self.by_uid.get(uid));
        let by_unit = unit.and_then(|unit| self.by_unit.get(unit));
        let own = InOrder::new(by_uid.into_iter().flatten(), by_unit.into_iter().flatten());
        let others = InOrder::new(contained.into_iter().flatten(), self.rest.iter());
        InOrder::new(own, others).copied()
    }
}

/// Two ordered lists as one.
struct InOrder<A: Iterator, B: Iterator>(Peekable<A>, Peekable<B>);

impl<A: Iterator, B: Iterator> InOrder<A, B> {
    fn new(one: A, other: B) -> Self {
        Self(one.peekable(), other.peekable())
    }
}

impl<T: Ord, A: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for InOrder<A, B> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match (self.0.peek(), self.1.peek()) {
            (Some(one), Some(other)) if other < one => self.1.next(),
            (Some(_), _) => self.0.next(),
            (None, _) => self.1.next(),
        }
    }
}

fn asks(when: &When) -> Asks {
    if when.anyone {
        return Asks::Other;
    }
    if matches!(when.container, Some(ContainerWhen::Facts(_))) {
        return Asks::Container;
    }
    if when.tells_container() {
        return Asks::Other;
    }
    if let Some(users) = &when.users {
        return Asks::Uid(users.iter().collect());
    }
    let units = when.unit.iter().flat_map(Patterns::iter);
    let units: Option<Vec<_>> = units.map(|unit| unit.single().map(Arc::clone)).collect();
    match units {
        Some(units) if when.unit.is_some() => Asks::Unit(units),
        Some(_) | None => Asks::Other,
    }
}

impl Deref for Grants {
    type Target = [Arc<Grant>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::grants::{
        ContainerId, ContainerPlace, Decision, Fact, GrantId, HostPlace, NoGrant, Pattern, Select,
        Template, UserIds, Wanted, decide,
    };
    use crate::types::RoleRef;

    fn uid() -> impl Strategy<Value = u32> {
        0..4_u32
    }

    fn unit() -> impl Strategy<Value = String> {
        "[ab]"
    }

    fn patterns() -> impl Strategy<Value = Patterns> {
        let pattern = prop_oneof![3 => unit(), 1 => Just("*".to_owned())];
        let pattern = pattern.prop_map(|text| Pattern::new(&text));
        prop::collection::vec(pattern, 1..3).prop_map(Patterns::new)
    }

    prop_compose! {
        fn when()(
            anyone in prop::bool::weighted(0.05),
            users in prop::option::of(prop::collection::vec(uid(), 1..3)),
            unit in prop::option::of(patterns()),
            slice in prop::option::weighted(0.2, patterns()),
            any_container in prop::bool::weighted(0.2),
            contained in prop::bool::weighted(0.2),
            gid in prop::option::weighted(0.2, uid()),
            listener in prop::option::weighted(0.2, unit()),
        ) -> When {
            let container = match (any_container, contained) {
                (true, _) => Some(ContainerWhen::Any),
                (false, true) => Some(ContainerWhen::Facts(Box::default())),
                (false, false) => None,
            };
            When {
                anyone,
                users: users.map(UserIds::new),
                unit,
                slice,
                container,
                gids: gid.map(|gid| UserIds::new(vec![gid])),
                listeners: listener.map(|name| vec![Arc::from(name)]),
                ..When::default()
            }
        }
    }

    fn known<T: Clone + std::fmt::Debug + 'static>(
        fact: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = Known<T>> {
        prop_oneof![
            4 => fact.prop_map(Known::Yes),
            1 => Just(Known::No),
            1 => Just(Known::NotYet),
        ]
    }

    fn place() -> impl Strategy<Value = Arc<Place>> {
        let host =
            (prop::option::of(unit()), prop::option::of(unit())).prop_map(|(unit, slice)| {
                Place::Host(HostPlace {
                    unit: unit.map(Arc::from),
                    slice: slice.map(Arc::from),
                    ..HostPlace::default()
                })
            });
        let container = prop::option::of(uid()).prop_map(|owner| {
            let id = ContainerId::new("c");
            Place::Container(ContainerPlace { id, owner })
        });
        prop_oneof![3 => host, 1 => container].prop_map(Arc::new)
    }

    prop_compose! {
        fn facts()(
            uid in known(uid()),
            gid in known(uid()),
            place in known(place()),
            listener in unit(),
        ) -> Facts {
            let listener = Some(Arc::from(listener));
            Facts { uid, gid, place, listener, ..Facts::default() }
        }
    }

    /// A decision without its proof.
    #[derive(Debug, PartialEq)]
    enum Told {
        Role(GrantId),
        Deny(NoGrant),
        Needs(Fact),
    }

    fn told(decision: Decision) -> Told {
        match decision {
            Decision::Role(granted) => Told::Role(granted.grant().id),
            Decision::Deny(why) => Told::Deny(why),
            Decision::Needs(fact) => Told::Needs(fact),
        }
    }

    proptest! {
        #[test]
        fn what_is_left_out_would_not_have_matched(
            whens in prop::collection::vec(when(), 0..12),
            facts in facts(),
            only: bool,
            chosen in prop::option::of(0..3_u8),
        ) {
            let role = |number: usize| RoleRef::parse(&format!("prod/role{}", number % 3)).unwrap();
            let all = whens.into_iter().enumerate().map(|(number, when)| {
                let id = GrantId::Grant(number);
                Arc::new(Grant::of(id, role(number), when, Template::text("test")))
            });
            let grants = Grants::new(all.collect());
            let wanted = chosen.map_or(Wanted::First, |chosen| Wanted::Chosen(role(chosen.into())));
            let select = if only { Select::Only } else { Select::First };
            let plain = decide(&facts, &*grants, &wanted, select);
            let indexed = decide(&facts, grants.candidates(&facts), &wanted, select);
            prop_assert_eq!(told(indexed), told(plain));
        }
    }

    #[test]
    fn of_a_thousand_grants_few_are_looked_at() {
        let role = RoleRef::parse("prod/web").unwrap();
        let all = (0..1000).map(|number| {
            let when = When {
                unit: Some(Patterns::new(vec![Pattern::new(&format!(
                    "u{number}.service"
                ))])),
                ..When::default()
            };
            let id = GrantId::Grant(number);
            Arc::new(Grant::of(id, role.clone(), when, Template::text("test")))
        });
        let grants = Grants::new(all.collect());
        let facts = |unit: &str| Facts {
            uid: Known::Yes(7),
            place: Known::Yes(Arc::new(Place::Host(HostPlace {
                unit: Some(Arc::from(unit)),
                ..HostPlace::default()
            }))),
            ..Facts::default()
        };
        assert_eq!(grants.candidates(&facts("u999.service")).count(), 1);
        assert_eq!(grants.candidates(&facts("other.service")).count(), 0);
        let unplaced = Facts {
            place: Known::NotYet,
            ..Facts::default()
        };
        assert_eq!(grants.candidates(&unplaced).count(), 1000);
    }
}
