//! Why a grant does not match, in words: what is seen of the caller, and what the grant asks for.

#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

pub use words::WhyNot;

use super::matching::{may_tell, same_pod};
use super::when::{ContainerFactsWhen, ContainerWhen, Key, UserIds, When};
use super::{Facts, Known, Patterns, Place, WebIdentity};
use words::{all, first, list, number, quoted, text, unless, within};

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

fn any(values: &[Arc<str>], patterns: &Patterns) -> bool {
    values.iter().any(|value| patterns.match_text(value))
}
