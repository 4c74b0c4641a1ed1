//! Where a page of the web is from: what browsers compare of two URLs.

use hyper::Uri;

/// The longest URL that is looked at.
const LONGEST: usize = 2048;

/// Scheme, host and port of an http or https URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin {
    https: bool,
    host: String,
    port: u16,
}

impl WebOrigin {
    /// The origin of this URL. `None` for what browsers may read otherwise than we do: other
    /// schemes, users and passwords, backslashes and what is not printable ASCII.
    pub fn of(url: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
        if url.len() > LONGEST || !url.bytes().all(plain) {
            return None;
        }
        let uri: Uri = url.parse().ok()?;
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host();
        let with_port = authority.as_str().len() > host.len();
        // Browsers decode percent signs, and know no other signs in a host's name.
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[:]".contains(&byte);
        if host.is_empty() || !host.bytes().all(named) || authority.as_str().contains('@') {
            return None;
        }
        // A port that is no number is left out by the parser.
        let port = match authority.port_u16() {
            Some(port) => port,
            None if with_port => return None,
            None if https => 443,
            None => 80,
        };
        Some(Self {
            https,
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_origin_has_many_spellings() {
        let wiki = WebOrigin::of("https://wiki.example").unwrap();
        for same in [
            "https://wiki.example/",
            "HTTPS://Wiki.Example:443/a?b=c#d",
            "https://wiki.example?x",
        ] {
            assert_eq!(WebOrigin::of(same), Some(wiki.clone()), "{same}");
        }
        for other in [
            "http://wiki.example/",
            "https://wiki.example:8443/",
            "https://wiki.example.evil/",
            "https://evil/wiki.example",
            "https://[::1]/",
        ] {
            assert_ne!(WebOrigin::of(other).unwrap(), wiki, "{other}");
        }
    }

    #[test]
    fn what_a_browser_may_read_otherwise_has_none() {
        let long = format!("https://wiki.example/{}", "x".repeat(LONGEST));
        for url in [
            "",
            "/path",
            "//wiki.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://wiki.example/",
            "https:wiki.example",
            "https:///wiki.example",
            "https://wiki.example:port/",
            "https://wiki.example:/",
            "https://wiki.example@evil/",
            "https://evil\\@wiki.example/",
            "https://evil%2eexample/",
            "https://*.example/",
            "https://wiki.example/\\evil",
            "https://wiki.example/ x",
            "https://wiki.example/\n",
            "https://wikí.example/",
            &long,
        ] {
            assert_eq!(WebOrigin::of(url), None, "{url}");
        }
    }
}
