//! Whether one pattern of callers surely takes every caller of another. In doubt it does not.
#![expect(clippy::ref_option, reason = "both are the same key of two patterns")]

use std::sync::Arc;

use ipnet::IpNet;

use crate::grants::{
    ContainerFactsWhen, ContainerWhen, GroupWhen, Patterns, PodWhen, TokenWhen, UserIds, When,
};

/// A value that a pattern fixes: only patterns that share one can cover it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Anchor {
    Uid(u32),
    Gid(u32),
    /// The value of the key of this name.
    Text(String, Arc<str>),
}

impl Anchor {
    /// What callers of this pattern have one of; nothing where none is fixed.
    pub(super) fn of(when: &When) -> Vec<Self> {
        if let Some(users) = &when.users {
            return users.iter().map(Self::Uid).collect();
        }
        if let Some(groups) = when
            .groups
            .as_ref()
            .filter(|it| it.names.iter().next().is_none())
        {
            return groups.ids.iter().map(|(gid, _)| Self::Gid(*gid)).collect();
        }
        let mut fixed = when.texts().into_iter().filter_map(|(name, patterns)| {
            let texts = patterns.iter().map(|pattern| pattern.single().cloned());
            let texts: Option<Vec<Arc<str>>> = texts.collect();
            Some((name, texts.filter(|texts| !texts.is_empty())?))
        });
        let Some((name, texts)) = fixed.next() else {
            return Vec::new();
        };
        let anchors = texts.into_iter();
        anchors
            .map(|text| Self::Text(name.to_owned(), text))
            .collect()
    }

    /// One value of each key: whatever covers the pattern has one of them, or fixes nothing.
    pub(super) fn within(when: &When) -> Vec<Self> {
        let uid = when.users.as_ref().and_then(|users| users.iter().next());
        let gid = when.groups.as_ref().and_then(|groups| groups.ids.first());
        let texts = when.texts().into_iter().filter_map(|(name, patterns)| {
            let text = patterns.iter().find_map(|pattern| pattern.single())?;
            Some(Self::Text(name.to_owned(), Arc::clone(text)))
        });
        let numbers = uid.map(Self::Uid).into_iter();
        let numbers = numbers.chain(gid.map(|(gid, _)| Self::Gid(*gid)));
        numbers.chain(texts).collect()
    }
}

/// Whether every caller that `narrow` matches is matched by `wide` too.
pub(super) fn covers(wide: &When, narrow: &When) -> bool {
    let listeners = said(&wide.listeners, &narrow.listeners, |wide, narrow| {
        narrow.iter().all(|name| wide.contains(name))
    });
    if !listeners || narrow.anyone && !wide.anyone {
        return false;
    }
    wide.anyone || (who(wide, narrow) && place(wide, narrow) && request(wide, narrow))
}

/// What only `wide` asks for it does not cover.
fn said<T>(wide: &Option<T>, narrow: &Option<T>, covers: impl Fn(&T, &T) -> bool) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => covers(wide, narrow),
    }
}

fn texts(wide: &Option<Patterns>, narrow: &Option<Patterns>) -> bool {
    said(wide, narrow, Patterns::cover)
}

fn ids(wide: &UserIds, narrow: &UserIds) -> bool {
    narrow.iter().all(|id| wide.contains(id))
}

fn who(wide: &When, narrow: &When) -> bool {
    said(&wide.users, &narrow.users, ids)
        && said(&wide.gids, &narrow.gids, ids)
        && said(&wide.groups, &narrow.groups, groups)
        && texts(&wide.exe, &narrow.exe)
        && said(&wide.addresses, &narrow.addresses, |wide, narrow| {
            networks(wide, narrow)
        })
        && texts(&wide.host, &narrow.host)
}

fn groups(wide: &GroupWhen, narrow: &GroupWhen) -> bool {
    let has = |(gid, name): &(u32, Arc<str>)| {
        wide.ids.iter().any(|(own, _)| own == gid) || wide.names.match_text(name)
    };
    narrow.ids.iter().all(has) && wide.names.cover(&narrow.names)
}

fn networks(wide: &[IpNet], narrow: &[IpNet]) -> bool {
    narrow
        .iter()
        .all(|network| wide.iter().any(|wide| wide.contains(network)))
}

fn place(wide: &When, narrow: &When) -> bool {
    let (takes, has) = (Places::of(wide), Places::of(narrow));
    // Beside facts of a container `uid` is its owner, and without it only root's containers count.
    let same_users = !(takes.facts || has.facts)
        || wide.users.is_none() == narrow.users.is_none() && (takes.facts || wide.users.is_none());
    same_users
        && (takes.host || !has.host)
        && (takes.containers || !has.containers)
        && texts(&wide.unit, &narrow.unit)
        && texts(&wide.user_unit, &narrow.user_unit)
        && texts(&wide.slice, &narrow.slice)
        && container(wide.container.as_ref(), narrow.container.as_ref())
        && said(&wide.pod, &narrow.pod, pod)
}

/// Where callers of a pattern may run.
struct Places {
    host: bool,
    containers: bool,
    /// Facts of a container or pod are asked for.
    facts: bool,
}

impl Places {
    fn of(when: &When) -> Self {
        let unit = when.unit.is_some() || when.user_unit.is_some() || when.slice.is_some();
        let user = when.users.is_some() || when.gids.is_some() || when.groups.is_some();
        let container = matches!(when.container, Some(ContainerWhen::Facts(_)));
        Self {
            // A token tells a pod wherever it runs.
            host: !container,
            containers: !unit && (!user || when.container.is_some() || when.pod.is_some()),
            facts: container || when.pod.is_some(),
        }
    }
}

fn container(wide: Option<&ContainerWhen>, narrow: Option<&ContainerWhen>) -> bool {
    match (wide, narrow) {
        (None | Some(ContainerWhen::Any), _) => true,
        (Some(ContainerWhen::Facts(_)), None | Some(ContainerWhen::Any)) => false,
        (Some(ContainerWhen::Facts(wide)), Some(ContainerWhen::Facts(narrow))) => {
            facts(wide, narrow)
        }
    }
}

fn facts(wide: &ContainerFactsWhen, narrow: &ContainerFactsWhen) -> bool {
    texts(&wide.name, &narrow.name)
        && texts(&wide.id, &narrow.id)
        && texts(&wide.image, &narrow.image)
        && texts(&wide.runtime, &narrow.runtime)
        && named(&wide.labels, &narrow.labels)
}

fn pod(wide: &PodWhen, narrow: &PodWhen) -> bool {
    texts(&wide.namespace, &narrow.namespace)
        && texts(&wide.service_account, &narrow.service_account)
        && texts(&wide.name, &narrow.name)
}

fn request(wide: &When, narrow: &When) -> bool {
    texts(&wide.principal, &narrow.principal)
        && said(&wide.token, &narrow.token, token)
        && texts(&wide.external_id, &narrow.external_id)
        && said(&wide.mfa, &narrow.mfa, |wide, narrow| wide == narrow)
        && texts(&wide.source_identity, &narrow.source_identity)
}

fn token(wide: &TokenWhen, narrow: &TokenWhen) -> bool {
    texts(&wide.issuer, &narrow.issuer)
        && texts(&wide.subject, &narrow.subject)
        && texts(&wide.audience, &narrow.audience)
        && named(&wide.claims, &narrow.claims)
}

/// Labels and claims: what `wide` asks for `narrow` asks for too.
fn named<N: PartialEq>(wide: &[(N, Patterns)], narrow: &[(N, Patterns)]) -> bool {
    wide.iter().all(|(name, patterns)| {
        narrow
            .iter()
            .any(|(own, narrower)| own == name && patterns.cover(narrower))
    })
}
