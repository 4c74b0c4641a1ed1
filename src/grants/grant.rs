//! A grant: a pattern of callers and the role they get.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{Names, Template, When};
use crate::types::{AccountAlias, RoleName, RoleRef};

/// One `[[grant]]` of the configuration, or one `[[grant-source]]`.
#[derive(Clone, Debug)]
pub struct Grant {
    /// How logs, audit and `explain` name it.
    pub id: GrantId,
    /// The role it gives.
    pub role: GrantedRole,
    /// To whom.
    pub when: When,
    /// Higher ones are tried first.
    pub priority: i64,
    /// Why, in the operator's words; in the audit trail.
    pub reason: Template,
    /// Whether requests without an ImdsToken are served too, where the grant says it.
    pub imdsv1: Option<bool>,
    /// What its sessions are narrowed to.
    pub narrowing: Option<Arc<Narrowing>>,
}

impl Grant {
    /// A grant of one role, that says nothing else.
    pub const fn of(id: GrantId, role: RoleRef, when: When, reason: Template) -> Self {
        Self {
            id,
            role: GrantedRole::Fixed(role),
            when,
            priority: 0,
            reason,
            imdsv1: None,
            narrowing: None,
        }
    }
}

/// Which grant of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GrantId {
    /// The `[[grant]]` of this number, from 1.
    Grant(usize),
    /// The `[[grant-source]]` of this number, from 1.
    Source(usize),
    /// The groups of the connector of this id, which was made through an API.
    Connector(Uuid),
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(number) => write!(f, "grant {number}"),
            Self::Source(number) => write!(f, "grant-source {number}"),
            Self::Connector(id) => write!(f, "connector {id}"),
        }
    }
}

/// The role that a grant gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantedRole {
    /// This one.
    Fixed(RoleRef),
    /// One whose name the pattern's named groups tell.
    Template {
        /// Its account.
        account: Template,
        /// Its name.
        role: Template,
    },
    /// What the `[[grant-source]]` of this number says.
    Provided(usize),
}

impl GrantedRole {
    /// The role, where it is the same for everybody.
    pub const fn fixed(&self) -> Option<&RoleRef> {
        match self {
            Self::Fixed(role) => Some(role),
            Self::Template { .. } | Self::Provided(_) => None,
        }
    }

    /// Whether it gives this role to anybody, as far as it can be told.
    pub fn may_be(&self, given: &RoleRef) -> bool {
        match self {
            Self::Fixed(role) => role == given,
            Self::Template { account, role } => {
                account.may_be(given.account.as_str()) && role.may_be(given.role.as_str())
            }
            Self::Provided(_) => true,
        }
    }

    /// The role for what the named groups matched; `None` where that makes no name of a role.
    pub(super) fn filled(&self, names: &Names) -> Option<RoleRef> {
        match self {
            Self::Fixed(role) => Some(role.clone()),
            Self::Template { account, role } => Some(RoleRef {
                account: AccountAlias::new(&account.fill_known(names)?).ok()?,
                role: RoleName::new(&role.fill_known(names)?).ok()?,
            }),
            Self::Provided(_) => None,
        }
    }
}

impl fmt::Display for GrantedRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(role) => role.fmt(f),
            Self::Template { account, role } => write!(f, "{account}/{role}"),
            Self::Provided(number) => write!(f, "what grant-source {number} gives"),
        }
    }
}

/// What a grant makes of the sessions it gives: less than the role's own, never more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Narrowing {
    /// The session policy, compact JSON.
    pub policy: Option<Arc<str>>,
    /// Managed policies as session policies.
    pub policy_arns: Vec<String>,
    /// A shorter life.
    pub duration: Option<Duration>,
    /// Further session tags.
    pub tags: Vec<(String, Template)>,
    /// Another role session name.
    pub session_name: Option<Template>,
    /// Another source identity.
    pub source_identity: Option<Template>,
    /// What becomes of a session policy that a caller brings where there is one already.
    pub caller_policy: CallerPolicy,
}

/// What becomes of a session policy that a caller brings where there is one already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CallerPolicy {
    /// The caller is refused.
    #[default]
    Refused,
    /// It stands in the place of the other: `caller-policy = "replace"`.
    Replaces,
}
