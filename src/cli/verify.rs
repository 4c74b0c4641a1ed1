//! `rolecall verify`: whether a request is signed with a secret, and what was signed.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::failure::{Exit, Failure};
use super::output::{plain, print, print_json, span};
use super::terminal::{Silent, first_line};
use crate::api::date;
use crate::authority::signature::{
    Age, Cause, Ec2Credentials, Malformed, Mismatch, Payload, RequestText, S3Credentials,
    SignedRequest, Version,
};
use crate::clock::Clock;
use crate::config::parse_duration;
use crate::secret::SecretString;

/// The largest request that is read.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The names under which Keystone's clients send what `ec2tokens` is asked about.
const MEMBERS: [&str; 5] = [
    "credentials",
    "credential",
    "ec2Credentials",
    "OS-KSEC2:ec2Credentials",
    "OS-KSEC2-ec2Credentials",
];

/// Tell whether a request is signed with a secret, what was signed, and what is wrong if it is not
///
/// Reads an HTTP request as text, the URL of a presigned one, or the JSON that Keystone's ec2tokens or
/// s3tokens is asked; EC2 signature versions 0, 1 and 2 and AWS signature version 4. The secret is
/// asked for on the terminal, or read from a file; it is never printed, nor is a session token.
///
/// Exit code 0 if the signature is right and in time, 1 if not.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The secret access key, in the first line of this file; `-`: of standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// How far from now a signature may be dated; 0s: any date
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "15m")]
    age: Duration,
    /// As if it were received at this time, such as 2026-11-22T12:00:00Z [default: now]
    #[arg(long, value_name = "DATE", value_parser = moment)]
    at: Option<SystemTime>,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    /// The request; `-`: standard input
    #[arg(value_name = "REQUEST", default_value = "-")]
    request: PathBuf,
}

/// What is told.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Told {
    access_key_id: String,
    signed_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_ago: Option<String>,
    session_token: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'static str>,
    right: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    likely: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical_request: Option<String>,
    string_to_sign: String,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let standard = Path::new("-");
        if self.secret_file.as_deref() == Some(standard) && self.request == standard {
            let what = "the request and the secret cannot both be standard input";
            return Err(Failure::new(Exit::Usage, what));
        }
        let bytes = read(&self.request)?;
        let requests = signed(&bytes)?;
        let secret = self.secret()?;
        let now = self.at.unwrap_or_else(|| Clock::System.now());
        let age = Age::of(self.age);
        // Of the two readings of a body the one that explains more.
        let explains = |request: &&SignedRequest| match request.verify(&secret, now, age) {
            Ok(_) => 0,
            Err(Mismatch::Signature) => 2 + u8::from(request.cause(&secret).is_none()),
            Err(_) => 1,
        };
        let request = requests.iter().min_by_key(explains);
        let request = request.ok_or_else(unsigned)?;
        let told = told(request, &secret, now, age);
        if self.json {
            print_json(&told)?;
        } else {
            print(&told.readable())?;
        }
        if told.right {
            Ok(())
        } else {
            Err(Failure::silent(Exit::No))
        }
    }

    fn secret(&self) -> Result<SecretString, Failure> {
        match &self.secret_file {
            None => Silent::open()?.ask("Secret access key: "),
            Some(file) if file == Path::new("-") => first_line(io::stdin().lock()),
            Some(file) => first_line(File::open(file).map_err(|error| unreadable(file, &error))?),
        }
    }
}

fn moment(text: &str) -> Result<SystemTime, String> {
    let parsed = DateTime::parse_from_rfc3339(text);
    parsed
        .map(SystemTime::from)
        .map_err(|_invalid| "a date is written such as 2026-11-22T12:00:00Z".to_owned())
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("{} cannot be read", file.display())).because(error)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(LARGEST).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|open| open.take(LARGEST).read_to_end(&mut bytes))
    };
    read.map_err(|error| unreadable(file, &error))?;
    Ok(bytes)
}

fn unsigned() -> Failure {
    Failure::new(Exit::No, "the request is not signed").remedy(
        "show the whole request as it was received: the line with the method, all headers, an empty \
         line, the body",
    )
}

fn malformed(error: &Malformed) -> Failure {
    Failure::new(Exit::No, "the signature is malformed").because(error)
}

/// The request as it stands there; and without a line end at its end, which editors add to bodies.
fn signed(bytes: &[u8]) -> Result<Vec<SignedRequest>, Failure> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        return Ok(vec![asked(bytes)?]);
    }
    let text = RequestText::read(bytes).map_err(|error| {
        let failure = Failure::new(Exit::Usage, "this is no request").because(&error);
        failure.remedy("show the request as text, a URL, or the JSON that Keystone is asked")
    })?;
    let whole = text.body();
    let line = whole.strip_suffix(b"\n");
    let line = line.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut requests = Vec::new();
    for body in [Some(whole), line].into_iter().flatten() {
        requests.extend(text.signed(Some(body)).map_err(|error| malformed(&error))?);
    }
    Ok(requests)
}

/// What `ec2tokens` or `s3tokens` is asked about.
fn asked(bytes: &[u8]) -> Result<SignedRequest, Failure> {
    let no_json = |error: serde_json::Error| {
        Failure::new(Exit::Usage, "this is nothing that Keystone is asked").because(&error)
    };
    let mut body: Value = serde_json::from_slice(bytes).map_err(no_json)?;
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
        let credentials: S3Credentials = serde_json::from_value(body).map_err(no_json)?;
        credentials.signed()
    } else {
        let credentials: Ec2Credentials = serde_json::from_value(body).map_err(no_json)?;
        credentials.signed()
    };
    signed.map_err(|error| malformed(&error))
}

fn told(request: &SignedRequest, secret: &SecretString, now: SystemTime, age: Age) -> Told {
    let verified = request.verify(secret, now, age);
    let explanation = request.explain(Some(secret));
    let likely = match &verified {
        Err(Mismatch::Signature) => Some(likely(request.cause(secret))),
        Ok(_) | Err(_) => None,
    };
    Told {
        access_key_id: request.access_key_id().to_owned(),
        signed_by: named(request.version()),
        scope: request
            .scope()
            .map(|scope| format!("{} in {}", scope.service, scope.region)),
        signed_at: request.signed_at().map(date),
        signed_ago: request.signed_at().map(|signed_at| ago(signed_at, now)),
        session_token: request.session_token().is_some(),
        body: verified
            .as_ref()
            .ok()
            .map(|verified| body(verified.payload())),
        right: verified.is_ok(),
        wrong: verified.err().map(wrong),
        likely,
        canonical_request: explanation.canonical_request,
        string_to_sign: explanation.string_to_sign,
    }
}

impl Told {
    fn readable(&self) -> String {
        let signed_at = self.signed_at.as_ref().zip(self.signed_ago.as_ref());
        let signed_by = match &self.scope {
            Some(scope) => format!("{}, for {scope}", self.signed_by),
            None => self.signed_by.to_owned(),
        };
        let token = if self.session_token {
            "came with it"
        } else {
            "none"
        };
        let lines = [
            ("access key id", Some(self.access_key_id.clone())),
            ("signed by", Some(signed_by)),
            (
                "signed at",
                signed_at.map(|(date, ago)| format!("{date}, {ago}")),
            ),
            ("session token", Some(token.to_owned())),
            ("body", self.body.map(str::to_owned)),
            ("signature", self.right.then(|| "right".to_owned())),
            ("wrong", self.wrong.clone()),
            ("likely", self.likely.map(str::to_owned)),
        ];
        let mut text = String::new();
        for (name, value) in lines {
            if let Some(value) = value {
                // Writing into a String cannot fail.
                let _written = writeln!(text, "  {name:<15}{}", plain(&value));
            }
        }
        let texts = [
            ("canonical request", self.canonical_request.as_deref()),
            ("string to sign", Some(&*self.string_to_sign)),
        ];
        for (name, signed) in texts {
            if let Some(signed) = signed {
                let shown: Vec<String> = signed.split('\n').map(plain).collect();
                let _written = writeln!(text, "\n{name}:\n{}", shown.join("\n"));
            }
        }
        text
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

fn ago(signed_at: SystemTime, now: SystemTime) -> String {
    match now.duration_since(signed_at) {
        Ok(since) => format!("{} ago", span(since.as_secs())),
        Err(ahead) => format!("{} ahead", span(ahead.duration().as_secs())),
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
