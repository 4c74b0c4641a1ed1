//! The answers of STS.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use quick_xml::escape::escape;
use uuid::Uuid;

use crate::http::{Response, StatusCode};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Why nothing is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    MissingAction,
    InvalidAction,
    AccessDenied,
}

impl Fault {
    const fn wire(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::MissingAction => (
                StatusCode::BAD_REQUEST,
                "MissingAction",
                "The request is missing an Action or operation parameter.",
            ),
            Self::InvalidAction => (
                StatusCode::BAD_REQUEST,
                "InvalidAction",
                "Could not find operation for version 2011-06-15",
            ),
            Self::AccessDenied => (StatusCode::FORBIDDEN, "AccessDenied", "Access denied"),
        }
    }
}

/// An error.
pub(super) fn fail(fault: Fault) -> Response {
    let (status, code, message) = fault.wire();
    let id = Uuid::new_v4().to_string();
    let message = escape(message);
    let body = format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
    );
    xml(status, Bytes::from(body), &id)
}

fn xml(status: StatusCode, body: Bytes, id: &str) -> Response {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}
