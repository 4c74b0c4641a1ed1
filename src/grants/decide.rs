//! The decision.

use std::sync::Arc;

use super::{Container, Fact, Facts, Grant, Known, When};
use crate::types::{RoleName, RoleRef};

/// Which role a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// The one that the caller's first matching grant gives.
    First,
    /// This very role, if any grant of the caller gives it.
    Chosen(RoleRef),
    /// A role of this name in whatever account, if any grant of the caller gives it.
    ChosenName(RoleName),
}

impl Wanted {
    /// Whether this role is what is asked for.
    pub fn is(&self, role: &RoleRef) -> bool {
        match self {
            Self::First => true,
            Self::Chosen(chosen) => chosen == role,
            Self::ChosenName(name) => *name == role.role,
        }
    }

    /// The role asked for, as the audit trail shows it; `None` where the caller chose none.
    pub fn role(&self) -> Option<String> {
        match self {
            Self::First => None,
            Self::Chosen(role) => Some(role.to_string()),
            Self::ChosenName(name) => Some(name.to_string()),
        }
    }
}

/// Proof that a grant gives a caller a role. Only [`decide()`] makes one.
#[derive(Clone, Debug)]
pub struct Granted {
    grant: Arc<Grant>,
}

impl Granted {
    /// The role.
    pub fn role(&self) -> &RoleRef {
        &self.grant.role
    }

    /// The grant that gives it.
    pub const fn grant(&self) -> &Arc<Grant> {
        &self.grant
    }
}

/// Why no role is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoGrant {
    /// Nothing that grants could ask for is known of the caller.
    NotIdentified,
    /// The caller is known, and no grant is for it.
    NoMatch,
    /// The caller has a role, but not the one asked for.
    OtherRole,
}

/// What [`decide()`] says.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The caller gets this role.
    Role(Granted),
    /// The caller gets nothing.
    Deny(NoGrant),
    /// Look this fact up and ask again.
    Needs(Fact),
}

/// Which role this caller gets. `grants` are in the order in which they are tried.
pub fn decide(facts: &Facts, grants: &[Arc<Grant>], wanted: &Wanted) -> Decision {
    let mut other_role = false;
    for grant in grants {
        match matches(&grant.when, facts) {
            Match::Needs(fact) => return Decision::Needs(fact),
            Match::No => {}
            Match::Yes => match wanted {
                Wanted::First => return granted(grant),
                Wanted::Chosen(role) if grant.role == *role => return granted(grant),
                Wanted::ChosenName(name) if grant.role.role == *name => return granted(grant),
                Wanted::Chosen(_) | Wanted::ChosenName(_) => other_role = true,
            },
        }
    }
    Decision::Deny(match facts.uid {
        _ if other_role => NoGrant::OtherRole,
        Known::Yes(_) => NoGrant::NoMatch,
        Known::No | Known::NotYet => NoGrant::NotIdentified,
    })
}

fn granted(grant: &Arc<Grant>) -> Decision {
    Decision::Role(Granted {
        grant: Arc::clone(grant),
    })
}

enum Match {
    Yes,
    No,
    Needs(Fact),
}

/// The keys that tell users match only callers outside containers, unless the grant says otherwise.
fn matches(when: &When, facts: &Facts) -> Match {
    if !holds_here(when, facts) {
        return Match::No;
    }
    if when.anyone {
        return Match::Yes;
    }
    let (Some(users), Known::Yes(uid)) = (&when.users, &facts.uid) else {
        return Match::No;
    };
    if !users.contains(*uid) {
        return Match::No;
    }
    match &facts.container {
        _ if when.any_container => Match::Yes,
        Known::Yes(Container::None) => Match::Yes,
        Known::Yes(Container::In(_)) | Known::No => Match::No,
        Known::NotYet => Match::Needs(Fact::Container),
    }
}

fn holds_here(when: &When, facts: &Facts) -> bool {
    let Some(listeners) = &when.listeners else {
        return true;
    };
    facts
        .listener
        .as_ref()
        .is_some_and(|listener| listeners.contains(listener))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::UserIds;

    fn grant(when: When) -> Vec<Arc<Grant>> {
        vec![Arc::new(Grant {
            number: 1,
            role: RoleRef::parse("prod/web").unwrap(),
            when,
            priority: 0,
            reason: Arc::from("a test"),
            imdsv1: None,
        })]
    }

    #[test]
    fn a_grant_for_one_listener_matches_nowhere_else() {
        let on = |name: &str| Some(vec![Arc::from(name)]);
        let facts = Facts {
            uid: Known::Yes(7),
            container: Known::Yes(Container::None),
            listener: None,
        };
        let users = Some(UserIds::new(vec![7]));
        for when in [
            When {
                anyone: true,
                listeners: on("build"),
                ..When::default()
            },
            When {
                users,
                listeners: on("build"),
                ..When::default()
            },
        ] {
            let grants = grant(when);
            let role =
                |seen: &Facts| matches!(decide(seen, &grants, &Wanted::First), Decision::Role(_));
            assert!(role(&facts.clone().on(Arc::from("build"))));
            assert!(!role(&facts.clone().on(Arc::from("other"))));
            assert!(!role(&facts));
        }
    }
}
