//! Whether a caller is one of those whom a grant is for.
//!
//! The evidence rules are here: what tells users matches only outside containers unless the grant
//! names one; what a container's runtime tells counts only as far as the runtime's owner may say
//! it; a unit of a user's manager counts only for that user.

use std::net::IpAddr;
use std::sync::Arc;

use super::when::{
    ContainerFactsWhen, ContainerWhen, GroupWhen, Key, PodWhen, TokenWhen, UserIds, When,
};
use super::{
    ContainerPlace, Fact, Facts, HostPlace, Known, Named, Patterns, Person, Place, Pod, WebIdentity,
};

/// More ways in which one grant matches one caller are not looked at: two keys of many values each
/// would make as many as their product.
const MOST_WAYS: usize = 1024;

/// Why a pattern does not match yet or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// This key does not match.
    Key(Key),
    /// This fact has to be looked up first.
    Needs(Fact),
}

/// What the keys matched, one entry for each way in which they match: several only where a caller
/// has several groups or values of a claim.
#[derive(Debug, Default)]
pub(super) struct Ways(Vec<Named>);

impl Ways {
    /// All ways, at least one.
    pub(super) fn into_vec(mut self) -> Vec<Named> {
        self.each();
        self.0
    }

    fn each(&mut self) -> &mut Vec<Named> {
        if self.0.is_empty() {
            self.0.push(Named::new());
        }
        &mut self.0
    }

    /// This name stands for this value from here on, and the groups for theirs, the groups first:
    /// their names are the operator's choice.
    fn note(&mut self, name: &str, value: &Arc<str>, groups: &[(Arc<str>, Arc<str>)]) {
        let name: Arc<str> = Arc::from(name);
        for way in self.each() {
            way.extend_from_slice(groups);
            way.push((Arc::clone(&name), Arc::clone(value)));
        }
    }
}

impl When {
    /// Whether this caller is one of them. Cheap keys are tried first; what has to be looked up is
    /// asked for only when everything before it matches.
    pub(super) fn matches(&self, facts: &Facts) -> Result<Ways, Miss> {
        let mut ways = Ways::default();
        self.request(facts, &mut ways)?;
        if self.anyone {
            return Ok(ways);
        }
        self.caller(facts)?;
        self.place(facts, &mut ways)?;
        if let Some(gids) = &self.gids {
            let gid = known(&facts.gid, Key::Gid, Fact::Groups)?;
            hold(gids.contains(*gid), Key::Gid)?;
        }
        if let Some(groups) = &self.groups {
            groups.matches(facts, &mut ways)?;
        }
        if let Some(exe) = &self.exe {
            let seen = known(&facts.exe, Key::Exe, Fact::Exe)?;
            text(Some(exe), Some(seen), Key::Exe, &mut ways)?;
        }
        if let Some(container) = &self.container {
            container.matches(facts, self.users.as_ref(), &mut ways)?;
        }
        if let Some(pod) = &self.pod {
            pod.matches(facts, self.users.as_ref(), &mut ways)?;
        }
        if let Some(host) = &self.host {
            let seen = known(&facts.host, Key::Host, Fact::Host)?;
            text(Some(host), Some(seen), Key::Host, &mut ways)?;
        }
        Ok(ways)
    }

    /// What the request itself tells.
    fn request(&self, facts: &Facts, ways: &mut Ways) -> Result<(), Miss> {
        if let Some(listeners) = &self.listeners {
            let here = facts.listener.as_ref();
            hold(
                here.is_some_and(|here| listeners.contains(here)),
                Key::Listener,
            )?;
        }
        text(
            self.principal.as_ref(),
            facts.principal(),
            Key::Principal,
            ways,
        )?;
        if let Some(token) = &self.token {
            let identity = facts.identity.as_deref().ok_or(Miss::Key(Key::Token))?;
            token.matches(identity, ways)?;
        }
        text(
            self.external_id.as_ref(),
            facts.external_id.as_ref(),
            Key::ExternalId,
            ways,
        )?;
        hold(self.mfa.is_none_or(|mfa| mfa == facts.mfa), Key::Mfa)?;
        text(
            self.source_identity.as_ref(),
            facts.source_identity.as_ref(),
            Key::SourceIdentity,
            ways,
        )
    }

    /// Who asks, by address and number.
    fn caller(&self, facts: &Facts) -> Result<(), Miss> {
        if let Some(networks) = &self.addresses {
            let address = facts.address.as_ref().map(IpAddr::to_canonical);
            let inside = address.is_some_and(|ip| networks.iter().any(|net| net.contains(&ip)));
            hold(inside, Key::Address)?;
        }
        match &self.users {
            // Of a container that a user made its owner is asked for, once its place is known.
            Some(users) if !self.tells_container() => {
                let uid = *known(&facts.uid, Key::Uid, Fact::Place)?;
                hold(users.contains(uid), Key::Uid)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Where the caller runs.
    fn place(&self, facts: &Facts, ways: &mut Ways) -> Result<(), Miss> {
        let Some(key) = self.place_key(facts) else {
            return Ok(());
        };
        match known(&facts.place, key, Fact::Place)?.as_ref() {
            Place::Host(place) if !self.tells_container() => {
                self.units(place, facts.uid.yes().copied(), ways)
            }
            Place::Container(_) if self.tells_container() && !self.tells_unit() => {
                match &self.users {
                    Some(users) => hold(owner_or_uid(users, facts), Key::Uid),
                    None => Ok(()),
                }
            }
            Place::Host(_) | Place::Container(_) => Err(Miss::Key(key)),
        }
    }

    /// The key for whose sake the place has to be known, if any: what tells users matches only
    /// outside containers unless a container is named.
    fn place_key(&self, facts: &Facts) -> Option<Key> {
        // A person's groups are those of its name, wherever it asks from.
        let of_user = self.groups.is_some() && facts.person.is_none();
        let tells_user = self.users.is_some() || self.gids.is_some() || of_user;
        let shown = facts.identity.is_some();
        match self {
            Self { unit: Some(_), .. } => Some(Key::Unit),
            Self {
                user_unit: Some(_), ..
            } => Some(Key::UserUnit),
            Self { slice: Some(_), .. } => Some(Key::Slice),
            Self {
                container: Some(ContainerWhen::Facts(_)),
                ..
            } => Some(Key::Container),
            // A token tells the pod wherever it runs.
            Self { pod: Some(_), .. } if tells_user || !shown => Some(Key::Pod),
            Self {
                container: Some(ContainerWhen::Any),
                ..
            } => None,
            _ if tells_user => Some(Key::Container),
            _ => None,
        }
    }

    fn units(&self, place: &HostPlace, uid: Option<u32>, ways: &mut Ways) -> Result<(), Miss> {
        text(self.unit.as_ref(), place.unit.as_ref(), Key::Unit, ways)?;
        text(self.slice.as_ref(), place.slice.as_ref(), Key::Slice, ways)?;
        if self.user_unit.is_none() {
            return Ok(());
        }
        // The manager's own user chose the name: it counts for that user, whom the grant names.
        let own = self.users.is_some() && uid.is_some() && place.user_slice == uid;
        hold(own, Key::UserUnit)?;
        text(
            self.user_unit.as_ref(),
            place.user_unit.as_ref(),
            Key::UserUnit,
            ways,
        )
    }

    /// Whether only callers outside containers can match.
    const fn tells_unit(&self) -> bool {
        self.unit.is_some() || self.user_unit.is_some() || self.slice.is_some()
    }

    /// Whether only callers in containers of certain facts match.
    pub(super) fn tells_container(&self) -> bool {
        matches!(self.container, Some(ContainerWhen::Facts(_))) || self.pod.is_some()
    }
}

/// A container's owner where a user made it, else the process's own uid.
fn owner_or_uid(users: &UserIds, facts: &Facts) -> bool {
    let owner = facts.container_place().and_then(|place| place.owner);
    let uid = owner.or_else(|| facts.uid.yes().copied());
    uid.is_some_and(|uid| users.contains(uid))
}

/// Whether what a runtime tells may count: the word of root's runtime about a container that only
/// root could make, or that of the very user whom the grant names about a container of its own.
pub(super) fn may_tell(
    place: &ContainerPlace,
    runtime_owner: u32,
    users: Option<&UserIds>,
) -> bool {
    match place.owner {
        None => runtime_owner == 0,
        Some(owner) => owner == runtime_owner && users.is_some_and(|users| users.contains(owner)),
    }
}

impl ContainerWhen {
    fn matches(&self, facts: &Facts, users: Option<&UserIds>, ways: &mut Ways) -> Result<(), Miss> {
        let Self::Facts(wanted) = self else {
            return Ok(());
        };
        let place = facts.container_place().ok_or(Miss::Key(Key::Container))?;
        if place
            .owner
            .is_some_and(|owner| users.is_none_or(|users| !users.contains(owner)))
        {
            return Err(Miss::Key(Key::Container));
        }
        let id = Arc::from(place.id.as_str());
        text_as("id", wanted.id.as_ref(), Some(&id), Key::Container, ways)?;
        if !wanted.asks_runtime() {
            return Ok(());
        }
        let told = known(&facts.container, Key::Container, Fact::Container)?;
        let counts = told.id == place.id && may_tell(place, told.owner, users);
        hold(counts, Key::Container)?;
        text(
            wanted.name.as_ref(),
            told.name.as_ref(),
            Key::Container,
            ways,
        )?;
        text_as(
            "image",
            wanted.image.as_ref(),
            told.image.as_ref(),
            Key::Container,
            ways,
        )?;
        text_as(
            "runtime",
            wanted.runtime.as_ref(),
            Some(&told.runtime),
            Key::Container,
            ways,
        )?;
        for (label, patterns) in &wanted.labels {
            text_as(
                label,
                Some(patterns),
                told.labels.get(label),
                Key::Container,
                ways,
            )?;
        }
        Ok(())
    }
}

impl ContainerFactsWhen {
    /// Whether the control group alone cannot answer.
    fn asks_runtime(&self) -> bool {
        self.name.is_some()
            || self.image.is_some()
            || self.runtime.is_some()
            || !self.labels.is_empty()
    }
}

impl PodWhen {
    /// A verified token tells the pod, else the runtime. Where both do and differ, neither counts.
    fn matches(&self, facts: &Facts, users: Option<&UserIds>, ways: &mut Ways) -> Result<(), Miss> {
        let shown = facts.identity.as_ref().and_then(|it| it.pod.as_ref());
        let told = facts.container.yes().filter(|told| {
            facts
                .container_place()
                .is_some_and(|place| told.id == place.id && may_tell(place, told.owner, users))
        });
        let told = told.and_then(|told| told.pod.as_ref());
        let pod = match (shown, told) {
            (Some(shown), Some(told)) if !same_pod(shown, told) => None,
            (Some(pod), _) | (None, Some(pod)) => Some(pod),
            (None, None) if facts.container == Known::NotYet => {
                return Err(Miss::Needs(Fact::Container));
            }
            (None, None) => None,
        };
        let pod = pod.ok_or(Miss::Key(Key::Pod))?;
        text_as(
            "namespace",
            self.namespace.as_ref(),
            Some(&pod.namespace),
            Key::Pod,
            ways,
        )?;
        text(self.name.as_ref(), pod.name.as_ref(), Key::Pod, ways)?;
        text_as(
            "service-account",
            self.service_account.as_ref(),
            pod.service_account.as_ref(),
            Key::Pod,
            ways,
        )
    }
}

pub(super) fn same_pod(shown: &Pod, told: &Pod) -> bool {
    let names = shown.name.as_ref().zip(told.name.as_ref());
    shown.namespace == told.namespace && names.is_none_or(|(one, other)| one == other)
}

impl TokenWhen {
    fn matches(&self, identity: &WebIdentity, ways: &mut Ways) -> Result<(), Miss> {
        hold(self.issuer.is_some() || self.subject.is_none(), Key::Token)?;
        text_as(
            "issuer",
            self.issuer.as_ref(),
            Some(&identity.issuer),
            Key::Token,
            ways,
        )?;
        text_as(
            "subject",
            self.subject.as_ref(),
            Some(&identity.subject),
            Key::Token,
            ways,
        )?;
        if let Some(audience) = &self.audience {
            any_text(audience, &identity.audiences, Key::Token, "audience", ways)?;
        }
        for (claim, patterns) in &self.claims {
            let values = identity.claims.get(claim).into_iter().flatten();
            any_text(patterns, values, Key::Token, claim, ways)?;
        }
        Ok(())
    }
}

impl GroupWhen {
    fn matches(&self, facts: &Facts, ways: &mut Ways) -> Result<(), Miss> {
        if let Some(person) = &facts.person {
            return self.match_person(person, ways);
        }
        let groups = known(&facts.groups, Key::Group, Fact::Groups)?;
        let named = |(gid, _): &&(u32, Arc<str>)| groups.ids.contains(gid);
        if let Some((_, name)) = self.ids.iter().find(named) {
            ways.note(Key::Group.as_str(), name, &[]);
            return Ok(());
        }
        any_text(&self.names, &groups.names, Key::Group, "group", ways)
    }

    /// A person's directory knows groups by name.
    fn match_person(&self, person: &Person, ways: &mut Ways) -> Result<(), Miss> {
        let named = |(_, name): &&(u32, Arc<str>)| person.groups.contains(name);
        if let Some((_, name)) = self.ids.iter().find(named) {
            ways.note(Key::Group.as_str(), name, &[]);
            return Ok(());
        }
        any_text(&self.names, &person.groups, Key::Group, "group", ways)
    }
}

fn known<T>(fact: &Known<T>, key: Key, by: Fact) -> Result<&T, Miss> {
    match fact {
        Known::Yes(fact) => Ok(fact),
        Known::No => Err(Miss::Key(key)),
        Known::NotYet => Err(Miss::Needs(by)),
    }
}

const fn hold(holds: bool, key: Key) -> Result<(), Miss> {
    if holds { Ok(()) } else { Err(Miss::Key(key)) }
}

/// Whether this value matches, where it is asked for; what it matched stands under the key's name.
fn text(
    patterns: Option<&Patterns>,
    value: Option<&Arc<str>>,
    key: Key,
    ways: &mut Ways,
) -> Result<(), Miss> {
    text_as(key.as_str(), patterns, value, key, ways)
}

/// The same under another name.
fn text_as(
    name: &str,
    patterns: Option<&Patterns>,
    value: Option<&Arc<str>>,
    key: Key,
    ways: &mut Ways,
) -> Result<(), Miss> {
    let Some(patterns) = patterns else {
        return Ok(());
    };
    let value = value.ok_or(Miss::Key(key))?;
    let groups = patterns.captures(value).ok_or(Miss::Key(key))?;
    ways.note(name, value, &groups);
    Ok(())
}

/// Whether one of several values matches: each that does is a way of its own.
fn any_text<'a>(
    patterns: &Patterns,
    values: impl IntoIterator<Item = &'a Arc<str>>,
    key: Key,
    name: &str,
    ways: &mut Ways,
) -> Result<(), Miss> {
    let matched = values
        .into_iter()
        .filter_map(|value| Some((value, patterns.captures(value)?)));
    let matched: Vec<(&Arc<str>, Named)> = matched.collect();
    hold(!matched.is_empty(), key)?;
    let before = std::mem::take(ways.each());
    for (value, groups) in matched {
        let mut with_value = Ways(before.clone());
        with_value.note(name, value, &groups);
        ways.0.append(&mut with_value.0);
        if ways.0.len() >= MOST_WAYS {
            break;
        }
    }
    Ok(())
}
