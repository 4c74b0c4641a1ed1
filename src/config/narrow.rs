//! Roles as a grant gives them: ones that are not declared, and declared ones narrowed.

use std::time::Duration;

use super::{Account, Role, RoleKind};
use crate::grants::{Names, Narrowing, Placeholder, Template};
use crate::types::{RoleArn, RoleName, RoleRef};

/// An unused session is let go after this long, where nothing else is said.
pub(super) const IDLE: Duration = Duration::from_hours(6);

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
        role.duration = by
            .duration
            .map_or(role.duration, |asked| asked.min(role.duration));
        // The role's own tags win.
        let is_new = |key: &str| {
            !self
                .tags
                .iter()
                .any(|(own, _)| own.eq_ignore_ascii_case(key))
        };
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

    /// The role session name for a caller of these names: where it wants a name that this caller
    /// has not, the caller's own.
    pub fn session_name_of(&self, names: &Names) -> String {
        let own = self.session_name.fill_known(names);
        own.or_else(|| names.get(Placeholder::Caller).map(ToString::to_string))
            .unwrap_or_default()
    }

    /// The session tags for a caller of these names. A tag of a name that the caller has not is not
    /// set: a policy that asks for it does not match.
    pub fn tags_of(&self, names: &Names) -> Vec<(String, String)> {
        let known = self
            .tags
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.fill_known(names)?)));
        known.collect()
    }
}
