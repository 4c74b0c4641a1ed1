//! Which addresses are this daemon's own listeners: its SDK must never find them.

use std::net::{IpAddr, SocketAddr};

use nix::ifaddrs::getifaddrs;

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
    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.0.iter().any(|own| {
            own.port() == address.port()
                && (own.ip().to_canonical() == ip || (own.ip().is_unspecified() && is_local(ip)))
        })
    }

    /// Whether any of ours has this port: only then need a name be resolved to tell.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.0.iter().any(|own| own.port() == port)
    }
}

/// Whether this host has the address.
fn is_local(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    let Ok(interfaces) = getifaddrs() else {
        return true;
    };
    interfaces
        .filter_map(|interface| interface.address)
        .any(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
            v4.or(v6).is_some_and(|own| own.to_canonical() == ip)
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
    fn a_wildcard_is_every_address_of_this_host() {
        let own = own(&["[::]:1338"]);
        assert!(own.contains("127.0.0.1:1338".parse().unwrap()));
        assert!(own.contains("0.0.0.0:1338".parse().unwrap()));
        assert!(!own.contains("192.0.2.1:1338".parse().unwrap()));
    }
}
