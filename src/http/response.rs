//! Answers: never cached, never with a CORS header, always with a length.

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SERVER,
};

use super::Response;

/// The headers of one kind of answer, made once.
#[derive(Clone, Debug)]
pub struct CachedHeaders(HeaderMap);

impl CachedHeaders {
    /// Headers for this content type; `server` where a protocol's clients look for one.
    pub fn new(content_type: &'static str, server: Option<&'static str>) -> Self {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(server) = server {
            headers.insert(SERVER, HeaderValue::from_static(server));
        }
        Self(headers)
    }

    /// With this header too, or with this value of it.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.insert(name, value);
        self
    }

    /// An answer with these headers.
    pub fn answer(&self, status: StatusCode, body: Bytes) -> Response {
        self.clone().into_answer(status, body)
    }

    /// The only answer with these headers.
    pub fn into_answer(self, status: StatusCode, body: Bytes) -> Response {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = self.0;
        response
    }
}

/// A short plain text. `text/plain` and nothing more: some clients take any body for the resource.
pub fn text(status: StatusCode, body: &'static str) -> Response {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `{"code":…,"message":…}` as the ECS agent writes errors. The type has no charset: Go v2 compares
/// it exactly. Both texts are ours and need no escapes.
pub fn json_error(status: StatusCode, code: &'static str, message: &'static str) -> Response {
    let body = format!("{{\"code\":\"{code}\",\"message\":\"{message}\"}}");
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 405 with the methods that the resource has.
pub fn not_allowed(allow: &'static str) -> Response {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}
