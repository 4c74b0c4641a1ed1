//! Grants and roles together: what is never reached, and what cannot be fetched ahead.

use std::collections::{BTreeMap, BTreeSet};

use super::cover::{Anchor, covers};
use super::reader::Reader;
use crate::config::problem::At;
use crate::config::{Account, BaseCredentials, Config, Holder, Role};
use crate::grants::{Grant, GrantId, GrantedRole, When};
use crate::types::RoleRef;

/// How many hidden grants are named.
const SHOWN: usize = 5;

pub(super) fn check(root: &Reader<'_>, config: &Config) {
    check_order(root, config);
    check_prefetch(root, config);
    check_unused(root, config);
    check_underived(root, config);
    check_tokens(root, config);
}

/// Grants before which another one takes every caller.
fn check_order(root: &Reader<'_>, config: &Config) {
    let mut hiders = Hiders::default();
    let mut hidden: BTreeMap<usize, Vec<&Grant>> = BTreeMap::new();
    // What a source gives nobody knows here: it hides nothing.
    let known = config.grants.iter();
    for grant in known.filter(|grant| matches!(grant.id, GrantId::Grant(_))) {
        match hiders.of(&grant.when) {
            Some(wider) => hidden.entry(number(wider)).or_default().push(grant),
            None => hiders.add(grant),
        }
    }
    let tables = root.tables("grant");
    let at = |number: usize| {
        tables
            .get(number.saturating_sub(1))
            .map_or_else(At::default, |table| table.at)
    };
    for (wider, grants) in hidden {
        let Some(first) = grants.first() else {
            continue;
        };
        let numbers = grants
            .iter()
            .take(SHOWN)
            .map(|grant| number(grant).to_string());
        let mut numbers = numbers.collect::<Vec<_>>().join(", ");
        if grants.len() > SHOWN {
            numbers = format!("{numbers} and {} more", grants.len() - SHOWN);
        }
        let plural = if grants.len() == 1 { "" } else { "s" };
        root.problems()
            .warning(
                &at(number(first)),
                format!("grant {wider} takes all callers of grant{plural} {numbers} first"),
            )
            .and(&at(wider))
            .hint(
                "they get a later role only by asking for it by name; `priority` changes the order",
            );
    }
}

/// The grants that may hide later ones, found by what they fix.
#[derive(Default)]
struct Hiders<'a> {
    anywhere: Vec<&'a Grant>,
    by_anchor: BTreeMap<Anchor, Vec<&'a Grant>>,
}

impl<'a> Hiders<'a> {
    fn add(&mut self, grant: &'a Grant) {
        // What makes no name of a role lets the next grant decide.
        if grant.role.fixed().is_none() {
            return;
        }
        let anchors = Anchor::of(&grant.when);
        if anchors.is_empty() {
            self.anywhere.push(grant);
        }
        for anchor in anchors {
            self.by_anchor.entry(anchor).or_default().push(grant);
        }
    }

    /// The first that matches every caller whom this pattern matches.
    fn of(&self, when: &When) -> Option<&'a Grant> {
        let by_anchor = Anchor::within(when)
            .into_iter()
            .filter_map(|anchor| self.by_anchor.get(&anchor));
        let mut candidates = self.anywhere.iter().chain(by_anchor.flatten());
        candidates.find(|grant| covers(&grant.when, when)).copied()
    }
}

/// Its number in the configuration.
const fn number(grant: &Grant) -> usize {
    match grant.id {
        GrantId::Grant(number) | GrantId::Source(number) => number,
        // None of the configuration's.
        GrantId::Connector(_) => 0,
    }
}

/// A role that is fetched at start needs every name in it known without a caller.
fn check_prefetch(root: &Reader<'_>, config: &Config) {
    for (account, role) in roles(config).filter(|(_, role)| role.prefetch) {
        if config.wants_callers_token(account) {
            if let Some(at) = role_table(root, role).map(|table| table.place("prefetch")) {
                root.problems().error(
                    &at,
                    "this role cannot be fetched ahead: it is assumed with its caller's token",
                );
            }
            continue;
        }
        let Err(open) = config.ahead(account, role) else {
            continue;
        };
        let Some(at) = role_table(root, role).map(|table| table.place("prefetch")) else {
            continue;
        };
        root.problems()
            .error(
                &at,
                format!("this role cannot be fetched ahead: no grant fixes its {open}"),
            )
            .hint(
                "write a `session-name` without placeholders, or a grant for one `unit`, or for one `user` and `session-name = \"{user}\"`",
            );
    }
}

/// Roles that nobody can ask for.
fn check_unused(root: &Reader<'_>, config: &Config) {
    let bases = config
        .accounts
        .values()
        .filter_map(|account| match &account.base {
            BaseCredentials::Role(base) => Some(base),
            BaseCredentials::Environment
            | BaseCredentials::Profile(_)
            | BaseCredentials::Key { .. }
            | BaseCredentials::WebIdentity { .. }
            | BaseCredentials::Process(_)
            | BaseCredentials::Endpoint { .. }
            | BaseCredentials::Imds
            | BaseCredentials::CallerToken
            | BaseCredentials::Local => None,
        });
    let granted = config.grants.iter().filter_map(|grant| grant.role.fixed());
    let wanted: BTreeSet<&RoleRef> = bases.chain(granted).collect();
    let told = |role: &RoleRef| {
        let mut open = config.grants.iter().filter(|it| it.role.fixed().is_none());
        open.any(|grant| grant.role.may_be(role))
    };
    // It is not known where a grant was not understood, nor what a source gives.
    if root.tables("grant").len() != config.grants.len() {
        return;
    }
    for (_, role) in roles(config) {
        if wanted.contains(&role.reference) || told(&role.reference) {
            continue;
        }
        if let Some(table) = role_table(root, role) {
            root.problems().note(
                &table.at,
                format!("no grant gives {} to anybody", role.reference),
            );
        }
    }
}

/// Patterns that name roles of an account whose roles have no ARN unless they are declared.
fn check_underived(root: &Reader<'_>, config: &Config) {
    let tables = root.tables("grant");
    for grant in &config.grants {
        let GrantedRole::Template { account: alias, .. } = &grant.role else {
            continue;
        };
        let of_template = |account: &&Account| alias.may_be(account.alias.as_str());
        let mut accounts = config.accounts.values().filter(of_template).peekable();
        let gives = |account: &Account| {
            let mut declared = account.roles.values();
            account.defaults.is_some() || declared.any(|role| grant.role.may_be(&role.reference))
        };
        if accounts.peek().is_none() || accounts.any(gives) {
            continue;
        }
        if let Some(table) = tables.get(number(grant).saturating_sub(1)) {
            root.problems()
                .warning(
                    &table.place("role"),
                    "this grant can never give a role: its account has no `id` to derive an ARN of",
                )
                .hint("give the account its `id`, or declare the roles");
        }
    }
}

/// Tokens whose owner gets nothing by them.
fn check_tokens(root: &Reader<'_>, config: &Config) {
    for table in root.tables("listener") {
        let name = table.text("name").map_or("", |spot| spot.value);
        let Some(listener) = config.listeners.iter().find(|l| &*l.name == name) else {
            continue;
        };
        for (token, at) in listener.tokens.iter().zip(table.tables("token")) {
            if token.holder == Holder::Container {
                continue;
            }
            let gives = |grant: &Grant| {
                let When {
                    users, listeners, ..
                } = &grant.when;
                let here = listeners.as_ref();
                let role = token.role.as_ref();
                here.is_none_or(|names| names.contains(&listener.name))
                    && users.as_ref().is_none_or(|uids| uids.contains(token.owner))
                    && role.is_none_or(|role| grant.role.may_be(role))
            };
            if !config.grants.iter().any(|grant| gives(grant)) {
                let whom = format!("uid {}", token.owner);
                let message = match &token.role {
                    Some(role) => format!("no grant gives {role} to {whom}, this token's owner"),
                    None => format!("no grant gives anything to {whom}, this token's owner"),
                };
                root.problems().warning(&at.at, message);
            }
        }
    }
}

fn roles(config: &Config) -> impl Iterator<Item = (&Account, &Role)> {
    config
        .accounts
        .values()
        .flat_map(|account| account.roles.values().map(move |r| (account, r)))
}

fn role_table<'a>(root: &Reader<'a>, role: &Role) -> Option<Reader<'a>> {
    let account = root.named_one("account", role.reference.account.as_str())?;
    account.named_one("role", role.reference.role.as_str())
}
