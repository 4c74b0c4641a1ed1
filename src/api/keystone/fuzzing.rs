//! What the fuzz targets reach of this protocol: paths, and bodies as what is asked.

use bytes::Bytes;
use serde::Deserialize as _;
use serde_json::Value;

use super::answer::Fault;
use super::body::Body;
use super::credentials::Draft;
use super::login;
use super::route::{Route, Version, What};
use super::signed;
use crate::authority::signature::{Ec2Credentials, S3Credentials};
use crate::http::{Request, Segments};

/// Any path has a resource or has none.
pub fn path(method: &str, path: &str) {
    if let Ok(segments) = Segments::parse(path)
        && let Err(none) = Route::parse(method, &segments)
    {
        told(Fault::from(none));
    }
}

/// Any body is read as a login, a key or a signature, or refused in the words of Keystone. What is
/// read is what every other reader of JSON reads.
pub fn body(text: &[u8]) {
    let request = Request::new(Bytes::copy_from_slice(text));
    let read = || Body::of(&request, What::Login);
    let body = match read() {
        Ok(body) => body,
        Err(fault) => return told(fault),
    };
    if let Ok(Value::Object(members)) = serde_json::from_slice(text) {
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            assert_eq!(body.get(name), Some(value));
        }
    } else {
        assert!(text.is_empty() && body.is_empty());
    }
    for version in [Version::V2, Version::V3] {
        if let Err(fault) = login::read(&body, version) {
            told(fault);
        }
    }
    if let Err(fault) = Draft::read(&body, "ann") {
        told(fault);
    }
    let credentials = read().and_then(|mut body| signed::credentials(&mut body));
    match credentials {
        Err(fault) => told(fault),
        Ok(credentials) => {
            let ec2 = Ec2Credentials::deserialize(&credentials).map(|read| read.signed());
            let s3 = S3Credentials::deserialize(&credentials).map(|read| read.signed());
            for malformed in [ec2, s3].into_iter().flatten().filter_map(Result::err) {
                told(Fault::from(&malformed));
            }
        }
    }
}

fn told(fault: Fault) {
    let response = fault.into_response(|| "http://localhost".to_owned());
    assert!(response.status().is_client_error());
}
