//! Grants and roles together: what is never reached, and what cannot be fetched ahead.

use super::chains::account_table;
use super::reader::Reader;
use crate::config::problem::At;
use crate::config::{Account, BaseCredentials, Config, Role};
use crate::grants::{Grant, Placeholder, Template, When};

pub(super) fn check(root: &Reader<'_>, config: &Config) {
    check_order(root, config);
    check_prefetch(root, config);
    check_unused(root, config);
    check_tokens(root, config);
}

/// A grant before which another one takes every caller.
fn check_order(root: &Reader<'_>, config: &Config) {
    let tables = root.tables("grant");
    let at = |grant: &Grant| {
        tables
            .get(grant.number.saturating_sub(1))
            .map_or_else(At::default, |t| t.at.clone())
    };
    for (index, grant) in config.grants.iter().enumerate() {
        let earlier = config.grants.iter().take(index);
        let Some(wider) = earlier.into_iter().find(|e| covers(&e.when, &grant.when)) else {
            continue;
        };
        let (what, hint) = if wider.role == grant.role {
            (
                "gives the same callers the same role",
                "remove one of the two",
            )
        } else {
            (
                "takes all of its callers first",
                "they get this role only by asking for it by name; give it a higher `priority`, or put it first",
            )
        };
        root.problems()
            .warning(
                &at(grant),
                format!(
                    "grant {} is hidden: grant {} {what}",
                    grant.number, wider.number
                ),
            )
            .and(&at(wider))
            .hint(hint);
    }
}

/// Whether every caller that `narrow` matches is matched by `wide` too.
fn covers(wide: &When, narrow: &When) -> bool {
    let listeners = match (&wide.listeners, &narrow.listeners) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => narrow.iter().all(|name| wide.contains(name)),
    };
    let users = match (&wide.users, &narrow.users) {
        (Some(wide), Some(narrow)) => narrow.iter().all(|uid| wide.contains(uid)),
        (Some(_), None) | (None, _) => false,
    };
    let containers = wide.any_container || !narrow.any_container;
    listeners && (wide.anyone || (users && containers && !narrow.anyone))
}

/// A role that is fetched at start needs every name in it known without a caller.
fn check_prefetch(root: &Reader<'_>, config: &Config) {
    for (account, role) in roles(config).filter(|(_, role)| role.prefetch) {
        let open = placeholders(config, account, role);
        let mut grants = config
            .grants
            .iter()
            .filter(|grant| grant.role == role.reference);
        let Some(name) = open.iter().find(|name| **name != Placeholder::Hostname) else {
            continue;
        };
        if grants.any(|grant| open.iter().all(|one| fixes(grant, *one))) {
            continue;
        }
        let Some(at) = role_table(root, role).map(|table| table.place("prefetch")) else {
            continue;
        };
        root.problems()
            .error(
                &at,
                format!(
                    "this role cannot be fetched ahead: no grant fixes its {{{}}}",
                    name.name()
                ),
            )
            .hint(
                "write a `session-name` without placeholders, or a grant for one `uid` or `user`",
            );
    }
}

/// All placeholders of a role and of the roles it is chained from.
fn placeholders(config: &Config, account: &Account, role: &Role) -> Vec<Placeholder> {
    let mut names = Vec::new();
    let (mut account, mut role) = (account, role);
    // A chain is no longer than there are accounts; a cycle has been told already.
    for _ in 0..=config.accounts.len() {
        let templates = [Some(&role.session_name), role.source_identity.as_ref()];
        let templates = templates.into_iter().flatten();
        let tags = role.tags.iter().map(|(_, value)| value);
        names.extend(templates.chain(tags).flat_map(Template::placeholders));
        let BaseCredentials::Role(base) = &account.base else {
            break;
        };
        let Some(next) = config.role(base) else { break };
        (account, role) = next;
    }
    names
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
        Placeholder::Caller => one_user && !grant.when.any_container,
    }
}

/// Roles that nobody can ask for.
fn check_unused(root: &Reader<'_>, config: &Config) {
    let is_base = |role: &Role| {
        config.accounts.values().any(
            |account| matches!(&account.base, BaseCredentials::Role(base) if *base == role.reference),
        )
    };
    if root.tables("grant").len() != config.grants.len() {
        return;
    }
    for (_, role) in roles(config) {
        let granted = config
            .grants
            .iter()
            .any(|grant| grant.role == role.reference);
        if !granted
            && !is_base(role)
            && let Some(table) = role_table(root, role)
        {
            root.problems().note(
                &table.at,
                format!("no grant gives {} to anybody", role.reference),
            );
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
            let gives = |grant: &Grant| {
                let users = grant.when.users.as_ref();
                let here = grant
                    .when
                    .listeners
                    .as_ref()
                    .is_none_or(|l| l.contains(&listener.name));
                here && (grant.when.anyone || users.is_some_and(|u| u.contains(token.owner)))
                    && token.role.as_ref().is_none_or(|role| grant.role == *role)
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
    let account = account_table(root, role.reference.account.as_str())?;
    let mut roles = account.named("role").into_iter();
    roles
        .find(|(name, _)| *name == role.reference.role.as_str())
        .map(|(_, table)| table)
}
