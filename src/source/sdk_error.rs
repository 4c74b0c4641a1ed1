//! What became of a call that the SDK reports as failed.

use std::error::Error;

use aws_sdk_sts::error::SdkError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use http_body_util::LengthLimitError;

use super::failure::{self, Attempt};
use super::sts::CALL_TIMEOUT;
use crate::sessions::{FailureKind, FetchError};
use crate::transport::{BODY_LIMIT, LeadsHere, cause, causes};

/// The failure in the daemon's words.
pub(super) fn failed<E>(error: &SdkError<E, HttpResponse>, attempt: &Attempt<'_>) -> FetchError
where
    E: Error + 'static,
{
    let why = error.source().map(causes).unwrap_or_default();
    match error {
        SdkError::ServiceError(answer) => {
            let raw = answer.raw();
            let body = raw.body().bytes().unwrap_or_default();
            match raw.status().as_u16() {
                200..=299 => failure::unreadable(body, attempt, &why),
                status => failure::classify(status, body, attempt),
            }
        }
        SdkError::TimeoutError(_) => {
            let seconds = CALL_TIMEOUT.as_secs();
            unavailable(attempt, &format!("no answer within {seconds} s")).late()
        }
        SdkError::ResponseError(_) if cause::<LengthLimitError>(error).is_some() => {
            let what = format!("the answer is larger than {} KiB", BODY_LIMIT / 1024);
            misconfigured(
                attempt,
                &what,
                "see that the account's `endpoint` is an STS",
            )
        }
        SdkError::ResponseError(_) => {
            unavailable(attempt, &format!("the answer could not be read ({why})"))
        }
        SdkError::DispatchFailure(_) => {
            if let Some(own) = cause::<LeadsHere>(error) {
                return misconfigured(attempt, &own.to_string(), "name another `endpoint`");
            }
            if why.contains("AWS_CA_BUNDLE") {
                return misconfigured(attempt, &why, "mend the file or unset the variable");
            }
            if why.contains("invalid peer certificate") {
                let advice = "install the authority's certificate on this host, or see the \
                              account's `endpoint`";
                return misconfigured(attempt, &why, advice);
            }
            unavailable(attempt, &why)
        }
        SdkError::ConstructionFailure(_) | _ => {
            misconfigured(attempt, &why, "see the account's `endpoint` and `region`")
        }
    }
}

fn unavailable(attempt: &Attempt<'_>, why: &str) -> FetchError {
    let message = format!("{attempt} failed: {why}; it is tried again soon");
    FetchError::new(FailureKind::Unavailable, message)
}

fn misconfigured(attempt: &Attempt<'_>, why: &str, advice: &str) -> FetchError {
    let message = format!("{attempt} failed: {why}; {advice}");
    FetchError::new(FailureKind::Misconfigured, message)
}
