//! Roles as a grant gives them: ones that are not declared, and declared ones narrowed.

use std::time::Duration;

use super::{Account, Role, RoleKind};
use crate::grants::{CallerPolicy, Names, Narrowing, Placeholder, Template};
use crate::sessions::{Assumption, Excess};
use crate::types::{RoleArn, RoleName, RoleRef, TagValue, same_tag};

/// An unused session is let go after this long, where nothing else is said.
pub(super) const IDLE: Duration = Duration::from_hours(6);

/// What a session lives that is asked for without a duration, and at most where it is chained.
const CHAINED_LIFE: Duration = Duration::from_hours(1);

impl Account {
    /// The role of a name that only a grant tells: the account's defaults, under a derived ARN.
    /// `None` where none can be derived.
    pub fn undeclared(&self, name: &RoleName) -> Option<Role> {
        let defaults = self.defaults.as_deref()?.clone();
        Some(Role {
            reference: RoleRef {
                account: self.alias.clone(),
                role: name.clone(),
            },
            arn: RoleArn::derived(&self.partition, self.id.as_ref(), name),
            ..defaults
        })
    }
}

impl Role {
    /// A role of which nothing is said.
    pub fn plain(reference: RoleRef, arn: RoleArn, kind: RoleKind) -> Self {
        Self {
            reference,
            arn,
            kind,
            duration: Duration::from_hours(1),
            prefetch: false,
            session_name: Template::caller(),
            source_identity: None,
            external_id: None,
            policy: None,
            policy_arns: Vec::new(),
            tags: Vec::new(),
            transitive_tags: Vec::new(),
            idle: IDLE,
            max_duration: None,
            display_name: None,
            connector_id: None,
            not_before: None,
        }
    }

    /// The same narrowed; `None` where both carry a session policy. STS takes the union of several,
    /// so a second one would widen what the first one allows.
    pub fn narrowed(&self, by: &Narrowing) -> Option<Self> {
        let own_policy = self.policy.is_some() || !self.policy_arns.is_empty();
        let further_policy = by.policy.is_some() || !by.policy_arns.is_empty();
        if own_policy && further_policy {
            return None;
        }
        let mut role = self.clone();
        if further_policy {
            role.policy.clone_from(&by.policy);
            role.policy_arns.clone_from(&by.policy_arns);
        }
        if let Some(asked) = by.duration {
            role.duration = asked.min(role.duration);
            role.max_duration = self.max_duration.map(|most| asked.min(most));
        }
        // The role's own tags win.
        let is_new = |key: &str| !self.tags.iter().any(|(own, _)| same_tag(own, key));
        let further = by.tags.iter().filter(|(key, _)| is_new(key));
        role.tags.extend(further.cloned());
        if let Some(name) = &by.session_name {
            role.session_name.clone_from(name);
        }
        if by.source_identity.is_some() {
            role.source_identity.clone_from(&by.source_identity);
        }
        Some(role)
    }

    /// The same as a caller of the STS face asks for it. What the role says goes before what the
    /// caller says, but for its name and, within the role's bounds, its life.
    pub fn assumed(&self, asked: &Assumption, policy: CallerPolicy) -> Result<Self, Excess> {
        let mut role = self.clone();
        if asked.brings_policy() {
            let has_one = role.policy.is_some() || !role.policy_arns.is_empty();
            if has_one && policy == CallerPolicy::Refused {
                return Err(Excess::Policy);
            }
            role.policy.clone_from(&asked.policy);
            role.policy_arns.clone_from(&asked.policy_arns);
        }
        role.duration = self.life_asked(asked)?;
        // An answer that was asked for once is not renewed for somebody who is gone.
        role.idle = role.idle.min(role.duration / 10);
        if let Some(name) = &asked.session_name {
            role.session_name = Template::text(name.as_str());
        }
        if let (None, Some(identity)) = (&role.source_identity, &asked.source_identity) {
            role.source_identity = Some(Template::text(identity.as_str()));
        }
        let own = |key: &str| {
            let mut own = self.tags.iter();
            own.any(|(own, _)| same_tag(own, key))
        };
        let further = asked.tags.iter().filter(|(key, _)| !own(key));
        let further = further.map(|(key, value)| (key.clone(), Template::text(value)));
        role.tags.extend(further);
        let transitive = asked.transitive_tags.iter();
        role.transitive_tags.extend(transitive.cloned());
        Ok(role)
    }

    fn life_asked(&self, asked: &Assumption) -> Result<Duration, Excess> {
        let most = self.max_duration.unwrap_or(self.duration);
        let is_chained = asked.chain_depth > 0;
        match asked.duration {
            None => Ok(most.min(CHAINED_LIFE)),
            Some(life) if is_chained && life > CHAINED_LIFE => Err(Excess::ChainedLife),
            Some(life) if life > most => Err(Excess::Life),
            Some(life) => Ok(life),
        }
    }

    /// The role session name for a caller of these names: where it wants a name that this caller
    /// has not, the caller's own.
    pub fn session_name_of(&self, names: &Names) -> String {
        let own = self.session_name.fill_known(names);
        own.or_else(|| names.get(Placeholder::Caller).map(ToString::to_string))
            .unwrap_or_default()
    }

    /// The session tags for a caller of these names. A tag of a name that the caller has not is not
    /// set: a policy that asks for it does not match. What a caller is called may be of any form, so
    /// values are made valid.
    pub fn tags_of(&self, names: &Names) -> Vec<(String, String)> {
        let known = self.tags.iter().filter_map(|(key, value)| {
            let value = TagValue::from_any(&value.fill_known(names)?);
            Some((key.clone(), value.as_str().to_owned()))
        });
        known.collect()
    }

    /// Which of these tags go on into chained roles: STS refuses the key of a tag that is not set.
    pub fn transitive_of(&self, tags: &[(String, String)]) -> Vec<String> {
        let is_set = |key: &&String| tags.iter().any(|(set, _)| same_tag(set, key));
        self.transitive_tags
            .iter()
            .filter(is_set)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::types::SessionName;

    fn role() -> Role {
        let text = |text: &str| Template::parse(text).unwrap();
        let reference = RoleRef::parse("prod/web").unwrap();
        let arn = RoleArn::new("arn:aws:iam::123456789012:role/web").unwrap();
        Role {
            tags: vec![
                ("unit".to_owned(), text("{unit}")),
                ("image".to_owned(), text("image {image}")),
                ("host".to_owned(), text("{hostname}")),
            ],
            transitive_tags: vec!["Host".to_owned(), "unit".to_owned()],
            session_name: text("{unit}@{hostname}"),
            ..Role::plain(reference, arn, RoleKind::AssumeRole)
        }
    }

    #[test]
    fn what_a_caller_has_not_is_left_out_and_nothing_else() {
        let names = Names::default().with(Placeholder::Hostname, "box");
        let tags = role().tags_of(&names);
        assert_eq!(tags, [("host".to_owned(), "box".to_owned())]);
        assert_eq!(role().transitive_of(&tags), ["Host"]);
        let unit = names.with(Placeholder::Unit, "nginx.service");
        let of_unit = role().tags_of(&unit);
        let keys: Vec<&str> = of_unit.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["unit", "host"]);
        assert_eq!(role().transitive_of(&of_unit), ["Host", "unit"]);
    }

    #[test]
    fn tags_of_what_others_call_a_container_are_valid() {
        let image = format!("registry.example/{{{}}}", "x".repeat(400));
        let names = Names::default().with(Placeholder::Image, image);
        let tags = role().tags_of(&names);
        let (key, value) = tags.first().unwrap();
        assert_eq!(key, "image");
        assert!(value.starts_with("image registry.example/-xxx"), "{value}");
        assert!(TagValue::new(value).is_ok());
    }

    #[test]
    fn a_session_name_of_what_a_caller_has_not_is_the_callers_own() {
        let user = Names::default().with(Placeholder::User, "jane");
        assert_eq!(role().session_name_of(&user), "jane");
        let unit = user
            .with(Placeholder::Unit, "nginx.service")
            .with(Placeholder::Hostname, "box");
        assert_eq!(role().session_name_of(&unit), "nginx.service@box");
        let plain = Role::plain(role().reference, role().arn, RoleKind::AssumeRole);
        let caller = unit.with(Placeholder::Caller, "nginx.service");
        assert_eq!(plain.session_name_of(&caller), "nginx.service");
    }

    const HOUR: Duration = Duration::from_hours(1);

    fn of_life(duration: Duration, most: Option<Duration>) -> Role {
        Role {
            duration,
            max_duration: most,
            ..role()
        }
    }

    fn asked(life: Option<Duration>, chain_depth: u8) -> Assumption {
        Assumption {
            duration: life,
            chain_depth,
            ..Assumption::default()
        }
    }

    #[test]
    fn a_life_is_within_the_roles_and_an_hour_where_none_is_asked_for() {
        let quarter = HOUR / 4;
        for (own, most, life, chain_depth, given) in [
            (HOUR, None, None, 0, Ok(HOUR)),
            (HOUR / 2, None, None, 0, Ok(HOUR / 2)),
            (HOUR * 12, None, None, 0, Ok(HOUR)),
            (HOUR / 2, Some(HOUR * 4), None, 0, Ok(HOUR)),
            (HOUR, Some(HOUR * 4), Some(HOUR * 4), 0, Ok(HOUR * 4)),
            (HOUR, Some(HOUR * 4), Some(HOUR * 5), 0, Err(Excess::Life)),
            (HOUR, None, Some(HOUR + quarter), 0, Err(Excess::Life)),
            (HOUR, None, Some(quarter), 0, Ok(quarter)),
            (HOUR * 4, None, Some(HOUR), 1, Ok(HOUR)),
            (HOUR * 4, None, None, 3, Ok(HOUR)),
            (HOUR * 4, None, Some(HOUR * 2), 1, Err(Excess::ChainedLife)),
            (HOUR / 2, None, Some(HOUR * 2), 1, Err(Excess::ChainedLife)),
            (HOUR / 2, None, Some(HOUR), 1, Err(Excess::Life)),
        ] {
            let role = of_life(own, most);
            let assumed = role.assumed(&asked(life, chain_depth), CallerPolicy::Refused);
            let assumed = assumed.map(|assumed| assumed.duration);
            assert_eq!(assumed, given, "{own:?}, {most:?}, {life:?}, {chain_depth}");
        }
    }

    #[test]
    fn what_was_asked_for_once_is_let_go_soon() {
        let idle = |role: Role| {
            let assumed = role.assumed(&asked(Some(HOUR), 0), CallerPolicy::Refused);
            assumed.unwrap().idle
        };
        assert_eq!(idle(of_life(HOUR, None)), HOUR / 10);
        let short = Role {
            idle: Duration::from_mins(1),
            ..role()
        };
        assert_eq!(idle(short), Duration::from_mins(1));
    }

    #[test]
    fn a_narrowed_role_bounds_what_is_asked_of_it() {
        let by = Narrowing {
            duration: Some(HOUR / 2),
            ..Narrowing::default()
        };
        let narrowed = of_life(HOUR, Some(HOUR * 4)).narrowed(&by).unwrap();
        let life = |life| {
            let assumed = narrowed.assumed(&asked(life, 0), CallerPolicy::Refused);
            assumed.map(|role| role.duration)
        };
        assert_eq!(life(None), Ok(HOUR / 2));
        assert_eq!(life(Some(HOUR)), Err(Excess::Life));
    }

    #[test]
    fn a_callers_policy_stands_alone_or_in_the_place_of_ours_or_nowhere() {
        let text = |text: &str| Some(Arc::from(text));
        let ours = Role {
            policy: text("ours"),
            ..role()
        };
        let our_arns = Role {
            policy_arns: vec!["ours".to_owned()],
            ..role()
        };
        let theirs = Assumption {
            policy: text("theirs"),
            ..Assumption::default()
        };
        let their_arns = Assumption {
            policy_arns: vec!["theirs".to_owned()],
            ..Assumption::default()
        };
        let policies = |role: &Role, asked: &Assumption, policy| {
            let assumed = role.assumed(asked, policy)?;
            Ok((assumed.policy, assumed.policy_arns))
        };
        for policy in [CallerPolicy::Refused, CallerPolicy::Replaces] {
            assert_eq!(
                policies(&role(), &theirs, policy),
                Ok((text("theirs"), vec![]))
            );
            assert_eq!(
                policies(&ours, &Assumption::default(), policy),
                Ok((text("ours"), vec![]))
            );
        }
        for role in [&ours, &our_arns] {
            for asked in [&theirs, &their_arns] {
                let refused = policies(role, asked, CallerPolicy::Refused);
                assert_eq!(refused, Err(Excess::Policy));
            }
            let by_text = policies(role, &theirs, CallerPolicy::Replaces);
            assert_eq!(by_text, Ok((text("theirs"), vec![])));
            let by_arns = policies(role, &their_arns, CallerPolicy::Replaces);
            assert_eq!(by_arns, Ok((None, vec!["theirs".to_owned()])));
        }
    }

    #[test]
    fn names_are_the_callers_and_what_else_the_role_says_goes_before() {
        let name = |name: &str| SessionName::new(name).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let asked = Assumption {
            session_name: Some(name("bob@x")),
            source_identity: Some(name("bob")),
            tags: vec![pair("HOST", "theirs"), pair("team", "{unit}")],
            transitive_tags: vec!["team".to_owned()],
            ..Assumption::default()
        };
        let names = Names::default()
            .with(Placeholder::Hostname, "box")
            .with(Placeholder::Unit, "nginx.service");
        let assumed = role().assumed(&asked, CallerPolicy::Refused).unwrap();
        assert_eq!(assumed.session_name_of(&names), "bob@x");
        let identity = assumed.source_identity.as_ref().unwrap();
        assert_eq!(identity.fill_known(&names).as_deref(), Some("bob"));
        let tags = assumed.tags_of(&names);
        let of = |key: &str| {
            let mut tags = tags.iter();
            let (_, value) = tags.find(|(known, _)| known == key)?;
            Some(value.as_str())
        };
        assert_eq!((of("host"), of("HOST")), (Some("box"), None));
        assert_eq!(of("team"), Some("-unit-"), "no placeholder of a caller's");
        assert_eq!(assumed.transitive_of(&tags), ["Host", "unit", "team"]);
        let own = Role {
            source_identity: Some(Template::parse("{unit}").unwrap()),
            ..role()
        };
        let of_own = own.assumed(&asked, CallerPolicy::Refused).unwrap();
        assert_eq!(
            of_own
                .source_identity
                .unwrap()
                .fill_known(&names)
                .as_deref(),
            Some("nginx.service")
        );
        let nothing = role().assumed(&Assumption::default(), CallerPolicy::Refused);
        let nothing = nothing.unwrap();
        assert_eq!(nothing.session_name, role().session_name);
        assert_eq!(nothing.tags, role().tags);
        assert_eq!(nothing.source_identity, None);
    }
}
