//! Which sessions are known before anybody asks for them.

use std::collections::BTreeSet;

use super::{Account, BaseCredentials, Config, Role};
use crate::grants::{Grant, Placeholder, Template};
use crate::types::RoleRef;

/// A session that can be fetched ahead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ahead {
    /// The role.
    pub role: RoleRef,
    /// Whose session it is, where its names tell the caller.
    pub uid: Option<u32>,
}

impl Config {
    /// The sessions that are fetched at start and kept.
    pub fn prefetched(&self) -> Vec<Ahead> {
        let accounts = self.accounts.values();
        let roles =
            accounts.flat_map(|account| account.roles.values().map(move |role| (account, role)));
        let prefetched = roles.filter(|(_, role)| role.prefetch);
        prefetched
            .flat_map(|(account, role)| self.ahead(account, role))
            .collect()
    }

    /// The sessions of a role that are known without a caller: the one of everybody, where its names
    /// tell no caller, else one for each user whom a grant fixes.
    pub(super) fn ahead(&self, account: &Account, role: &Role) -> Vec<Ahead> {
        if self.wants_callers_token(account) {
            return Vec::new();
        }
        let open = self.open_names(account, role);
        if open.is_empty() {
            return vec![Ahead {
                role: role.reference.clone(),
                uid: None,
            }];
        }
        let grants = self
            .grants
            .iter()
            .filter(|grant| grant.role.fixed() == Some(&role.reference));
        let fixed = grants.filter(|grant| open.iter().all(|name| fixes(grant, *name)));
        let uids: BTreeSet<u32> = fixed
            .filter_map(|grant| grant.when.users.as_ref()?.single())
            .collect();
        let ahead = uids.into_iter().map(|uid| Ahead {
            role: role.reference.clone(),
            uid: Some(uid),
        });
        ahead.collect()
    }

    /// Whether the account's roles are assumed with their caller's token, or with a role that is.
    pub(super) fn wants_callers_token(&self, account: &Account) -> bool {
        let mut account = account;
        for _ in 0..=self.accounts.len() {
            let BaseCredentials::Role(base) = &account.base else {
                break;
            };
            let Some((next, _)) = self.role(base) else {
                break;
            };
            account = next;
        }
        matches!(account.base, BaseCredentials::CallerToken)
    }

    /// The placeholders of a role and of those it is chained from that tell the caller.
    pub(super) fn open_names(&self, account: &Account, role: &Role) -> Vec<Placeholder> {
        let mut names = Vec::new();
        let (mut account, mut role) = (account, role);
        // A chain is no longer than there are accounts; a cycle is told elsewhere.
        for _ in 0..=self.accounts.len() {
            let texts = std::iter::once(&role.session_name).chain(&role.source_identity);
            let tags = role.tags.iter().map(|(_, value)| value);
            names.extend(texts.chain(tags).flat_map(Template::placeholders));
            let BaseCredentials::Role(base) = &account.base else {
                break;
            };
            let Some(next) = self.role(base) else { break };
            (account, role) = next;
        }
        names.retain(|name| *name != Placeholder::Hostname);
        names
    }
}

/// Whether all callers of this grant have the same value for this placeholder.
fn fixes(grant: &Grant, placeholder: Placeholder) -> bool {
    let one_user = grant
        .when
        .users
        .as_ref()
        .is_some_and(|users| users.single().is_some());
    match placeholder {
        Placeholder::Hostname => true,
        Placeholder::User | Placeholder::Uid => one_user,
        Placeholder::Caller => one_user && grant.when.container.is_none(),
        Placeholder::Unit
        | Placeholder::UserUnit
        | Placeholder::Slice
        | Placeholder::Container
        | Placeholder::ContainerId
        | Placeholder::Image
        | Placeholder::Namespace
        | Placeholder::Pod
        | Placeholder::ServiceAccount
        | Placeholder::Subject
        | Placeholder::Principal
        | Placeholder::Host => false,
    }
}
