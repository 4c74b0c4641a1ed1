//! What a new configuration changes, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::{
    Account, BaseCredentials, Config, GrantSource, Issuer, Ldap, Limits, Listener, People, Role,
    RolesFrom,
};
use crate::grants::{Grant, GrantId};
use crate::secret::same_secret;

/// What lies between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What can be applied while the daemon runs, in words.
    pub applied: Vec<String>,
    /// The keys whose change needs a restart.
    pub restart: Vec<String>,
}

/// What `new` changes.
pub fn diff(old: &Config, new: &Config) -> Changes {
    let mut changes = Changes::default();
    listeners(&old.listeners, &new.listeners, &mut changes.restart);
    fixed_at_start(old, new, &mut changes.restart);
    let applied = &mut changes.applied;
    if old.origin != new.origin {
        applied.push("the configuration comes from another file".to_owned());
    }
    let aliases = old.accounts.keys().chain(new.accounts.keys());
    let mut aliases: Vec<_> = aliases.collect();
    aliases.sort_unstable();
    aliases.dedup();
    for alias in aliases {
        match (old.accounts.get(alias), new.accounts.get(alias)) {
            (Some(_), None) => applied.push(format!("account {alias} is gone")),
            (None, Some(_)) => applied.push(format!("account {alias} is new")),
            (Some(old), Some(new)) => account(old, new, applied),
            (None, None) => {}
        }
    }
    grants(&old.grants, &new.grants, applied);
    issuers(&old.issuers, &new.issuers, applied);
    sources(old, new, applied);
    if old.log != new.log {
        applied.push("[log] changed".to_owned());
    }
    if old.limits.ready_deadline != new.limits.ready_deadline {
        applied.push("limits.ready-deadline changed".to_owned());
    }
    if old.limits.linger != new.limits.linger {
        applied.push("limits.linger changed".to_owned());
    }
    if old.limits.drain != new.limits.drain {
        applied.push("limits.drain changed".to_owned());
    }
    changes
}

fn listeners(old: &[Listener], new: &[Listener], restart: &mut Vec<String>) {
    let by_name = |listeners: &'_ [Listener]| -> BTreeMap<Arc<str>, Listener> {
        listeners
            .iter()
            .map(|one| (Arc::clone(&one.name), one.clone()))
            .collect()
    };
    let (old, mut new) = (by_name(old), by_name(new));
    for (name, was) in &old {
        let Some(is) = new.remove(name) else {
            restart.push(format!("[[listener]] {name} (removed)"));
            continue;
        };
        let keys = [
            ("bind", was.binds != is.binds),
            ("apis", was.apis != is.apis),
            ("imdsv1", was.imdsv1 != is.imdsv1),
            ("hosts", was.hosts != is.hosts),
            ("instance-id", was.instance.id != is.instance.id),
            (
                "availability-zone",
                was.instance.availability_zone != is.instance.availability_zone,
            ),
            ("instance-type", was.instance.kind != is.instance.kind),
            ("minio-js-alias", was.minio_js_alias != is.minio_js_alias),
            ("tokenless", was.tokenless != is.tokenless),
            ("select", was.select != is.select),
            ("token", was.tokens != is.tokens),
            ("mount", was.mounts != is.mounts),
            ("peers", was.peers != is.peers),
            ("public-url", was.public_url != is.public_url),
            ("tls", was.tls != is.tls),
        ];
        restart.extend(changed(&keys).map(|key| format!("[[listener]] {name}: {key}")));
    }
    restart.extend(
        new.keys()
            .map(|name| format!("[[listener]] {name} (added)")),
    );
}

fn fixed_at_start(old: &Config, new: &Config, restart: &mut Vec<String>) {
    let (was, is): (&Limits, &Limits) = (&old.limits, &new.limits);
    let keys = [
        (
            "state.directory",
            old.state.directory != new.state.directory,
        ),
        (
            "state.key",
            !same(old.state.key.as_ref(), new.state.key.as_ref()),
        ),
        ("state.sessions", old.state.sessions != new.state.sessions),
        (
            "runtime.socket",
            old.runtime.as_ref().map(|one| &one.socket)
                != new.runtime.as_ref().map(|one| &one.socket),
        ),
        ("people", !same_people(&old.people, &new.people)),
        (
            "authority.signature-age",
            old.authority.signature_age != new.authority.signature_age,
        ),
        (
            "authority.token-lifetime",
            old.authority.token_lifetime != new.authority.token_lifetime,
        ),
        (
            "authority.service-token",
            !same(
                old.authority.service_token.as_ref(),
                new.authority.service_token.as_ref(),
            ),
        ),
        (
            "authority.ec2tokens-without-token",
            old.authority.ec2tokens_without_token != new.authority.ec2tokens_without_token,
        ),
        (
            "authority.replay-cache",
            old.authority.replay_cache != new.authority.replay_cache,
        ),
        ("admin.socket", old.admin_socket != new.admin_socket),
        ("limits.connections", was.connections != is.connections),
        (
            "limits.connections-per-caller",
            was.connections_per_caller != is.connections_per_caller,
        ),
        (
            "limits.requests-per-caller",
            was.requests_per_caller != is.requests_per_caller,
        ),
        (
            "limits.flights-per-caller",
            was.flights_per_caller != is.flights_per_caller,
        ),
        ("limits.sessions", was.sessions != is.sessions),
        ("limits.patience", was.patience != is.patience),
    ];
    restart.extend(changed(&keys).map(str::to_owned));
}

fn account(was: &Account, is: &Account, applied: &mut Vec<String>) {
    let keys = [
        ("id", was.id != is.id),
        ("partition", was.partition != is.partition),
        ("region", was.region != is.region),
        ("dialect", was.dialect != is.dialect),
        ("endpoint", was.endpoint != is.endpoint),
        ("credentials", !same_base(&was.base, &is.base)),
        ("rate-limit", was.rate_limit != is.rate_limit),
        ("description", was.description != is.description),
        (
            "signin-endpoint",
            was.console.signin_endpoint != is.console.signin_endpoint,
        ),
        (
            "console-endpoint",
            was.console.endpoint != is.console.endpoint,
        ),
        (
            "callback-origins",
            was.console.callback_origins != is.console.callback_origins,
        ),
        (
            "console-destination",
            was.console.destination != is.console.destination,
        ),
        ("console-region", was.console.region != is.console.region),
        ("ecr-endpoint", was.ecr_endpoint != is.ecr_endpoint),
        ("ecr-region", was.ecr_region != is.ecr_region),
        ("keystone-roles", was.keystone_roles != is.keystone_roles),
    ];
    let keys: Vec<&str> = changed(&keys).collect();
    if !keys.is_empty() {
        applied.push(format!("account {} changed: {}", is.alias, keys.join(", ")));
    }
    for (name, role) in &was.roles {
        let Some(new) = is.roles.get(name) else {
            applied.push(format!("role {} is gone", role.reference));
            continue;
        };
        let of_role = changed_keys(role, new);
        if !of_role.is_empty() {
            applied.push(format!(
                "role {} changed: {}",
                role.reference,
                of_role.join(", ")
            ));
        }
    }
    let added = is
        .roles
        .iter()
        .filter(|(name, _)| !was.roles.contains_key(*name));
    applied.extend(added.map(|(_, role)| format!("role {} is new", role.reference)));
}

fn changed_keys(was: &Role, is: &Role) -> Vec<&'static str> {
    let keys = [
        ("arn", was.arn != is.arn),
        ("kind", was.kind != is.kind),
        ("duration", was.duration != is.duration),
        ("prefetch", was.prefetch != is.prefetch),
        ("session-name", was.session_name != is.session_name),
        ("source-identity", was.source_identity != is.source_identity),
        ("external-id", was.external_id != is.external_id),
        ("policy-file", was.policy != is.policy),
        ("policy-arns", was.policy_arns != is.policy_arns),
        ("tags", was.tags != is.tags),
        ("transitive-tags", was.transitive_tags != is.transitive_tags),
        ("idle", was.idle != is.idle),
        ("not-before", was.not_before != is.not_before),
    ];
    changed(&keys).collect()
}

fn grants(old: &[Arc<Grant>], new: &[Arc<Grant>], applied: &mut Vec<String>) {
    let texts = |grants: &[Arc<Grant>]| -> Vec<String> {
        grants.iter().map(|grant| without_number(grant)).collect()
    };
    let (was, is) = (texts(old), texts(new));
    let known: BTreeSet<&String> = was.iter().collect();
    let wanted: BTreeSet<&String> = is.iter().collect();
    let is_own = |grant: &Grant| matches!(grant.id, GrantId::Grant(_));
    for (grant, _) in old
        .iter()
        .zip(&was)
        .filter(|(grant, text)| is_own(grant) && !wanted.contains(text))
    {
        applied.push(format!(
            "a grant of {} is gone ({})",
            grant.role, grant.reason
        ));
    }
    for (grant, _) in new
        .iter()
        .zip(&is)
        .filter(|(grant, text)| is_own(grant) && !known.contains(text))
    {
        applied.push(format!(
            "{} is new: {} ({})",
            grant.id, grant.role, grant.reason
        ));
    }
    let before = was.iter().filter(|text| wanted.contains(text));
    let after = is.iter().filter(|text| known.contains(text));
    if !before.eq(after) {
        applied.push("the grants are tried in another order".to_owned());
    }
}

fn issuers(old: &[Issuer], new: &[Issuer], applied: &mut Vec<String>) {
    let find = |issuers: &'_ [Issuer], url: &str| -> Option<Issuer> {
        issuers.iter().find(|one| *one.url == *url).cloned()
    };
    for was in old {
        let Some(is) = find(new, &was.url) else {
            applied.push(format!("issuer {} is gone", was.url));
            continue;
        };
        let keys = [
            ("audiences", was.audiences != is.audiences),
            ("keys", was.keys != is.keys),
            ("algorithms", was.algorithms != is.algorithms),
            ("tags", was.tags != is.tags),
            ("introspection", was.introspection != is.introspection),
        ];
        let keys: Vec<&str> = changed(&keys).collect();
        if !keys.is_empty() {
            applied.push(format!("issuer {} changed: {}", is.url, keys.join(", ")));
        }
    }
    let added = new.iter().filter(|is| find(old, &is.url).is_none());
    applied.extend(added.map(|is| format!("issuer {} is new", is.url)));
}

/// All of a grant but its number, which others before it change.
fn without_number(grant: &Grant) -> String {
    let Grant {
        id: _,
        role,
        when,
        priority,
        reason,
        imdsv1,
        narrowing,
    } = grant;
    format!("{role} {when:?} {priority} {reason} {imdsv1:?} {narrowing:?}")
}

/// Sources are told by their place: they have no names.
fn sources(old: &Config, new: &Config, applied: &mut Vec<String>) {
    let rule = |config: &Config, number: usize| {
        let mut grants = config.grants.iter();
        let own = grants.find(|grant| grant.id == GrantId::Source(number));
        own.map(|grant| without_number(grant))
    };
    let id = |source: &GrantSource| GrantId::Source(source.number);
    for (was, is) in old.sources.iter().zip(&new.sources) {
        if !same_source(&was.from, &is.from) || rule(old, was.number) != rule(new, is.number) {
            applied.push(format!("{} changed", id(is)));
        }
    }
    let gone = old.sources.iter().skip(new.sources.len());
    applied.extend(gone.map(|source| format!("{} is gone", id(source))));
    let added = new.sources.iter().skip(old.sources.len());
    applied.extend(added.map(|source| format!("{} is new", id(source))));
}

fn same_source(a: &RolesFrom, b: &RolesFrom) -> bool {
    match (a, b) {
        (RolesFrom::Command(a), RolesFrom::Command(b)) => a == b,
        (RolesFrom::Service(a), RolesFrom::Service(b)) => {
            a.url == b.url && a.ca_file == b.ca_file && same(a.token.as_ref(), b.token.as_ref())
        }
        (RolesFrom::Command(_), RolesFrom::Service(_))
        | (RolesFrom::Service(_), RolesFrom::Command(_)) => false,
    }
}

fn same_people(was: &People, is: &People) -> bool {
    let directory = match (&was.ldap, &is.ldap) {
        (Some(was), Some(is)) => same_directory(was, is),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    directory
        && was.users_file == is.users_file
        && was.groups_file == is.groups_file
        && was.administrators == is.administrators
        && was.pam == is.pam
        && was.oidc == is.oidc
        && was.proxy_header == is.proxy_header
}

fn same_directory(was: &Ldap, is: &Ldap) -> bool {
    let bind = match (&was.bind, &is.bind) {
        (Some((a, a_password)), Some((b, b_password))) => {
            a == b && same(Some(a_password), Some(b_password))
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    bind && was.url == is.url
        && was.base_users == is.base_users
        && was.base_groups == is.base_groups
        && was.user_attribute == is.user_attribute
        && was.group_attribute == is.group_attribute
        && was.ca_file == is.ca_file
}

fn same_base(a: &BaseCredentials, b: &BaseCredentials) -> bool {
    use BaseCredentials::{
        CallerToken, Endpoint, Environment, Imds, Key, Local, Process, Profile, Role, WebIdentity,
    };
    match (a, b) {
        (Environment, Environment) | (Imds, Imds) | (Local, Local) | (CallerToken, CallerToken) => {
            true
        }
        (Profile(a), Profile(b)) => a == b,
        (Process(a), Process(b)) => a == b,
        (Role(a), Role(b)) => a == b,
        (WebIdentity { token_file: a }, WebIdentity { token_file: b }) => a == b,
        (
            Key {
                id: a,
                secret: a_secret,
                token: a_token,
            },
            Key {
                id: b,
                secret: b_secret,
                token: b_token,
            },
        ) => {
            a == b
                && same(Some(a_secret), Some(b_secret))
                && same(a_token.as_ref(), b_token.as_ref())
        }
        (
            Endpoint {
                url: a,
                token: a_token,
            },
            Endpoint {
                url: b,
                token: b_token,
            },
        ) => a == b && same(a_token.as_ref(), b_token.as_ref()),
        (
            Environment
            | Imds
            | Local
            | CallerToken
            | Profile(_)
            | Process(_)
            | Role(_)
            | WebIdentity { .. }
            | Key { .. }
            | Endpoint { .. },
            _,
        ) => false,
    }
}

fn same(a: Option<&SecretString>, b: Option<&SecretString>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            same_secret(a.expose_secret().as_bytes(), b.expose_secret().as_bytes())
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn changed<'a>(keys: &'a [(&'static str, bool)]) -> impl Iterator<Item = &'static str> + 'a {
    keys.iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| *key)
}
