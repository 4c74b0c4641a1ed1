//! `[authority]`, and what accounts tell of roles to services that ask Keystone.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::reader::{Reader, Spot};
use crate::config::problem::At;
use crate::config::{Api, Authority, Config, duration};
use crate::types::RoleName;

/// The longest that a signature's date may be off, or a token may live: a week.
const LONGEST: Duration = Duration::from_hours(24 * 7);

/// The shortest life of a token.
const SHORTEST: Duration = Duration::from_mins(1);

/// The fewest characters of a token that is a password to all signatures.
const FEWEST: usize = 16;

/// The longest name of a role in Keystone.
const LONGEST_NAME: usize = 255;

/// Roles that OpenStack's services let do everything, in lower case: Keystone's names have none.
const POWERFUL: [&str; 2] = ["admin", "reselleradmin"];

/// The table, where there is one.
pub(super) fn authority(root: &Reader<'_>) -> Authority {
    let default = Authority::default();
    let Some(reader) = root.table("authority") else {
        return default;
    };
    Authority {
        signature_age: signature_age(&reader).unwrap_or(default.signature_age),
        token_lifetime: token_lifetime(&reader).unwrap_or(default.token_lifetime),
        service_token: service_token(&reader),
        ec2tokens_without_token: reader.flag("ec2tokens-without-token").unwrap_or_default(),
        replay_cache: reader.size("replay-cache").unwrap_or_default(),
    }
}

fn signature_age(reader: &Reader<'_>) -> Option<Duration> {
    let age = at_most_a_week(reader, "signature-age")?;
    if age.value.is_zero() {
        reader
            .problems()
            .warning(&age.at, "signatures of any date are taken")
            .hint("whoever has seen a signed request can send it again for ever: leave this for tests");
    }
    Some(age.value)
}

fn token_lifetime(reader: &Reader<'_>) -> Option<Duration> {
    let life = at_most_a_week(reader, "token-lifetime")?;
    if life.value < SHORTEST {
        let message = "a token lives for a minute at least";
        reader.problems().error(&life.at, message);
    }
    Some(life.value)
}

fn at_most_a_week(reader: &Reader<'_>, key: &str) -> Option<Spot<Duration>> {
    let spot = reader.duration(key)?;
    if spot.value > LONGEST {
        let message = format!("`{key}` is at most {}", duration::text(LONGEST));
        reader.problems().error(&spot.at, message);
    }
    Some(spot)
}

fn service_token(reader: &Reader<'_>) -> Option<SecretString> {
    let token = reader.secret("service-token")?;
    let text = token.expose_secret();
    // One that is not read now is empty.
    let wrong = if text.is_empty() {
        None
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("a token goes into a header: printable ASCII without spaces")
    } else if text.len() < FEWEST {
        Some("this token can be guessed: give it 16 characters at least")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        reader
            .problems()
            .error(&reader.place("service-token"), wrong)
            .hint("`openssl rand -hex 32` makes one");
    }
    Some(token)
}

/// `keystone-roles` of an account.
pub(super) fn keystone_roles(reader: &Reader<'_>) -> Option<Arc<[Arc<str>]>> {
    reader.own("keystone-roles")?;
    let one = |spot: Spot<&str>| {
        let fine = !spot.value.is_empty()
            && spot.value.len() <= LONGEST_NAME
            && !spot.value.contains(|c: char| c.is_control() || c == ',');
        if !fine {
            let message = "a role's name is 1 to 255 characters without commas";
            reader.problems().error(&spot.at, message);
        }
        fine.then(|| Arc::from(spot.value))
    };
    let roles = reader.texts("keystone-roles").into_iter();
    Some(roles.filter_map(one).collect())
}

/// Who is told of roles, and of which.
pub(super) fn check(root: &Reader<'_>, config: &Config) {
    let serves = |api: Api| {
        let mut listeners = config.listeners.iter();
        listeners.any(|one| {
            one.apis.contains(&api) || one.mounts.iter().any(|it| it.apis.contains(&api))
        })
    };
    if !serves(Api::Keystone) {
        return;
    }
    check_services(root, config);
    for account in config.accounts.values() {
        let Some(table) = root.named_one("account", account.alias.as_str()) else {
            continue;
        };
        let (names, of): (Vec<&str>, _) = match &account.keystone_roles {
            Some(told) => (told.iter().map(AsRef::as_ref).collect(), None),
            None => (
                account.roles.keys().map(RoleName::as_str).collect(),
                table.table("role"),
            ),
        };
        for name in names.into_iter().filter(|name| is_powerful(name)) {
            let role = of.as_ref().map(|roles| roles.place(name));
            powerful(
                root,
                &role.unwrap_or_else(|| table.place("keystone-roles")),
                name,
            );
        }
    }
}

fn check_services(root: &Reader<'_>, config: &Config) {
    let table = root.table("authority");
    let at = |key| {
        table
            .as_ref()
            .map(|table| table.place(key))
            .unwrap_or_default()
    };
    if config.authority.ec2tokens_without_token {
        let message = "whoever reaches Keystone's API may have signatures verified";
        root.problems()
            .warning(&at("ec2tokens-without-token"), message)
            .hint("give services that can send one a `service-token` instead: else a signed request that somebody has seen is a token");
    } else if config.authority.service_token.is_none() && config.people.administrators.is_empty() {
        let message = "nobody may have signatures verified: there is no `service-token`, and there are no administrators";
        root.problems()
            .warning(&at("service-token"), message)
            .hint("write `service-token = \"credential:NAME\"` in `[authority]`, and give services the same");
    }
}

fn is_powerful(name: &str) -> bool {
    POWERFUL.contains(&name.to_ascii_lowercase().as_str())
}

fn powerful(root: &Reader<'_>, at: &At, name: &str) {
    root.problems()
        .warning(at, format!("services are told that its holders are `{name}`"))
        .hint("OpenStack's services let `admin` do everything, in all projects: say by the account's `keystone-roles` what they are told");
}
