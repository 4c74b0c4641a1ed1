//! `[account.ALIAS.role.NAME]`: what each STS call takes, and within which bounds.

use std::time::{Duration, SystemTime};

use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::policy::policy;
use super::reader::{Reader, Spot};
use super::session::{check_life, name_template, policy_arns, tags};
use crate::config::narrow::IDLE;
use crate::config::{BaseCredentials, Dialect, Role, RoleKind};
use crate::grants::Template;
use crate::types::{AccountId, ExternalId, Partition, RoleArn, RoleName, RoleRef};

const HOUR: Duration = Duration::from_hours(1);
/// The longest life of a role's session.
pub(super) const LONGEST_ROLE: Duration = Duration::from_hours(12);
const LONGEST_FEDERATED: Duration = Duration::from_hours(36);
const LONGEST_DISPLAY_NAME: usize = 255;
const LONGEST_MINIO: Duration = Duration::from_hours(168);

/// What a role takes from its account.
#[derive(Debug)]
pub(super) struct Surrounding<'a> {
    pub(super) reference: RoleRef,
    pub(super) id: Option<&'a AccountId>,
    /// Whether it is said at all, rightly or wrongly.
    pub(super) says_id: bool,
    pub(super) partition: &'a Partition,
    pub(super) dialect: Dialect,
    /// Not known where they are wrong.
    pub(super) base: Option<&'a BaseCredentials>,
}

pub(super) fn role(reader: &Reader<'_>, account: &Surrounding<'_>) -> Option<Role> {
    let kind = kind(reader, account);
    let arn = arn(reader, account, kind);
    refuse_foreign_keys(reader, kind, account.dialect);
    let tags = if takes_tags(kind) {
        tags(reader, Template::parse)
    } else {
        Some(Vec::new())
    };
    let transitive_tags = match (&tags, kind) {
        (Some(tags), RoleKind::AssumeRole) => transitive_tags(reader, tags),
        (_, _) => Some(Vec::new()),
    };
    let with_identity = kind == RoleKind::AssumeRole;
    let takes_policy = kind != RoleKind::SessionToken;
    let policy_ok = !takes_policy || reader.path("policy-file").is_none();
    let policy = if takes_policy { policy(reader) } else { None };
    let source_identity = with_identity
        .then(|| name_template(reader, "source-identity", Template::parse))
        .flatten();
    let duration = life(reader, account, kind);
    let role = Role {
        reference: account.reference.clone(),
        arn: arn?,
        kind,
        duration,
        prefetch: reader.flag("prefetch").unwrap_or_default(),
        session_name: name_template(reader, "session-name", Template::parse)
            .unwrap_or_else(Template::caller),
        source_identity,
        external_id: with_identity
            .then(|| reader.parsed("external-id", ExternalId::new))
            .flatten(),
        policy: policy.clone(),
        policy_arns: if takes_policy {
            policy_arns(reader)
        } else {
            Vec::new()
        },
        tags: tags?,
        transitive_tags: transitive_tags?,
        idle: reader.duration("idle").map_or(IDLE, |spot| spot.value),
        max_duration: max_duration(reader, account, kind, duration),
        display_name: reader.parsed("display-name", display_name),
        connector_id: reader.parsed("connector-id", connector_id),
        not_before: not_before(reader, account),
    };
    (policy_ok || policy.is_some()).then_some(role)
}

/// A role of which nothing is said.
pub(super) fn plain(account: &Surrounding<'_>) -> Role {
    let arn = RoleArn::derived(account.partition, account.id, &account.reference.role);
    Role::plain(account.reference.clone(), arn, plain_kind(account))
}

fn plain_kind(account: &Surrounding<'_>) -> RoleKind {
    match account.base {
        Some(BaseCredentials::WebIdentity { .. } | BaseCredentials::CallerToken) => {
            RoleKind::WebIdentity
        }
        Some(_) | None => RoleKind::AssumeRole,
    }
}

fn kind(reader: &Reader<'_>, account: &Surrounding<'_>) -> RoleKind {
    let kind = match reader.text("kind").map(|spot| spot.value) {
        Some("web-identity") => RoleKind::WebIdentity,
        Some("federation-token") => RoleKind::FederationToken,
        Some("session-token") => RoleKind::SessionToken,
        Some("assume-role") => RoleKind::AssumeRole,
        Some(_) | None => plain_kind(account),
    };
    if let Some(base) = account.base {
        check_base(reader, kind, base);
    }
    if account.dialect == Dialect::Minio
        && matches!(kind, RoleKind::FederationToken | RoleKind::SessionToken)
    {
        let message = "MinIO has neither GetFederationToken nor GetSessionToken";
        reader.problems().error(&reader.place("kind"), message);
    }
    kind
}

/// Whether this kind of call can be made with these base credentials.
fn check_base(reader: &Reader<'_>, kind: RoleKind, base: &BaseCredentials) {
    let at = reader.place("kind");
    match (kind, base) {
        (
            RoleKind::AssumeRole,
            BaseCredentials::WebIdentity { .. } | BaseCredentials::CallerToken,
        ) => {
            reader
                .problems()
                .error(
                    &at,
                    "AssumeRole is signed with keys, and a web identity token signs nothing",
                )
                .hint("leave `kind` out, or name other `credentials`");
        }
        (
            RoleKind::WebIdentity,
            BaseCredentials::WebIdentity { .. } | BaseCredentials::CallerToken,
        )
        | (RoleKind::AssumeRole, _) => {}
        (RoleKind::WebIdentity, _) => {
            reader
                .problems()
                .error(&at, "AssumeRoleWithWebIdentity needs a token")
                .hint("`credentials = { from = \"web-identity\", token-file = \"/path\" }` in its account, or `{ from = \"caller-token\" }`");
        }
        (RoleKind::FederationToken | RoleKind::SessionToken, base) => {
            if let Some(why) = not_long_term(reader, base) {
                let call = if kind == RoleKind::FederationToken {
                    "GetFederationToken"
                } else {
                    "GetSessionToken"
                };
                reader
                    .problems()
                    .error(&at, format!("{call} takes long-term keys only, and {why}"))
                    .hint("name them by `from = \"key\"`, `\"profile\"` or `\"process\"`, or use AssumeRole");
            }
        }
    }
}

/// Why these base credentials are no long-term keys; `None` where they may be.
fn not_long_term(reader: &Reader<'_>, base: &BaseCredentials) -> Option<&'static str> {
    match base {
        BaseCredentials::Key { token: None, .. }
        | BaseCredentials::Profile(_)
        | BaseCredentials::Process(_) => None,
        BaseCredentials::Key { token: Some(_), .. } => {
            Some("a key with a session token is a session's")
        }
        BaseCredentials::WebIdentity { .. } | BaseCredentials::CallerToken => {
            Some("a web identity token is none")
        }
        BaseCredentials::Endpoint { .. } => Some("an endpoint hands out sessions"),
        BaseCredentials::Imds => Some("the metadata service hands out sessions"),
        BaseCredentials::Role(_) => Some("a role's credentials are a session's"),
        BaseCredentials::Local => Some("the built-in authority has none"),
        BaseCredentials::Environment => {
            let surroundings = reader.context().surroundings;
            let set = |name: &str| surroundings.variable(name).is_some();
            if set("AWS_SESSION_TOKEN") {
                Some("AWS_SESSION_TOKEN is set: those of the environment are a session's")
            } else if set("AWS_ACCESS_KEY_ID") {
                None
            } else {
                Some("what the default chain finds elsewhere is mostly a session's")
            }
        }
    }
}

fn arn(reader: &Reader<'_>, account: &Surrounding<'_>, kind: RoleKind) -> Option<RoleArn> {
    let Some(spot) = reader.text("arn") else {
        let needs_arn = matches!(kind, RoleKind::AssumeRole | RoleKind::WebIdentity);
        let local = matches!(account.base, Some(BaseCredentials::Local));
        if needs_arn && !local && account.dialect == Dialect::Aws && !account.says_id {
            reader
                .problems()
                .error(
                    &reader.at,
                    "this role has no ARN: its account has no `id` to derive one of",
                )
                .hint("give the account its `id`, or the role its `arn`");
        }
        return Some(RoleArn::derived(
            account.partition,
            account.id,
            &account.reference.role,
        ));
    };
    let arn = spot.parse(reader.problems(), RoleArn::new)?;
    let mut parts = spot.value.split(':').skip(1);
    let partition = parts.next().unwrap_or_default();
    let id = parts.nth(2).unwrap_or_default();
    if account.dialect == Dialect::Aws && partition != account.partition.as_str() {
        reader.problems().error(
            &spot.at,
            format!(
                "this ARN is of partition `{partition}`, its account of `{}`",
                account.partition
            ),
        );
    }
    match account.id {
        Some(own) if account.dialect == Dialect::Aws && own.as_str() != id => {
            let message = format!("this ARN is of account {id}, and its account here is {own}");
            reader.problems().warning(&spot.at, message);
        }
        Some(_) | None => {}
    }
    Some(arn)
}

const fn takes_tags(kind: RoleKind) -> bool {
    matches!(kind, RoleKind::AssumeRole | RoleKind::FederationToken)
}

/// The call of this kind, and the keys that it cannot carry.
pub(super) const fn foreign(kind: RoleKind) -> (&'static str, &'static [&'static str]) {
    match kind {
        RoleKind::AssumeRole => ("AssumeRole", &[]),
        RoleKind::WebIdentity => (
            "AssumeRoleWithWebIdentity",
            &["external-id", "source-identity", "tags", "transitive-tags"],
        ),
        RoleKind::FederationToken => (
            "GetFederationToken",
            &["arn", "external-id", "source-identity", "transitive-tags"],
        ),
        RoleKind::SessionToken => (
            "GetSessionToken",
            &[
                "arn",
                "session-name",
                "external-id",
                "source-identity",
                "policy-file",
                "policy-arns",
                "tags",
                "transitive-tags",
            ],
        ),
    }
}

/// Keys of this role itself that its call cannot carry.
fn refuse_foreign_keys(reader: &Reader<'_>, kind: RoleKind, dialect: Dialect) {
    let (call, foreign) = foreign(kind);
    for key in foreign {
        if let Some(at) = reader.own(key) {
            reader
                .problems()
                .error(&at, format!("{call} has no `{key}`"));
        }
    }
    let narrowed = ["policy-file", "policy-arns"]
        .iter()
        .any(|key| reader.text(key).is_some());
    if kind == RoleKind::FederationToken && !narrowed && reader.texts("policy-arns").is_empty() {
        let message = "without a session policy a federated user may do nothing";
        reader.problems().warning(&reader.at, message);
    }
    if dialect == Dialect::Aws {
        return;
    }
    for key in ["source-identity", "policy-arns", "tags", "transitive-tags"] {
        if let Some(at) = reader.own(key).filter(|_| !foreign.contains(&key)) {
            let message = format!("`{key}` is not sent: only AWS is known to understand it");
            reader.problems().warning(&at, message);
        }
    }
}

/// The life asked for, within what the call allows.
fn life(reader: &Reader<'_>, account: &Surrounding<'_>, kind: RoleKind) -> Duration {
    let asked = reader.duration("duration");
    let life = asked.as_ref().map_or(HOUR, |spot| spot.value);
    let at = reader.place("duration");
    check_life(reader, &at, life, longest(account, kind));
    life
}

const fn longest(account: &Surrounding<'_>, kind: RoleKind) -> Duration {
    match (kind, account.dialect) {
        (RoleKind::FederationToken | RoleKind::SessionToken, _) => LONGEST_FEDERATED,
        (RoleKind::AssumeRole | RoleKind::WebIdentity, Dialect::Minio) => LONGEST_MINIO,
        (
            RoleKind::AssumeRole | RoleKind::WebIdentity,
            Dialect::Aws | Dialect::Ceph | Dialect::Generic,
        ) => LONGEST_ROLE,
    }
}

/// What callers may ask at most: no less than what they get unasked.
fn max_duration(
    reader: &Reader<'_>,
    account: &Surrounding<'_>,
    kind: RoleKind,
    duration: Duration,
) -> Option<Duration> {
    let spot = reader.duration("max-duration")?;
    check_life(reader, &spot.at, spot.value, longest(account, kind));
    if spot.value < duration {
        let message = "this is less than `duration`, which callers get unasked";
        reader.problems().error(&spot.at, message);
    }
    Some(spot.value)
}

fn display_name(text: &str) -> Result<String, &'static str> {
    // That it is not empty is checked of every text.
    let short = text.chars().count() <= LONGEST_DISPLAY_NAME;
    if short && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("a name for people has 1 to 255 characters, and no control characters")
    }
}

fn connector_id(text: &str) -> Result<Uuid, &'static str> {
    let id = Uuid::try_parse(text).ok();
    id.filter(|_| text.len() == Hyphenated::LENGTH)
        .ok_or("an id is of the form 1521fbf0-fa97-4c4a-9877-9f0c5e9982d3")
}

fn transitive_tags(reader: &Reader<'_>, tags: &[(String, Template)]) -> Option<Vec<String>> {
    let spots = reader.texts("transitive-tags");
    let known = |spot: &Spot<&str>| {
        let known = tags.iter().any(|(key, _)| key == spot.value);
        if !known {
            let keys = tags.iter().map(|(key, _)| key.as_str());
            reader
                .problems()
                .error(&spot.at, format!("this role has no tag `{}`", spot.value))
                .hint(crate::config::suggest::hint(spot.value, keys));
        }
        known.then(|| spot.value.to_owned())
    };
    let count = spots.len();
    let names: Vec<String> = spots.iter().filter_map(known).collect();
    (names.len() == count).then_some(names)
}

fn not_before(reader: &Reader<'_>, account: &Surrounding<'_>) -> Option<SystemTime> {
    let spot = reader.moment("not-before")?;
    if !matches!(account.base, Some(BaseCredentials::Local) | None) {
        reader
            .problems()
            .error(
                &spot.at,
                "`not-before` revokes sessions of the built-in authority only",
            )
            .hint("other upstreams revoke by a policy with aws:TokenIssueTime");
    }
    let moment = chrono::DateTime::parse_from_rfc3339(&spot.value.replace(' ', "T"));
    match moment {
        Ok(moment) => Some(SystemTime::from(moment)),
        Err(_no_zone) => {
            reader
                .problems()
                .error(&spot.at, "this needs date, time and zone")
                .hint("as 2026-01-31T12:00:00Z, without quotes");
            None
        }
    }
}

/// The role's name, where it is one.
pub(super) fn name(reader: &Reader<'_>, name: &str) -> Option<RoleName> {
    match RoleName::new(name) {
        Ok(name) => Some(name),
        Err(error) => {
            let problem = reader
                .problems()
                .error(&reader.at, format!("`{name}` cannot be used: {error}"));
            // In IAM a role's path stands before its name.
            if let Some((_, last)) = name.trim_end_matches('/').rsplit_once('/') {
                problem.hint(format!(
                    "call it `{last}`; a role that has a path is told by its `arn`, as \
                     `arn:aws:iam::123456789012:role/{}`",
                    name.trim_matches('/'),
                ));
            }
            None
        }
    }
}
