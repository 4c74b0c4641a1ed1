//! AWS Federation Proxy's API: the accounts and roles that are a person's, their credentials, and a
//! console URL.
//!
//! Source: the API document of afp-core, and what afp-cli and afp-web read of its answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;

use super::peoples::Asker;
use super::{Client, Deps, Guest};
use crate::config::Mount;
use crate::grants::Wanted;
use crate::http::{Refused, Request, Response};
use crate::people::Unproven;
use crate::vending::{Proof, Refusal, Want};

/// The protocol's name, in audit and metrics.
const API: &str = "accounts";

/// Who is answered.
const X_USERNAME: HeaderName = HeaderName::from_static("x-username");

/// AFP's API on one mount.
#[derive(Debug)]
pub struct Accounts {}

impl Accounts {
    /// Serves what this mount's configuration says.
    pub fn new(_rules: &Mount, _deps: &Deps) -> Self {
        Self {}
    }

    /// Answers one request for this path below the mount.
    pub async fn answer(
        &self,
        deps: &Deps,
        guest: &Guest,
        below: &str,
        asker: Result<Asker, Unproven>,
        request: &Request,
    ) -> Response {
        let Ok(asker) = asker else {
            return fail(StatusCode::UNAUTHORIZED, "Unknown User", "Unauthorized");
        };
        if below != "/account" {
            let message = format!("Not found: '{below}'");
            return fail(StatusCode::NOT_FOUND, &asker.name, &message);
        }
        let want = Want {
            role: Wanted::First,
            proof: Proof::Shown,
            identity: None,
            patience: Client::of(request.headers(), deps.patience).patience,
            api: API,
        };
        match deps.vending.roles(asker.visit(guest), &want).await {
            Ok(roles) => {
                let mut accounts: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for offered in roles {
                    let account = accounts.entry(offered.role.account.to_string());
                    account.or_default().push(offered.role.role.to_string());
                }
                answer(StatusCode::OK, &asker.name, &accounts)
            }
            Err(refusal) => refused(refusal, &asker.name),
        }
    }
}

fn refused(refusal: Refusal, name: &str) -> Response {
    match refusal {
        Refusal::NotReady => fail(StatusCode::BAD_GATEWAY, name, "Call to AWS failed"),
        Refusal::Misconfigured | Refusal::NotOffered => {
            fail(StatusCode::NOT_FOUND, name, "ConfigurationError")
        }
        Refusal::NotIdentified
        | Refusal::NoGrant
        | Refusal::SeveralRoles
        | Refusal::NoSuchRole
        | Refusal::ProofMissing
        | Refusal::DeniedUpstream => fail(StatusCode::FORBIDDEN, name, "Permission Denied"),
    }
}

/// What the guard refuses.
pub(super) fn refuse(_refused: Refused) -> Response {
    fail(StatusCode::FORBIDDEN, "Unknown User", "Permission Denied")
}

/// AFP's error document.
#[derive(Serialize)]
struct Failure<'a> {
    status: u16,
    error: String,
    exception: Option<()>,
    message: &'a str,
    traceback: Option<()>,
}

fn fail(status: StatusCode, name: &str, message: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let failure = Failure {
        status: status.as_u16(),
        error: format!("{} {reason}", status.as_u16()),
        exception: None,
        message,
        traceback: None,
    };
    answer(status, name, &failure)
}

fn answer(status: StatusCode, name: &str, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::from_str(name) {
        headers.insert(X_USERNAME, name);
    }
    response
}
