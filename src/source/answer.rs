//! What a successful answer of STS is worth: the session in it, or why there is none.

use std::time::{Duration, SystemTime};

use aws_sdk_sts::types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use secrecy::SecretString;

use crate::sessions::{FailureKind, FetchError, Fetched, SessionCredentials};
use crate::types::AccessKeyId;

/// The session in an answer. `date` is its `Date` header, `now` our own clock.
pub(super) fn session(
    credentials: Option<&Credentials>,
    date: Option<&str>,
    now: SystemTime,
) -> Result<Fetched, FetchError> {
    let credentials = credentials.ok_or_else(|| unusable("has no credentials in it"))?;
    let key = credentials.access_key_id();
    let access_key_id = AccessKeyId::new(key)
        .map_err(|invalid| unusable(&format!("has no usable access key id ({invalid})")))?;
    let secret = credentials.secret_access_key();
    let token = credentials.session_token();
    if !is_printable(secret) || !is_printable(token) {
        return Err(unusable("lacks a secret access key or a session token"));
    }
    let expires_at = whole_seconds(credentials.expiration())
        .ok_or_else(|| unusable("has no usable expiration"))?;
    let upstream_now = date.and_then(http_date);
    if expires_at <= upstream_now.unwrap_or(now) {
        return Err(unusable("brings credentials that have expired already"));
    }
    Ok(Fetched {
        credentials: SessionCredentials {
            access_key_id,
            secret_access_key: SecretString::from(secret),
            session_token: SecretString::from(token),
        },
        expires_at,
        upstream_now,
    })
}

/// Cut, never rounded up: Ceph tells nanoseconds, moto microseconds, and clients read neither.
fn whole_seconds(time: &DateTime) -> Option<SystemTime> {
    let seconds = u64::try_from(time.secs())
        .ok()
        .filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn http_date(text: &str) -> Option<SystemTime> {
    whole_seconds(&DateTime::from_str(text, Format::HttpDate).ok()?)
}

fn is_printable(secret: &str) -> bool {
    !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic())
}

fn unusable(what: &str) -> FetchError {
    let message = format!(
        "the answer of STS {what}: see that the account's `endpoint` is an STS and its `dialect` \
         the right one"
    );
    FetchError::new(FailureKind::Misconfigured, message)
}
