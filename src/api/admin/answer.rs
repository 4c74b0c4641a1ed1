//! Answers of the admin socket: a value as JSON, or the problem.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde::Serialize;

use super::wire::Problem;
use crate::http::{CachedHeaders, Response, not_allowed};
use crate::vending::Refusal;

/// The header that tells after which event to ask next.
pub const NEXT: &str = "x-rolecall-next";

/// Why a request is not fulfilled: a status for programs, a problem for people.
#[derive(Debug)]
pub(super) enum Failure {
    Method(&'static str),
    Problem(StatusCode, Problem),
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let problem = Problem {
            message: message.into(),
            reason: None,
            remedy: None,
        };
        Self::Problem(status, problem)
    }

    /// Whether the same may be answered a moment later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Problem(status, _) if *status == StatusCode::SERVICE_UNAVAILABLE)
    }

    pub(super) fn reason(mut self, reason: Option<String>) -> Self {
        if let Self::Problem(_, problem) = &mut self {
            problem.reason = reason;
        }
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        if let Self::Problem(_, problem) = &mut self {
            problem.remedy = Some(remedy.into());
        }
        self
    }

    /// What vending refused to this caller, who asked for this role.
    pub(super) fn refused(refusal: Refusal, caller: &str, role: &str) -> Self {
        let log = "`rolecall status` and the log, as an administrator, say what upstream answered";
        let grant = format!("ask the administrator for a [[grant]] that matches {caller}");
        let (status, message, remedy) = match refusal {
            Refusal::NotIdentified => (
                StatusCode::FORBIDDEN,
                "the daemon cannot tell who you are".to_owned(),
                "run it on the host itself, not in a container or another user namespace"
                    .to_owned(),
            ),
            Refusal::ProofMissing | Refusal::NoGrant | Refusal::Excess(_) => (
                StatusCode::FORBIDDEN,
                "no role is granted to you".to_owned(),
                grant,
            ),
            Refusal::SeveralRoles => (
                StatusCode::FORBIDDEN,
                "several roles are granted to you, and this listener gives only one".to_owned(),
                "name the role that you want".to_owned(),
            ),
            Refusal::NoSuchRole => (
                StatusCode::FORBIDDEN,
                format!("{role} is not granted to you"),
                grant,
            ),
            Refusal::DeniedUpstream | Refusal::Misconfigured | Refusal::NotOffered => (
                StatusCode::BAD_GATEWAY,
                format!("{role} cannot be obtained: {refusal}"),
                log.to_owned(),
            ),
            Refusal::NotReady => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{role} is not there yet: upstream does not answer"),
                log.to_owned(),
            ),
        };
        Self::new(status, message).remedy(remedy)
    }
}

/// Writes answers.
#[derive(Debug)]
pub(super) struct Answers {
    json: CachedHeaders,
    lines: CachedHeaders,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            json: CachedHeaders::new("application/json", None),
            lines: CachedHeaders::new("application/x-ndjson", None),
        }
    }

    pub(super) fn value(&self, value: &impl Serialize) -> Response {
        self.json(StatusCode::OK, value)
    }

    /// One JSON value a line, and where to go on.
    pub(super) fn lines(
        &self,
        values: impl Iterator<Item = impl Serialize>,
        next: u64,
    ) -> Response {
        let mut body = Vec::new();
        for value in values {
            body.extend(serde_json::to_vec(&value).unwrap_or_default());
            body.push(b'\n');
        }
        let mut response = self.lines.answer(StatusCode::OK, Bytes::from(body));
        response.headers_mut().insert(NEXT, HeaderValue::from(next));
        response
    }

    pub(super) fn failure(&self, failure: &Failure) -> Response {
        match failure {
            Failure::Method(allow) => not_allowed(allow),
            Failure::Problem(status, problem) => self.json(*status, problem),
        }
    }

    /// Maps of strings and numbers always serialise.
    fn json(&self, status: StatusCode, value: &impl Serialize) -> Response {
        let body = serde_json::to_vec(value).unwrap_or_default();
        self.json.answer(status, Bytes::from(body))
    }
}
