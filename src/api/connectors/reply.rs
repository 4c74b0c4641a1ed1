//! Answers with the headers that Atlassian's products send.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::clock::Clock;
use crate::http::Response;
use crate::store::Version;

const X_AREQUESTID: HeaderName = HeaderName::from_static("x-arequestid");
const X_ASESSIONID: HeaderName = HeaderName::from_static("x-asessionid");
const X_AUSERNAME: HeaderName = HeaderName::from_static("x-ausername");
const X_SERAPH_LOGINREASON: HeaderName = HeaderName::from_static("x-seraph-loginreason");

/// What in a name cannot stand in a header as it is.
const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');

/// The digits of a session's id.
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// What became of a request's proof, in Seraph's words: Atlassian's clients read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// A name was proved.
    Ok,
    /// Nothing was shown.
    Out,
    /// What was shown is wrong.
    Failed,
    /// What was shown was not looked at.
    Denied,
    /// Who asks may not come in.
    Unauthorised,
}

impl Login {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Out => "OUT",
            Self::Failed => "AUTHENTICATED_FAILED",
            Self::Denied => "AUTHENTICATION_DENIED",
            Self::Unauthorised => "AUTHORISATION_FAILED",
        }
    }
}

/// Who is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What its session may be called, where it has one.
    pub(super) session: Option<&'a str>,
}

/// An answer under way.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    pub(super) headers: HeaderMap,
}

impl Reply {
    /// Compact JSON, as the vendor's scripts read it with patterns.
    pub(super) fn json(body: &impl Serialize) -> Self {
        Self::text(serde_json::to_vec(body).unwrap_or_default())
    }

    /// JSON that is written already.
    pub(super) fn text(body: Vec<u8>) -> Self {
        Self {
            status: StatusCode::OK,
            body: Bytes::from(body),
            headers: HeaderMap::new(),
        }
    }

    /// Nothing but this status.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            ..Self::text(Vec::new())
        }
    }

    #[must_use]
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same of an object in this state; without its body where the request knows the state.
    #[must_use]
    pub(super) fn tagged(self, tag: &Tag, request: &HeaderMap) -> Self {
        let known = tag.is_in(request, IF_NONE_MATCH);
        let reply = if known {
            Self::empty(StatusCode::NOT_MODIFIED)
        } else {
            self
        };
        reply.of(tag)
    }

    /// The same of an object in this state.
    #[must_use]
    pub(super) fn of(self, tag: &Tag) -> Self {
        match HeaderValue::from_str(&tag.0) {
            Ok(value) => self.with(ETAG, value),
            Err(_not_ours) => self,
        }
    }
}

/// The state of an object, as `ETag` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag(String);

impl From<Version> for Tag {
    fn from(version: Version) -> Self {
        Self(format!("\"{}\"", version.0))
    }
}

impl Tag {
    /// Of what is shown of an object.
    pub(super) fn of(body: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
        let bytes = digest.as_ref().iter().take(16);
        let digits = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
        Self(format!("\"{}\"", digits.collect::<String>()))
    }

    /// Whether this header of a request names it, or any state.
    pub(super) fn is_in(&self, request: &HeaderMap, name: HeaderName) -> bool {
        let values = request.get_all(name).into_iter();
        let mut tags = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
    }
}

/// What counts the requests of one mount, and names them in answers.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    asked: AtomicU64,
    under_way: AtomicU64,
    /// Makes ids of sessions that tell nothing of them.
    key: RandomState,
}

/// One request that is counted, and its id.
#[derive(Debug)]
pub(super) struct Stamp<'a> {
    stamps: &'a Stamps,
    id: String,
}

impl Stamps {
    /// Counts a request: its id is the minute of the day, its number, and how many are under way.
    pub(super) fn stamp(&self, clock: &Clock) -> Stamp<'_> {
        let since = clock.now().duration_since(SystemTime::UNIX_EPOCH);
        let minute = since.unwrap_or_default().as_secs() / 60 % (24 * 60);
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        Stamp {
            stamps: self,
            id: format!("{minute}x{number}x{under_way}"),
        }
    }

    /// The same for the same person and session.
    fn session(&self, who: &Who<'_>) -> String {
        let mut hash = self.key.hash_one((who.name, who.session));
        let mut id = String::with_capacity(7);
        for _ in 0..7 {
            let digit = usize::try_from(hash % 36).unwrap_or_default();
            id.extend(DIGITS.get(digit).copied().map(char::from));
            hash /= 36;
        }
        id
    }
}

impl Drop for Stamp<'_> {
    fn drop(&mut self) {
        self.stamps.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stamp<'_> {
    /// The answer to the request, for whom it is of.
    pub(super) fn answer(&self, reply: Reply, who: Option<Who<'_>>, login: Login) -> Response {
        let Reply {
            status,
            body,
            headers: own,
        } = reply;
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json;charset=UTF-8"),
        );
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("no-cache, no-store, no-transform"),
        );
        let session = who.map(|who| self.stamps.session(&who));
        let name = who.map_or("anonymous", |who| who.name);
        let name = utf8_percent_encode(name, UNSAFE).to_string();
        let texts = [
            (X_AREQUESTID, Some(self.id.as_str())),
            (X_ASESSIONID, session.as_deref()),
            (X_AUSERNAME, Some(name.as_str())),
            (X_SERAPH_LOGINREASON, Some(login.as_str())),
        ];
        for (header, text) in texts {
            if let Some(Ok(value)) = text.map(HeaderValue::from_str) {
                headers.insert(header, value);
            }
        }
        headers.extend(own);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: Option<&str>) -> Response {
        let stamps = Stamps::default();
        let stamp = stamps.stamp(&Clock::System);
        let who = name.map(|name| Who {
            name,
            session: None,
        });
        stamp.answer(Reply::json(&"x"), who, Login::Ok)
    }

    #[test]
    fn connectors_answers_carry_atlassians_headers() {
        let response = answer(Some("admin"));
        let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(header("content-type"), "application/json;charset=UTF-8");
        assert_eq!(header("cache-control"), "no-cache, no-store, no-transform");
        assert_eq!(header("x-ausername"), "admin");
        assert_eq!(header("x-seraph-loginreason"), "OK");
        assert_eq!(header("x-asessionid").len(), 7);
        let id: Vec<&str> = header("x-arequestid").split('x').collect();
        assert_eq!(id[1..], ["1", "1"]);
        assert!(id[0].parse::<u64>().unwrap() < 1440);
    }

    #[test]
    fn connectors_names_beyond_ascii_are_encoded() {
        let header = |name| answer(name).headers()["x-ausername"].clone();
        assert_eq!(header(Some("jürgen 100%")), "j%C3%BCrgen 100%25");
        assert_eq!(header(None), "anonymous");
        assert!(!answer(None).headers().contains_key("x-asessionid"));
    }

    #[test]
    fn connectors_requests_under_way_are_counted() {
        let stamps = Stamps::default();
        let first = stamps.stamp(&Clock::System);
        let second = stamps.stamp(&Clock::System);
        assert!(second.id.ends_with("x2x2"), "{}", second.id);
        drop((first, second));
        let third = stamps.stamp(&Clock::System);
        assert!(third.id.ends_with("x3x1"), "{}", third.id);
    }

    #[test]
    fn connectors_states_are_compared_as_lists() {
        let tag = Tag::of(b"x");
        let request = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, value.parse().unwrap());
            headers
        };
        let other = Tag::of(b"y").0;
        for (value, known) in [
            (tag.0.clone(), true),
            (format!("W/{}", tag.0), true),
            (format!("{other}, {}", tag.0), true),
            ("*".to_owned(), true),
            (other, false),
            (String::new(), false),
        ] {
            assert_eq!(tag.is_in(&request(&value), IF_NONE_MATCH), known, "{value}");
        }
        let reply = Reply::json(&"x").tagged(&tag, &request("*"));
        assert_eq!(
            (reply.status, reply.body.len()),
            (StatusCode::NOT_MODIFIED, 0)
        );
    }
}
