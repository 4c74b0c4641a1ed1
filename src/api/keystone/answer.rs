//! Keystone's answers.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE,
};
use serde::Serialize;

use crate::http::{Refused, Response, StatusCode};
use crate::people::Unproven;
use crate::store::{self, StoreError};
use crate::vending::Refusal;

use super::route::{NoRoute, What};

/// Where a token is told.
pub(super) const X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// What Keystone adds where a request is at fault.
const AT_FAULT: &str = "The server could not comply with the request since it is either malformed \
                        or otherwise incorrect. The client is assumed to be in error.";

/// What Flask says of a method that a resource does not have.
const OTHER_METHOD: &str = r#"{"message": "The method is not allowed for the requested URL."}"#;

/// An answer under way.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    body: Bytes,
    header: Option<(HeaderName, HeaderValue)>,
}

/// What is answered instead.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    /// The methods that the resource has, where it is another one's fault.
    allow: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Failure<'a>,
}

/// Keystone's error document.
#[derive(Serialize)]
struct Failure<'a> {
    code: u16,
    message: &'a str,
    title: &'a str,
}

impl Reply {
    pub(super) fn json(body: &impl Serialize) -> Self {
        Self::text(serde_json::to_vec(body).unwrap_or_default())
    }

    /// JSON that is written already.
    pub(super) fn text(body: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            body: body.into(),
            header: None,
        }
    }

    /// Nothing but that it is done.
    pub(super) fn done() -> Self {
        Self::text(Bytes::new()).with_status(StatusCode::NO_CONTENT)
    }

    #[must_use]
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// With the token that it is about in a header.
    #[must_use]
    pub(super) fn with_token(self, token: &str) -> Self {
        let value = HeaderValue::from_str(token).ok();
        Self {
            header: value.map(|value| (X_SUBJECT_TOKEN, value)),
            ..self
        }
    }

    /// Without a header that tells a token.
    #[must_use]
    pub(super) fn without_token(self) -> Self {
        Self {
            header: None,
            ..self
        }
    }

    /// With where to go on.
    #[must_use]
    pub(super) fn located(self, url: &str) -> Self {
        let value = HeaderValue::from_str(url).ok();
        Self {
            header: value.map(|value| (LOCATION, value)),
            ..self
        }
    }

    pub(super) fn into_response(self) -> Response {
        let has_body = self.status != StatusCode::NO_CONTENT;
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // Tokens and secrets are nobody's to keep.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("X-Auth-Token"));
        headers.extend(self.header);
        response
    }
}

impl Fault {
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: None,
            allow: None,
        }
    }

    /// Nothing that counts was shown.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "The request you have made requires authentication.",
        )
    }

    /// The same for a reason that clients look for.
    pub(super) fn unauthorized_as(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// Who asks may not do this.
    pub(super) fn forbidden(what: What) -> Self {
        let message = format!(
            "You are not authorized to perform the requested action: {}.",
            what.action()
        );
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(super) fn forbidden_as(message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// There is no such object.
    pub(super) fn no_such(what: &str, id: &str) -> Self {
        let message = format!("Could not find {what}: {id}.");
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// There is no such token; it is not repeated.
    pub(super) fn no_token() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Could not find token.")
    }

    /// Something is missing in a body.
    pub(super) fn expected(what: &str, within: &str) -> Self {
        Self::bad(format!("Expecting to find {what} in {within}."))
    }

    /// The request is at fault.
    pub(super) fn bad(why: impl AsRef<str>) -> Self {
        let message = format!("{} {AT_FAULT}", why.as_ref());
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Nothing can be said now.
    pub(super) fn unavailable() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The service is not available now. Try again.",
            )
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "The resource could not be found.")
    }

    #[must_use]
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The answer; `url` is where Keystone is found, for the challenge of a 401.
    pub(super) fn into_response(self, url: impl FnOnce() -> String) -> Response {
        let body = if self.allow.is_some() {
            Bytes::from_static(OTHER_METHOD.as_bytes())
        } else {
            let error = Failure {
                code: self.status.as_u16(),
                message: &self.message,
                title: self.status.canonical_reason().unwrap_or_default(),
            };
            Bytes::from(serde_json::to_vec(&Body { error }).unwrap_or_default())
        };
        let reply = Reply::text(body).with_status(self.status);
        let mut response = reply.into_response();
        let headers = response.headers_mut();
        let challenge = (self.status == StatusCode::UNAUTHORIZED)
            .then(|| format!("Keystone uri=\"{}\"", url()));
        for (name, text) in [(WWW_AUTHENTICATE, challenge), (ALLOW, self.allow)] {
            if let Some(Ok(value)) = text.map(HeaderValue::try_from) {
                headers.insert(name, value);
            }
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::bad("This is no request."),
            Refused::ForeignHost | Refused::Forwarded | Refused::Browser => {
                Self::forbidden_as("You are not authorized to perform the requested action.")
            }
        }
    }
}

impl From<NoRoute> for Fault {
    fn from(missing: NoRoute) -> Self {
        match missing {
            NoRoute::NotFound => Self::not_found(),
            NoRoute::Method(allow) => Self {
                allow: Some(allow),
                ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "")
            },
        }
    }
}

impl From<Unproven> for Fault {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Missing | Unproven::Wrong => Self::unauthorized(),
            Unproven::Throttled(wait) => Self {
                retry_after: Some(wait),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too many passwords were wrong. Try again later.",
                )
            },
            Unproven::NotMember(_) | Unproven::ForeignProxy | Unproven::CrossSite(_) => {
                Self::forbidden_as("You are not authorized to perform the requested action.")
            }
            Unproven::NotReady => Self::unavailable(),
        }
    }
}

impl From<store::Fault> for Fault {
    fn from(fault: store::Fault) -> Self {
        tracing::error!(%fault, "the store cannot be used");
        Self::unavailable()
    }
}

impl From<Refusal> for Fault {
    /// Which roles somebody has could not be said.
    fn from(_: Refusal) -> Self {
        Self::unavailable()
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(fault) => Self::from(fault),
            StoreError::Unknown => Self::not_found(),
            StoreError::Changed
            | StoreError::NameTaken
            | StoreError::InUse { .. }
            | StoreError::NoAccount(_)
            | StoreError::TooMany { .. }
            | StoreError::Used => Self::new(StatusCode::CONFLICT, error.to_string()),
        }
    }
}
