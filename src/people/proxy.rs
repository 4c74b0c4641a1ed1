//! A proxy's word for who asks: a header that counts from one peer only.

use std::sync::Arc;

use super::admission::Asking;
use super::directory::is_name;

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
            name if is_name(name) => Ok(Some(Arc::from(name))),
            _ => Err(NoWord::Malformed),
        }
    }

    /// A process of another user may connect to an address of this host, and so may one that was
    /// talked into it; a socket in the file system has an owner.
    pub(super) fn is_trusted(&self, asking: &Asking<'_>) -> bool {
        let by_uid = asking.over_unix && asking.uid.is_some_and(|uid| self.0.uids.contains(&uid));
        let shown = |subject: &str| self.0.subjects.iter().any(|trusted| trusted == subject);
        asking.listener == &*self.0.listener && (by_uid || asking.subject.is_some_and(shown))
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use hyper::{HeaderMap, Method};

    use super::*;
    use crate::caller::CallerKey;

    fn proxy() -> Proxy {
        Proxy::new(config::ProxyHeader {
            name: "x-remote-user".to_owned(),
            listener: Arc::from("proxy"),
            uids: vec![33],
            subjects: vec!["CN=proxy".to_owned()],
        })
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
