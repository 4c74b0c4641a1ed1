//! Why a grant does not match, in words: what is seen of the caller, and what the grant asks for.

use std::fmt::{self, Display};
use std::sync::Arc;

use super::matching::{may_tell, same_pod};
use super::when::{ContainerFactsWhen, ContainerWhen, Key, UserIds, When};
use super::{Facts, Known, Pattern, Patterns, Place, WebIdentity};

/// Why a key does not match. What a grant asks for is kept apart: not everybody may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyNot {
    /// What is seen: `unit is "cron.service"`.
    pub seen: String,
    /// What goes on after it, where there is more to say: `, not "nginx.service"`.
    pub wanted: Option<String>,
}

impl WhyNot {
    /// This value is not one of those asked for; or there is no value.
    fn value(key: &str, seen: Option<&str>, wanted: impl Display) -> Self {
        match seen {
            Some(seen) => Self {
                seen: format!("{key} is {seen:?}"),
                wanted: Some(format!(", not {wanted}")),
            },
            None => Self {
                seen: format!("{key} is not known"),
                wanted: Some(format!(", {wanted} is asked for")),
            },
        }
    }

    /// None of these values is one of those asked for.
    fn values<'a>(
        key: &str,
        seen: impl IntoIterator<Item = &'a Arc<str>>,
        wanted: impl Display,
    ) -> Self {
        let seen: Vec<String> = seen.into_iter().map(|value| format!("{value:?}")).collect();
        if seen.is_empty() {
            return Self::value(key, None, wanted);
        }
        Self {
            seen: format!("{key} is {}", seen.join(", ")),
            wanted: Some(format!(", not {wanted}")),
        }
    }

    fn rule(seen: impl Into<String>) -> Self {
        Self {
            seen: seen.into(),
            wanted: None,
        }
    }
}

impl Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seen)?;
        f.write_str(self.wanted.as_deref().unwrap_or_default())
    }
}

impl When {
    /// Why this key, the first that does not match, does not.
    pub fn why_not(&self, key: Key, facts: &Facts) -> WhyNot {
        let name = key.as_str();
        match key {
            Key::Listener => {
                let listeners = self.listeners.as_deref().unwrap_or_default();
                WhyNot::value(name, facts.listener.as_deref(), list(listeners))
            }
            Key::Principal => text(name, facts.principal(), self.principal.as_ref()),
            Key::Token => self.token_not(facts.identity.as_deref()),
            Key::ExternalId => text(name, facts.external_id.as_ref(), self.external_id.as_ref()),
            Key::Mfa => WhyNot::rule(if facts.mfa {
                "the request was made with a second factor"
            } else {
                "the request was made without a second factor"
            }),
            Key::SourceIdentity => text(
                name,
                facts.source_identity.as_ref(),
                self.source_identity.as_ref(),
            ),
            Key::Address => {
                let address = facts.address.map(|ip| ip.to_canonical().to_string());
                let networks = self.addresses.as_deref().unwrap_or_default();
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                WhyNot::value(name, address.as_deref(), networks.join(" or "))
            }
            Key::Uid => self.uid_not(facts),
            Key::Gid => {
                let ids = self.gids.iter().flat_map(UserIds::iter);
                number("gid", facts.gid.yes().copied(), ids)
            }
            Key::Group => self.group_not(facts),
            Key::Unit | Key::Slice | Key::UserUnit => self.unit_not(key, facts),
            Key::Container => self.container_not(facts),
            Key::Pod => self.pod_not(facts),
            Key::Exe if facts.exe.yes().is_none() => {
                WhyNot::rule("exe is not known: it is told of the peers of unix sockets only")
            }
            Key::Exe => text(name, facts.exe.yes(), self.exe.as_ref()),
            Key::Host => text(name, facts.host.yes(), self.host.as_ref()),
        }
    }

    fn uid_not(&self, facts: &Facts) -> WhyNot {
        let ids = self.users.iter().flat_map(UserIds::iter);
        match facts.container_place().and_then(|place| place.owner) {
            Some(owner) => number("the uid of the container's owner", Some(owner), ids),
            None => number("uid", facts.uid.yes().copied(), ids),
        }
    }

    fn group_not(&self, facts: &Facts) -> WhyNot {
        let wanted = self.groups.iter().flat_map(|groups| {
            let named = groups.ids.iter().map(|(_, name)| format!("{name:?}"));
            named.chain(groups.names.iter().map(quoted))
        });
        let wanted: Vec<String> = wanted.collect();
        let seen = match &facts.person {
            Some(person) => Some(person.groups.as_slice()),
            None => facts.groups.yes().map(|groups| groups.names.as_slice()),
        };
        WhyNot::values("group", seen.unwrap_or_default(), wanted.join(" or "))
    }

    fn unit_not(&self, key: Key, facts: &Facts) -> WhyNot {
        let host = match facts.place.yes().map(AsRef::as_ref) {
            None => return nowhere(),
            Some(Place::Container(place)) => {
                let id = place.id.short();
                return WhyNot::rule(format!(
                    "the caller runs in container {id:?}, and a {} is outside containers",
                    key.as_str()
                ));
            }
            Some(Place::Host(_)) if self.container.is_some() || self.pod.is_some() => {
                return WhyNot::rule("the caller runs in no container");
            }
            Some(Place::Host(host)) => host,
        };
        if key == Key::Unit {
            return within(key, host.unit.as_ref(), self.unit.as_ref());
        }
        if key == Key::Slice {
            return within(key, host.slice.as_ref(), self.slice.as_ref());
        }
        let own = self.users.is_some() && host.user_slice == facts.uid.yes().copied();
        if host.user_unit.is_some() && !own {
            return WhyNot::rule(
                "a user unit counts only for the user whose manager runs it, and only where the \
                 grant names that user",
            );
        }
        within(key, host.user_unit.as_ref(), self.user_unit.as_ref())
    }

    fn container_not(&self, facts: &Facts) -> WhyNot {
        let place = match facts.place.yes().map(AsRef::as_ref) {
            None => return nowhere(),
            Some(Place::Host(_)) => return WhyNot::rule("the caller runs in no container"),
            Some(Place::Container(place)) => place,
        };
        let id = place.id.short();
        let Some(ContainerWhen::Facts(wanted)) = &self.container else {
            return WhyNot {
                seen: format!("the caller runs in container {id:?}"),
                wanted: Some(
                    ", and what tells users counts outside containers only, unless the grant \
                     names a container"
                        .to_owned(),
                ),
            };
        };
        if let Some(owner) = place.owner
            && self
                .users
                .as_ref()
                .is_none_or(|users| !users.contains(owner))
        {
            return WhyNot::rule(format!(
                "container {id:?} is uid {owner}'s own, and counts only where the grant names that \
                 owner by `user` or `uid`"
            ));
        }
        let whole = Arc::from(place.id.as_str());
        if let Some(not) = unless("container.id", Some(&whole), wanted.id.as_ref()) {
            return not;
        }
        match &facts.container {
            Known::Yes(told) if told.id != place.id => {
                WhyNot::rule(format!("the runtime told of another container than {id:?}"))
            }
            Known::Yes(told) if !may_tell(place, told.owner, self.users.as_ref()) => {
                WhyNot::rule(format!(
                    "what container {id:?} is called is only the word of uid {}'s runtime",
                    told.owner
                ))
            }
            Known::Yes(told) => told_not(wanted, told),
            Known::No | Known::NotYet => {
                WhyNot::rule(format!("no runtime told anything of container {id:?}"))
            }
        }
    }

    fn pod_not(&self, facts: &Facts) -> WhyNot {
        let Some(wanted) = &self.pod else {
            return nowhere();
        };
        let shown = facts.identity.as_ref().and_then(|it| it.pod.as_ref());
        let told = facts.container.yes().and_then(|told| told.pod.as_ref());
        if let (Some(shown), Some(told)) = (shown, told)
            && !same_pod(shown, told)
        {
            return WhyNot::rule("the token and the runtime tell of different pods");
        }
        let Some(pod) = shown.or(told) else {
            return WhyNot::rule("neither a token nor the runtime tells of a pod");
        };
        let parts = [
            ("pod.namespace", Some(&pod.namespace), &wanted.namespace),
            ("pod.name", pod.name.as_ref(), &wanted.name),
            (
                "pod.service-account",
                pod.service_account.as_ref(),
                &wanted.service_account,
            ),
        ];
        first(&parts).unwrap_or_else(|| {
            WhyNot::rule("what is told of the pod is only the word of a user's own runtime")
        })
    }

    fn token_not(&self, identity: Option<&WebIdentity>) -> WhyNot {
        let (Some(wanted), Some(identity)) = (&self.token, identity) else {
            return WhyNot::rule("no web identity token was shown");
        };
        let parts = [
            ("token.issuer", Some(&identity.issuer), &wanted.issuer),
            ("token.subject", Some(&identity.subject), &wanted.subject),
        ];
        if let Some(not) = first(&parts) {
            return not;
        }
        if let Some(audience) = &wanted.audience
            && !any(&identity.audiences, audience)
        {
            return WhyNot::values("token.audience", &identity.audiences, all(audience));
        }
        let missing = wanted.claims.iter().find_map(|(claim, patterns)| {
            let values = identity.claims.get(claim).map(Vec::as_slice);
            let values = values.unwrap_or_default();
            let not = WhyNot::values(&format!("token.claim.{claim:?}"), values, all(patterns));
            (!any(values, patterns)).then_some(not)
        });
        missing.unwrap_or_else(|| WhyNot::rule("a subject counts only beside its issuer"))
    }
}

/// Which of the things that a runtime tells does not match.
fn told_not(wanted: &ContainerFactsWhen, told: &super::ContainerFacts) -> WhyNot {
    let parts = [
        ("container.name", told.name.as_ref(), &wanted.name),
        ("container.image", told.image.as_ref(), &wanted.image),
        ("container.runtime", Some(&told.runtime), &wanted.runtime),
    ];
    let label = || {
        wanted.labels.iter().find_map(|(label, patterns)| {
            let key = format!("container.label.{label:?}");
            unless(&key, told.labels.get(label), Some(patterns))
        })
    };
    let not = first(&parts).or_else(label);
    not.unwrap_or_else(|| WhyNot::rule("the container does not match"))
}

fn nowhere() -> WhyNot {
    WhyNot::rule("it cannot be told where the caller runs")
}

/// A key, what is seen, and what is asked for.
type Part<'a> = (&'a str, Option<&'a Arc<str>>, &'a Option<Patterns>);

fn first(parts: &[Part<'_>]) -> Option<WhyNot> {
    let mut parts = parts.iter();
    parts.find_map(|(key, seen, wanted)| unless(key, *seen, wanted.as_ref()))
}

/// Why this value does not match, if it does not.
fn unless(key: &str, seen: Option<&Arc<str>>, wanted: Option<&Patterns>) -> Option<WhyNot> {
    let fine = wanted.is_none_or(|wanted| seen.is_some_and(|seen| wanted.match_text(seen)));
    (!fine).then(|| text(key, seen, wanted))
}

fn text(key: &str, seen: Option<&Arc<str>>, wanted: Option<&Patterns>) -> WhyNot {
    let wanted = wanted.map(all).unwrap_or_default();
    WhyNot::value(key, seen.map(AsRef::as_ref), wanted)
}

/// Of a place that is told: where no unit or slice is seen, the caller is in none.
fn within(key: Key, seen: Option<&Arc<str>>, wanted: Option<&Patterns>) -> WhyNot {
    let not = text(key.as_str(), seen, wanted);
    match seen {
        Some(_) => not,
        None => WhyNot {
            seen: format!("the caller runs in no {}", key.as_str()),
            ..not
        },
    }
}

fn number(key: &str, seen: Option<u32>, wanted: impl Iterator<Item = u32>) -> WhyNot {
    let wanted: Vec<String> = wanted.map(|id| id.to_string()).collect();
    let wanted = wanted.join(" or ");
    match seen {
        Some(seen) => WhyNot {
            seen: format!("{key} is {seen}"),
            wanted: Some(format!(", not {wanted}")),
        },
        None => WhyNot::value(key, None, wanted),
    }
}

fn any(values: &[Arc<str>], patterns: &Patterns) -> bool {
    values.iter().any(|value| patterns.match_text(value))
}

fn all(patterns: &Patterns) -> String {
    let patterns: Vec<String> = patterns.iter().map(quoted).collect();
    patterns.join(" or ")
}

fn list(names: &[Arc<str>]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(" or ")
}

fn quoted(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Text(text) | Pattern::Glob(text) => format!("{text:?}"),
        Pattern::Regex { .. } => pattern.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        ContainerFacts, ContainerId, ContainerPlace, Grant, GrantId, Groups, HostPlace, Template,
        UserIds, Verdict, explain,
    };
    use super::*;
    use crate::types::RoleRef;

    /// Why a grant of this pattern gives nothing, in full.
    fn why(when: When, facts: &Facts) -> String {
        let role = RoleRef::parse("prod/web").unwrap();
        let grant = Grant::of(GrantId::Grant(1), role, when, Template::text(""));
        match explain(facts, &[Arc::new(grant.clone())]).pop().unwrap().1 {
            Verdict::Fails(key) => grant.when.why_not(key, facts).to_string(),
            other @ (Verdict::Gives(_) | Verdict::NoRole | Verdict::Needs(_)) => {
                panic!("{other:?}")
            }
        }
    }

    fn texts(texts: &[&str]) -> Patterns {
        Patterns::new(texts.iter().map(|text| Pattern::new(text)).collect())
    }

    fn users(uids: &[u32]) -> UserIds {
        UserIds::new(uids.to_vec())
    }

    fn in_unit(unit: &str) -> Facts {
        let place = HostPlace {
            unit: Some(Arc::from(unit)),
            ..HostPlace::default()
        };
        Facts {
            uid: Known::Yes(33),
            place: Known::Yes(Arc::new(Place::Host(place))),
            ..Facts::default()
        }
    }

    fn in_container(owner: Option<u32>, runtime_owner: u32) -> Facts {
        let id = ContainerId::new("3f4a9c0d1e2f3f4a9c0d1e2f");
        let told = ContainerFacts {
            id: id.clone(),
            owner: runtime_owner,
            runtime: Arc::from("podman"),
            name: Some(Arc::from("nginx.service")),
            image: Some(Arc::from("registry.example/shop")),
            labels: [(Arc::from("team"), Arc::from("a\u{1b}[2J"))].into(),
            pod: None,
        };
        Facts {
            uid: Known::Yes(0),
            place: Known::Yes(Arc::new(Place::Container(ContainerPlace { id, owner }))),
            container: Known::Yes(Arc::new(told)),
            ..Facts::default()
        }
    }

    #[test]
    fn what_is_seen_stands_beside_what_is_asked_for() {
        let of_unit = |unit: &str| When {
            unit: Some(texts(&[unit, "b*"])),
            ..When::default()
        };
        assert_eq!(
            why(of_unit("nginx.service"), &in_unit("cron.service")),
            r#"unit is "cron.service", not "nginx.service" or "b*""#
        );
        let nowhere = Facts {
            place: Known::Yes(Arc::new(Place::Host(HostPlace::default()))),
            ..in_unit("x")
        };
        assert_eq!(
            why(of_unit("a"), &nowhere),
            r#"the caller runs in no unit, "a" or "b*" is asked for"#
        );
        let of_users = When {
            users: Some(users(&[1, 2])),
            ..When::default()
        };
        assert_eq!(
            why(of_users.clone(), &in_unit("x")),
            "uid is 33, not 1 or 2"
        );
        assert_eq!(
            why(of_users, &Facts::default()),
            "uid is not known, 1 or 2 is asked for"
        );
        let of_group = When {
            groups: Some(super::super::GroupWhen {
                ids: vec![(7, Arc::from("wheel"))],
                names: Patterns::new(vec![Pattern::regex("aws-(?<role>.*)").unwrap()]),
            }),
            ..When::default()
        };
        let groups = Groups {
            ids: vec![1, 2],
            names: vec![Arc::from("a"), Arc::from("b")],
        };
        let member = Facts {
            groups: Known::Yes(Arc::new(groups)),
            ..in_unit("x")
        };
        assert_eq!(
            why(of_group, &member),
            r#"group is "a", "b", not "wheel" or /aws-(?<role>.*)/"#
        );
    }

    #[test]
    fn a_container_says_which_rule_it_breaks() {
        let of_uid = When {
            users: Some(users(&[0])),
            ..When::default()
        };
        assert!(
            why(of_uid, &in_container(None, 0)).contains("\"3f4a9c0d1e2f\", and what tells users"),
        );
        let of = |facts: ContainerFactsWhen, uids| When {
            users: uids,
            container: Some(ContainerWhen::Facts(Box::new(facts))),
            ..When::default()
        };
        let image = || ContainerFactsWhen {
            image: Some(texts(&["registry.example/ci/*"])),
            ..ContainerFactsWhen::default()
        };
        assert_eq!(
            why(of(image(), None), &in_container(None, 0)),
            r#"container.image is "registry.example/shop", not "registry.example/ci/*""#
        );
        assert!(why(of(image(), None), &in_container(Some(7), 7)).contains("uid 7's own"));
        assert!(why(of(image(), None), &in_container(None, 7)).contains("word of uid 7's runtime"));
        assert_eq!(
            why(of(image(), Some(users(&[8]))), &in_container(Some(7), 7)),
            "the uid of the container's owner is 7, not 8"
        );
        assert_eq!(
            why(of(image(), None), &in_unit("x")),
            "the caller runs in no container"
        );
        let label = ContainerFactsWhen {
            labels: vec![(Arc::from("team"), texts(&["build"]))],
            ..ContainerFactsWhen::default()
        };
        assert_eq!(
            why(of(label, None), &in_container(None, 0)),
            r#"container.label."team" is "a\u{1b}[2J", not "build""#,
            "nothing in it does a terminal obey"
        );
        let of_unit = When {
            unit: Some(texts(&["nginx.service"])),
            ..When::default()
        };
        assert_eq!(
            why(of_unit, &in_container(None, 0)),
            r#"the caller runs in container "3f4a9c0d1e2f", and a unit is outside containers"#
        );
    }

    #[test]
    fn a_user_unit_counts_for_its_own_user_only() {
        let place = HostPlace {
            user_unit: Some(Arc::from("nginx.service")),
            user_slice: Some(1000),
            ..HostPlace::default()
        };
        let facts = Facts {
            uid: Known::Yes(1000),
            place: Known::Yes(Arc::new(Place::Host(place))),
            ..Facts::default()
        };
        let of = |uids, unit: &str| When {
            users: uids,
            user_unit: Some(texts(&[unit])),
            ..When::default()
        };
        assert!(why(of(None, "nginx.service"), &facts).contains("whose manager runs it"));
        assert_eq!(
            why(of(Some(users(&[1000])), "a"), &facts),
            r#"user-unit is "nginx.service", not "a""#
        );
    }
}
