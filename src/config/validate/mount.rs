//! `[[listener.mount]]`: where people's APIs are, and what proves a name there.

use std::sync::Arc;

use super::reader::{Reader, Spot};
use crate::config::problem::At;
use crate::config::{Api, Config, Listener, Mount, People};
use crate::grants::Way;

/// A prefix that no path has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PrefixError {
    #[error("a path begins with `/`")]
    Relative,
    #[error(
        "its segments are letters, digits, `-`, `_`, `.` and `~`, none of them empty, `.` or `..`"
    )]
    Segment,
    #[error("it is longer than 255 bytes")]
    Long,
}

/// How paths begin, without a slash at the end; empty for `/`.
pub(super) fn prefix(text: &str) -> Result<String, PrefixError> {
    let below = text.strip_prefix('/').ok_or(PrefixError::Relative)?;
    let below = below.strip_suffix('/').unwrap_or(below);
    if below.is_empty() {
        return Ok(String::new());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(plain);
    if !below.split('/').all(is_segment) {
        return Err(PrefixError::Segment);
    }
    if below.len() > 255 {
        return Err(PrefixError::Long);
    }
    Ok(format!("/{below}"))
}

/// A mount with the places of what it says.
struct Written<'a> {
    mount: Mount,
    table: Reader<'a>,
}

/// Gives every listener its mounts, now that it is known what `[people]` says.
pub(super) fn settle(root: &Reader<'_>, config: &mut Config) {
    let Config {
        listeners, people, ..
    } = config;
    for table in root.tables("listener") {
        let name = table.text("name").map_or("", |spot| spot.value);
        let Some(listener) = listeners.iter_mut().find(|one| &*one.name == name) else {
            continue;
        };
        if listener.mounts.is_empty() {
            listener.mounts = mounts(&table, listener, people);
            check_senders(&table, listener);
        }
    }
}

fn mounts(table: &Reader<'_>, listener: &Listener, people: &People) -> Vec<Mount> {
    let tables = table.tables("mount");
    let peoples: Vec<Api> = listener
        .apis
        .iter()
        .copied()
        .filter(|api| api.is_for_people())
        .collect();
    if peoples.is_empty() {
        // On a listener for programs of this host that is told already.
        if let Some(at) = table.own("mount").filter(|_| !listener.is_for_this_host()) {
            let message = "mounts belong to a listener that serves `accounts` or `connectors`";
            table.problems().error(&at, message);
        }
        return Vec::new();
    }
    let written: Vec<Written<'_>> = tables
        .iter()
        .filter_map(|one| mount(one, listener, &peoples, people))
        .collect();
    check_overlaps(&written, listener);
    let is_placed = |api: &Api| written.iter().any(|one| one.mount.apis.contains(api));
    let left: Vec<Api> = peoples
        .iter()
        .copied()
        .filter(|api| !is_placed(api))
        .collect();
    let ways = people.ways_on(&listener.name);
    // What a refused mount was to serve nobody knows.
    let asks_for_names = left.iter().any(|api| api.asks_for_names());
    if written.len() == tables.len() && asks_for_names && ways == [Way::Token] {
        let message = "nothing but tokens of `rolecall key token` proves a name here";
        table
            .problems()
            .warning(&table.place("apis"), message)
            .hint("`[people]` names other ways, such as a users file");
    }
    let mut mounts: Vec<Mount> = written.into_iter().map(|one| one.mount).collect();
    mounts.extend(Mount::defaults(&left, &ways));
    mounts
}

fn mount<'a>(
    table: &Reader<'a>,
    listener: &Listener,
    peoples: &[Api],
    people: &People,
) -> Option<Written<'a>> {
    let machine = table.flag("machine").unwrap_or_default();
    let apis = apis(table, peoples, machine);
    let authenticate = ways(table, listener, people, machine);
    let prefix = table.parsed("prefix", prefix);
    let group = |spot: Spot<&str>| Arc::from(spot.value);
    let mount = Mount {
        prefix: prefix?,
        apis: apis?,
        authenticate: authenticate?,
        require_group: table
            .texts("require-group")
            .into_iter()
            .map(group)
            .collect(),
        console: table.flag("console").unwrap_or(true),
        machine,
    };
    for key in ["console", "require-group"] {
        if let Some(at) = table.own(key).filter(|_| machine) {
            let message = format!("`{key}` does nothing on a machine mount");
            table.problems().warning(&at, message);
        }
    }
    if table.is_empty_list("require-group") {
        let at = table.place("require-group");
        table.problems().error(&at, "`require-group` names none");
    }
    Some(Written {
        mount,
        table: table.clone(),
    })
}

fn apis(table: &Reader<'_>, peoples: &[Api], machine: bool) -> Option<Vec<Api>> {
    let problems = table.problems();
    if table.own("apis").is_none() {
        let all = peoples.iter().copied();
        let apis: Vec<Api> = all
            .filter(|api| !machine || *api == Api::Accounts)
            .collect();
        if apis.is_empty() {
            let message = "a machine mount belongs to a listener that serves `accounts`";
            problems.error(&table.place("machine"), message);
        }
        return (!apis.is_empty()).then_some(apis);
    }
    if table.is_empty_list("apis") {
        problems.error(&table.place("apis"), "a mount serves one API at least");
        return None;
    }
    let spots = table.texts("apis");
    let apis: Vec<Option<Api>> = spots
        .iter()
        .filter_map(|spot| Some((super::listener::api(spot.value)?, spot)))
        .filter(|(api, _)| api.is_for_people())
        .map(|(api, spot)| {
            if machine && api != Api::Accounts {
                problems.error(&spot.at, "a machine mount serves `accounts` alone");
                return None;
            }
            if !peoples.contains(&api) {
                problems
                    .error(
                        &spot.at,
                        format!("this listener does not serve `{}`", spot.value),
                    )
                    .hint("add it to the listener's `apis`");
                return None;
            }
            Some(api)
        })
        .collect();
    apis.into_iter().collect()
}

/// What proves a name at a mount.
fn ways(
    table: &Reader<'_>,
    listener: &Listener,
    people: &People,
    machine: bool,
) -> Option<Vec<Way>> {
    let problems = table.problems();
    if table.own("authenticate").is_none() {
        if !machine {
            return Some(people.ways_on(&listener.name));
        }
        if let Err((message, hint)) = check_way(Way::Peer, listener, people, machine) {
            problems.error(&table.place("machine"), message).hint(hint);
            return None;
        }
        return Some(vec![Way::Peer]);
    }
    if table.is_empty_list("authenticate") {
        let message = "nobody could prove a name here: `authenticate` names none";
        problems.error(&table.place("authenticate"), message);
        return None;
    }
    let mut ways = Vec::new();
    let mut is_right = true;
    for spot in table.texts("authenticate") {
        let Some(way) = way(spot.value) else {
            is_right = false;
            continue;
        };
        if let Err((message, hint)) = check_way(way, listener, people, machine) {
            problems.error(&spot.at, message).hint(hint);
            is_right = false;
        } else if ways.contains(&way) {
            problems.error(&spot.at, format!("`{}` is named twice", spot.value));
            is_right = false;
        }
        ways.push(way);
    }
    is_right.then_some(ways)
}

fn way(text: &str) -> Option<Way> {
    let known = [
        Way::Peer,
        Way::Basic,
        Way::Pam,
        Way::Ldap,
        Way::Oidc,
        Way::Token,
        Way::ProxyHeader,
    ];
    known.into_iter().find(|way| way.as_str() == text)
}

/// Whether a name can be proven this way here; the mistake and how to mend it otherwise.
fn check_way(
    way: Way,
    listener: &Listener,
    people: &People,
    machine: bool,
) -> Result<(), (&'static str, &'static str)> {
    if machine && way != Way::Peer {
        return Err((
            "a machine mount knows hosts by their address, and takes no other proof",
            "leave `authenticate` out",
        ));
    }
    let proxy = people.proxy_header.as_ref();
    let of_proxy = proxy.is_some_and(|proxy| proxy.listener == listener.name);
    let (is_there, message, hint) = match way {
        // Proxies need not say that they pass a request on, and nobody may have signed in to it.
        Way::Peer => (
            !of_proxy,
            "whoever asks the proxy for anything would be the user that it runs as",
            "serve programs of this host on a listener of their own",
        ),
        Way::Basic => (
            people.users_file.is_some(),
            "there are no passwords to hold `basic` against",
            "name `people.users-file`",
        ),
        Way::Pam => (
            people.pam.is_some(),
            "`pam` has no service",
            "name it by `people.pam`",
        ),
        Way::Ldap => (
            people.ldap.is_some(),
            "`ldap` has no directory",
            "name it by `people.ldap`",
        ),
        Way::Oidc => (
            people.oidc.is_some(),
            "`oidc` has no issuer",
            "name it by `people.oidc`",
        ),
        Way::ProxyHeader => (
            of_proxy,
            "no proxy is trusted on this listener",
            "name the header and this listener by `people.proxy-header`",
        ),
        Way::Token | Way::AccessKey | Way::Session | Way::Keystone | Way::Supposed => {
            return Ok(());
        }
    };
    if is_there {
        Ok(())
    } else {
        Err((message, hint))
    }
}

/// Two mounts of which one is never reached, wholly or in part.
fn check_overlaps(written: &[Written<'_>], listener: &Listener) {
    for (index, Written { mount, table }) in written.iter().enumerate() {
        let before = written.iter().take(index);
        let shared = |other: &&Written<'_>| {
            let mut apis = other.mount.apis.iter();
            other.mount.prefix == mount.prefix && apis.any(|api| mount.apis.contains(api))
        };
        let at = table.place("prefix");
        if let Some(first) = before.clone().find(shared) {
            let message = format!(
                "another mount serves the same at `{}`",
                shown(&mount.prefix)
            );
            let problem = table.problems().error(&at, message);
            problem.and(&first.table.place("prefix"));
            continue;
        }
        for other in written {
            if let Some(route) = hidden(&other.mount, &mount.prefix) {
                hides(table, &at, &route, Some(&other.table.place("prefix")));
            }
        }
        let of_metrics = ["/metrics", "/healthz", "/readyz"];
        if listener.apis.contains(&Api::Metrics) && of_metrics.contains(&&*mount.prefix) {
            hides(table, &at, &mount.prefix, None);
        }
    }
}

fn hides(table: &Reader<'_>, at: &At, route: &str, of: Option<&At>) {
    let message = format!("a mount here would hide `{route}`");
    let mut problem = table.problems().error(at, message);
    if let Some(of) = of {
        problem = problem.and(of);
    }
    problem.hint("choose another prefix");
}

/// The route of this mount that one at `prefix` would take away.
fn hidden(mount: &Mount, prefix: &str) -> Option<String> {
    let below = prefix.strip_prefix(&*mount.prefix)?.strip_prefix('/')?;
    let first = below.split('/').next()?;
    let of_accounts: &[&str] = if mount.machine {
        &["meta-data", "latest", "status"]
    } else {
        &["account", "status"]
    };
    let of_connectors: &[&str] = &["rest", "plugins"];
    let serves = |api: Api| mount.apis.contains(&api);
    let is_hidden = (serves(Api::Accounts) && of_accounts.contains(&first))
        || (serves(Api::Connectors) && of_connectors.contains(&first));
    is_hidden.then(|| format!("{}/{first}", mount.prefix))
}

fn shown(prefix: &str) -> &str {
    if prefix.is_empty() { "/" } else { prefix }
}

/// What people send proves who they are: nobody between may read it.
fn check_senders(table: &Reader<'_>, listener: &Listener) {
    if listener.mounts.is_empty() || listener.is_for_this_host() {
        return;
    }
    let problems = table.problems();
    if !listener.peers.is_empty() && table.own("tls").is_none() {
        let at = table.place("peers");
        if listener.mounts.iter().all(|mount| mount.machine) {
            problems
                .warning(&at, "credentials of machines cross the network unencrypted")
                .hint("write `tls` where their clients can speak it");
        } else {
            problems
                .error(
                    &at,
                    "passwords and tokens would cross the network unencrypted",
                )
                .hint("write `tls`, or serve a proxy of this host that does");
        }
    }
    if let Some(url) = &listener.public_url
        && super::url::Url::parse(url).is_ok_and(|url| url.is_plain && !url.is_loopback())
    {
        problems
            .warning(
                &table.place("public-url"),
                "people would send passwords and tokens there unencrypted",
            )
            .hint("write `https://`");
    }
}
