//! The address of a metadata endpoint.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::Authority;

const HTTP: u16 = 80;

/// `http://HOST[:PORT]`, as SDKs take it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint(Authority);

/// Why a text is no endpoint.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidEndpoint {
    #[error("it is no URL")]
    Malformed(#[source] hyper::http::uri::InvalidUri),
    #[error("metadata services speak plain http: begin with http://")]
    Scheme,
    #[error("it names no host")]
    NoHost,
    #[error("an endpoint has no user")]
    User,
    #[error("its port is no number from 1 to 65535")]
    Port,
    #[error("an endpoint has no path: many SDKs would drop it")]
    Path,
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(InvalidEndpoint::Malformed)?;
        if uri.scheme_str() != Some("http") {
            return Err(InvalidEndpoint::Scheme);
        }
        if uri
            .path_and_query()
            .is_some_and(|path| path.as_str() != "/")
        {
            return Err(InvalidEndpoint::Path);
        }
        let authority = uri.into_parts().authority;
        let authority = authority.ok_or(InvalidEndpoint::NoHost)?;
        if authority.as_str().contains('@') {
            return Err(InvalidEndpoint::User);
        }
        let after_host = authority.as_str().get(authority.host().len()..);
        let has_port = after_host.is_some_and(|rest| !rest.is_empty());
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(InvalidEndpoint::Port);
        }
        Ok(Self(authority))
    }
}

impl Endpoint {
    /// What `Host` is.
    pub(super) fn authority(&self) -> &str {
        self.0.as_str()
    }

    /// The host without its port.
    pub(super) fn host(&self) -> &str {
        self.0.host()
    }

    /// Where it may be.
    pub(super) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.0.host().trim_start_matches('[').trim_end_matches(']');
        let port = self.0.port_u16().unwrap_or(HTTP);
        Ok((host, port).to_socket_addrs()?.collect())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_what_sdks_take() {
        for (text, address) in [
            ("http://127.0.0.1:1338", "127.0.0.1:1338"),
            ("http://127.0.0.1", "127.0.0.1:80"),
            ("http://[::1]:81/", "[::1]:81"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.addresses().unwrap(), [address.parse().unwrap()]);
            assert_eq!(endpoint.to_string(), text.trim_end_matches('/'));
        }
        for text in [
            "",
            "127.0.0.1",
            "https://127.0.0.1",
            "http://127.0.0.1/latest",
            "http://127.0.0.1/?x",
            "http://user@127.0.0.1",
            "http:///",
            "http://127.0.0.1:99999",
            "http://127.0.0.1:",
            "http://127.0.0.1:0",
            "http://[::1]:http",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
