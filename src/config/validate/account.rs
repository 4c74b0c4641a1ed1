//! `[account.ALIAS]` and its base credentials.

use std::collections::BTreeMap;

use super::authority;
use super::console;
use super::reader::{Reader, Spot};
use super::role::{self, Surrounding};
use super::url::Url;
use crate::config::{Account, BaseCredentials, Dialect, RateLimit, Role};
use crate::types::{AccessKeyId, AccountAlias, AccountId, Partition, Region, RoleName, RoleRef};

/// The id of a local account that is given none.
const LOCAL_ID: &str = "000000000000";

/// An account as read, and where its base credentials stand.
pub(super) fn account(reader: &Reader<'_>, name: &str) -> Option<Account> {
    let parsed = AccountAlias::new(name);
    if let Err(error) = &parsed {
        reader
            .problems()
            .error(&reader.at, format!("`{name}` cannot be used: {error}"));
    }
    let base = base(reader);
    let dialect = dialect(reader);
    let region = reader.parsed("region", Region::new);
    let local = matches!(base, Some(BaseCredentials::Local));
    let id = id(reader).or_else(|| {
        let absent = local && reader.own("id").is_none();
        absent.then(|| AccountId::new(LOCAL_ID).ok()).flatten()
    });
    let partition = partition(reader, region.as_ref(), dialect)?;
    let endpoint = endpoint(reader, "endpoint").map(|url| url.text);
    check_endpoint(reader, dialect, local);
    if dialect == Dialect::Aws && reader.own("endpoint").is_none() {
        check_region(reader, region.as_ref());
    }
    let upstream = console::Upstream {
        partition: &partition,
        dialect,
        local,
    };
    let console = console::console(reader, &upstream);
    let (ecr_endpoint, ecr_region) = console::registry(reader, &upstream);
    let alias = parsed.ok()?;
    let defaults = reader.table("defaults");
    let tables = reader.named("role");
    let mut roles: Vec<(RoleName, Role)> = Vec::with_capacity(tables.len());
    for (role_name, table) in tables {
        let Some(role_name) = role::name(&table, role_name) else {
            continue;
        };
        let surrounding = Surrounding {
            reference: RoleRef {
                account: alias.clone(),
                role: role_name.clone(),
            },
            id: id.as_ref(),
            says_id: reader.own("id").is_some(),
            partition: &partition,
            dialect,
            base: base.as_ref(),
        };
        if let Some(role) = role::role(&table.or(defaults.as_ref()), &surrounding) {
            roles.push((role_name, role));
        }
    }
    let derives = local || id.is_some() || dialect != Dialect::Aws;
    let surrounding = Surrounding {
        reference: RoleRef {
            account: alias.clone(),
            role: RoleName::new("defaults").ok()?,
        },
        id: id.as_ref(),
        says_id: reader.own("id").is_some(),
        partition: &partition,
        dialect,
        base: base.as_ref(),
    };
    let undeclared = derives.then(|| match &defaults {
        Some(table) => role::role(&table.only_fallback(), &surrounding),
        None => Some(role::plain(&surrounding)),
    });
    Some(Account {
        defaults: undeclared.flatten().map(Box::new),
        alias,
        id,
        partition,
        region,
        dialect,
        endpoint,
        base: base?,
        rate_limit: rate_limit(reader),
        description: reader.text("description").map(|spot| spot.value.to_owned()),
        console,
        ecr_endpoint,
        ecr_region,
        keystone_roles: authority::keystone_roles(reader),
        // Made of all at once, the map is dense.
        roles: BTreeMap::from_iter(roles),
    })
}

fn id(reader: &Reader<'_>) -> Option<AccountId> {
    if let Some(number) = reader.whole("id") {
        return AccountId::new(&format!("{:012}", number.value)).ok();
    }
    reader.parsed("id", AccountId::new)
}

fn dialect(reader: &Reader<'_>) -> Dialect {
    match reader.text("dialect").map(|spot| spot.value) {
        Some("ceph") => Dialect::Ceph,
        Some("minio") => Dialect::Minio,
        Some("generic") => Dialect::Generic,
        Some(_) | None => Dialect::Aws,
    }
}

fn partition(reader: &Reader<'_>, region: Option<&Region>, dialect: Dialect) -> Option<Partition> {
    let of_region = region.map_or("aws", Partition::of_region);
    let Some(spot) = reader.text("partition") else {
        return Partition::new(of_region).ok();
    };
    let partition = spot.parse(reader.problems(), Partition::new)?;
    if let Some(region) = region.filter(|_| dialect == Dialect::Aws)
        && of_region != partition.as_str()
        && (of_region != "aws" || partition.is_known())
    {
        reader.problems().error(
            &spot.at,
            format!("region `{region}` is of partition `{of_region}`, not of `{partition}`"),
        );
    }
    Some(partition)
}

/// A region that AWS has none like: its STS would be looked for where nothing is.
fn check_region(reader: &Reader<'_>, region: Option<&Region>) {
    let Some(region) = region.filter(|region| !region.has_form_of_aws()) else {
        return;
    };
    let text = region.as_str();
    // A zone is its region and a letter.
    let zone = text.strip_suffix(|last: char| last.is_ascii_lowercase());
    let of_zone = zone.and_then(|name| Region::new(name).ok());
    let hint = match of_zone.filter(Region::has_form_of_aws) {
        Some(meant) => format!("that is a zone; its region is `{meant}`"),
        None => "regions are called as `eu-central-1`; another STS is an `endpoint`".to_owned(),
    };
    reader
        .problems()
        .warning(
            &reader.place("region"),
            format!("AWS has no region `{text}`"),
        )
        .hint(hint);
}

/// The URL of this key.
pub(super) fn endpoint(reader: &Reader<'_>, key: &str) -> Option<Url> {
    let url = reader.parsed_unseen(key, Url::parse)?;
    if url.is_plain && !url.is_near() {
        reader.problems().warning(
            &reader.place(key),
            format!("credentials cross the network to {} unencrypted", url.host),
        );
    }
    Some(url)
}

fn check_endpoint(reader: &Reader<'_>, dialect: Dialect, local: bool) {
    let said = reader.own("endpoint");
    if said.is_none() && dialect != Dialect::Aws && !local {
        reader
            .problems()
            .error(
                &reader.place("dialect"),
                "only AWS has an endpoint for each region",
            )
            .hint("name this STS by `endpoint = \"https://…\"`");
    }
    if let Some(at) = said.filter(|_| local) {
        reader.problems().error(
            &at,
            "the built-in authority has no endpoint: it is this daemon",
        );
    }
}

fn rate_limit(reader: &Reader<'_>) -> RateLimit {
    let default = RateLimit::default();
    let Some(limit) = reader.table("rate-limit") else {
        return default;
    };
    RateLimit {
        per_second: limit
            .number("per-second")
            .map_or(default.per_second, |spot| spot.value),
        burst: limit
            .whole("burst")
            .and_then(|spot| u32::try_from(spot.value).ok())
            .unwrap_or(default.burst),
    }
}

/// Each kind of base credentials and the keys that go with it.
const KEYS: [(&str, &[&str]); 10] = [
    ("environment", &[]),
    ("profile", &["profile"]),
    (
        "key",
        &["access-key-id", "secret-access-key", "session-token"],
    ),
    ("web-identity", &["token-file"]),
    ("process", &["command"]),
    ("endpoint", &["url", "token"]),
    ("imds", &[]),
    ("role", &["role"]),
    ("caller-token", &[]),
    ("local", &[]),
];

fn base(account: &Reader<'_>) -> Option<BaseCredentials> {
    if account.own("credentials").is_none() {
        return Some(BaseCredentials::Environment);
    }
    let reader = account.table("credentials")?;
    let from = reader.text("from")?;
    let (_, own) = KEYS.iter().find(|(name, _)| *name == from.value)?;
    for (of, keys) in KEYS {
        for key in keys.iter().filter(|key| !own.contains(key)) {
            if let Some(at) = reader.own(key) {
                let message = format!(
                    "`{key}` goes with `from = \"{of}\"`, not with `{}`",
                    from.value
                );
                reader.problems().error(&at, message);
            }
        }
    }
    let optional = ["session-token", "token"];
    let mut complete = true;
    for key in own.iter().filter(|key| !optional.contains(key)) {
        if reader.own(key).is_none() {
            let message = format!("`from = \"{}\"` needs `{key}`", from.value);
            reader.problems().error(&reader.at, message);
            complete = false;
        }
    }
    if complete {
        base_of(&reader, &from)
    } else {
        None
    }
}

fn base_of(reader: &Reader<'_>, from: &Spot<&str>) -> Option<BaseCredentials> {
    let secret = |key: &str| match reader.own(key) {
        Some(_) => reader.secret(key).map(Some),
        None => Some(None),
    };
    Some(match from.value {
        "environment" => BaseCredentials::Environment,
        "profile" => BaseCredentials::Profile(reader.text("profile")?.value.to_owned()),
        "key" => {
            let id = reader.parsed_unseen("access-key-id", AccessKeyId::new);
            let (key, token) = (reader.secret("secret-access-key"), secret("session-token"));
            BaseCredentials::Key {
                id: id?,
                secret: key?,
                token: token?,
            }
        }
        "web-identity" => BaseCredentials::WebIdentity {
            token_file: reader.path("token-file")?.value,
        },
        "process" => BaseCredentials::Process(command(reader)?),
        "endpoint" => {
            let (url, token) = (endpoint(reader, "url"), secret("token"));
            BaseCredentials::Endpoint {
                url: url?.text,
                token: token?,
            }
        }
        "imds" => BaseCredentials::Imds,
        "role" => BaseCredentials::Role(reader.role("role")?),
        "caller-token" => BaseCredentials::CallerToken,
        "local" => BaseCredentials::Local,
        _ => return None,
    })
}

/// The program and the arguments of `command`.
pub(super) fn command(reader: &Reader<'_>) -> Option<Vec<String>> {
    let words = reader.texts("command");
    let Some(program) = words.first() else {
        reader
            .problems()
            .error(&reader.place("command"), "this command is empty");
        return None;
    };
    if !program.value.starts_with('/') {
        reader
            .problems()
            .error(&program.at, format!("`{}` is no absolute path", program.value))
            .hint("the service has a search path of its own: write [\"/usr/bin/program\", \"argument\"]");
        return None;
    }
    Some(words.iter().map(|spot| spot.value.to_owned()).collect())
}
