//! Endpoints: http and https URLs.

use std::net::IpAddr;

use hyper::Uri;
use hyper::http::uri::{Authority, Scheme};

/// The text is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoUrl {
    #[error("it is no URL, as `https://sts.example.org`")]
    Malformed,
    #[error("it begins with neither http:// nor https://")]
    Scheme,
    #[error("a URL holds no user and password")]
    UserInfo,
    #[error("the path of an endpoint holds no query")]
    Query,
}

/// A URL's parts that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) text: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) is_plain: bool,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, NoUrl> {
        let url = Self::with_query(text)?;
        if text.contains('?') {
            return Err(NoUrl::Query);
        }
        Ok(url)
    }

    /// A URL that may have a query.
    pub(super) fn with_query(text: &str) -> Result<Self, NoUrl> {
        let uri: Uri = text.parse().map_err(|_malformed| NoUrl::Malformed)?;
        let is_plain = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => true,
            Some(scheme) if *scheme == Scheme::HTTPS => false,
            Some(_) | None => return Err(NoUrl::Scheme),
        };
        let authority: &Authority = uri.authority().ok_or(NoUrl::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(NoUrl::UserInfo);
        }
        let host = authority
            .host()
            .trim_matches(['[', ']'])
            .to_ascii_lowercase();
        if host.is_empty() || text.contains('#') {
            return Err(NoUrl::Malformed);
        }
        // A port that is no number is left out by the parser.
        let after_host = authority.as_str().len() > authority.host().len();
        if after_host && authority.port_u16().is_none() {
            return Err(NoUrl::Malformed);
        }
        let port = authority
            .port_u16()
            .unwrap_or(if is_plain { 80 } else { 443 });
        Ok(Self {
            text: text.to_owned(),
            host,
            port,
            path: uri.path().to_owned(),
            is_plain,
        })
    }

    /// Its scheme, host, and port where it is not the scheme's own: as browsers write it.
    pub(super) fn origin(&self) -> String {
        let (scheme, usual) = if self.is_plain {
            ("http", 80)
        } else {
            ("https", 443)
        };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == usual {
            format!("{scheme}://{host}")
        } else {
            format!("{scheme}://{host}:{}", self.port)
        }
    }

    /// Its host, where it is an address.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.host.parse() {
            Ok(address) => Some(address),
            Err(_name) if self.host == "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
            Err(_name) => None,
        }
    }

    /// Whether what is sent there stays on this host.
    pub(super) fn is_loopback(&self) -> bool {
        self.address().is_some_and(|address| address.is_loopback())
    }

    /// Whether what is sent there stays on this host or link.
    pub(super) fn is_near(&self) -> bool {
        match self.address() {
            Some(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
            Some(IpAddr::V6(ip)) => {
                ip.is_loopback() || matches!(ip.segments(), [0xfd00, 0x0ec2, ..])
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_host_and_port() {
        let url = Url::parse("http://[::1]:8000/path").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.is_plain),
            ("::1", 8000, true)
        );
        assert!(url.is_near());
        let far = Url::parse("https://STS.example.org").unwrap();
        assert_eq!((far.host.as_str(), far.port), ("sts.example.org", 443));
        assert!(!far.is_near());
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for (text, error) in [
            ("sts.example.org", NoUrl::Scheme),
            ("ftp://a", NoUrl::Scheme),
            ("https://", NoUrl::Malformed),
            ("https://me:pw@host", NoUrl::UserInfo),
            ("https://host/?a=b", NoUrl::Query),
            ("https://host:99999", NoUrl::Malformed),
            ("https://host/#a", NoUrl::Malformed),
            ("not a url", NoUrl::Malformed),
        ] {
            assert_eq!(Url::parse(text), Err(error), "{text}");
        }
    }
}
