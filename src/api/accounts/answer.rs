//! AFP's answers: JSON with the name of whoever is answered, plain text, and one shape of errors
//! that tells nothing of what upstream says.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::http::{Refused, Response};
use crate::people::Unproven;
use crate::vending::Refusal;

/// Who is answered.
const X_USERNAME: HeaderName = HeaderName::from_static("x-username");

/// Whom AFP names where nobody has proved a name.
pub(super) const UNKNOWN: &str = "Unknown User";

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Why a request fails, in the words that AFP has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault<'a> {
    /// The path or the query is none.
    BadRequest,
    /// The console may not send anybody there.
    Callback,
    /// No name is proved.
    Unauthorized,
    /// It is not the caller's.
    Denied,
    /// It cannot be as it is configured, or a host has no role of its own.
    Configuration,
    /// There is no such path.
    NotFound(&'a str),
    /// The path has other methods.
    Method,
    /// Its body is longer than is read.
    TooLarge,
    /// Too much was wrong lately.
    Throttled,
    /// Upstream failed.
    Upstream,
    /// Nobody can say who asks.
    Unready,
}

impl Fault<'_> {
    const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::Callback => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Configuration | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::Unready => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn message(self) -> String {
        let message = match self {
            Self::BadRequest => "Bad Request",
            Self::Callback => "The callbackurl is not allowed",
            Self::Unauthorized => "Unauthorized",
            Self::Denied => "Permission Denied",
            Self::Configuration => "ConfigurationError",
            Self::NotFound(below) => return format!("Not found: {}", quoted(below)),
            Self::Method => "Method not allowed.",
            Self::TooLarge => "Request Entity Too Large",
            Self::Throttled => "Too Many Requests",
            Self::Upstream => "Call to AWS failed",
            Self::Unready => "Service Unavailable",
        };
        message.to_owned()
    }
}

impl From<Refusal> for Fault<'_> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotReady => Self::Upstream,
            Refusal::Misconfigured | Refusal::NotOffered => Self::Configuration,
            Refusal::NotIdentified
            | Refusal::NoGrant
            | Refusal::SeveralRoles
            | Refusal::NoSuchRole
            | Refusal::ProofMissing
            | Refusal::Excess(_)
            | Refusal::DeniedUpstream => Self::Denied,
        }
    }
}

impl From<&Unproven> for Fault<'_> {
    fn from(unproven: &Unproven) -> Self {
        match unproven {
            Unproven::Missing | Unproven::Wrong => Self::Unauthorized,
            Unproven::NotMember(_) | Unproven::ForeignProxy | Unproven::CrossSite(_) => {
                Self::Denied
            }
            Unproven::Throttled(_) => Self::Throttled,
            Unproven::NotReady => Self::Unready,
        }
    }
}

impl From<Refused> for Fault<'_> {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::BadRequest,
            Refused::ForeignHost | Refused::Forwarded | Refused::Browser => Self::Denied,
        }
    }
}

/// AFP's error document.
#[derive(Serialize)]
struct Failure<'a> {
    status: u16,
    error: &'a str,
    exception: Option<()>,
    message: &'a str,
    traceback: Option<()>,
}

/// An error for this name.
pub(super) fn fail(fault: Fault<'_>, name: &str) -> Response {
    let status = fault.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let failure = Failure {
        status: status.as_u16(),
        error: &format!("{} {reason}", status.as_u16()),
        exception: None,
        message: &fault.message(),
        traceback: None,
    };
    let body = serde_json::to_vec(&failure).unwrap_or_default();
    let mut response = json(Bytes::from(body), name);
    *response.status_mut() = status;
    if fault == Fault::Method {
        let methods = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

/// This document, for this name.
pub(super) fn json(body: Bytes, name: &str) -> Response {
    let mut response = answer(body, JSON);
    if let Ok(name) = HeaderValue::from_bytes(name.as_bytes()) {
        response.headers_mut().insert(X_USERNAME, name);
    }
    response
}

/// This text. AFP names nobody beside it.
pub(super) fn text(body: Bytes) -> Response {
    answer(body, TEXT)
}

/// This document, for nobody by name.
pub(super) fn open(body: Bytes) -> Response {
    answer(body, JSON)
}

fn answer(body: Bytes, kind: HeaderValue) -> Response {
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A path as Python shows a text: in single quotes, unless those are in it.
fn quoted(below: &str) -> String {
    let decoded = percent_decode_str(below).decode_utf8_lossy();
    let quote = if decoded.contains('\'') && !decoded.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut shown = String::with_capacity(decoded.len() + 2);
    shown.push(quote);
    for c in decoded.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if c == quote => shown.extend(['\\', c]),
            c if c.is_control() => {
                shown.push_str("\\x");
                let digits = [u32::from(c) >> 4 & 15, u32::from(c) & 15];
                let digits = digits.into_iter();
                shown.extend(digits.filter_map(|digit| char::from_digit(digit, 16)));
            }
            c => shown.push(c),
        }
    }
    shown.push(quote);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_paths_are_quoted_as_python_does() {
        for (path, shown) in [
            ("/accounts", "'/accounts'"),
            ("/acc%23", "'/acc#'"),
            ("/it's", "\"/it's\""),
            ("/it's%22", "'/it\\'s\"'"),
            ("/a%0Ab%01\\", "'/a\\nb\\x01\\\\'"),
            ("/%ff", "'/\u{fffd}'"),
        ] {
            assert_eq!(quoted(path), shown, "{path}");
        }
    }
}
