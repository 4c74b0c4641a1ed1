//! Users and groups: the numbers of those that are named.

use std::sync::Arc;

use crate::config::validate::context::Context;
use crate::config::validate::reader::{Read, Reader, Spot, Wrong};
use crate::grants::{GroupWhen, Pattern, Patterns, UserIds};

/// The uid that the kernel shows for users it cannot map: evidence of nothing.
const OVERFLOW_UID: u32 = 65_534;

/// What a static build knows of users.
const FILES_ONLY: &str = "this build is one file without libraries: it knows the users and groups of \
                          `/etc/passwd` and `/etc/group`, and no directory's";

/// The uids that all of `uid` and `user` allow.
pub(super) fn users(keys: &Reader<'_>) -> Read<UserIds> {
    let numbers = keys.own("uid").map(|_| numbers(keys, "uid"));
    let named = keys.own("user").map(|_| {
        let spots = keys.texts("user");
        let uids = spots.iter().map(|spot| uid_of(keys.context(), spot));
        all(keys, "user", uids)
    });
    let both = match (numbers, named) {
        (None, None) => return Ok(None),
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
    Ok(Some(UserIds::new(both)))
}

/// `gid`.
pub(super) fn gids(keys: &Reader<'_>) -> Read<UserIds> {
    let gids = keys.own("gid").map(|_| numbers(keys, "gid"));
    Ok(gids.transpose()?.map(UserIds::new))
}

/// `group`: the numbers of those that are named, and the patterns of others.
pub(super) fn groups(keys: &Reader<'_>) -> Read<GroupWhen> {
    let Some(patterns) = keys.patterns("group")? else {
        return Ok(None);
    };
    let cx = keys.context();
    // People have groups that this host need not know: their names are all there is.
    let is_peoples = |name: &str| cx.has_people && cx.surroundings.group(name).is_none();
    let literal = |spot: &Spot<&str>| !spot.value.contains('*') && !is_peoples(spot.value);
    let spots = keys.texts("group").into_iter().filter(literal);
    let ids: Vec<Option<(u32, Arc<str>)>> = spots
        .map(|spot| Some((gid_of(cx, &spot)?, Arc::from(spot.value))))
        .collect();
    let ids: Option<Vec<(u32, Arc<str>)>> = ids.into_iter().collect();
    if !cx.surroundings.has_libraries() && !cx.has_people {
        keys.problems().warning(&keys.place("group"), FILES_ONLY);
    }
    let others = patterns
        .iter()
        .filter(|pattern| pattern.single().is_none_or(|name| is_peoples(name)));
    Ok(Some(GroupWhen {
        ids: ids.ok_or(Wrong)?,
        names: Patterns::new(others.map(Pattern::clone).collect()),
    }))
}

fn numbers(keys: &Reader<'_>, key: &str) -> Result<Vec<u32>, Wrong> {
    let spots = keys.wholes(key);
    let numbers = spots.iter().map(|spot| u32::try_from(spot.value).ok());
    all(keys, key, numbers)
}

/// All of these, unless one is missing or there is none.
fn all(
    keys: &Reader<'_>,
    key: &str,
    ids: impl ExactSizeIterator<Item = Option<u32>>,
) -> Result<Vec<u32>, Wrong> {
    if ids.len() == 0 {
        if keys.is_empty_list(key) {
            let at = keys.place(key);
            keys.problems().error(&at, "this names nobody");
        }
        return Err(Wrong);
    }
    // Every one is looked at, so that each unknown name is told.
    let ids: Vec<Option<u32>> = ids.collect();
    ids.into_iter().collect::<Option<_>>().ok_or(Wrong)
}

/// The user of this key, by name or number.
pub(in crate::config::validate) fn user_of(reader: &Reader<'_>, key: &str) -> Option<u32> {
    let Some(spot) = reader.text(key) else {
        return u32::try_from(reader.whole(key)?.value).ok();
    };
    let number = spot.value.parse().ok();
    let known = reader.context().surroundings.user(spot.value);
    known.or(number).or_else(|| uid_of(reader.context(), &spot))
}

/// The uid of the user named here.
pub(in crate::config::validate) fn uid_of(cx: &Context<'_>, name: &Spot<&str>) -> Option<u32> {
    if name.value.contains('*') {
        cx.problems
            .error(&name.at, "users are named one by one, without `*`")
            .hint("write a list of names, or the `group` that they share");
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
            .hint_if(if number {
                Some("a number is written as `uid`, without quotes".to_owned())
            } else {
                (!cx.surroundings.has_libraries()).then(|| FILES_ONLY.to_owned())
            });
    }
    uid
}

/// The gid of the group named here.
fn gid_of(cx: &Context<'_>, name: &Spot<&str>) -> Option<u32> {
    let gid = cx.surroundings.group(name.value);
    if gid.is_none() {
        let number = name.value.parse::<u32>().is_ok();
        let hint = if number {
            "a number is written as `gid`, without quotes, and is the user's primary group"
        } else if !cx.surroundings.has_libraries() {
            FILES_ONLY
        } else {
            "a pattern, as `{ regex = \"aws-.*\" }`, may match groups that come later"
        };
        cx.problems
            .error(
                &name.at,
                format!("there is no group `{}` on this host", name.value),
            )
            .hint(hint);
    }
    gid
}
