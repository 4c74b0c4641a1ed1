//! `[[grant]]`.

use std::sync::Arc;

use super::reader::{Context, Reader, Spot};
use crate::config::problem::At;
use crate::config::suggest;
use crate::grants::{
    ContainerWhen, Grant, GrantId, GrantedRole, Template, UserIds, When, matches_glob,
};

/// The uid that the kernel shows for users it cannot map: evidence of nothing.
const OVERFLOW_UID: u32 = 65_534;

pub(super) fn grant(reader: &Reader<'_>, number: usize, listeners: &[&str]) -> Option<Grant> {
    if let Some(role) = reader.text("role").filter(|role| role.value.contains('{')) {
        reader
            .problems()
            .error(
                &role.at,
                "roles from named groups are not served by this version of rolecall",
            )
            .hint("write the role's own name, `account/role`");
        return None;
    }
    let role = reader.role("role");
    let when = when(reader, listeners)?;
    let reason = reader
        .text("reason")
        .map_or_else(|| describe(reader), |spot| spot.value.to_owned());
    Some(Grant {
        id: GrantId::Grant(number),
        role: GrantedRole::Fixed(role?),
        when,
        priority: reader.whole("priority").map_or(0, |spot| spot.value),
        reason: Template::text(&reason),
        imdsv1: reader.flag("imdsv1"),
        narrowing: None,
    })
}

/// What a grant without a reason says of itself.
fn describe(reader: &Reader<'_>) -> String {
    let Some(when) = reader.table("when") else {
        return "anyone".to_owned();
    };
    let users = when
        .texts("user")
        .into_iter()
        .map(|spot| format!("user {}", spot.value));
    let uids = when
        .wholes("uid")
        .into_iter()
        .map(|spot| format!("uid {}", spot.value));
    let whom: Vec<String> = users.chain(uids).collect();
    if whom.is_empty() {
        "anyone".to_owned()
    } else {
        whom.join(", ")
    }
}

/// Whom `when` names.
pub(super) fn when(reader: &Reader<'_>, listeners: &[&str]) -> Option<When> {
    if reader
        .text("when")
        .is_some_and(|spot| spot.value == "anyone")
    {
        return Some(When {
            anyone: true,
            ..When::default()
        });
    }
    let keys = reader.table("when")?;
    let anyone = keys.flag("anyone").unwrap_or_default();
    let users = users(&keys);
    let any_container = keys
        .text("container")
        .is_some_and(|spot| spot.value == "any");
    let listeners = named_listeners(&keys, listeners);
    let names_users = keys.own("uid").is_some() || keys.own("user").is_some();
    match (anyone, names_users) {
        (true, true) => {
            keys.problems()
                .error(&keys.place("anyone"), "`anyone` and a user say two things");
            return None;
        }
        (false, false) => {
            keys.problems()
                .error(&keys.at, "this says nothing about the caller")
                .hint("name `uid` or `user`, or write `anyone = true`");
            return None;
        }
        (true, false) | (false, true) => {}
    }
    let when = When {
        anyone,
        users: users?,
        container: any_container.then_some(ContainerWhen::Any),
        listeners: listeners?,
        ..When::default()
    };
    Some(when)
}

/// The uids that all of `uid` and `user` allow. `Some(None)` where there is neither.
#[expect(
    clippy::option_option,
    reason = "the outer one is a mistake, the inner one is absence"
)]
fn users(keys: &Reader<'_>) -> Option<Option<UserIds>> {
    let numbers = keys.own("uid").map(|at| {
        let spots = keys.wholes("uid");
        all(
            keys,
            &at,
            spots.iter().map(|spot| u32::try_from(spot.value).ok()),
        )
    });
    let named = keys.own("user").map(|at| {
        let spots = keys.texts("user");
        all(
            keys,
            &at,
            spots.iter().map(|spot| uid_of(keys.context(), spot)),
        )
    });
    let both = match (numbers, named) {
        (None, None) => return Some(None),
        (Some(one), None) | (None, Some(one)) => one?,
        (Some(numbers), Some(named)) => {
            let (mut numbers, named) = (numbers?, named?);
            numbers.retain(|uid| named.contains(uid));
            numbers
        }
    };
    if both.iter().all(|uid| *uid == OVERFLOW_UID) {
        let why = if both.is_empty() {
            "no user has both this uid and this name"
        } else {
            "uid 65534 stands for users the kernel cannot map and identifies nobody"
        };
        keys.problems()
            .warning(&keys.at, format!("this grant can never match: {why}"));
    }
    Some(Some(UserIds::new(both)))
}

/// All of these, unless one is missing or there is none.
fn all(
    keys: &Reader<'_>,
    at: &At,
    uids: impl ExactSizeIterator<Item = Option<u32>>,
) -> Option<Vec<u32>> {
    if uids.len() == 0 {
        keys.problems().error(at, "this names nobody");
        return None;
    }
    // Every one is looked at, so that each unknown name is told.
    let uids: Vec<Option<u32>> = uids.collect();
    uids.into_iter().collect()
}

/// The uid of the user named here.
pub(super) fn uid_of(cx: &Context<'_>, name: &Spot<&str>) -> Option<u32> {
    if name.value.contains('*') {
        cx.problems.error(
            &name.at,
            "patterns of user names are not served by this version of rolecall",
        );
        return None;
    }
    let uid = cx.surroundings.user(name.value);
    if uid.is_none() {
        let number = name.value.parse::<u32>().is_ok();
        cx.problems
            .error(
                &name.at,
                format!("there is no user `{}` on this host", name.value),
            )
            .hint_if(number.then(|| "a number is written as `uid`, without quotes".to_owned()));
    }
    uid
}

/// The listeners that these names and globs mean. `Some(None)` where there are none.
#[expect(
    clippy::option_option,
    reason = "the outer one is a mistake, the inner one is absence"
)]
fn named_listeners(keys: &Reader<'_>, listeners: &[&str]) -> Option<Option<Vec<Arc<str>>>> {
    let Some(at) = keys.own("listener") else {
        return Some(None);
    };
    let mut named: Vec<Arc<str>> = Vec::new();
    let mut ok = true;
    for spot in keys.texts("listener") {
        let matching = listeners
            .iter()
            .filter(|name| matches_glob(spot.value, name));
        let before = named.len();
        named.extend(matching.map(|name| Arc::from(*name)));
        if named.len() == before {
            ok = false;
            keys.problems()
                .error(&spot.at, format!("there is no listener `{}`", spot.value))
                .hint(suggest::hint(spot.value, listeners.iter().copied()));
        }
    }
    if named.is_empty() && ok {
        keys.problems().error(&at, "`listener` names none");
    }
    named.sort_unstable();
    named.dedup();
    (ok && !named.is_empty()).then_some(Some(named))
}
