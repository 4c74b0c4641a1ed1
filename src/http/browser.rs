//! Browsers at routes for people: a page of ours may ask, another site's may not. A browser keeps
//! a person's password, cookie or certificate, and sends it along with whatever a page makes it
//! send; only its own headers say which page that was (Fetch Metadata, Origin, Referer).

use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The origins whose pages are ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origins<'a> {
    /// That of the connection.
    pub(super) scheme: &'a str,
    /// The `Host` that the request names, which was checked.
    pub(super) host: &'a str,
    /// Where people find the listener, behind a proxy for example.
    pub(super) public: Option<&'a str>,
}

impl Origins<'_> {
    /// What follows one of ours in this text.
    fn rest<'t>(&self, text: &'t str) -> Option<&'t str> {
        let public = self.public.and_then(|public| after(text, public));
        let own = || {
            let authority = after(after(text, self.scheme)?, "://")?;
            after(authority, self.host)
        };
        public.or_else(own)
    }

    fn are(&self, origin: &HeaderValue) -> bool {
        let rest = origin.to_str().ok().and_then(|text| self.rest(text));
        rest.is_some_and(str::is_empty)
    }

    fn hold(&self, page: &HeaderValue) -> bool {
        let rest = page.to_str().ok().and_then(|text| self.rest(text));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

/// What follows in a text that begins like this, in small letters or large ones.
fn after<'t>(text: &'t str, start: &str) -> Option<&'t str> {
    let (begins, rest) = text.split_at_checked(start.len())?;
    begins.eq_ignore_ascii_case(start).then_some(rest)
}

/// Whether a browser may send this. `navigation`: a link on any site may lead a window here.
pub(super) fn may_ask(
    method: &Method,
    headers: &HeaderMap,
    ours: Origins<'_>,
    navigation: bool,
) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    if !origins.all(|origin| ours.are(origin)) {
        return false;
    }
    let is = |name: &HeaderName, value: &str| {
        let mut values = headers.get_all(name).iter();
        values.next().is_some_and(|first| first == value) && values.next().is_none()
    };
    let opens = is(&MODE, "navigate") && matches!(*method, Method::GET | Method::HEAD);
    if navigation && opens && is(&DEST, "document") {
        return true;
    }
    // `none`: typed, or opened from a bookmark.
    let site =
        !headers.contains_key(SITE) || is(&SITE, "same-origin") || (opens && is(&SITE, "none"));
    let mut pages = headers.get_all(REFERER).iter();
    site && pages.all(|page| ours.hold(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Origins<'_> = Origins {
        scheme: "http",
        host: "localhost:8169",
        public: Some("https://aws.example"),
    };

    fn asks(method: &Method, headers: &[(&str, &str)], navigation: bool) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        may_ask(method, &map, OURS, navigation)
    }

    #[test]
    fn our_own_pages_may() {
        for headers in [
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "cors"),
            ][..],
            &[("origin", "http://localhost:8169")],
            &[
                ("origin", "http://LOCALHOST:8169"),
                ("sec-fetch-site", "same-origin"),
            ],
            &[
                ("origin", "https://aws.example"),
                ("referer", "https://aws.example/context/a"),
            ],
            &[("referer", "http://localhost:8169/x")],
            &[("referer", "https://aws.example")],
        ] {
            assert!(asks(&Method::POST, headers, false), "{headers:?}");
        }
    }

    #[test]
    fn other_sites_may_not() {
        for headers in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "something-new")],
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "cors")],
            &[("origin", "null")],
            &[("origin", "https://localhost:8169")],
            &[("origin", "http://localhost:81690")],
            &[("origin", "http://localhost")],
            &[("origin", "https://aws.example.evil")],
            &[("origin", "https://aws.example:444")],
            &[
                ("origin", "https://aws.example"),
                ("origin", "https://evil.example"),
            ],
            &[("referer", "https://evil.example/")],
            &[("referer", "https://aws.example.evil/")],
            &[("referer", "https://aws.example@evil.example/")],
            &[
                ("sec-fetch-site", "same-origin"),
                ("referer", "https://evil.example/"),
            ],
        ] {
            assert!(!asks(&Method::GET, headers, false), "{headers:?}");
        }
    }

    #[test]
    fn a_window_is_opened_by_whom_its_route_says() {
        let window = |site| {
            [
                ("sec-fetch-site", site),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("referer", "https://wiki.example/"),
            ]
        };
        assert!(asks(&Method::GET, &window("cross-site"), true));
        assert!(!asks(&Method::GET, &window("cross-site"), false));
        assert!(!asks(&Method::POST, &window("cross-site"), true));
        let [site, mode, document, _] = window("cross-site");
        assert!(!asks(
            &Method::GET,
            &[site, mode, ("sec-fetch-dest", "iframe")],
            true
        ));
        assert!(!asks(
            &Method::GET,
            &[site, ("sec-fetch-mode", "no-cors"), document],
            true
        ));
        let with_origin = [site, mode, document, ("origin", "https://evil.example")];
        assert!(!asks(&Method::GET, &with_origin, true));
        let typed = [("sec-fetch-site", "none"), mode, document];
        assert!(asks(&Method::GET, &typed, false));
        assert!(!asks(&Method::POST, &typed, false));
    }
}
