//! Where a redirected connection was meant to go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

use nix::sys::socket::{getsockopt, sockopt};

use super::sock_diag::canonical;

/// The destination before it was rewritten (DNAT, REDIRECT); `None` for a connection that came
/// where it was meant to.
pub(super) fn original_destination(
    accepted: BorrowedFd<'_>,
    local: SocketAddr,
) -> Option<SocketAddr> {
    let meant = if local.ip().to_canonical().is_ipv4() {
        let meant = getsockopt(&accepted, sockopt::OriginalDst).ok()?;
        let ip = Ipv4Addr::from(u32::from_be(meant.sin_addr.s_addr));
        SocketAddr::new(IpAddr::V4(ip), u16::from_be(meant.sin_port))
    } else {
        let meant = getsockopt(&accepted, sockopt::Ip6tOriginalDst).ok()?;
        let ip = Ipv6Addr::from(meant.sin6_addr.s6_addr);
        SocketAddr::new(IpAddr::V6(ip), u16::from_be(meant.sin6_port))
    };
    (canonical(meant) != canonical(local)).then_some(meant)
}
