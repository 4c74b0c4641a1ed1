//! `[[listener]]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use super::reader::{Reader, Spot};
use super::url::Url;
use crate::config::{Api, Bind, Holder, Instance, Listener, Tls, TokenFile};
use crate::grants::Select;

/// A bind that is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum BindError {
    #[error("it needs a port, as `{0}:{1}`")]
    NoPort(String, u16),
    #[error("a unix socket has an absolute path, as `unix:/run/rolecall/metadata.sock`")]
    RelativePath,
    #[error("a unix socket is written `unix:{0}`")]
    BarePath(String),
    #[error("the path of a unix socket has at most 107 bytes")]
    LongPath,
    #[error("the name of passed sockets is the unit's FileDescriptorName=")]
    PassedName,
    #[error(
        "it is no address with port, as `127.0.0.1:1338` or `[::1]:1338`, `unix:/path` or `passed:NAME`"
    )]
    Unknown,
}

/// A `Host` name that is none.
#[derive(Debug, thiserror::Error)]
#[error("it is no host name; a name has no port, path or `*`")]
struct NoHost;

pub(super) fn listener(reader: &Reader<'_>) -> Option<Listener> {
    let name = reader.parsed("name", listener_name);
    let binds: Vec<Bind> = reader
        .texts("bind")
        .iter()
        .filter_map(|spot| spot.parse(reader.problems(), bind))
        .collect();
    let apis: Vec<Api> = reader
        .texts("apis")
        .into_iter()
        .filter_map(|spot| api(spot.value))
        .collect();
    if reader.own("bind").is_some() && reader.texts("bind").is_empty() {
        reader
            .problems()
            .error(&reader.place("bind"), "a listener has one address at least");
    }
    if reader.own("apis").is_some() && reader.texts("apis").is_empty() {
        reader
            .problems()
            .error(&reader.place("apis"), "a listener serves one API at least");
    }
    let hosts = reader.texts("hosts");
    let hosts = hosts
        .iter()
        .filter_map(|spot| spot.parse(reader.problems(), host))
        .collect();
    let listener = Listener {
        name: name?,
        binds,
        apis,
        imdsv1: reader.flag("imdsv1").unwrap_or_default(),
        hosts,
        instance: Instance {
            id: leaf(reader, "instance-id"),
            availability_zone: leaf(reader, "availability-zone"),
            kind: leaf(reader, "instance-type"),
        },
        minio_js_alias: reader.flag("minio-js-alias").unwrap_or_default(),
        select: match reader.text("select").map(|spot| spot.value) {
            Some("only") => Select::Only,
            Some(_) | None => Select::First,
        },
        tokenless: reader.flag("tokenless").unwrap_or_default(),
        tokens: reader.tables("token").iter().filter_map(token).collect(),
        mounts: Vec::new(),
        peers: peers(reader),
        public_url: public_url(reader),
        tls: reader.table("tls").as_ref().and_then(tls),
    };
    check_apis(reader, &listener);
    check_reach(reader, &listener);
    check_doors(reader, &listener);
    Some(listener)
}

fn listener_name(text: &str) -> Result<Arc<str>, &'static str> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() <= 64 && text.chars().all(valid) {
        Ok(Arc::from(text))
    } else {
        Err("a listener's name is 1 to 64 letters, digits, `-`, `_` or `.`")
    }
}

pub(super) fn api(name: &str) -> Option<Api> {
    match name {
        "imds" => Some(Api::Imds),
        "container" => Some(Api::Container),
        "accounts" => Some(Api::Accounts),
        "connectors" => Some(Api::Connectors),
        "keystone" => Some(Api::Keystone),
        "sts" => Some(Api::Sts),
        "metrics" => Some(Api::Metrics),
        _ => None,
    }
}

pub(super) fn bind(text: &str) -> Result<Bind, BindError> {
    if let Some(path) = text.strip_prefix("unix:") {
        // The kernel's sun_path has room for 108 bytes with its NUL.
        return match path {
            path if !path.starts_with('/') => Err(BindError::RelativePath),
            path if path.len() > 107 => Err(BindError::LongPath),
            path => Ok(Bind::Unix(PathBuf::from(path))),
        };
    }
    if let Some(name) = text.strip_prefix("passed:") {
        let valid = |c: char| c.is_ascii_graphic() && c != ':';
        let named = !name.is_empty() && name.len() <= 255 && name.chars().all(valid);
        return if named {
            Ok(Bind::Passed(name.to_owned()))
        } else {
            Err(BindError::PassedName)
        };
    }
    if let Some(port) = text
        .strip_prefix("localhost:")
        .and_then(|port| port.parse().ok())
    {
        return Ok(Bind::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
    }
    if text.starts_with('/') {
        return Err(BindError::BarePath(text.to_owned()));
    }
    text.parse()
        .map(Bind::Tcp)
        .map_err(|_no_address| match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => BindError::NoPort(text.to_owned(), 80),
            Ok(IpAddr::V6(_)) => without_brackets(text),
            Err(_unknown) => BindError::Unknown,
        })
}

/// An address of IPv6; its last group may have been meant as a port.
fn without_brackets(text: &str) -> BindError {
    let meant = text.rsplit_once(':').and_then(|(address, port)| {
        address.parse::<Ipv6Addr>().ok()?;
        Some((address, port.parse().ok()?))
    });
    let (address, port) = meant.unwrap_or((text, 80));
    BindError::NoPort(format!("[{address}]"), port)
}

fn host(text: &str) -> Result<String, NoHost> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let name = text.len() <= 253 && text.chars().all(valid);
    let address = text.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok();
    if name || address {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(NoHost)
    }
}

/// A leaf is one line of an answer, and a part of paths.
fn leaf(reader: &Reader<'_>, key: &str) -> Option<String> {
    reader.parsed(key, |text| {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if text.len() <= 128 && text.chars().all(valid) {
            Ok(text.to_owned())
        } else {
            Err("it is letters, digits, `-`, `.` and `_`")
        }
    })
}

fn peers(reader: &Reader<'_>) -> Vec<IpNet> {
    let spots = reader.texts("peers");
    let networks = spots.iter();
    networks
        .filter_map(|spot| super::grant::network(reader, spot))
        .collect()
}

fn public_url(reader: &Reader<'_>) -> Option<String> {
    reader.parsed("public-url", |text| {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let path = super::mount::prefix(&url.path).map_err(|error| error.to_string())?;
        Ok::<_, String>(url.origin() + &path)
    })
}

fn tls(reader: &Reader<'_>) -> Option<Tls> {
    let key = reader.secret_place("key");
    Some(Tls {
        certificate: reader.path("certificate")?.value,
        key: key?,
        client_ca: reader.path("client-ca").map(|spot| spot.value),
    })
}

fn token(reader: &Reader<'_>) -> Option<TokenFile> {
    let role_ok = reader.own("role").is_none() || reader.role("role").is_some();
    let owner = owner(reader);
    let holder = holder(reader);
    let token = TokenFile {
        role: reader.role("role"),
        file: reader.path("file")?.value,
        uri_file: reader.path("uri-file").map(|spot| spot.value),
        owner: owner?,
        holder: holder?,
    };
    role_ok.then_some(token)
}

fn holder(reader: &Reader<'_>) -> Option<Holder> {
    let is = |key| reader.flag(key).unwrap_or_default();
    match (is("bearer"), is("containers")) {
        (false, false) => Some(Holder::Owner),
        (true, false) => Some(Holder::Bearer),
        (false, true) => Some(Holder::Container),
        (true, true) => {
            let message = "`bearer` and `containers` exclude each other";
            reader
                .problems()
                .error(&reader.place("containers"), message)
                .hint("who is known by an address is no bearer; leave one of them out");
            None
        }
    }
}

fn owner(reader: &Reader<'_>) -> Option<u32> {
    let surroundings = reader.context().surroundings;
    if reader.own("owner").is_none() {
        return Some(surroundings.uid);
    }
    super::grant::user_of(reader, "owner")
}

/// Keys that belong to an API which is not served here.
fn check_apis(reader: &Reader<'_>, listener: &Listener) {
    for (key, api, name) in [
        ("imdsv1", Api::Imds, "imds"),
        ("instance-id", Api::Imds, "imds"),
        ("availability-zone", Api::Imds, "imds"),
        ("instance-type", Api::Imds, "imds"),
        ("tokenless", Api::Container, "container"),
    ] {
        if let Some(at) = reader.own(key).filter(|_| !listener.apis.contains(&api)) {
            let message = format!("`{key}` does nothing on a listener without `{name}`");
            reader.problems().warning(&at, message);
        }
    }
    if let Some(at) = reader
        .own("minio-js-alias")
        .filter(|_| !listener.is_for_this_host())
    {
        let message = "`minio-js-alias` does nothing on a listener without `imds` or `container`";
        reader.problems().warning(&at, message);
    }
    if let Some(at) = reader
        .own("token")
        .filter(|_| !listener.apis.contains(&Api::Container))
    {
        reader
            .problems()
            .error(
                &at,
                "authorization tokens belong to a listener that serves `container`",
            )
            .hint("add \"container\" to its `apis`");
    }
    if listener.tokenless && listener.apis.contains(&Api::Container) {
        reader
            .problems()
            .warning(&reader.place("tokenless"), "any request of a granted process is served without a token, also one that somebody else made it send")
            .hint("leave `tokenless` out where clients can send `Authorization`");
    }
}

/// What lets people in would let others in to what is for programs of this host.
fn check_doors(reader: &Reader<'_>, listener: &Listener) {
    if listener.is_for_this_host() {
        for key in ["tls", "peers", "public-url", "mount"] {
            if let Some(at) = reader.own(key) {
                let message =
                    format!("`{key}` has no place on a listener of `imds` or `container`");
                reader.problems().error(&at, message).hint(
                    "they answer programs of this host alone; serve people on a listener of its own",
                );
            }
        }
        if listener.apis.iter().any(|api| api.is_for_people()) {
            reader
                .problems()
                .error(
                    &reader.place("apis"),
                    "`imds` and `container` share no listener with APIs for people",
                )
                .hint("who may connect and what a request proves are told otherwise there; write a listener of its own");
        }
    }
}

/// Metadata and container credentials are for this host: an address that others reach is a slip.
fn check_reach(reader: &Reader<'_>, listener: &Listener) {
    if !listener
        .apis
        .iter()
        .any(|api| matches!(api, Api::Imds | Api::Container))
    {
        return;
    }
    for spot in reader.texts("bind") {
        let Spot { value, at } = spot;
        let Ok(Bind::Tcp(address)) = bind(value) else {
            continue;
        };
        if !is_for_this_host(address.ip()) {
            reader
                .problems()
                .warning(
                    &at,
                    format!("{} can be reached from elsewhere", address.ip()),
                )
                .hint("only callers of this host and its containers are answered; bind loopback or 169.254.169.254");
        }
    }
}

/// Loopback, link-local, or the metadata addresses of IPv6 (`fd00:ec2::/32`).
fn is_for_this_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || matches!(ip.segments(), [0xfd00, 0x0ec2, ..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_of_all_forms_parse() {
        assert_eq!(
            bind("127.0.0.1:80").unwrap(),
            Bind::Tcp("127.0.0.1:80".parse().unwrap())
        );
        assert!(matches!(bind("[fd00:ec2::254]:80"), Ok(Bind::Tcp(_))));
        assert_eq!(
            bind("unix:/run/a.sock").unwrap(),
            Bind::Unix("/run/a.sock".into())
        );
        assert_eq!(
            bind("passed:metadata").unwrap(),
            Bind::Passed("metadata".to_owned())
        );
        assert_eq!(
            bind("localhost:0").unwrap(),
            Bind::Tcp("127.0.0.1:0".parse().unwrap())
        );
        for text in [
            "127.0.0.1",
            "::1",
            "unix:a.sock",
            "passed:",
            "example.org:80",
            ":80",
        ] {
            assert!(bind(text).is_err(), "{text}");
        }
        for (text, told) in [
            ("::1", "it needs a port, as `[::1]:80`"),
            ("::1:1338", "it needs a port, as `[::1]:1338`"),
            (
                "fd00:ec2::254:80",
                "it needs a port, as `[fd00:ec2::254]:80`",
            ),
            ("fd00:ec2::254", "it needs a port, as `[fd00:ec2::254]:80`"),
            ("/run/a.sock", "a unix socket is written `unix:/run/a.sock`"),
        ] {
            assert_eq!(bind(text).unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn only_this_host_reaches_loopback_and_metadata_addresses() {
        let inside = |ip: &str| is_for_this_host(ip.parse().unwrap());
        assert!(inside("127.0.0.1") && inside("169.254.169.254") && inside("169.254.170.2"));
        assert!(inside("::1") && inside("fd00:ec2::254"));
        assert!(!inside("0.0.0.0") && !inside("10.0.0.1") && !inside("::") && !inside("fd01::1"));
    }
}
