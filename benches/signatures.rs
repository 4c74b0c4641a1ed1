//! What the verification of a signed request costs: `cargo bench --bench signatures`.
//!
//! Requests of 1 KiB that the SDK signs, in the header and in the query, read and verified; one that
//! Keystone is told of, as JSON; and one with a wrong signature, for which all its spellings are
//! tried. What is told is the thread's CPU time. Prints one JSON object.

mod shown;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use nix::time::{ClockId, clock_gettime};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rolecall::authority::signature::{Age, Ec2Credentials, HttpRequest, Mismatch};
use rolecall::secret::SecretString;
use serde_json::json;

use shown::shown;

const TIMES: u32 = 20_000;
const ROUNDS: usize = 5;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const HOST: &str = "sts.eu-central-1.amazonaws.com";
/// 2026-11-22T12:00:00Z.
const NOW: Duration = Duration::from_hours(498_708);
const AGE: Age = Age::Within(Duration::from_mins(15));
/// The body makes a request of about 1 KiB.
const BODY: usize = 613;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    shown(run())
}

fn run() -> Result<serde_json::Value, Failure> {
    let now = UNIX_EPOCH + NOW;
    let secret = SecretString::from(SECRET);
    let header = Signed::new(SignatureLocation::Headers, now)?;
    let query = Signed::new(SignatureLocation::QueryParams, now)?;
    let told = serde_json::to_vec(&header.told(None))?;
    let wrong = serde_json::to_vec(&header.told(Some("wrong")))?;
    let of_json = |bytes: &[u8]| -> Result<bool, Failure> {
        let credentials: Ec2Credentials = serde_json::from_slice(bytes)?;
        match credentials.signed()?.verify(&secret, now, AGE) {
            Ok(_) => Ok(true),
            Err(Mismatch::Signature) => Ok(false),
            Err(error) => Err(error.into()),
        }
    };
    Ok(json!({
        "header_ns": cost(|| header.verify(&secret, now))?,
        "query_ns": cost(|| query.verify(&secret, now))?,
        "ec2tokens_ns": cost(|| of_json(&told))?,
        "ec2tokens_wrong_ns": cost(|| of_json(&wrong).map(|right| !right))?,
        "request_bytes": header.length(),
    }))
}

/// Nanoseconds of CPU that one of many runs costs, each of which must come out true. What the machine
/// does beside only adds to it.
fn cost(mut run: impl FnMut() -> Result<bool, Failure>) -> Result<u64, Failure> {
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let begun = thread_time()?;
        for _ in 0..TIMES {
            if !black_box(run()?) {
                return Err("what was signed is not verified".into());
            }
        }
        let spent = thread_time()?.saturating_sub(begun);
        least = least.min(u64::try_from((spent / TIMES).as_nanos())?);
    }
    Ok(least)
}

fn thread_time() -> Result<Duration, Failure> {
    Ok(Duration::from(clock_gettime(
        ClockId::CLOCK_THREAD_CPUTIME_ID,
    )?))
}

/// A request that the SDK signed.
struct Signed {
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Signed {
    fn new(place: SignatureLocation, now: SystemTime) -> Result<Self, Failure> {
        let text = "Action=AssumeRole&Version=2011-06-15&Tags=";
        let mut body = text.as_bytes().to_vec();
        body.resize(BODY, b'x');
        let mut headers = vec![
            ("host".to_owned(), HOST.to_owned()),
            (
                "content-type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ),
            ("amz-sdk-request".to_owned(), "attempt=1; max=3".to_owned()),
        ];
        let identity = Credentials::new("AKIAIOSFODNN7EXAMPLE", SECRET, None, None, "bench").into();
        let mut settings = SigningSettings::default();
        settings.signature_location = place;
        settings.expires_in = Some(Duration::from_mins(1));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name("sts")
            .time(now)
            .settings(settings)
            .build()?;
        let lines = headers.iter().map(|(name, value)| (&**name, &**value));
        let uri = format!("https://{HOST}/");
        let request = SignableRequest::new("POST", uri, lines, SignableBody::Bytes(&body))?;
        let (instructions, _) = sign(request, &params.into())?.into_parts();
        let added = instructions.headers();
        let added: Vec<_> = added
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        headers.extend(added);
        let query = instructions.params().iter();
        let query = query.map(|(name, value)| {
            format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
        });
        Ok(Self {
            query: query.collect::<Vec<_>>().join("&"),
            headers,
            body,
        })
    }

    fn verify(&self, secret: &SecretString, now: SystemTime) -> Result<bool, Failure> {
        let headers = self.headers.iter();
        let headers: Vec<(&str, &[u8])> = headers
            .map(|(name, value)| (&**name, value.as_bytes()))
            .collect();
        let request = HttpRequest {
            method: "POST",
            path: "/",
            query: Some(&self.query),
            headers: &headers,
            body: &self.body,
        };
        let signed = request.signed()?.ok_or("it is not signed")?;
        signed.verify(secret, now, AGE)?;
        Ok(true)
    }

    /// As a service tells Keystone of it, with its signature or another.
    fn told(&self, other: Option<&str>) -> serde_json::Value {
        let headers = self.headers.iter();
        let headers: serde_json::Map<_, _> = headers
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let authorization = headers
            .get("authorization")
            .and_then(serde_json::Value::as_str);
        let signature = authorization.and_then(|text| text.rsplit_once("Signature="));
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.body);
        let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
        json!({
            "access": "AKIAIOSFODNN7EXAMPLE",
            "signature": other.or_else(|| signature.map(|(_, signature)| signature)),
            "host": HOST, "verb": "POST", "path": "/", "params": {"Action": "AssumeRole"},
            "headers": headers, "body_hash": hash.collect::<String>(),
        })
    }

    fn length(&self) -> usize {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| name.len() + value.len() + 4);
        headers.sum::<usize>()
            + self.query.len()
            + self.body.len()
            + "POST / HTTP/1.1\r\n\r\n".len()
    }
}
