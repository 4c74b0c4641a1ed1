//! The decision.

use std::collections::HashSet;
use std::sync::Arc;

use super::grant::{GrantId, GrantedRole};
use super::matching::Miss;
use super::pattern::Named;
use super::when::Key;
use super::{Fact, Facts, Grant, Known, Names};
use crate::types::{InvalidText, RoleName, RoleRef};

/// Which role a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// The one that the caller's first matching grant gives.
    First,
    /// This very role, if any grant of the caller gives it.
    Chosen(RoleRef),
    /// A role of this name in whatever account, if any grant of the caller gives it.
    ChosenName(RoleName),
    /// A role that there is not, by what it was called. It is decided as any other is: nobody can
    /// tell by the time it takes.
    NoSuch(Arc<str>),
}

impl Wanted {
    /// `account/role`, or a role's name in whatever account.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        if text.contains('/') {
            RoleRef::parse(text).map(Self::Chosen)
        } else {
            RoleName::new(text).map(Self::ChosenName)
        }
    }

    /// Whether this role is what is asked for.
    pub fn is(&self, role: &RoleRef) -> bool {
        match self {
            Self::First => true,
            Self::Chosen(chosen) => chosen == role,
            Self::ChosenName(name) => *name == role.role,
            Self::NoSuch(_) => false,
        }
    }

    /// The role asked for, as the audit trail shows it; `None` where the caller chose none.
    pub fn role(&self) -> Option<String> {
        match self {
            Self::First => None,
            Self::Chosen(role) => Some(role.to_string()),
            Self::ChosenName(name) => Some(name.to_string()),
            Self::NoSuch(name) => Some(name.to_string()),
        }
    }
}

/// What becomes of a caller whom grants give several roles, and who asks for none by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Select {
    /// It gets the first.
    #[default]
    First,
    /// It gets none: `select = "only"`.
    Only,
}

/// Proof that a grant gives a caller a role. Only [`decide()`] and [`every()`] make one.
#[derive(Clone, Debug)]
pub struct Granted {
    grant: Arc<Grant>,
    role: RoleRef,
    reason: Arc<str>,
    named: Named,
}

impl Granted {
    /// The role.
    pub const fn role(&self) -> &RoleRef {
        &self.role
    }

    /// The grant that gives it.
    pub const fn grant(&self) -> &Arc<Grant> {
        &self.grant
    }

    /// Why, with what the grant's patterns matched.
    pub const fn reason(&self) -> &Arc<str> {
        &self.reason
    }

    /// What the named groups of the grant's patterns matched.
    pub fn named(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.named
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
    /// Several roles, where there may be only one.
    Several,
}

/// What [`decide()`] says.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The caller gets this role.
    Role(Box<Granted>),
    /// The caller gets nothing.
    Deny(NoGrant),
    /// Look this fact up and ask again.
    Needs(Fact),
}

/// Which role this caller gets. `grants` are in the order in which they are tried.
pub fn decide<'a>(
    facts: &Facts,
    grants: impl IntoIterator<Item = &'a Arc<Grant>>,
    wanted: &Wanted,
    select: Select,
) -> Decision {
    let mut other_role = false;
    let mut only: Option<Granted> = None;
    for grant in grants {
        let given = match given(grant, facts) {
            // What cannot give the role that is asked for is not worth a look-up.
            Err(Miss::Needs(_)) if !may_give(grant, wanted) => continue,
            Err(Miss::Needs(fact)) => return Decision::Needs(fact),
            Err(Miss::Key(_)) => continue,
            Ok(given) => given,
        };
        for granted in given {
            match (wanted, select, &only) {
                (Wanted::First, Select::Only, None) => only = Some(granted),
                (Wanted::First, Select::Only, Some(first)) => {
                    if first.role != granted.role {
                        return Decision::Deny(NoGrant::Several);
                    }
                }
                _ if wanted.is(&granted.role) => return Decision::Role(Box::new(granted)),
                _ => other_role = true,
            }
        }
    }
    match only {
        Some(granted) => Decision::Role(Box::new(granted)),
        None if other_role => Decision::Deny(NoGrant::OtherRole),
        None if facts.is_identified() => Decision::Deny(NoGrant::NoMatch),
        None => Decision::Deny(NoGrant::NotIdentified),
    }
}

fn may_give(grant: &Grant, wanted: &Wanted) -> bool {
    grant.role.fixed().is_none_or(|role| wanted.is(role))
}

/// Every role that this caller gets, each by the first grant that gives it; people's APIs show all.
pub fn every(facts: &Facts, grants: &[Arc<Grant>]) -> Result<Vec<Granted>, Fact> {
    let mut all: Vec<Granted> = Vec::new();
    let mut known = HashSet::new();
    for grant in grants {
        match given(grant, facts) {
            Err(Miss::Needs(fact)) => return Err(fact),
            Err(Miss::Key(_)) => {}
            Ok(given) => {
                let new = given.into_iter();
                all.extend(new.filter(|granted| known.insert(granted.role.clone())));
            }
        }
    }
    Ok(all)
}

/// What one grant makes of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It gives these roles.
    Gives(Vec<RoleRef>),
    /// It matches, and what its named groups matched makes no name of a role.
    NoRole,
    /// This key is the first that does not match.
    Fails(Key),
    /// This fact has to be looked up first.
    Needs(Fact),
}

/// What each grant makes of this caller, in the order in which they are tried.
pub fn explain(facts: &Facts, grants: &[Arc<Grant>]) -> Vec<(GrantId, Verdict)> {
    let verdict = |grant: &Arc<Grant>| match given(grant, facts) {
        Err(Miss::Needs(fact)) => Verdict::Needs(fact),
        Err(Miss::Key(key)) => Verdict::Fails(key),
        Ok(given) if given.is_empty() => Verdict::NoRole,
        Ok(given) => Verdict::Gives(given.into_iter().map(|granted| granted.role).collect()),
    };
    grants
        .iter()
        .map(|grant| (grant.id, verdict(grant)))
        .collect()
}

/// The roles that this grant gives this caller.
fn given(grant: &Arc<Grant>, facts: &Facts) -> Result<Vec<Granted>, Miss> {
    let ways = grant.when.matches(facts)?;
    if let GrantedRole::Provided(source) = grant.role {
        return provided(grant, source, facts);
    }
    let given = ways.into_vec().into_iter().filter_map(|named| {
        let names = Names::default().with_groups(&named);
        Some(Granted {
            role: grant.role.filled(&names)?,
            reason: Arc::from(grant.reason.fill(&names)),
            grant: Arc::clone(grant),
            named,
        })
    });
    Ok(given.collect())
}

/// What a grant source says. It is asked about callers who have a name only.
fn provided(grant: &Arc<Grant>, source: usize, facts: &Facts) -> Result<Vec<Granted>, Miss> {
    let told = match &facts.provided {
        Known::Yes(told) => told,
        Known::No => return Ok(Vec::new()),
        Known::NotYet => return Err(Miss::Needs(Fact::Provided)),
    };
    let own = told.iter().filter(|provided| provided.source == source);
    let given = own.map(|provided| Granted {
        grant: Arc::clone(grant),
        role: provided.role.clone(),
        reason: Arc::clone(&provided.reason),
        named: Named::new(),
    });
    Ok(given.collect())
}
