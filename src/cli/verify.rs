//! `rolecall verify`: whether a request is signed with a secret, and what was signed.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use clap::Args;

use super::daemon::{AT_ONCE, Daemon};
use super::failure::{Exit, Failure};
use super::output::{plain, print, print_json, span};
use super::terminal::{Silent, first_line};
use crate::api::admin::wire::{Holder, Verdict};
use crate::api::admin::{LARGEST_QUESTION, NotSigned, SignatureWhen, signed, verdict};
use crate::authority::signature::Age;
use crate::clock::Clock;
use crate::config::parse_duration;
use crate::secret::SecretString;

/// The largest request that is read.
const LARGEST: u64 = 16 * 1024 * 1024;

/// How far from now a signature may be dated where no daemon is asked.
const AGE: Duration = Duration::from_mins(15);

/// Tell by whose key a request is signed, what was signed, and what is wrong if it is not right
///
/// Reads an HTTP request as text, the URL of a presigned one, or the JSON that Keystone's ec2tokens or
/// s3tokens is asked; EC2 signature versions 0, 1 and 2 and AWS signature version 4. The daemon knows
/// its own access keys and sessions; of others give the secret, and no daemon is asked. No secret and
/// no session token is printed.
///
/// Exit code 0 if the signature is right and in time, 1 if not.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The secret access key, in the first line of this file; `-`: of standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Ask for the secret access key on the terminal
    #[arg(long, conflicts_with = "secret_file")]
    prompt: bool,
    /// How far from now a signature may be dated; 0s: any date [default: the daemon's, else 15m]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    age: Option<Duration>,
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

impl Options {
    pub(super) fn run(&self, socket: Option<PathBuf>) -> Result<(), Failure> {
        let standard = Path::new("-");
        if self.secret_file.as_deref() == Some(standard) && self.request == standard {
            let what = "the request and the secret cannot both be standard input";
            return Err(Failure::new(Exit::Usage, what));
        }
        let bytes = read(&self.request)?;
        let readings = signed(&bytes).map_err(|error| not_signed(&error))?;
        let verdict = if self.prompt || self.secret_file.is_some() {
            let when = SignatureWhen {
                now: self.at.unwrap_or_else(|| Clock::System.now()),
                age: Age::of(self.age.unwrap_or(AGE)),
            };
            verdict(&readings, &self.secret()?, when)
        } else {
            Some(self.asked(&Daemon::find(socket)?, bytes)?)
        };
        let verdict = verdict.ok_or_else(|| not_signed(&NotSigned::Unsigned))?;
        if self.json {
            print_json(&verdict)?;
        } else {
            print(&readable(&verdict))?;
        }
        if verdict.right {
            Ok(())
        } else {
            Err(Failure::silent(Exit::No))
        }
    }

    /// What the daemon says, which knows its own keys.
    fn asked(&self, daemon: &Daemon, bytes: Vec<u8>) -> Result<Verdict, Failure> {
        if bytes.len() > LARGEST_QUESTION {
            let what = format!("the daemon reads no more than {LARGEST_QUESTION} bytes");
            return Err(Failure::new(Exit::Usage, what)
                .remedy("give the secret by --secret-file, and it is not asked"));
        }
        let at = self
            .at
            .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let parts = [("at", at), ("age", self.age)];
        let parts = parts
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let query: Vec<String> = parts
            .map(|(name, value)| format!("{name}={}", value.as_secs()))
            .collect();
        let path = format!("/v1/verify?{}", query.join("&"));
        daemon.post_bytes(&path, bytes, AT_ONCE)
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

fn not_signed(error: &NotSigned) -> Failure {
    let (exit, remedy) = match error {
        NotSigned::NoRequest(_) => (
            Exit::Usage,
            Some("show the request as text, a URL, or the JSON that Keystone is asked"),
        ),
        NotSigned::NoJson(_) => (Exit::Usage, None),
        NotSigned::Unsigned => (
            Exit::No,
            Some(
                "show the whole request as it was received: the line with the method, all headers, \
                 an empty line, the body",
            ),
        ),
        NotSigned::Malformed(_) => (Exit::No, None),
    };
    let mut failure = Failure::new(exit, error.to_string());
    if let Some(why) = std::error::Error::source(error) {
        failure = failure.because(why);
    }
    match remedy {
        Some(remedy) => failure.remedy(remedy),
        None => failure,
    }
}

fn readable(told: &Verdict) -> String {
    let signed_at = told.signed_at.as_ref().zip(told.signed_seconds_ago);
    let signed_by = match &told.scope {
        Some(scope) => format!("{}, for {scope}", told.signed_by),
        None => told.signed_by.clone(),
    };
    let token = if told.session_token {
        "came with it"
    } else {
        "none"
    };
    let lines = [
        ("access key id", Some(told.access_key_id.clone())),
        ("of", told.holder.as_ref().map(holder)),
        (
            "policy",
            told.holder.as_ref().and_then(|of| of.policy.clone()),
        ),
        ("policy ARNs", told.holder.as_ref().and_then(policy_arns)),
        ("signed by", Some(signed_by)),
        (
            "signed at",
            signed_at.map(|(date, seconds)| format!("{date}, {}", ago(seconds))),
        ),
        ("session token", Some(token.to_owned())),
        ("body", told.body.clone()),
        ("signature", told.right.then(|| "right".to_owned())),
        ("wrong", told.wrong.clone()),
        ("likely", told.likely.clone()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        if let Some(value) = value {
            // Writing into a String cannot fail.
            let _written = writeln!(text, "  {name:<15}{}", plain(&value));
        }
    }
    let texts = [
        ("canonical request", told.canonical_request.as_deref()),
        ("string to sign", Some(&*told.string_to_sign)),
    ];
    for (name, signed) in texts {
        if let Some(signed) = signed {
            let shown: Vec<String> = signed.split('\n').map(plain).collect();
            let _written = writeln!(text, "\n{name}:\n{}", shown.join("\n"));
        }
    }
    text
}

fn holder(holder: &Holder) -> String {
    let account = &holder.account;
    let of = match (&holder.session, &holder.user) {
        (None, Some(user)) => format!("{user} in {account}"),
        (Some(session), Some(user)) => format!("the session {session} in {account}, of {user}"),
        (Some(session), None) => format!("the session {session} in {account}"),
        (None, None) => account.clone(),
    };
    plain(&of)
}

fn policy_arns(holder: &Holder) -> Option<String> {
    let arns = &holder.policy_arns;
    (!arns.is_empty()).then(|| arns.join(" "))
}

fn ago(seconds: i64) -> String {
    let shown = span(seconds.unsigned_abs());
    if seconds < 0 {
        format!("{shown} ahead")
    } else {
        format!("{shown} ago")
    }
}
