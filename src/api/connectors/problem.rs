//! What is answered instead: Atlassian's error document, with a status of the API's table.

use std::collections::BTreeMap;

use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER};
use serde::Serialize;

use super::reply::{Login, Reply};
use super::route::NoRoute;
use crate::http::Refused;
use crate::people::Unproven;
use crate::sessions::FailureKind;
use crate::vending::{Delay, Refusal};

/// What is wrong.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    message: String,
    /// What is wrong with each field.
    errors: BTreeMap<String, String>,
    header: Option<(HeaderName, HeaderValue)>,
    login: Login,
}

/// As it is written.
#[derive(Serialize)]
struct Document<'a> {
    message: &'a str,
    #[serde(rename = "status-code")]
    status: u16,
    #[serde(rename = "errorMessages")]
    messages: [&'a str; 1],
    errors: &'a BTreeMap<String, String>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: BTreeMap::new(),
            header: None,
            login: Login::Ok,
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).with(RETRY_AFTER, "1")
    }

    /// No object has this id, or what stands there is no id.
    pub(super) fn no_such(what: &str, id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("there is no {what} with id '{id}'"),
        )
    }

    /// These fields are wrong.
    pub(super) fn fields(errors: BTreeMap<String, String>) -> Self {
        let mut message = String::new();
        for (field, why) in &errors {
            let separator = if message.is_empty() { "" } else { "; " };
            message.extend([separator, field, ": ", why]);
        }
        Self {
            errors,
            ..Self::bad(message)
        }
    }

    fn with(self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).ok();
        Self {
            header: value.map(|value| (name, value)),
            ..self
        }
    }

    /// A session or what it was to be exchanged for was refused.
    pub(super) fn of(refusal: Refusal, delay: impl FnOnce() -> Delay) -> Self {
        match refusal {
            Refusal::NotIdentified => Self::from(&Unproven::Missing),
            Refusal::NoGrant | Refusal::SeveralRoles | Refusal::NoSuchRole | Refusal::Excess(_) => {
                Self::new(StatusCode::FORBIDDEN, "you may not use this connector")
            }
            Refusal::ProofMissing => Self::new(
                StatusCode::FORBIDDEN,
                "this connector asks for a token that you cannot show here",
            ),
            Refusal::DeniedUpstream => Self::new(
                StatusCode::FORBIDDEN,
                "you may use this connector, but AWS denied its request",
            ),
            Refusal::Misconfigured => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "this connector's configuration does not work; its administrator can read why in the log",
            ),
            Refusal::NotOffered => Self::conflict("this connector's account does not offer that"),
            Refusal::NotReady => match delay() {
                Delay::Evidence => {
                    Self::unavailable("who you are could not be looked up in time; try again")
                }
                Delay::Flight => Self::new(
                    StatusCode::GATEWAY_TIMEOUT,
                    "AWS did not answer in time; try again",
                ),
                Delay::Failed(FailureKind::Throttled) => Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "AWS asks for fewer requests; try again later",
                )
                .with(RETRY_AFTER, "5"),
                Delay::Failed(
                    FailureKind::Denied
                    | FailureKind::Unavailable
                    | FailureKind::Misconfigured
                    | FailureKind::BaseCredentials,
                ) => Self::new(
                    StatusCode::BAD_GATEWAY,
                    "the request to AWS failed; try again",
                ),
            },
        }
    }

    pub(super) const fn login(&self) -> Login {
        self.login
    }

    pub(super) fn into_reply(self) -> Reply {
        let document = Document {
            message: &self.message,
            status: self.status.as_u16(),
            messages: [&self.message],
            errors: &self.errors,
        };
        let mut reply = Reply::json(&document);
        reply.status = self.status;
        reply.headers.extend(self.header);
        reply
    }
}

impl From<&Unproven> for Problem {
    fn from(unproven: &Unproven) -> Self {
        let (status, login, message) = match unproven {
            Unproven::Missing => (StatusCode::UNAUTHORIZED, Login::Out, "log in first"),
            Unproven::Wrong => (
                StatusCode::UNAUTHORIZED,
                Login::Failed,
                "the name or its password or token is wrong",
            ),
            Unproven::Throttled(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                Login::Denied,
                "too many passwords or tokens were wrong; try again later",
            ),
            Unproven::NotMember(_) => (
                StatusCode::FORBIDDEN,
                Login::Unauthorised,
                "you are in none of the groups that may use this",
            ),
            Unproven::ForeignProxy => (
                StatusCode::FORBIDDEN,
                Login::Failed,
                "only the proxy may say who asks",
            ),
            Unproven::CrossSite(_) => (
                StatusCode::FORBIDDEN,
                Login::Ok,
                "XSRF check failed: send X-Atlassian-Token: no-check",
            ),
            Unproven::NotReady => (
                StatusCode::SERVICE_UNAVAILABLE,
                Login::Out,
                "who you are cannot be looked up now; try again",
            ),
        };
        Self {
            login,
            ..Self::new(status, message)
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let (status, message) = match refused {
            Refused::Malformed => (StatusCode::BAD_REQUEST, "this is no request"),
            Refused::ForeignHost => (
                StatusCode::FORBIDDEN,
                "nothing is served under this host's name",
            ),
            Refused::Forwarded => (StatusCode::FORBIDDEN, "a proxy passed this request on"),
            Refused::Browser => (
                StatusCode::FORBIDDEN,
                "a page of another site sent this request",
            ),
        };
        Self {
            login: Login::Out,
            ..Self::new(status, message)
        }
    }
}

impl From<NoRoute> for Problem {
    fn from(missing: NoRoute) -> Self {
        match missing {
            NoRoute::NotFound => Self::new(StatusCode::NOT_FOUND, "there is no such resource"),
            NoRoute::Version(version) => Self::new(
                StatusCode::NOT_FOUND,
                format!("version '{version}' is not served: 2.0, 2.1, 2.2 and latest are"),
            ),
            NoRoute::Method(allow) => {
                let message = format!("this resource has only {allow}");
                Self::new(StatusCode::METHOD_NOT_ALLOWED, message).with(ALLOW, &allow)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(problem: Problem) -> (u16, String) {
        let reply = problem.into_reply();
        let body = String::from_utf8(reply.body.to_vec()).unwrap();
        (reply.status.as_u16(), body)
    }

    #[test]
    fn connectors_problems_have_atlassians_form() {
        let problem = Problem::no_such("connector", "x\"y");
        let message = r#"there is no connector with id 'x\"y'"#;
        let body = format!(
            r#"{{"message":"{message}","status-code":404,"errorMessages":["{message}"],"errors":{{}}}}"#
        );
        assert_eq!(told(problem), (404, body));
    }

    #[test]
    fn connectors_fields_that_are_wrong_are_named() {
        let errors = [("type", "is missing"), ("name", "is empty")];
        let errors = errors.map(|(field, why)| (field.to_owned(), why.to_owned()));
        let (status, body) = told(Problem::fields(errors.into()));
        let message = "name: is empty; type: is missing";
        assert_eq!(status, 400);
        assert_eq!(
            body,
            format!(
                r#"{{"message":"{message}","status-code":400,"errorMessages":["{message}"],"errors":{{"name":"is empty","type":"is missing"}}}}"#
            )
        );
    }

    #[test]
    fn connectors_proofs_that_fail_are_told_in_seraphs_words() {
        let name = std::sync::Arc::from("jane");
        for (unproven, status, reason) in [
            (Unproven::Missing, 401, "OUT"),
            (Unproven::Wrong, 401, "AUTHENTICATED_FAILED"),
            (
                Unproven::Throttled(std::time::Duration::from_secs(5)),
                429,
                "AUTHENTICATION_DENIED",
            ),
            (
                Unproven::NotMember(std::sync::Arc::clone(&name)),
                403,
                "AUTHORISATION_FAILED",
            ),
            (Unproven::ForeignProxy, 403, "AUTHENTICATED_FAILED"),
            (Unproven::CrossSite(name), 403, "OK"),
            (Unproven::NotReady, 503, "OUT"),
        ] {
            let problem = Problem::from(&unproven);
            assert_eq!(problem.login().as_str(), reason, "{unproven}");
            assert_eq!(told(problem).0, status, "{unproven}");
        }
    }

    #[test]
    fn connectors_refusals_are_told_apart() {
        let status = |refusal, delay| told(Problem::of(refusal, || delay)).0;
        for (refusal, expected) in [
            (Refusal::NotIdentified, 401),
            (Refusal::NoGrant, 403),
            (Refusal::NoSuchRole, 403),
            (Refusal::SeveralRoles, 403),
            (Refusal::ProofMissing, 403),
            (Refusal::DeniedUpstream, 403),
            (Refusal::NotOffered, 409),
            (Refusal::Misconfigured, 500),
        ] {
            assert_eq!(status(refusal, Delay::Flight), expected, "{refusal}");
        }
        for (delay, expected) in [
            (Delay::Evidence, 503),
            (Delay::Flight, 504),
            (Delay::Failed(FailureKind::Throttled), 503),
            (Delay::Failed(FailureKind::Unavailable), 502),
            (Delay::Failed(FailureKind::BaseCredentials), 502),
        ] {
            assert_eq!(status(Refusal::NotReady, delay), expected, "{delay:?}");
        }
        let (_, denied) = told(Problem::of(Refusal::DeniedUpstream, || Delay::Flight));
        let (_, forbidden) = told(Problem::of(Refusal::NoSuchRole, || Delay::Flight));
        assert!(denied.contains("AWS denied") && !forbidden.contains("AWS"));
    }
}
