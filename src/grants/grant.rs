//! A grant: a pattern of callers and the role they get.

use std::sync::Arc;

use crate::types::RoleRef;

/// One `[[grant]]` of the configuration.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Its number in the configuration, from 1: how logs, audit and `explain` name it.
    pub number: usize,
    /// The role it gives.
    pub role: RoleRef,
    /// To whom.
    pub when: When,
    /// Higher ones are tried first.
    pub priority: i64,
    /// Why, in the operator's words; in the audit trail.
    pub reason: Arc<str>,
    /// Whether requests without an ImdsToken are served too, where the grant says it.
    pub imdsv1: Option<bool>,
}

/// Whom a grant is for: all the keys that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// `when = "anyone"`: everybody whom the listener lets in.
    pub anyone: bool,
    /// `uid` and `user`, the names resolved when the configuration was read.
    pub users: Option<UserIds>,
    /// `container = "any"`: callers in containers match too.
    pub any_container: bool,
    /// `listener`: the names of the listeners where it holds; everywhere otherwise.
    pub listeners: Option<Vec<Arc<str>>>,
}

/// A list of uids: one of them must be the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserIds(Vec<u32>);

impl UserIds {
    /// The list.
    pub fn new(mut uids: Vec<u32>) -> Self {
        uids.sort_unstable();
        uids.dedup();
        Self(uids)
    }

    /// Whether this uid is on it.
    pub fn contains(&self, uid: u32) -> bool {
        self.0.binary_search(&uid).is_ok()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// The only uid, where there is just one.
    pub fn single(&self) -> Option<u32> {
        match self.0.as_slice() {
            [uid] => Some(*uid),
            _ => None,
        }
    }
}
