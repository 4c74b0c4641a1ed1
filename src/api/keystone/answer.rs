//! Keystone's answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue, VARY, WWW_AUTHENTICATE};
use serde::Serialize;

use crate::http::{Response, StatusCode};

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

/// An error; `uri` is where Keystone is found, for the challenge of a 401.
pub(super) fn fail(status: StatusCode, message: &str, uri: Option<&str>) -> Response {
    let error = Failure {
        code: status.as_u16(),
        message,
        title: status.canonical_reason().unwrap_or_default(),
    };
    let body = serde_json::to_vec(&Body { error }).unwrap_or_default();
    let mut response = json(status, Bytes::from(body));
    if status == StatusCode::UNAUTHORIZED {
        let challenge = format!("Keystone uri=\"{}\"", uri.unwrap_or_default());
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
    }
    response
}

/// This document.
pub(super) fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(VARY, HeaderValue::from_static("X-Auth-Token"));
    response
}
