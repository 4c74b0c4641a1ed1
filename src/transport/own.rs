//! Which addresses are this daemon's own listeners: its SDK must never find them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::Uri;

use crate::interfaces::interfaces;

/// The addresses that this daemon serves.
#[derive(Clone, Debug, Default)]
pub struct OwnAddresses(Vec<SocketAddr>);

impl FromIterator<SocketAddr> for OwnAddresses {
    fn from_iter<I: IntoIterator<Item = SocketAddr>>(addresses: I) -> Self {
        Self(addresses.into_iter().collect())
    }
}

impl OwnAddresses {
    /// Whether a connection to this address would be one to ourselves.
    pub(crate) fn contains(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.0.iter().any(|own| {
            own.port() == address.port()
                && (own.ip().to_canonical() == ip || (own.ip().is_unspecified() && is_local(ip)))
        })
    }

    /// Whether a URL names one of ours by its address. What its name resolves to is asked when it
    /// is called.
    pub(crate) fn serves(&self, url: &str) -> bool {
        let Ok(uri) = url.parse::<Uri>() else {
            return false;
        };
        let host = uri.host().unwrap_or_default();
        let addresses = match literal(host) {
            Some(ip) => vec![ip],
            None if host.eq_ignore_ascii_case("localhost") => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            None => Vec::new(),
        };
        let port = port(&uri);
        let mut addresses = addresses.into_iter();
        addresses.any(|ip| self.contains(SocketAddr::new(ip, port)))
    }

    /// Whether any of ours has this port: only then need a name be resolved to tell.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.0.iter().any(|own| own.port() == port)
    }
}

/// The port that a URL leads to.
pub(super) fn port(uri: &Uri) -> u16 {
    let https = uri.scheme_str() == Some("https");
    uri.port_u16().unwrap_or(if https { 443 } else { 80 })
}

/// The address that a URL's host is, where it is no name.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

/// Whether this host has the address.
fn is_local(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    interfaces().map_or(true, |all| {
        all.iter().any(|(_, own)| own.to_canonical() == ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(addresses: &[&str]) -> OwnAddresses {
        addresses.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_is_ours_by_ip_and_port() {
        let own = own(&["127.0.0.1:1338", "169.254.169.254:80"]);
        assert!(own.contains("127.0.0.1:1338".parse().unwrap()));
        assert!(own.contains("[::ffff:169.254.169.254]:80".parse().unwrap()));
        assert!(!own.contains("127.0.0.1:80".parse().unwrap()));
        assert!(!own.contains("127.0.0.2:1338".parse().unwrap()));
    }

    #[test]
    fn a_url_is_ours_by_its_literal_address() {
        let own = own(&["127.0.0.1:1338", "[fd00:ec2::254]:80"]);
        assert!(own.serves("http://127.0.0.1:1338/role/a/b"));
        assert!(own.serves("http://localhost:1338"));
        assert!(own.serves("http://[fd00:ec2::254]/latest"));
        assert!(!own.serves("http://127.0.0.1:1339/"));
        assert!(!own.serves("https://[fd00:ec2::254]/"));
        assert!(!own.serves("http://example.org:1338/"));
        assert!(!own.serves("no url"));
    }

    #[test]
    fn a_wildcard_is_every_address_of_this_host() {
        let own = own(&["[::]:1338"]);
        assert!(own.contains("127.0.0.1:1338".parse().unwrap()));
        assert!(own.contains("0.0.0.0:1338".parse().unwrap()));
        assert!(!own.contains("192.0.2.1:1338".parse().unwrap()));
    }
}
