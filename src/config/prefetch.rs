//! Which sessions are known before anybody asks for them.

use std::fmt;
use std::sync::Arc;

use super::{Account, BaseCredentials, Config, Role};
use crate::grants::{ContainerWhen, Grant, Names, Narrowing, Patterns, Placeholder, UserIds, When};
use crate::types::RoleRef;

/// A session that can be fetched ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The role.
    pub role: RoleRef,
    /// Whose session it is, where its names tell the user.
    pub uid: Option<u32>,
    /// What else its names tell of the caller.
    pub names: Names,
    /// What its grant makes of it.
    pub narrowing: Option<Arc<Narrowing>>,
}

/// A name that only a caller gives its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Of what is known of the caller.
    Placeholder(Placeholder),
    /// Of what the grant's patterns matched.
    Matched(Arc<str>),
}

impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placeholder(placeholder) => write!(f, "{{{}}}", placeholder.name()),
            Self::Matched(name) => write!(f, "{{{name}}}"),
        }
    }
}

impl Config {
    /// The sessions that are fetched at start and kept.
    pub fn prefetched(&self) -> Vec<Ahead> {
        let accounts = self.accounts.values();
        let roles =
            accounts.flat_map(|account| account.roles.values().map(move |role| (account, role)));
        let prefetched =
            roles.filter(|(account, role)| role.prefetch && !self.wants_callers_token(account));
        prefetched
            .flat_map(|(account, role)| self.ahead(account, role).unwrap_or_default())
            .collect()
    }

    /// The sessions of a role that are known without a caller: one for each grant that fixes every
    /// name in them, where they tell the caller, else the one of everybody. The first name that no
    /// grant fixes, where there is none.
    pub(super) fn ahead(&self, account: &Account, role: &Role) -> Result<Vec<Ahead>, Open> {
        let own = |grant: &&Arc<Grant>| grant.role.fixed() == Some(&role.reference);
        let mut all: Vec<Ahead> = Vec::new();
        let mut missing = None;
        let mut given = false;
        for grant in self.grants.iter().filter(own) {
            given = true;
            let narrowed = match &grant.narrowing {
                Some(by) => role.narrowed(by),
                None => Some(role.clone()),
            };
            // What cannot be narrowed is told elsewhere.
            let Some(narrowed) = narrowed else { continue };
            let fixed = Fixed::of(&grant.when);
            match fixed.fill(&role.reference, &self.open_names(account, &narrowed)) {
                Ok(ahead) => {
                    let narrowing = grant.narrowing.clone();
                    let ahead = Ahead { narrowing, ..ahead };
                    if !all.contains(&ahead) {
                        all.push(ahead);
                    }
                }
                Err(open) => missing = missing.or(Some(open)),
            }
        }
        match missing {
            _ if !all.is_empty() => Ok(all),
            Some(open) => Err(open),
            None if given => Ok(all),
            None => {
                let open = self.open_names(account, role);
                let ahead = Fixed::default().fill(&role.reference, &open)?;
                Ok(vec![ahead])
            }
        }
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

    /// The names in a role and in those it is chained from that tell the caller: placeholders, and
    /// what a grant's patterns matched.
    fn open_names(&self, account: &Account, role: &Role) -> Vec<Open> {
        let mut names = Vec::new();
        let (mut account, mut role) = (account, role);
        // A chain is no longer than there are accounts; a cycle is told elsewhere.
        for _ in 0..=self.accounts.len() {
            let texts = std::iter::once(&role.session_name).chain(&role.source_identity);
            let tags = role.tags.iter().map(|(_, value)| value);
            for text in texts.chain(tags) {
                names.extend(text.placeholders().map(Open::Placeholder));
                names.extend(text.groups().cloned().map(Open::Matched));
            }
            let BaseCredentials::Role(base) = &account.base else {
                break;
            };
            let Some(next) = self.role(base) else { break };
            (account, role) = next;
        }
        names.retain(|name| *name != Open::Placeholder(Placeholder::Hostname));
        names
    }
}

/// What all callers of a grant have in common, as far as the grant alone says it.
#[derive(Debug, Default)]
struct Fixed {
    /// The user, where it is one.
    uid: Option<u32>,
    /// Whether `{caller}` is that user, and no unit or container.
    caller_is_user: bool,
    /// The placeholders that its keys fix.
    names: Names,
    /// What its patterns can match only.
    matched: Vec<(Arc<str>, Arc<str>)>,
}

impl Fixed {
    fn of(when: &When) -> Self {
        let facts = matches!(when.container, Some(ContainerWhen::Facts(_))) || when.pod.is_some();
        let users = when.users.as_ref().filter(|_| !facts);
        let texts = when.texts();
        let matched = texts.iter().filter_map(|(name, patterns)| {
            Some((Arc::from(*name), Arc::clone(patterns.single()?)))
        });
        let in_session = below_a_user(when.unit.as_ref(), &["user@", "session-"])
            || below_a_user(when.slice.as_ref(), &["user-"]);
        Self {
            uid: users.and_then(UserIds::single),
            caller_is_user: when.user_unit.is_some() || in_session,
            names: names(when, in_session),
            matched: matched.collect(),
        }
    }

    /// The session of this role for callers of the grant.
    fn fill(self, role: &RoleRef, open: &[Open]) -> Result<Ahead, Open> {
        if let Some(open) = open.iter().find(|name| !self.has(name)) {
            return Err(open.clone());
        }
        let tells_user = |name: &Open| match name {
            Open::Placeholder(Placeholder::User | Placeholder::Uid) => true,
            Open::Placeholder(Placeholder::Caller) => self.caller_is_user,
            Open::Placeholder(_) | Open::Matched(_) => false,
        };
        let nothing = open.is_empty();
        Ok(Ahead {
            role: role.clone(),
            uid: self.uid.filter(|_| open.iter().any(tells_user)),
            names: if nothing {
                Names::default()
            } else {
                self.names.with_groups(&self.matched)
            },
            narrowing: None,
        })
    }

    fn has(&self, name: &Open) -> bool {
        match name {
            Open::Matched(name) => self.matched.iter().any(|(known, _)| known == name),
            Open::Placeholder(Placeholder::User | Placeholder::Uid) => self.uid.is_some(),
            Open::Placeholder(name) => {
                let as_user = *name == Placeholder::Caller && self.caller_is_user;
                self.names.get(*name).is_some() || as_user && self.uid.is_some()
            }
        }
    }
}

/// Whether this unit or slice lies below a user's slice, where callers are their user.
fn below_a_user(patterns: Option<&Patterns>, heads: &[&str]) -> bool {
    let name = patterns.and_then(Patterns::single);
    name.is_some_and(|name| heads.iter().any(|head| name.starts_with(head)))
}

/// The placeholders that the keys fix.
fn names(when: &When, in_session: bool) -> Names {
    let single = |patterns: Option<&Patterns>| patterns.and_then(Patterns::single).cloned();
    let unit = single(when.unit.as_ref());
    // Only of root's containers it is known what their runtime tells.
    let told = match &when.container {
        Some(ContainerWhen::Facts(facts)) if when.users.is_none() => Some(facts),
        Some(_) | None => None,
    };
    let container = told.and_then(|facts| single(facts.name.as_ref()));
    let id = match &when.container {
        Some(ContainerWhen::Facts(facts)) => single(facts.id.as_ref()),
        Some(ContainerWhen::Any) | None => None,
    };
    // Who shows a token is called by that.
    let placed = when.token.is_none() && when.pod.is_none();
    let system_unit = unit.clone().filter(|_| !in_session);
    let caller = system_unit.or_else(|| container.clone());
    let names = Names::default()
        .with_known(Placeholder::Caller, caller.filter(|_| placed))
        .with_known(Placeholder::Unit, unit)
        .with_known(Placeholder::UserUnit, single(when.user_unit.as_ref()))
        .with_known(Placeholder::Slice, single(when.slice.as_ref()))
        .with_known(Placeholder::Container, container)
        .with_known(Placeholder::ContainerId, id)
        .with_known(
            Placeholder::Image,
            told.and_then(|facts| single(facts.image.as_ref())),
        )
        .with_known(Placeholder::Host, single(when.host.as_ref()))
        .with_known(Placeholder::Principal, single(when.principal.as_ref()));
    let subject = when
        .token
        .as_ref()
        .and_then(|token| single(token.subject.as_ref()));
    let names = names.with_known(Placeholder::Subject, subject);
    let Some(pod) = &when.pod else {
        return names;
    };
    names
        .with_known(Placeholder::Namespace, single(pod.namespace.as_ref()))
        .with_known(Placeholder::Pod, single(pod.name.as_ref()))
        .with_known(
            Placeholder::ServiceAccount,
            single(pod.service_account.as_ref()),
        )
}
