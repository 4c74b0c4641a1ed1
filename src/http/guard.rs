//! The guard: refuses what no local SDK sends, before any route is looked at.
//!
//! Three doors are shut: DNS rebinding (a `Host` that is not ours), proxies (a request that was
//! passed on speaks for somebody else) and browsers.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::{Method, Uri, Version};

use super::browser::{self, Origins};
use super::{Connection, Local, Request};

/// The addresses at which SDKs look for credentials by themselves: IMDS, ECS, EKS Pod Identity.
const WELL_KNOWN: [IpAddr; 5] = [
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// The target is no path, or `Host` is missing, doubled or no host.
    Malformed,
    /// `Host` names neither a bound nor a well-known address nor a name of the configuration.
    ForeignHost,
    /// A proxy passed it on.
    Forwarded,
    /// A browser sent it.
    Browser,
}

/// What this daemon's own requests carry where a firewall rule may turn them back to it.
#[derive(Clone, Debug)]
pub struct LoopMark {
    name: HeaderName,
    value: Arc<str>,
}

impl LoopMark {
    /// The header of this name (in lower case) with this value, which is the process's own.
    pub const fn new(name: &'static str, value: Arc<str>) -> Self {
        let name = HeaderName::from_static(name);
        Self { name, value }
    }

    fn is(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        *name == self.name && value.as_bytes() == self.value.as_bytes()
    }
}

/// What a listener's guard accepts and refuses beyond the fixed rules.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    hosts: Vec<Box<str>>,
    own: Option<LoopMark>,
    /// The origin under which people find this listener.
    public: Option<Box<str>>,
}

/// What a route for people lets through, beyond what programs send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leave {
    /// A trusted proxy's headers, which prove nothing.
    pub forwarded: bool,
    /// That a link of any site leads a browser's window here.
    pub navigation: bool,
}

/// A request's parts that the guard looks at.
#[derive(Clone, Copy, Debug)]
struct Parts<'a> {
    method: &'a Method,
    version: Version,
    uri: &'a Uri,
    headers: &'a HeaderMap,
}

impl<'a> Parts<'a> {
    fn of(request: &'a Request) -> Self {
        Self {
            method: request.method(),
            version: request.version(),
            uri: request.uri(),
            headers: request.headers(),
        }
    }
}

/// What a request's headers tell of who sent it.
#[derive(Clone, Copy, Debug, Default)]
struct Sent<'a> {
    host: Option<&'a HeaderValue>,
    by_proxy: bool,
    by_browser: bool,
}

impl Guard {
    /// Accepts these further `Host` names, and refuses requests with this mark: what redirects
    /// them speaks for somebody else, as a proxy does.
    pub fn new(hosts: &[String], own: LoopMark) -> Self {
        Self {
            own: Some(own),
            hosts: hosts
                .iter()
                .map(|host| host.to_ascii_lowercase().into())
                .collect(),
            public: None,
        }
    }

    /// Accepts the host of this origin too, and what a browser sends from there to people's routes.
    #[must_use]
    pub fn with_public(mut self, origin: &str) -> Self {
        let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
        let host = without_port(authority).map(str::to_ascii_lowercase);
        self.hosts.extend(host.map(String::into_boxed_str));
        self.public = Some(origin.into());
        self
    }

    /// Checks a request that came in over this connection. `known` is a `Host` that has passed on
    /// this very connection before.
    pub fn check(
        &self,
        connection: &Connection,
        request: &Request,
        known: Option<&[u8]>,
    ) -> Result<(), Refused> {
        let (local, encrypted) = (&connection.local, connection.encrypted.is_some());
        self.check_parts(local, encrypted, Parts::of(request), known)
    }

    /// Checks a request to a route for people: what a browser sends that shows a page of this
    /// listener passes, and what its route lets through beside that.
    pub fn check_people(
        &self,
        connection: &Connection,
        request: &Request,
        leave: Leave,
    ) -> Result<(), Refused> {
        let (local, encrypted) = (&connection.local, connection.encrypted.is_some());
        self.check_people_parts(local, encrypted, Parts::of(request), leave)
    }

    fn check_parts(
        &self,
        local: &Local,
        encrypted: bool,
        parts: Parts<'_>,
        known: Option<&[u8]>,
    ) -> Result<(), Refused> {
        let sent = self.look_through(parts.headers)?;
        if sent.by_proxy {
            return Err(Refused::Forwarded);
        }
        if sent.by_browser {
            return Err(Refused::Browser);
        }
        self.check_target(local, encrypted, parts, sent.host, known)
    }

    fn check_people_parts(
        &self,
        local: &Local,
        encrypted: bool,
        parts: Parts<'_>,
        leave: Leave,
    ) -> Result<(), Refused> {
        let sent = self.look_through(parts.headers)?;
        if sent.by_proxy && !leave.forwarded {
            return Err(Refused::Forwarded);
        }
        self.check_target(local, encrypted, parts, sent.host, None)?;
        if !sent.by_browser {
            return Ok(());
        }
        // Over a unix socket too: the browser is at its other end, behind a proxy.
        let host = sent.host.and_then(|host| host.to_str().ok());
        let host = host.ok_or(Refused::Malformed)?;
        let name = without_port(host).ok_or(Refused::Malformed)?;
        if matches!(local, Local::Unix) && !self.is_named(name) {
            return Err(Refused::ForeignHost);
        }
        let origins = Origins {
            scheme: if encrypted { "https" } else { "http" },
            host,
            public: self.public.as_deref(),
        };
        if browser::may_ask(parts.method, parts.headers, origins, leave.navigation) {
            Ok(())
        } else {
            Err(Refused::Browser)
        }
    }

    /// What the headers tell of who sent them. A second `Host` and our own mark pass nowhere.
    fn look_through<'a>(&self, headers: &'a HeaderMap) -> Result<Sent<'a>, Refused> {
        let mut sent = Sent::default();
        for (header, value) in headers {
            let name = header.as_str();
            // Their first letters sort out what programs send.
            match name.as_bytes().first() {
                Some(b'h') if *header == HOST => {
                    if sent.host.replace(value).is_some() {
                        return Err(Refused::Malformed);
                    }
                }
                _ if self.own.as_ref().is_some_and(|own| own.is(header, value)) => {
                    return Err(Refused::Forwarded);
                }
                Some(b'c' | b'f' | b'p' | b't' | b'v' | b'x') => {
                    sent.by_proxy |= is_of_proxy(name);
                }
                Some(b'o' | b'r' | b's') => sent.by_browser |= is_of_browser(name),
                Some(_) | None => {}
            }
        }
        Ok(sent)
    }

    fn check_target(
        &self,
        local: &Local,
        encrypted: bool,
        parts: Parts<'_>,
        host: Option<&HeaderValue>,
        known: Option<&[u8]>,
    ) -> Result<(), Refused> {
        let Parts { uri, version, .. } = parts;
        if !uri.path().starts_with('/') {
            return Err(Refused::Malformed);
        }
        if matches!(local, Local::Unix) {
            return Ok(());
        }
        let scheme = if encrypted {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        };
        if uri.scheme().is_some_and(|asked| *asked != scheme) {
            return Err(Refused::Malformed);
        }
        if let Some(authority) = uri.authority() {
            self.check_host(local, authority.as_str())?;
        }
        if known.is_some() && host.map(HeaderValue::as_bytes) == known {
            return Ok(());
        }
        match host.map(HeaderValue::to_str) {
            Some(Ok(host)) => self.check_host(local, host),
            // No browser speaks HTTP/1.0, and its clients need not send a host.
            None if version == Version::HTTP_10 => Ok(()),
            Some(Err(_)) | None => Err(Refused::Malformed),
        }
    }

    /// The port is not compared: CRT leaves it out.
    fn check_host(&self, local: &Local, host: &str) -> Result<(), Refused> {
        let name = without_port(host).ok_or(Refused::Malformed)?;
        let Local::Tcp { address, original } = local else {
            return Ok(());
        };
        if let Ok(ip) = name.parse::<IpAddr>() {
            let ours = ip == address.ip()
                || original.is_some_and(|original| ip == original.ip())
                || WELL_KNOWN.contains(&ip)
                || self.is_named(name);
            return if ours {
                Ok(())
            } else {
                Err(Refused::ForeignHost)
            };
        }
        if self.is_named(name) {
            Ok(())
        } else {
            Err(Refused::ForeignHost)
        }
    }

    fn is_named(&self, name: &str) -> bool {
        let mut hosts = self.hosts.iter();
        name.eq_ignore_ascii_case("localhost")
            || hosts.any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Headers that only browsers add.
fn is_of_browser(name: &str) -> bool {
    matches!(name, "origin" | "referer") || name.starts_with("sec-fetch-")
}

/// What proxies call those whom they speak for.
fn is_of_proxy(name: &str) -> bool {
    matches!(
        name,
        "forwarded"
            | "via"
            | "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-original-url"
            | "x-rewrite-url"
            | "true-client-ip"
            | "cf-connecting-ip"
    ) || ["x-forwarded", "x_forwarded", "proxy-"]
        .iter()
        .any(|start| name.starts_with(start))
}

/// The host without its port; `None` where the text is no host.
fn without_port(host: &str) -> Option<&str> {
    if let Some(literal) = host.strip_prefix('[') {
        let (inside, after) = literal.split_once(']')?;
        let port_only = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
        return port_only.then_some(inside);
    }
    match host.split_once(':') {
        None => (!host.is_empty()).then_some(host),
        Some((name, port)) => (!name.is_empty() && is_port(port)).then_some(name),
    }
}

fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests;
