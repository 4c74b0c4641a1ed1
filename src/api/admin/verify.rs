//! What `rolecall verify` tells of a signed request.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use serde_json::Value;

use super::Admin;
use super::answer::Failure;
use super::wire::{Holder, Verdict};
use crate::api::date;
use crate::authority::signature::{
    Age, Cause, Ec2Credentials, Malformed, Mismatch, Payload, RequestText, S3Credentials,
    SignedRequest, TextError, Verified, Version,
};
use crate::secret::{ExposeSecret as _, SecretString};
use crate::types::AccessKeyId;

/// The names under which Keystone's clients send what `ec2tokens` is asked about.
const MEMBERS: [&str; 5] = [
    "credentials",
    "credential",
    "ec2Credentials",
    "OS-KSEC2:ec2Credentials",
    "OS-KSEC2-ec2Credentials",
];

/// The bytes are no signed request.
#[derive(Debug, thiserror::Error)]
pub enum NotSigned {
    /// They are no request.
    #[error("this is no request")]
    NoRequest(#[source] TextError),
    /// They are JSON, but nothing that Keystone is asked.
    #[error("this is nothing that Keystone is asked")]
    NoJson(#[source] serde_json::Error),
    /// The request is not signed.
    #[error("the request is not signed")]
    Unsigned,
    /// It is signed in no way that is known.
    #[error("the signature is malformed")]
    Malformed(#[source] Malformed),
}

/// When a signature counts.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// As of when it is looked at.
    pub now: SystemTime,
    /// How far from then it may be dated.
    pub age: Age,
}

/// `at` and `age` of a question, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// As of when, since 1970: now otherwise.
    pub at: Option<u64>,
    /// How far from then it may be dated: as the configuration says otherwise.
    pub age: Option<u64>,
}

impl Admin {
    /// Tells whether a request was signed with a key or session of this daemon's.
    pub(super) fn verify(&self, asked: Asked, body: &[u8]) -> Result<Verdict, Failure> {
        let readings = signed(body).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            Failure::new(StatusCode::BAD_REQUEST, error.to_string()).reason(source)
        })?;
        let at = asked.at.map(Duration::from_secs);
        let at = at.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        let age = asked.age.map(Duration::from_secs);
        let when = When {
            now: at.unwrap_or_else(|| self.clock.now()),
            age: Age::of(age.unwrap_or(self.rules.signature_age)),
        };
        let unsigned = || Failure::new(StatusCode::BAD_REQUEST, NotSigned::Unsigned.to_string());
        let request = readings.first().ok_or_else(unsigned)?;
        match self.holder(request)? {
            Ok((holder, secret)) => {
                let verdict = verdict(&readings, &secret, when).ok_or_else(unsigned)?;
                Ok(Verdict {
                    holder: Some(holder),
                    ..verdict
                })
            }
            Err(wrong) => Ok(without_secret(request, wrong, when.now)),
        }
    }

    /// Whose key it names, with the secret; else why nobody's.
    fn holder(
        &self,
        request: &SignedRequest,
    ) -> Result<Result<(Holder, SecretString), String>, Failure> {
        let Ok(id) = AccessKeyId::new(request.access_key_id()) else {
            return Ok(Err("its access key id is none".to_owned()));
        };
        let Some(token) = request.session_token() else {
            let objects = self.objects()?;
            let Some(key) = objects.keys.get(&id) else {
                return Ok(Err("there is no such access key".to_owned()));
            };
            let holder = Holder {
                user: Some(key.draft.user.to_string()),
                account: key.draft.account.to_string(),
                session: None,
                policy: None,
                policy_arns: Vec::new(),
            };
            return Ok(Ok((holder, key.draft.secret.clone())));
        };
        let claims = match self.authority.open(token.expose_secret()) {
            Ok(claims) => claims,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if claims.access_key_id != id {
            return Ok(Err("its session token is another key's".to_owned()));
        }
        let holder = Holder {
            user: claims.principal.as_deref().map(str::to_owned),
            account: claims.of.account().to_string(),
            session: Some(claims.of.role().map_or_else(
                || claims.session_name.to_string(),
                |role| format!("{}/{}", role.role, claims.session_name),
            )),
            policy: claims.policy,
            policy_arns: claims.policy_arns,
        };
        Ok(Ok((holder, claims.secret_access_key)))
    }
}

/// What is told where no secret is known.
fn without_secret(request: &SignedRequest, wrong: String, now: SystemTime) -> Verdict {
    let explanation = request.explain(None);
    Verdict {
        right: false,
        wrong: Some(wrong),
        canonical_request: explanation.canonical_request,
        string_to_sign: explanation.string_to_sign,
        ..said(request, now)
    }
}

/// Reads a request as text, a URL, or the JSON that Keystone is asked. A request as text is read as
/// it stands there, and without a line end at its end, which editors add to bodies.
pub fn signed(bytes: &[u8]) -> Result<Vec<SignedRequest>, NotSigned> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        return Ok(vec![stated(bytes)?]);
    }
    let text = RequestText::read(bytes).map_err(NotSigned::NoRequest)?;
    let whole = text.body();
    let line = whole.strip_suffix(b"\n");
    let line = line.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut requests = Vec::new();
    for body in [Some(whole), line].into_iter().flatten() {
        requests.extend(text.signed(Some(body)).map_err(NotSigned::Malformed)?);
    }
    if requests.is_empty() {
        return Err(NotSigned::Unsigned);
    }
    Ok(requests)
}

/// What `ec2tokens` or `s3tokens` is asked about.
fn stated(bytes: &[u8]) -> Result<SignedRequest, NotSigned> {
    let mut body: Value = serde_json::from_slice(bytes).map_err(NotSigned::NoJson)?;
    if let Some(auth) = body.get_mut("auth") {
        body = auth.take();
    }
    for member in MEMBERS {
        if let Some(credentials) = body.get_mut(member) {
            body = credentials.take();
            break;
        }
    }
    let signed = if body.get("token").is_some() {
        let credentials = serde_json::from_value::<S3Credentials>(body);
        credentials.map_err(NotSigned::NoJson)?.signed()
    } else {
        let credentials = serde_json::from_value::<Ec2Credentials>(body);
        credentials.map_err(NotSigned::NoJson)?.signed()
    };
    signed.map_err(NotSigned::Malformed)
}

/// What is told of a request's readings with this secret: of that which explains most.
pub fn verdict(readings: &[SignedRequest], secret: &SecretString, when: When) -> Option<Verdict> {
    let explains = |request: &&SignedRequest| match request.verify(secret, when.now, when.age) {
        Ok(_) => 0,
        Err(Mismatch::Signature) => 2 + u8::from(request.cause(secret).is_none()),
        Err(_) => 1,
    };
    let request = readings.iter().min_by_key(explains)?;
    let verified = request.verify(secret, when.now, when.age);
    let explanation = request.explain(Some(secret));
    let likely = match &verified {
        Err(Mismatch::Signature) => Some(likely(request.cause(secret)).to_owned()),
        Ok(_) | Err(_) => None,
    };
    let payload = verified.as_ref().ok().map(Verified::payload);
    Some(Verdict {
        body: payload.map(|payload| body(payload).to_owned()),
        right: verified.is_ok(),
        wrong: verified.err().map(wrong),
        likely,
        canonical_request: explanation.canonical_request,
        string_to_sign: explanation.string_to_sign,
        ..said(request, when.now)
    })
}

/// What a request says of itself.
fn said(request: &SignedRequest, now: SystemTime) -> Verdict {
    let signed_at = request.signed_at();
    let scope = request.scope();
    Verdict {
        access_key_id: request.access_key_id().to_owned(),
        signed_by: named(request.version()).to_owned(),
        scope: scope.map(|scope| format!("{} in {}", scope.service, scope.region)),
        signed_at: signed_at.map(date),
        signed_seconds_ago: signed_at.map(|signed_at| seconds_between(signed_at, now)),
        session_token: request.session_token().is_some(),
        ..Verdict::default()
    }
}

/// Negative where `from` is the later one.
fn seconds_between(from: SystemTime, to: SystemTime) -> i64 {
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    match to.duration_since(from) {
        Ok(since) => seconds(since),
        Err(ahead) => seconds(ahead.duration()).saturating_neg(),
    }
}

fn named(version: Version) -> &'static str {
    match version {
        Version::V0 => "EC2 signature version 0",
        Version::V1 => "EC2 signature version 1",
        Version::V2 => "signature version 2",
        Version::V4 => "AWS signature version 4",
        Version::S3 => "S3's signature of before version 4",
    }
}

fn body(payload: Payload) -> &'static str {
    match payload {
        Payload::Signed => "is the one that was signed",
        Payload::Stated => "counts as whoever asks Keystone states",
        Payload::Unsigned => "was not signed",
        Payload::Streaming => "is signed in chunks, which are not verified here",
    }
}

fn wrong(mismatch: Mismatch) -> String {
    match mismatch {
        Mismatch::Signature => "the signature is not this secret's".to_owned(),
        Mismatch::NoTimestamp => "it has no date that is signed".to_owned(),
        Mismatch::Expired { until, .. } => format!("it counted until {} only", date(until)),
        Mismatch::NotYet { from, .. } => {
            format!(
                "it counts from {} on: one of the clocks is wrong",
                date(from)
            )
        }
        Mismatch::Body => "the body is not the one whose hash was signed".to_owned(),
    }
}

fn likely(cause: Option<Cause>) -> &'static str {
    match cause {
        None | Some(Cause::None) => {
            "another secret; or the request was changed after it was signed: compare the canonical \
             request with the one that the client logs"
        }
        Some(Cause::SpacesAroundSecret) => "the secret, but without the spaces around it",
        Some(Cause::HostWithoutPort) => "the client signed the host without its port",
        Some(Cause::PathNotEncoded) => {
            "the client signed the path as it sent it, not encoded again"
        }
        Some(Cause::PathEncodedTwice) => "the client signed the path encoded once more",
        Some(Cause::PathNotNormalised) => {
            "the client signed the dots and double slashes of the path"
        }
        Some(Cause::PlusSigns) => "the client signed a plus sign, which must be sent as %2B",
        Some(Cause::QueryNotEncoded) => "the client signed the query as it sent it",
        Some(Cause::QuerySortedFirst) => "the client sorted the query before it encoded the names",
        Some(Cause::TokenNotSigned) => "the client signed without the session token",
        Some(Cause::QueryLeftOut) => "the client signed without the query",
        Some(Cause::QuerySigned) => "the client signed the query of a POST",
        Some(Cause::SpacesKept) => "the client signed each of several spaces in a header",
        Some(Cause::EmptyBody) => "the client signed an empty body",
        Some(Cause::UnsignedPayload) => "the client signed UNSIGNED-PAYLOAD and did not say so",
        Some(Cause::Sha1) => "the client signed with HMAC-SHA1 and named HMAC-SHA256",
    }
}
