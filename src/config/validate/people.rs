//! `[people]`: what proves a name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderName;

use super::grant::uid_of;
use super::reader::{Reader, Spot};
use crate::config::secret_source::Mode;
use crate::config::{Administrator, Api, Bind, Config, Ldap, Oidc, People, ProxyHeader};

/// What a proxy calls its header where nobody says otherwise.
const HEADER: &str = "x-remote-user";

/// Within which a cookie ends.
const SHORTEST_COOKIE: Duration = Duration::from_mins(1);
const LONGEST_COOKIE: Duration = Duration::from_hours(8);

/// Headers that mean something else, or that clients send themselves.
const TAKEN: [&str; 8] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "origin",
    "user-agent",
];

/// A directory's URL that is none.
#[derive(Debug, thiserror::Error)]
enum NoDirectory {
    #[error("a directory is at `ldaps://HOST` or `ldap://HOST`")]
    Scheme,
    #[error("it has a host and perhaps a port, nothing else, as `ldaps://ldap.example.org`")]
    Host,
}

/// The table, where there is one.
pub(super) fn people(root: &Reader<'_>) -> People {
    let Some(reader) = root.table("people") else {
        return People::default();
    };
    People {
        users_file: file(&reader, "users-file"),
        groups_file: file(&reader, "groups-file"),
        administrators: administrators(&reader),
        ldap: reader.table("ldap").and_then(|table| ldap(&table)),
        pam: reader.table("pam").and_then(|table| pam(&table)),
        oidc: reader.table("oidc").and_then(|table| oidc(&table)),
        proxy_header: reader
            .table("proxy-header")
            .and_then(|table| proxy_header(&table)),
        cookie_lifetime: cookie_lifetime(&reader),
    }
}

fn cookie_lifetime(reader: &Reader<'_>) -> Duration {
    let Some(spot) = reader.duration("cookie-lifetime") else {
        return People::default().cookie_lifetime;
    };
    if spot.value > LONGEST_COOKIE || spot.value < SHORTEST_COOKIE {
        let message = "a cookie counts for a minute at least, and for 8h at most";
        reader.problems().error(&spot.at, message);
    }
    spot.value
}

/// What it names elsewhere must be there.
pub(super) fn check(root: &Reader<'_>, config: &Config) {
    let Some(reader) = root.table("people") else {
        return;
    };
    if let (Some(table), Some(oidc)) = (reader.table("oidc"), &config.people.oidc)
        && !config.issuers.iter().any(|known| *known.url == oidc.issuer)
        && !root.context().incomplete
    {
        root.problems()
            .error(
                &table.place("issuer"),
                format!("there is no issuer `{}`", oidc.issuer),
            )
            .hint("describe it by `[[issuer]]`, with the same `url`");
    }
    if let (Some(table), Some(header)) = (reader.table("proxy-header"), &config.people.proxy_header)
    {
        check_proxy(&table, header, config);
    }
    let served = |what: fn(Api) -> bool| {
        let mut apis = config.listeners.iter().flat_map(|listener| &listener.apis);
        apis.any(|api| what(*api))
    };
    // Callers of STS sign; `[people]` tells their groups.
    let is_for_signers = served(|api| api == Api::Sts) && !served(Api::asks_for_names);
    if config.people.ways().is_empty() && reader.own("administrators").is_none() && !is_for_signers
    {
        let message = "nothing here proves a name: only tokens of `rolecall key token` do";
        root.problems().warning(&reader.at, message);
    }
}

/// A file that nobody else may write. It may come later; until then nobody is in it.
fn file(reader: &Reader<'_>, key: &str) -> Option<PathBuf> {
    let spot = reader.path(key)?;
    let surroundings = reader.context().surroundings;
    match std::fs::metadata(surroundings.path(&spot.value)) {
        Ok(data) => {
            if let Err(why) = Mode::of(&data).is_ours(surroundings) {
                let message = format!("{} is refused: {why}", spot.value.display());
                reader.problems().error(&spot.at, message);
            }
        }
        Err(error) => {
            let message = format!("{} cannot be read: {error}", spot.value.display());
            reader.problems().warning(&spot.at, message);
        }
    }
    Some(spot.value)
}

fn administrators(reader: &Reader<'_>) -> Vec<Administrator> {
    let one = |spot: Spot<&str>| match spot.value.strip_prefix('@') {
        Some("") => {
            reader
                .problems()
                .error(&spot.at, "`@` is followed by a group's name");
            None
        }
        Some(group) => Some(Administrator::Group(Arc::from(group))),
        None => Some(Administrator::Person(Arc::from(spot.value))),
    };
    reader
        .texts("administrators")
        .into_iter()
        .filter_map(one)
        .collect()
}

fn ldap(reader: &Reader<'_>) -> Option<Ldap> {
    let url = reader.parsed("url", directory);
    let text = |key: &str| Some(reader.text(key)?.value.to_owned());
    let bind = match (reader.own("bind-dn"), reader.own("bind-password")) {
        (None, None) => Some(None),
        (Some(_), Some(_)) => match (text("bind-dn"), reader.secret("bind-password")) {
            (Some(name), Some(password)) => Some(Some((name, password))),
            (_, None) | (None, _) => None,
        },
        (Some(at), None) | (None, Some(at)) => {
            let message = "`bind-dn` and `bind-password` go together";
            reader.problems().error(&at, message);
            None
        }
    };
    let base_users = text("base-users")?;
    Some(Ldap {
        url: url?,
        base_groups: text("base-groups").unwrap_or_else(|| base_users.clone()),
        base_users,
        bind: bind?,
        user_attribute: attribute(reader, "user-attribute", "uid")?,
        group_attribute: attribute(reader, "group-attribute", "cn")?,
        ca_file: reader.path("ca-file").map(|spot| spot.value),
    })
}

fn directory(text: &str) -> Result<String, NoDirectory> {
    let at = text
        .strip_prefix("ldaps://")
        .or_else(|| text.strip_prefix("ldap://"))
        .ok_or(NoDirectory::Scheme)?;
    let authority: hyper::http::uri::Authority = at
        .trim_end_matches('/')
        .parse()
        .map_err(|_malformed| NoDirectory::Host)?;
    let after_host = authority.as_str().len() > authority.host().len();
    let fine = !authority.host().is_empty()
        && !authority.as_str().contains('@')
        && (!after_host || authority.port_u16().is_some());
    if fine {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(NoDirectory::Host)
    }
}

/// It goes into filters as it is.
fn attribute(reader: &Reader<'_>, key: &str, default: &str) -> Option<String> {
    if reader.own(key).is_none() {
        return Some(default.to_owned());
    }
    reader.parsed(key, |text| {
        let fine = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        fine.then(|| text.to_owned())
            .ok_or("an attribute's name is letters, digits and `-`")
    })
}

fn pam(reader: &Reader<'_>) -> Option<String> {
    if !reader.context().surroundings.has_libraries() {
        let message = "this build is one file without libraries, and cannot use PAM";
        reader
            .problems()
            .error(&reader.at, message)
            .hint("take `people.ldap` or `people.users-file`, or the program of the packages");
    }
    reader.parsed("service", |text| {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fine = text.chars().all(valid) && !text.starts_with('.') && text.len() <= 64;
        fine.then(|| text.to_owned())
            .ok_or("a service is the name of a file in `/etc/pam.d`")
    })
}

fn oidc(reader: &Reader<'_>) -> Option<Oidc> {
    let text = |key: &str| Some(reader.text(key)?.value.to_owned());
    Some(Oidc {
        issuer: text("issuer")?,
        name_claim: text("name-claim").unwrap_or_else(|| "sub".to_owned()),
        groups_claim: text("groups-claim"),
    })
}

fn proxy_header(reader: &Reader<'_>) -> Option<ProxyHeader> {
    let name = match reader.own("name") {
        None => Some(HEADER.to_owned()),
        Some(_) => reader.parsed("name", header),
    };
    let uids: Vec<Option<u32>> = reader
        .texts("uid")
        .iter()
        .map(|spot| uid_of(reader.context(), spot))
        .chain(
            reader
                .wholes("uid")
                .iter()
                .map(|spot| u32::try_from(spot.value).ok()),
        )
        .collect();
    let uids: Option<Vec<u32>> = uids.into_iter().collect();
    let visitor_header = match reader.own("visitor-header") {
        None => Some(None),
        Some(_) => reader.parsed("visitor-header", header).map(Some),
    };
    let subjects = reader.texts("subject");
    if reader.own("uid").is_none() && reader.own("subject").is_none() {
        reader
            .problems()
            .error(&reader.at, "anybody could be this proxy")
            .hint("say who it runs as by `uid`, or what its certificate says by `subject`");
    }
    Some(ProxyHeader {
        name: name?,
        listener: Arc::from(reader.text("listener")?.value),
        uids: uids?,
        subjects: subjects.iter().map(|spot| spot.value.to_owned()).collect(),
        lower_case: reader.flag("lower-case").unwrap_or(false),
        visitor_header: visitor_header?,
    })
}

fn header(text: &str) -> Result<String, &'static str> {
    let name: HeaderName = text
        .parse()
        .map_err(|_malformed| "it is no name of a header")?;
    if TAKEN.contains(&name.as_str()) {
        return Err("this header means something else");
    }
    Ok(name.as_str().to_owned())
}

/// Who may be the proxy must be able to connect as that.
fn check_proxy(reader: &Reader<'_>, header: &ProxyHeader, config: &Config) {
    let mut listeners = config.listeners.iter();
    let Some(listener) = listeners.find(|one| one.name == header.listener) else {
        if !reader.context().incomplete {
            let message = format!("there is no listener `{}`", header.listener);
            reader.problems().error(&reader.place("listener"), message);
        }
        return;
    };
    let is_local = |bind: &Bind| matches!(bind, Bind::Unix(_) | Bind::Passed(_));
    if !header.uids.is_empty() && !listener.binds.iter().any(is_local) {
        let message = "the kernel tells the uid of a proxy over a unix socket only, and this listener has none";
        reader
            .problems()
            .error(&reader.place("uid"), message)
            .hint("add \"unix:/path\" to its `bind`");
    }
    let asks = listener
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca.is_some());
    if !header.subjects.is_empty() && !asks {
        let message = "nobody shows a certificate to this listener";
        reader
            .problems()
            .error(&reader.place("subject"), message)
            .hint("give it `tls` with `client-ca`");
    }
}
