//! A proxy's word for who asks: a header that counts from one peer only.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::HeaderMap;

use super::admission::Asking;
use super::directory::is_name;
use super::throttle::Peer;

use crate::config;

/// What Apache writes where it has no name.
const NOBODY: &str = "(null)";

/// The proxy whose word is taken.
#[derive(Debug)]
pub struct Proxy(config::ProxyHeader);

/// The header does not say who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWord {
    /// It comes from somebody else: whoever sends it wants to be what it is not.
    #[error("the header of the proxy comes from another peer")]
    Foreign,
    /// It is there twice, or holds no name: what the proxy's own client sent may have passed.
    #[error("the header of the proxy holds no single name")]
    Malformed,
}

impl Proxy {
    /// The proxy of this configuration.
    pub const fn new(config: config::ProxyHeader) -> Self {
        Self(config)
    }

    /// The name that the proxy says; `None` where it says none.
    pub fn name(&self, asking: &Asking<'_>) -> Result<Option<Arc<str>>, NoWord> {
        let mut values = asking.headers.get_all(self.0.name.as_str()).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if !self.is_trusted(asking) {
            return Err(NoWord::Foreign);
        }
        if values.next().is_some() {
            return Err(NoWord::Malformed);
        }
        let text = std::str::from_utf8(value.as_bytes());
        let text = text.map_err(|_not_text| NoWord::Malformed)?;
        match text {
            "" | NOBODY => Ok(None),
            name if is_name(name) && self.0.lower_case => Ok(Some(Arc::from(name.to_lowercase()))),
            name if is_name(name) => Ok(Some(Arc::from(name))),
            _ => Err(NoWord::Malformed),
        }
    }

    /// Which visitor of the proxy's asks, where it tells: what stands at the end of its header it
    /// added itself, what stands before came with the request.
    pub(super) fn visitor(&self, headers: &HeaderMap) -> Option<Peer> {
        let header = self.0.visitor_header.as_deref()?;
        let last = headers.get_all(header).iter().next_back();
        let text = last.and_then(|value| value.to_str().ok());
        let text = text.and_then(|text| text.rsplit(',').next()).map(str::trim);
        Some(Peer::behind_proxy(text.and_then(address)))
    }

    /// A process of another user may connect to an address of this host, and so may one that was
    /// talked into it; a socket in the file system has an owner.
    pub(super) fn is_trusted(&self, asking: &Asking<'_>) -> bool {
        let by_uid = asking.over_unix && asking.uid.is_some_and(|uid| self.0.uids.contains(&uid));
        let shown = |subject: &str| self.0.subjects.iter().any(|trusted| trusted == subject);
        asking.listener == &*self.0.listener && (by_uid || asking.subject.is_some_and(shown))
    }
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|at| at.ip());
    text.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use hyper::Method;
    use hyper::header::HeaderValue;

    use super::*;
    use crate::caller::CallerKey;

    fn proxy() -> Proxy {
        Proxy::new(of_proxy())
    }

    fn of_proxy() -> config::ProxyHeader {
        config::ProxyHeader {
            name: "x-remote-user".to_owned(),
            listener: Arc::from("proxy"),
            uids: vec![33],
            subjects: vec!["CN=proxy".to_owned()],
            lower_case: false,
            visitor_header: None,
        }
    }

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-remote-user", HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    const fn unix(uid: Option<u32>, headers: &HeaderMap) -> Asking<'_> {
        Asking {
            uid,
            counted: &CallerKey::Nobody,
            over_unix: true,
            subject: None,
            address: None,
            listener: "proxy",
            secure: false,
            method: &Method::GET,
            headers,
        }
    }

    #[test]
    fn the_proxy_says_who_asks() {
        let headers = headers(&[b"jane"]);
        let by_uid = unix(Some(33), &headers);
        assert_eq!(proxy().name(&by_uid), Ok(Some(Arc::from("jane"))));
        let by_subject = Asking {
            over_unix: false,
            subject: Some("CN=proxy"),
            ..unix(None, &headers)
        };
        assert_eq!(proxy().name(&by_subject), Ok(Some(Arc::from("jane"))));
    }

    #[test]
    fn where_case_is_nothing_names_are_in_lower_case() {
        let proxy = Proxy::new(config::ProxyHeader {
            lower_case: true,
            ..of_proxy()
        });
        for typed in ["Jane", "JANE", "jane"] {
            let headers = headers(&[typed.as_bytes()]);
            let said = proxy.name(&unix(Some(33), &headers));
            assert_eq!(said, Ok(Some(Arc::from("jane"))), "{typed}");
        }
    }

    #[test]
    fn a_visitor_is_who_the_proxy_added_at_the_end() {
        let telling = Proxy::new(config::ProxyHeader {
            visitor_header: Some("x-forwarded-for".to_owned()),
            ..of_proxy()
        });
        let visitor = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-for", HeaderValue::from_static(value));
            }
            assert_eq!(proxy().visitor(&headers), None);
            telling.visitor(&headers).unwrap()
        };
        let at = |text: &str| Peer::behind_proxy(text.parse().ok());
        let seven = at("192.0.2.7");
        assert_eq!(visitor(&["192.0.2.7"]), seven);
        assert_eq!(visitor(&["::ffff:192.0.2.7"]), seven);
        assert_eq!(visitor(&["10.0.0.1, 192.0.2.7"]), seven);
        assert_eq!(visitor(&["10.0.0.1", "10.0.0.2,192.0.2.7:4000"]), seven);
        assert_eq!(visitor(&["[2001:db8::1]:4000"]), at("2001:db8::2"));
        assert_ne!(visitor(&["2001:db8:0:1::1"]), at("2001:db8::1"));
        for untold in [&[][..], &["192.0.2.7, unknown"], &[""]] {
            assert_eq!(visitor(untold), Peer::behind_proxy(None), "{untold:?}");
        }
    }

    #[test]
    fn nobody_else_does() {
        let headers = headers(&[b"jane"]);
        let trusted = unix(Some(33), &headers);
        let others = [
            unix(Some(34), &headers),
            unix(None, &headers),
            Asking {
                over_unix: false,
                ..trusted
            },
            Asking {
                listener: "api",
                ..trusted
            },
            Asking {
                over_unix: false,
                subject: Some("CN=proxy,O=elsewhere"),
                ..unix(None, &headers)
            },
            Asking {
                over_unix: false,
                listener: "api",
                subject: Some("CN=proxy"),
                ..unix(None, &headers)
            },
        ];
        for asking in others {
            assert_eq!(proxy().name(&asking), Err(NoWord::Foreign), "{asking:?}");
        }
    }

    #[test]
    fn without_the_header_anybody_may_prove_a_name_otherwise() {
        let none = HeaderMap::new();
        assert_eq!(proxy().name(&unix(Some(34), &none)), Ok(None));
        for empty in [b"".as_slice(), b"(null)"] {
            let headers = headers(&[empty]);
            assert_eq!(proxy().name(&unix(Some(33), &headers)), Ok(None));
            let foreign = proxy().name(&unix(Some(34), &headers));
            assert_eq!(foreign, Err(NoWord::Foreign));
        }
    }

    #[test]
    fn what_could_be_two_names_is_none() {
        for values in [
            [b"jane".as_slice(), b"root"].as_slice(),
            &[b"jane", b"jane"],
            &[b"j\xffne"],
            &[b"jane\tdoe"],
            &["jane\u{202e}".as_bytes()],
        ] {
            let headers = headers(values);
            let said = proxy().name(&unix(Some(33), &headers));
            assert_eq!(said, Err(NoWord::Malformed), "{values:?}");
        }
    }
}
