//! Listeners among each other, and upstreams that are this daemon itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::reader::Reader;
use super::url::Url;
use crate::config::problem::At;
use crate::config::{BaseCredentials, Bind, Config};

/// Where the real metadata service is.
const METADATA: [&str; 2] = ["169.254.169.254:80", "[fd00:ec2::254]:80"];

pub(super) fn check(root: &Reader<'_>, config: &Config) {
    if root.own("listener").is_none() {
        root.problems()
            .note(
                &At::default(),
                "no SDK finds anything here: there is no [[listener]]",
            )
            .hint("without one only commands are answered, as `rolecall credentials`");
    }
    check_names(root);
    check_binds(root, config);
    check_files(root);
    for account in config.accounts.values() {
        let Some(table) = root.named_one("account", account.alias.as_str()) else {
            continue;
        };
        if let Some(url) = &account.endpoint {
            refuse_own(root, config, url, &table.place("endpoint"));
        }
        let credentials = table.table("credentials").unwrap_or(table);
        if let BaseCredentials::Endpoint { url, .. } = &account.base {
            refuse_own(root, config, url, &credentials.place("url"));
        }
        let metadata = METADATA.iter().filter_map(|address| address.parse().ok());
        if matches!(account.base, BaseCredentials::Imds)
            && metadata
                .into_iter()
                .any(|address| own_listener(config, address).is_some())
        {
            root.problems()
                .error(
                    &credentials.place("from"),
                    "the metadata service at 169.254.169.254 would be this daemon itself",
                )
                .hint(
                    "a listener here has that address: name other credentials, or another address",
                );
        }
    }
}

fn check_names(root: &Reader<'_>) {
    let mut seen: BTreeMap<&str, At> = BTreeMap::new();
    for spot in root
        .tables("listener")
        .iter()
        .filter_map(|listener| listener.text("name"))
    {
        match seen.get(spot.value) {
            Some(first) => {
                let message = format!("there are two listeners of the name `{}`", spot.value);
                root.problems().error(&spot.at, message).and(first);
            }
            None => {
                seen.insert(spot.value, spot.at);
            }
        }
    }
}

/// Two sockets that cannot both be bound.
fn check_binds(root: &Reader<'_>, config: &Config) {
    let mut seen: Vec<(Bind, At)> = Vec::new();
    for spot in root
        .tables("listener")
        .iter()
        .flat_map(|listener| listener.texts("bind"))
    {
        let Some(bind) = super::listener::bind(spot.value).ok() else {
            continue;
        };
        match seen.iter().find(|(other, _)| collide(other, &bind)) {
            Some((_, first)) => {
                let message = format!("`{}` is bound already", spot.value);
                root.problems().error(&spot.at, message).and(first);
            }
            None => seen.push((bind, spot.at)),
        }
    }
    let admin = Bind::Unix(config.admin_socket.clone());
    if let Some((_, at)) = seen.iter().find(|(bind, _)| *bind == admin) {
        root.problems().error(at, "this is the admin socket's path");
    }
}

fn collide(a: &Bind, b: &Bind) -> bool {
    match (a, b) {
        (Bind::Tcp(a), Bind::Tcp(b)) => {
            let same = a.ip() == b.ip();
            let wild =
                a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified());
            a.port() != 0 && a.port() == b.port() && (same || wild)
        }
        (a, b) => a == b,
    }
}

/// Two tokens that would be written to one file.
fn check_files(root: &Reader<'_>) {
    let mut seen: BTreeMap<PathBuf, At> = BTreeMap::new();
    for listener in root.tables("listener") {
        for token in listener.tables("token") {
            for spot in ["file", "uri-file"]
                .iter()
                .filter_map(|key| token.path(key))
            {
                match seen.get(&spot.value) {
                    Some(first) => {
                        let message = "another token is written to this file";
                        root.problems().error(&spot.at, message).and(first);
                    }
                    None => {
                        seen.insert(spot.value, spot.at);
                    }
                }
            }
        }
    }
}

fn refuse_own(root: &Reader<'_>, config: &Config, url: &str, at: &At) {
    let Ok(url) = Url::parse(url) else { return };
    let Some(address) = url.address() else { return };
    if let Some(name) = own_listener(config, SocketAddr::new(address, url.port)) {
        root.problems()
            .error(at, format!("this endpoint is our own listener `{name}`"))
            .hint("the daemon cannot be its own upstream");
    }
}

/// The listener that answers at this address.
fn own_listener(config: &Config, address: SocketAddr) -> Option<&str> {
    let answers = |bind: &Bind| {
        let Bind::Tcp(bound) = bind else { return false };
        bound.port() == address.port()
            && (bound.ip() == address.ip() || is_any_of_ours(bound.ip(), address.ip()))
    };
    let listener = config
        .listeners
        .iter()
        .find(|listener| listener.binds.iter().any(answers))?;
    Some(&listener.name)
}

/// Whether a socket on the unspecified address is reached by this one, as far as can be told.
fn is_any_of_ours(bound: IpAddr, address: IpAddr) -> bool {
    bound.is_unspecified() && (address.is_loopback() || address.is_unspecified())
}
