//! Roles that are assumed with other roles' sessions.

use std::time::Duration;

use super::reader::Reader;
use crate::config::problem::At;
use crate::config::{Account, BaseCredentials, Config, Dialect, Role, RoleKind, duration};
use crate::types::RoleRef;

/// What AWS allows a session obtained by role chaining.
const LONGEST_CHAINED: Duration = Duration::from_hours(1);

pub(super) fn check(root: &Reader<'_>, config: &Config) {
    let mut told: Vec<Vec<RoleRef>> = Vec::new();
    for account in config.accounts.values() {
        let BaseCredentials::Role(base) = &account.base else {
            continue;
        };
        let Some(table) = root.named_one("account", account.alias.as_str()) else {
            continue;
        };
        let at = table
            .table("credentials")
            .map_or_else(|| table.at, |c| c.place("role"));
        if let Some(cycle) = cycle(config, base) {
            let mut members = cycle.clone();
            members.sort_unstable();
            members.dedup();
            if !told.contains(&members) {
                told.push(members);
                let path: Vec<String> = cycle.iter().map(ToString::to_string).collect();
                root.problems()
                    .error(
                        &at,
                        format!("these roles wait for each other: {}", path.join(" → ")),
                    )
                    .hint("the first role of a chain is assumed with credentials that are no role");
            }
        } else if let Some((of, role)) = config.role(base) {
            check_link(root, account, of, role, &at);
            check_durations(&table, account, role);
        }
    }
}

/// The roles from the first one that comes again to itself.
fn cycle(config: &Config, first: &RoleRef) -> Option<Vec<RoleRef>> {
    let mut path = vec![first.clone()];
    let mut at = first;
    loop {
        let account = config.accounts.get(&at.account)?;
        let BaseCredentials::Role(base) = &account.base else {
            return None;
        };
        if let Some(start) = path.iter().position(|role| role == base) {
            let mut cycle = path.split_off(start);
            cycle.push(base.clone());
            return Some(cycle);
        }
        path.push(base.clone());
        at = base;
    }
}

/// Whether this role's sessions can sign the account's calls.
fn check_link(root: &Reader<'_>, account: &Account, of: &Account, base: &Role, at: &At) {
    if base.kind == RoleKind::FederationToken {
        root.problems().error(
            at,
            format!(
                "{} comes from GetFederationToken, whose sessions may not call STS",
                base.reference
            ),
        );
    }
    if account.dialect == Dialect::Minio {
        root.problems()
            .error(at, "MinIO lets no temporary credentials assume a role")
            .hint("name long-term keys by `from = \"key\"`");
    }
    if matches!(of.base, BaseCredentials::Local) {
        let message = format!(
            "no upstream knows the sessions of {}, a role of the built-in authority",
            base.reference
        );
        root.problems().warning(at, message);
    }
}

/// A chained session lives an hour at most; asking for more is an error at AWS.
fn check_durations(table: &Reader<'_>, account: &Account, base: &Role) {
    let chained = matches!(base.kind, RoleKind::AssumeRole | RoleKind::WebIdentity);
    if !chained || account.dialect != Dialect::Aws {
        return;
    }
    let defaults = table.table("defaults");
    for (name, role) in table.named("role") {
        let own = account.roles.iter().find(|(own, _)| own.as_str() == name);
        let Some(life) = own.map(|(_, own)| own.duration) else {
            continue;
        };
        if life > LONGEST_CHAINED {
            role.problems()
                .error(
                    &role.clone().or(defaults.as_ref()).place("duration"),
                    format!(
                        "{} is too long for a chained role: AWS allows 1h",
                        duration::text(life)
                    ),
                )
                .hint(format!(
                    "{} is assumed with the session of {}",
                    name, base.reference
                ));
        }
    }
}
