//! What `exec` hands to a command: a URL of the container API, and a token for its process.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::StatusCode;

use super::answer::Failure;
use super::view::Viewer;
use super::wire::{Secret, Socket, Token};
use super::{Admin, Guest, want};
use crate::api::container::Claims;
use crate::caller::{Evidence, ProcessId};
use crate::config::Holder;
use crate::secret::SecretString;
use crate::types::RoleRef;

/// How long a role is waited for that is not held yet. Then the command is run all the same: its
/// SDK asks again.
const PATIENCE: Duration = Duration::from_secs(4);

/// Addresses beside loopback to which SDKs send an AuthorizationToken over plain HTTP.
const CONTAINER_ADDRESSES: [IpAddr; 3] = [
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

impl Admin {
    /// A token for the asking process, if its role can be had.
    pub(super) async fn token(
        &self,
        guest: &Guest,
        viewer: &Viewer,
        role: Option<RoleRef>,
    ) -> Result<Token, Failure> {
        let caller = guest.visit.caller();
        let Evidence::PeerCredentials { uid, pid, .. } = caller.evidence() else {
            return Err(Failure::new(
                StatusCode::FORBIDDEN,
                "tokens are for peers of the socket",
            ));
        };
        let process = u32::try_from(*pid).ok().and_then(ProcessId::of);
        let process = process.ok_or_else(|| {
            let message = "the daemon cannot see your process, which the token would die with";
            let remedy = "let the daemon share the host's pid namespace";
            Failure::new(StatusCode::FORBIDDEN, message).remedy(remedy)
        })?;
        let address = container_address(&self.control.sockets()).ok_or_else(|| {
            let message = "no listener serves the container API on this host's own addresses";
            let remedy =
                "add a [[listener]] with bind = [\"127.0.0.1:8170\"] and apis = [\"container\"]";
            Failure::new(StatusCode::NOT_FOUND, message).remedy(remedy)
        })?;
        let want = want(role.clone(), PATIENCE);
        let refused = |refusal| self.refused(caller, viewer, &want, refusal);
        let name = self
            .vending
            .name(&guest.visit, &want)
            .await
            .map_err(refused)?;
        let (_, account) = self
            .vending
            .role(&guest.visit, &want)
            .await
            .map_err(refused)?;
        let path = match &role {
            Some(role) => format!("/role/{role}"),
            None => "/creds".to_owned(),
        };
        let claims = Claims {
            uid: *uid,
            role,
            process: Some(process),
            holder: Holder::Owner,
        };
        let token = self.tokens.issue(&claims).map_err(|error| {
            let message = "no token can be made";
            let reason = Some(error.to_string());
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message).reason(reason)
        })?;
        Ok(Token {
            uri: format!("http://{address}{path}"),
            token: Secret::new(SecretString::from(token)),
            role: name.to_string(),
            region: account.region.as_ref().map(ToString::to_string),
        })
    }
}

/// Where SDKs accept the container API: loopback before the well-known addresses, which the host
/// may not have.
fn container_address(sockets: &[Socket]) -> Option<SocketAddr> {
    let serving = sockets
        .iter()
        .filter(|socket| socket.apis.iter().any(|api| api == "container"));
    let addresses: Vec<SocketAddr> = serving
        .filter_map(|socket| socket.address.parse().ok())
        .map(reached_by_loopback)
        .collect();
    let loopback = addresses.iter().find(|address| address.ip().is_loopback());
    let well_known = || {
        addresses
            .iter()
            .find(|a| CONTAINER_ADDRESSES.contains(&a.ip()))
    };
    loopback.or_else(well_known).copied()
}

/// A socket on all addresses is on loopback too.
fn reached_by_loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(sockets: &[(&str, &str)]) -> Option<String> {
        let sockets: Vec<Socket> = sockets
            .iter()
            .map(|(address, api)| Socket {
                name: "x".to_owned(),
                address: (*address).to_owned(),
                apis: vec![(*api).to_owned()],
                hop_limit: None,
            })
            .collect();
        container_address(&sockets).map(|address| address.to_string())
    }

    #[test]
    fn sdks_get_an_address_that_they_accept() {
        let well_known = ("169.254.170.2:80", "container");
        let loopback = ("127.0.0.1:8170", "container");
        assert_eq!(chosen(&[well_known, loopback]).unwrap(), "127.0.0.1:8170");
        assert_eq!(chosen(&[well_known]).unwrap(), "169.254.170.2:80");
        let everywhere = ("0.0.0.0:8170", "container");
        assert_eq!(chosen(&[everywhere]).unwrap(), "127.0.0.1:8170");
        assert_eq!(chosen(&[("10.0.0.1:80", "container")]), None);
        assert_eq!(chosen(&[("127.0.0.1:1338", "imds")]), None);
        assert_eq!(chosen(&[("unix:/run/x", "container")]), None);
    }
}
