//! `when`: each key by itself.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::offer::Offer;
use super::{evidence, users};
use crate::config::suggest;
use crate::config::validate::reader::{Read, Reader, Spot, Wrong};
use crate::grants::{
    ContainerFactsWhen, ContainerWhen, Pattern, Patterns, PodWhen, TokenWhen, When, matches_glob,
};

/// What units are that processes run in.
const UNIT_TYPES: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

/// Whom `when` names.
pub(in crate::config::validate) fn when(reader: &Reader<'_>, offer: &Offer<'_>) -> Option<When> {
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
    let when = read(&keys, offer);
    let proven = evidence::check(&keys);
    let when = when.ok().filter(|_| proven)?;
    offer.check(&keys, &when);
    check_types(&keys);
    Some(when)
}

fn read(keys: &Reader<'_>, offer: &Offer<'_>) -> Result<When, Wrong> {
    // Each is read before one is given up, so that every mistake is told.
    let users = users::users(keys);
    let gids = users::gids(keys);
    let groups = users::groups(keys);
    let listeners = listeners(keys, offer.listeners());
    let (unit, user_unit) = (keys.patterns("unit"), keys.patterns("user-unit"));
    let (slice, exe) = (keys.patterns("slice"), keys.patterns("exe"));
    let (container, pod, token) = (container(keys), pod(keys), token(keys));
    let addresses = addresses(keys);
    let (host, principal) = (host(keys), keys.patterns("principal"));
    let external_id = keys.patterns("external-id");
    let source_identity = keys.patterns("source-identity");
    Ok(When {
        anyone: keys.flag("anyone").unwrap_or_default(),
        users: users?,
        gids: gids?,
        groups: groups?,
        unit: unit?,
        user_unit: user_unit?,
        slice: slice?,
        exe: exe?,
        container: container?,
        pod: pod?,
        addresses: addresses?,
        host: host?,
        principal: principal?,
        token: token?,
        external_id: external_id?,
        mfa: keys.flag("mfa"),
        source_identity: source_identity?,
        listeners: listeners?,
    })
}

fn container(keys: &Reader<'_>) -> Read<ContainerWhen> {
    if let Some(word) = keys.text("container") {
        return Ok((word.value == "any").then_some(ContainerWhen::Any));
    }
    let Some(facts) = facts_of(
        keys,
        "container",
        "write `\"any\"` for callers in any container",
    )?
    else {
        return Ok(None);
    };
    let (name, id) = (facts.patterns("name"), facts.patterns("id"));
    let (image, runtime) = (facts.patterns("image"), facts.patterns("runtime"));
    let labels = facts.patterns_by_name("label");
    let labels = labels?.into_iter();
    Ok(Some(ContainerWhen::Facts(Box::new(ContainerFactsWhen {
        name: name?,
        id: id?,
        image: image?,
        labels: labels
            .map(|(label, patterns)| (Arc::from(label), patterns))
            .collect(),
        runtime: runtime?,
    }))))
}

fn pod(keys: &Reader<'_>) -> Read<PodWhen> {
    let Some(facts) = facts_of(keys, "pod", "name its `namespace`, at least")? else {
        return Ok(None);
    };
    let (namespace, name) = (facts.patterns("namespace"), facts.patterns("name"));
    let service_account = facts.patterns("service-account");
    Ok(Some(PodWhen {
        namespace: namespace?,
        service_account: service_account?,
        name: name?,
    }))
}

fn token(keys: &Reader<'_>) -> Read<TokenWhen> {
    let Some(facts) = facts_of(keys, "token", "name its `issuer`, at least")? else {
        return Ok(None);
    };
    let (issuer, subject) = (facts.patterns("issuer"), facts.patterns("subject"));
    let audience = facts.patterns("audience");
    let claims = facts.patterns_by_name("claim");
    let claims = claims?.into_iter();
    Ok(Some(TokenWhen {
        issuer: issuer?,
        subject: subject?,
        audience: audience?,
        claims: claims
            .map(|(claim, patterns)| (claim.to_owned(), patterns))
            .collect(),
    }))
}

/// The table of this key, which says something.
fn facts_of<'a>(keys: &Reader<'a>, key: &str, hint: &str) -> Read<Reader<'a>> {
    let Some(facts) = keys.table(key) else {
        return Ok(None);
    };
    let nested = |name: &str| {
        facts
            .table(name)
            .is_some_and(|it| it.keys().next().is_none())
    };
    if facts.keys().all(nested) {
        let message = format!("this says nothing about the {key}");
        keys.problems().error(&facts.at, message).hint(hint);
        return Err(Wrong);
    }
    Ok(Some(facts))
}

/// `address`: networks in their canonical form.
fn addresses(keys: &Reader<'_>) -> Read<Vec<IpNet>> {
    let Some(at) = keys.own("address") else {
        return Ok(None);
    };
    let spots = keys.texts("address");
    let networks: Vec<Option<IpNet>> = spots.iter().map(|spot| network(keys, spot)).collect();
    if networks.is_empty() {
        if keys.is_empty_list("address") {
            keys.problems().error(&at, "`address` names none");
        }
        return Err(Wrong);
    }
    let networks: Option<Vec<IpNet>> = networks.into_iter().collect();
    networks.map(Some).ok_or(Wrong)
}

/// A network, or the one address.
pub(in crate::config::validate) fn network(keys: &Reader<'_>, spot: &Spot<&str>) -> Option<IpNet> {
    let problems = keys.problems();
    let address = || spot.value.parse::<IpAddr>().map(IpNet::from);
    let Ok(written) = spot.value.parse::<IpNet>().or_else(|_no_network| address()) else {
        problems
            .error(&spot.at, format!("`{}` is no network", spot.value))
            .hint("as `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.7`");
        return None;
    };
    if written.addr() != written.network() {
        let (network, one) = (written.trunc(), written.addr());
        problems
            .error(
                &spot.at,
                format!("`{written}` has bits set behind its prefix"),
            )
            .hint(format!(
                "write `{network}` for the network, or `{one}` for the one address"
            ));
        return None;
    }
    Some(canonical(written))
}

/// Callers' addresses are compared in their own family: a mapped network is one of IPv4.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) => v6
            .addr()
            .to_ipv4_mapped()
            .zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    mapped
        .and_then(|(address, prefix)| IpNet::new(address.into(), prefix).ok())
        .unwrap_or(network)
}

/// `host`: in the form in which names are looked up.
fn host(keys: &Reader<'_>) -> Read<Patterns> {
    let Some(patterns) = keys.patterns("host")? else {
        return Ok(None);
    };
    let looked_up = |pattern: &Pattern| match pattern {
        Pattern::Text(name) | Pattern::Glob(name) => {
            Pattern::new(name.trim_end_matches('.').to_ascii_lowercase().as_str())
        }
        Pattern::Regex { .. } => pattern.clone(),
    };
    Ok(Some(Patterns::new(
        patterns.iter().map(looked_up).collect(),
    )))
}

/// The listeners that these names and globs mean.
fn listeners(keys: &Reader<'_>, listeners: &[&str]) -> Read<Vec<Arc<str>>> {
    let Some(at) = keys.own("listener") else {
        return Ok(None);
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
    if keys.is_empty_list("listener") {
        keys.problems().error(&at, "`listener` names none");
    }
    named.sort_unstable();
    named.dedup();
    if ok && !named.is_empty() {
        Ok(Some(named))
    } else {
        Err(Wrong)
    }
}

/// Names of units without their type match nothing.
fn check_types(keys: &Reader<'_>) {
    for (key, types) in [
        ("unit", UNIT_TYPES.as_slice()),
        ("user-unit", UNIT_TYPES.as_slice()),
        ("slice", &[".slice"]),
    ] {
        for spot in keys.texts(key) {
            let typed = types.iter().any(|end| spot.value.ends_with(end));
            if typed || spot.value.contains('*') {
                continue;
            }
            let end = types.first().copied().unwrap_or_default();
            let message = format!(
                "`{}` can never match: the name of a {key} ends in its type",
                spot.value
            );
            keys.problems()
                .warning(&spot.at, message)
                .hint(format!("write `{}{end}`", spot.value));
        }
    }
}

/// What a grant without a reason says of itself: whom it is for.
pub(super) fn described(reader: &Reader<'_>) -> String {
    let Some(keys) = reader.table("when") else {
        return "anyone".to_owned();
    };
    let mut whom = Vec::new();
    describe(&keys, "", &mut whom);
    if whom.is_empty() {
        "anyone".to_owned()
    } else {
        whom.join(", ")
    }
}

fn describe(keys: &Reader<'_>, prefix: &str, whom: &mut Vec<String>) {
    for key in keys.keys() {
        let name = format!("{prefix}{key}");
        if matches!(name.as_str(), "listener" | "anyone") {
            continue;
        }
        if let Some(below) = keys.table(key).filter(|below| below.own("regex").is_none()) {
            describe(&below, &format!("{name}."), whom);
            continue;
        }
        let numbers = keys.wholes(key).into_iter().map(|it| it.value.to_string());
        let flags = keys.flag(key).into_iter().map(|flag| flag.to_string());
        let texts = keys.written(key).into_iter().map(|it| it.value.to_string());
        let values: Vec<String> = numbers.chain(flags).chain(texts).collect();
        whom.push(format!("{name} {}", values.join(" or ")));
    }
}
