//! What the fuzz targets reach of this protocol: parameters, from a query and a form to what is
//! asked.

use std::collections::HashSet;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body as _;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::answer::Answers;
use super::ask::{
    Action, AssumeRole, AssumeRoleWithWebIdentity, GetFederationToken, GetSessionToken, Policies,
};
use super::fault::Fault;
use super::packed::{packed, pairs};
use super::parameters::Parameters;
use crate::authority::fuzzing::signed_pairs;
use crate::http::{Request, Response};

const HOURS_OF_ROLES: u64 = 12;
const HOURS_OF_USERS: u64 = 36;

/// Longer than any error.
const LONGEST: usize = 6 * 16 * 1024 + 1024;

/// Reads what is asked. What is wrong is told as well-formed XML; what is right is what was signed,
/// and within bounds.
pub fn request(query: &str, form: &[u8]) {
    let Ok(uri) = format!("/?{query}").parse() else {
        return;
    };
    let mut request = Request::new(Bytes::copy_from_slice(form));
    *request.uri_mut() = uri;
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(CONTENT_TYPE, kind);
    let parameters = match Parameters::read(&request) {
        Ok(parameters) => parameters,
        Err(fault) => return told(&fault),
    };
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in signed_pairs(query.as_bytes())
        .iter()
        .chain(&signed_pairs(form))
    {
        assert_eq!(parameters.get(name), Some(value.as_str()), "{name:?}");
    }
    if let Err(fault) = asked(&parameters) {
        told(&fault);
    }
}

fn asked(parameters: &Parameters<'_>) -> Result<(), Fault> {
    match Action::named(parameters)? {
        Action::AssumeRole => {
            let asked = AssumeRole::read(parameters)?;
            check_life(asked.duration, HOURS_OF_ROLES);
            check_policies(&asked.policies);
            let keys: HashSet<String> = asked
                .tags
                .iter()
                .map(|(key, _)| key.to_lowercase())
                .collect();
            assert!(keys.len() == asked.tags.len() && keys.len() <= 50);
            assert!(asked.role.as_str().len() >= 20);
            packed(&asked.policies, pairs(&asked.tags))?;
        }
        Action::AssumeRoleWithWebIdentity => {
            let asked = AssumeRoleWithWebIdentity::read(parameters)?;
            check_life(asked.duration, HOURS_OF_ROLES);
            check_policies(&asked.policies);
        }
        Action::GetFederationToken => {
            let asked = GetFederationToken::read(parameters)?;
            check_life(asked.duration, HOURS_OF_USERS);
            check_policies(&asked.policies);
            assert!(asked.name.as_str().len() <= 32 && asked.tags.len() <= 50);
        }
        Action::GetSessionToken => {
            let asked = GetSessionToken::read(parameters)?;
            check_life(asked.duration, HOURS_OF_USERS);
            if let Some(factor) = asked.second_factor {
                assert!(factor.code.len() == 6 && factor.code.bytes().all(|b| b.is_ascii_digit()));
            }
        }
        Action::GetCallerIdentity => {}
    }
    Ok(())
}

fn check_life(life: Option<Duration>, hours: u64) {
    let bounds = Duration::from_mins(15)..=Duration::from_hours(hours);
    assert!(life.is_none_or(|life| bounds.contains(&life)), "{life:?}");
}

fn check_policies(policies: &Policies) {
    assert!(policies.arns.len() <= 10);
    if let Some(policy) = &policies.policy {
        assert!(policy.chars().count() <= 2048 && !policy.contains('\n'));
    }
}

fn told(fault: &Fault) {
    let response = Answers::default().fail(fault);
    let status = response.status();
    assert!(status.is_client_error(), "{fault:?}");
    let text = String::from_utf8(whole(response)).expect("text");
    assert!(text.len() <= LONGEST, "{}", text.len());
    let mut reader = Reader::from_str(&text);
    let mut codes = 0;
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Eof => break,
            Event::Start(element) => codes += usize::from(element.name().as_ref() == b"Code"),
            Event::End(_) | Event::Text(_) | Event::GeneralRef(_) => {}
            other => panic!("{other:?} in {text}"),
        }
    }
    assert_eq!(codes, 1, "{text}");
}

/// The bytes of an answer, which are there at once.
fn whole(response: Response) -> Vec<u8> {
    let mut body = pin!(response.into_body());
    let mut bytes = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) {
        bytes.extend(frame.into_data().unwrap_or_default());
    }
    bytes
}
