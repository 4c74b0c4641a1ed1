//! The addresses of this host.

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// All of them, each with its interface.
pub(crate) fn interfaces() -> io::Result<Vec<(String, IpAddr)>> {
    let with_address = getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let ip = v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))?;
        Some((interface.interface_name, ip))
    });
    Ok(with_address.collect())
}
