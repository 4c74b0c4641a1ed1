//! What a grant makes of the sessions it gives, and whether that is less than the role's own.

use std::sync::Arc;

use super::Names;
use crate::config::validate::policy::policy;
use crate::config::validate::reader::{Read, Reader, Wrong};
use crate::config::validate::role::{LONGEST_ROLE, foreign};
use crate::config::validate::session::{check_life, name_template, policy_arns, tags};
use crate::config::{Account, Config, Dialect, Role, duration};
use crate::grants::{CallerPolicy, Grant, GrantId, GrantedRole, Narrowing};
use crate::types::RoleRef;

/// The keys that narrow.
const KEYS: [&str; 7] = [
    "caller-policy",
    "policy-file",
    "policy-arns",
    "duration",
    "tags",
    "session-name",
    "source-identity",
];

pub(super) fn narrowing(reader: &Reader<'_>, names: &Names) -> Read<Arc<Narrowing>> {
    if KEYS.iter().all(|key| reader.own(key).is_none()) {
        return Ok(None);
    }
    let parse = |text: &str| names.template_of_role(text);
    let (policy, tags) = (policy(reader), tags(reader, parse));
    let session_name = name_template(reader, "session-name", parse);
    let source_identity = name_template(reader, "source-identity", parse);
    let duration = reader.duration("duration");
    if let Some(spot) = &duration {
        check_life(reader, &spot.at, spot.value, LONGEST_ROLE);
    }
    let policy_arns = policy_arns(reader);
    let caller_policy = reader.text("caller-policy").map(|spot| spot.value);
    let read = [
        ("caller-policy", caller_policy.is_some()),
        ("policy-file", policy.is_some()),
        ("session-name", session_name.is_some()),
        ("source-identity", source_identity.is_some()),
        ("duration", duration.is_some()),
    ];
    if read
        .iter()
        .any(|(key, read)| !read && reader.own(key).is_some())
    {
        return Err(Wrong);
    }
    Ok(Some(Arc::new(Narrowing {
        policy,
        policy_arns,
        duration: duration.map(|spot| spot.value),
        tags: tags.ok_or(Wrong)?,
        session_name,
        source_identity,
        caller_policy: match caller_policy {
            Some("replace") => CallerPolicy::Replaces,
            Some(_) | None => CallerPolicy::Refused,
        },
    })))
}

/// Holds what each grant narrows against the roles that it gives.
pub(in crate::config::validate) fn check(root: &Reader<'_>, config: &Config) {
    let tables = root.tables("grant");
    for grant in &config.grants {
        let (Some(by), GrantId::Grant(number)) = (&grant.narrowing, grant.id) else {
            continue;
        };
        if let Some(table) = tables.get(number.saturating_sub(1)) {
            let roles = roles_of(grant, config);
            for key in KEYS.iter().filter(|key| table.own(key).is_some()) {
                hold(table, key, &roles, by);
            }
        }
    }
}

/// A role that a grant may give, and its account.
type Given<'a> = (&'a Account, &'a Role);

/// The roles that a grant may give: those declared, and what the others of an account are.
fn roles_of<'a>(grant: &Grant, config: &'a Config) -> Vec<Given<'a>> {
    if let GrantedRole::Fixed(role) = &grant.role {
        return config.role(role).into_iter().collect();
    }
    let accounts = config.accounts.values();
    let roles = accounts.flat_map(|account| {
        let declared = account
            .roles
            .values()
            .filter(|role| grant.role.may_be(&role.reference));
        let others = account.defaults.as_deref().filter(|role| {
            // Any name will do: whether the template makes the account is the question.
            let GrantedRole::Template { account: alias, .. } = &grant.role else {
                return false;
            };
            alias.may_be(role.reference.account.as_str())
        });
        declared.chain(others).map(move |role| (account, role))
    });
    roles.collect()
}

/// Where no role can be narrowed so it is an error; where only some can, their callers get nothing
/// or what is told.
fn hold(table: &Reader<'_>, key: &str, roles: &[Given<'_>], by: &Narrowing) {
    let against: Vec<(&RoleRef, String)> = roles
        .iter()
        .filter_map(|(account, role)| Some((&role.reference, against(account, role, key, by)?)))
        .collect();
    let Some((role, why)) = against.first() else {
        return;
    };
    let at = table.place(key);
    if against.len() == roles.len() {
        table.problems().error(&at, why.clone());
    } else {
        let message = format!("{why}, as far as this grant gives {role}");
        table.problems().warning(&at, message);
    }
}

/// Why this key cannot narrow this role.
fn against(account: &Account, role: &Role, key: &str, by: &Narrowing) -> Option<String> {
    let (call, foreign) = foreign(role.kind);
    if foreign.contains(&key) {
        return Some(format!("{call} has no `{key}`"));
    }
    let only_aws = ["source-identity", "policy-arns", "tags"].contains(&key);
    if only_aws && account.dialect != Dialect::Aws {
        return Some(format!(
            "`{key}` is not sent: only AWS is known to understand it"
        ));
    }
    let name = &role.reference;
    match key {
        "duration" if by.duration.is_some_and(|asked| asked > role.duration) => Some(format!(
            "this is longer than the {} of {name}: a grant only narrows",
            duration::text(role.duration)
        )),
        "policy-file" | "policy-arns" if role.policy.is_some() || !role.policy_arns.is_empty() => {
            Some(format!(
                "{name} has a session policy of its own: STS would allow what either does"
            ))
        }
        "tags" => {
            let own = |tag: &str| {
                let mut own = role.tags.iter();
                own.any(|(own, _)| own.eq_ignore_ascii_case(tag))
            };
            let mut tags = by.tags.iter();
            let (twice, _) = tags.find(|(tag, _)| own(tag))?;
            Some(format!("{name} sets the tag `{twice}` already"))
        }
        _ => None,
    }
}
