//! Identity Federation's REST API: connectors, what they give, and the accounts behind them.
//!
//! Source: the REST API document of Identity Federation for AWS, version 2, and the vendor's
//! published scripts.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde_json::json;

use super::peoples::Asker;
use super::{Deps, Guest};
use crate::config::Mount;
use crate::http::{Refused, Request, Response};
use crate::people::Unproven;

/// Where the API lies below its mount.
const REST: &str = "/rest/identity-federation-for-aws/";

/// Where the console servlet lies.
const SERVLET: &str = "/plugins/servlet/identity-federation-for-aws/";

/// The connectors API on one mount.
#[derive(Debug)]
pub struct Connectors {}

/// Whether this path below a mount is this protocol's.
pub(super) fn owns(below: &str) -> bool {
    below.starts_with(REST) || below.starts_with(SERVLET)
}

impl Connectors {
    /// Serves what this mount's configuration says.
    pub fn new(_rules: &Mount, _deps: &Deps) -> Self {
        Self {}
    }

    /// Answers one request for this path below the mount.
    #[expect(clippy::unused_async, reason = "routes ask vending")]
    pub async fn answer(
        &self,
        _deps: &Deps,
        _guest: &Guest,
        _below: &str,
        asker: Result<Asker, Unproven>,
        _request: &Request,
    ) -> Response {
        match asker {
            Ok(_) => fail(StatusCode::NOT_FOUND, "not found"),
            Err(_) => fail(StatusCode::UNAUTHORIZED, "log in first"),
        }
    }
}

/// What the guard refuses.
pub(super) fn refuse(_refused: Refused) -> Response {
    fail(StatusCode::FORBIDDEN, "refused")
}

fn fail(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "message": message,
        "status-code": status.as_u16(),
        "errorMessages": [message],
        "errors": {},
    });
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json;charset=UTF-8");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, no-transform"),
    );
    response
}
