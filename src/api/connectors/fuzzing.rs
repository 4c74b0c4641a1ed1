//! What the fuzz targets reach of this protocol: bodies that say what is made.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::draft;
use crate::http::Request;

/// Reads a body as an account and as a connector; what is wrong is told as a problem.
pub fn body(body: &[u8]) {
    let mut request = Request::new(Bytes::copy_from_slice(body));
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
    if let Ok(account) = draft::new_account(&request) {
        assert!(!account.name.is_empty());
    }
    for result in [
        draft::account(&request, None).map(drop),
        draft::connector(&request, None, |_| None).map(drop),
    ] {
        if let Err(problem) = result {
            assert!(problem.into_reply().status.is_client_error());
        }
    }
}
