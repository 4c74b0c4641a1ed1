//! What a failed call means: the raw answer of an STS, classified. Pure.
//!
//! AWS answers `<ErrorResponse><Error><Code>`, Ceph and at times MinIO S3's bare `<Error><Code>`,
//! moto at times EC2's `<Errors><Error><Code>`. The SDK reads the latter two as errors without
//! code: so the body itself is read here.

use std::fmt;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

use crate::sessions::{Excess, FailureKind, FetchError};
use crate::transport::printable;

/// How much of an error's body is read.
const READ: usize = 64 * 1024;

/// What was tried, for messages and for what they advise.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The STS operation.
    pub operation: &'static str,
    /// The role, where the operation is about one.
    pub role_arn: Option<&'a str>,
    /// Whether an external id was sent.
    pub with_external_id: bool,
    /// Proved by a web identity token, not by a signature.
    pub by_token: bool,
}

impl fmt::Display for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation)?;
        self.role_arn.map_or(Ok(()), |arn| write!(f, " of {arn}"))
    }
}

/// `Code` and `Message` of an error body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UpstreamError {
    pub(super) code: String,
    pub(super) message: String,
}

/// Reads an error body, whatever its root. `None` where it is no XML error at all.
pub(super) fn read(body: &[u8]) -> Option<UpstreamError> {
    let mut reader = Reader::from_reader(body.get(..READ).unwrap_or(body));
    let mut error = UpstreamError::default();
    let mut path: Vec<Vec<u8>> = Vec::new();
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(start) => path.push(start.local_name().as_ref().to_vec()),
            Event::End(_) => {
                if path.pop().is_some_and(|name| name == b"Error") && !error.code.is_empty() {
                    break;
                }
            }
            Event::Text(text) => push(&mut error, &path, text.decode().ok()?.as_ref()),
            Event::CData(text) => push(&mut error, &path, text.decode().ok()?.as_ref()),
            Event::GeneralRef(reference) => push(&mut error, &path, &resolved(&reference)),
            Event::Eof => break,
            Event::Empty(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {}
        }
    }
    (!error.code.is_empty()).then_some(error)
}

/// What `&amp;` or `&#38;` stands for; an entity of its own stands for nothing here.
fn resolved(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let name = reference.decode().unwrap_or_default();
    resolve_predefined_entity(&name)
        .unwrap_or_default()
        .to_owned()
}

fn push(error: &mut UpstreamError, path: &[Vec<u8>], text: &str) {
    match path {
        [.., parent, name] if parent == b"Error" && name == b"Code" => {
            error.code.push_str(text.trim());
        }
        [.., parent, name] if parent == b"Error" && name == b"Message" => {
            error.message.push_str(text);
        }
        _ => {}
    }
}

/// What an error answer means for this call.
pub fn classify(status: u16, body: &[u8], attempt: &Attempt<'_>) -> FetchError {
    let error = read(body).unwrap_or_default();
    let kind = kind(status, &error, attempt.by_token);
    let advice = advice(kind, &error, attempt);
    told(status, &error, attempt, kind, &advice).exceeding(excess(&error))
}

/// Which of a session's parameters is too much for upstream. Whoever brought it is told, in other
/// words.
fn excess(error: &UpstreamError) -> Option<Excess> {
    match error.code.as_str() {
        "MalformedPolicyDocument" | "MalformedPolicyDocumentException" => {
            Some(Excess::MalformedPolicy)
        }
        "PackedPolicyTooLarge" | "PackedPolicyTooLargeException" => Some(Excess::PackedPolicy),
        "ValidationError" if error.message.contains("MaxSessionDuration") => Some(Excess::Life),
        _ => None,
    }
}

fn told(
    status: u16,
    error: &UpstreamError,
    attempt: &Attempt<'_>,
    kind: FailureKind,
    advice: &str,
) -> FetchError {
    let message = printable(&error.message);
    let what = match (error.code.is_empty(), message.is_empty()) {
        (true, _) => format!("status {status}"),
        (false, true) => format!("{status} {}", printable(&error.code)),
        (false, false) => format!("{status} {}: {message}", printable(&error.code)),
    };
    FetchError::new(kind, format!("{attempt} failed ({what}); {advice}"))
}

/// What an error body in AWS's JSON means, of an operation that is not STS's.
pub(super) fn classify_json(status: u16, body: &[u8], attempt: &Attempt<'_>) -> FetchError {
    let error = read_json(body).unwrap_or_default();
    let kind = kind(status, &error, attempt.by_token);
    let advice = match kind {
        FailureKind::Denied => format!("allow {} to the role", attempt.operation),
        FailureKind::Throttled | FailureKind::Unavailable => "try again later".to_owned(),
        FailureKind::BaseCredentials => "the session is not (or no longer) accepted".to_owned(),
        FailureKind::Misconfigured => "see what was asked for".to_owned(),
    };
    told(status, &error, attempt, kind, &advice)
}

/// Reads `{"__type": "namespace#Code", "message": "…"}`.
fn read_json(body: &[u8]) -> Option<UpstreamError> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| body.get(name)?.as_str();
    let code = text("__type").or_else(|| text("code"))?;
    let code = code.rsplit('#').next().unwrap_or(code);
    let message = text("message").or_else(|| text("Message"));
    Some(UpstreamError {
        code: code.to_owned(),
        message: message.unwrap_or_default().to_owned(),
    })
}

/// What an answer means that says it succeeded, and in which no session can be read. Bodies
/// without a length end where the connection does, so a half one looks like a whole.
pub(super) fn unreadable(body: &[u8], attempt: &Attempt<'_>, why: &str) -> FetchError {
    let operation = attempt.operation;
    let text = String::from_utf8_lossy(body.get(..READ).unwrap_or(body));
    let begun = text.contains(&format!("<{operation}Response"));
    if begun && !text.contains(&format!("</{operation}Response>")) {
        let message = format!("{attempt} failed: the answer broke off; it is tried again soon");
        return FetchError::new(FailureKind::Unavailable, message);
    }
    let message = format!(
        "{attempt} failed: the answer is not an STS answer that can be read ({why}); see that the \
         account's `endpoint` is an STS and its `dialect` the right one"
    );
    FetchError::new(FailureKind::Misconfigured, message)
}

fn kind(status: u16, error: &UpstreamError, by_token: bool) -> FailureKind {
    match error.code.as_str() {
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "NoSuchEntity"
        | "IDPRejectedClaim"
        | "IDPRejectedClaimException"
        | "Forbidden" => FailureKind::Denied,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "SlowDown"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "BandwidthLimitExceeded"
        | "LimitExceeded"
        | "PriorRequestNotComplete" => FailureKind::Throttled,
        "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "UnrecognizedClientException"
        | "UnrecognizedClient"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidIdentityToken"
        | "InvalidIdentityTokenException"
        | "TokenRefreshRequired"
        | "AuthFailure" => {
            if is_clock(error) {
                FailureKind::Misconfigured
            } else {
                FailureKind::BaseCredentials
            }
        }
        "IDPCommunicationError"
        | "IDPCommunicationErrorException"
        | "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "STSNotInitialized"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => FailureKind::Unavailable,
        "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture" => {
            FailureKind::Misconfigured
        }
        _ => by_status(status, by_token),
    }
}

fn by_status(status: u16, by_token: bool) -> FailureKind {
    match status {
        401 if by_token => FailureKind::Denied,
        401 => FailureKind::BaseCredentials,
        403 => FailureKind::Denied,
        408 | 425 | 500..=599 => FailureKind::Unavailable,
        429 => FailureKind::Throttled,
        _ => FailureKind::Misconfigured,
    }
}

/// AWS says `SignatureDoesNotMatch` for a wrong clock too: `Signature expired: … is now earlier`.
fn is_clock(error: &UpstreamError) -> bool {
    error.code == "SignatureDoesNotMatch"
        && (error.message.starts_with("Signature expired")
            || error.message.starts_with("Signature not yet current"))
}

/// The permission that upstream says is missing.
pub(super) fn missing_permission(message: &str) -> Option<&str> {
    let (_, after) = message.split_once("not authorized to perform: ")?;
    let action = after.split_whitespace().next()?;
    action.contains(':').then_some(action)
}

fn advice(kind: FailureKind, error: &UpstreamError, attempt: &Attempt<'_>) -> String {
    match kind {
        FailureKind::Denied => denied(error, attempt),
        FailureKind::Throttled => "fewer calls are made until it recovers".to_owned(),
        FailureKind::Unavailable => "it is tried again soon".to_owned(),
        FailureKind::BaseCredentials if attempt.by_token => {
            "the web identity token is not (or no longer) accepted: see that its file is renewed, \
             and that its issuer and audience are registered"
                .to_owned()
        }
        FailureKind::BaseCredentials => "the account's base credentials are wrong, expired or \
             deleted: see its `credentials`"
            .to_owned(),
        FailureKind::Misconfigured => misconfigured(error, attempt),
    }
}

fn denied(error: &UpstreamError, attempt: &Attempt<'_>) -> String {
    match missing_permission(&error.message) {
        Some("sts:TagSession") => "the role's trust policy does not allow sts:TagSession, which \
             session tags need: allow it there, or drop `tags`"
            .to_owned(),
        Some("sts:SetSourceIdentity") => "the role's trust policy does not allow \
             sts:SetSourceIdentity, which a source identity needs: allow it there, or drop \
             `source-identity`"
            .to_owned(),
        Some(permission) => format!(
            "allow {} to the base credentials, and trust them in the role's trust policy",
            printable(permission)
        ),
        None if error.code == "NoSuchEntity" => {
            "there is no such role: see the role's name or `arn`".to_owned()
        }
        None if attempt.by_token => {
            "see that the role exists, that its trust policy takes the token's issuer, audience and \
             subject, and that the issuer is registered"
                .to_owned()
        }
        None => {
            let external_id = if attempt.with_external_id {
                " (and its external id)"
            } else {
                ""
            };
            format!(
                "see that the role exists, that its trust policy{external_id} names the base \
                 credentials, and that they may call {}",
                attempt.operation
            )
        }
    }
}

fn misconfigured(error: &UpstreamError, attempt: &Attempt<'_>) -> String {
    match error.code.as_str() {
        "RequestExpired"
        | "RequestTimeTooSkewed"
        | "RequestInTheFuture"
        | "SignatureDoesNotMatch" => "this host's clock is wrong: set it, by NTP".to_owned(),
        "MalformedPolicyDocument" => "the session policy is not valid".to_owned(),
        "PackedPolicyTooLarge" => {
            "session policy and tags are too large together: shorten them".to_owned()
        }
        "RegionDisabledException" => {
            "STS is not enabled in the account's `region`: enable it, or name another".to_owned()
        }
        "MethodNotAllowed" | "InvalidAction" | "NotImplemented" => format!(
            "this server does not know {}: see the account's `dialect` and the role's `kind`",
            attempt.operation
        ),
        _ if error.message.contains("MaxSessionDuration") => {
            "shorten the role's `duration`, or raise its maximum".to_owned()
        }
        "" => "see that the account's `endpoint` is an STS".to_owned(),
        _ => "see the role's settings".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ATTEMPT: Attempt<'_> = Attempt {
        operation: "AssumeRole",
        role_arn: Some("arn:aws:iam::123456789012:role/web"),
        with_external_id: true,
        by_token: false,
    };

    fn error(code: &str, message: &str) -> UpstreamError {
        UpstreamError {
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn the_error_is_found_below_every_root() {
        for body in [
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender\
             </Type><Code>C</Code><Message>a &lt;b&gt; &#38; c</Message></Error><RequestId>r\
             </RequestId></ErrorResponse>",
            "<?xml version=\"1.0\"?><Error><Code>C</Code><Message>a &lt;b> &amp; c</Message></Error>",
            "<Response><Errors><Error><Code>C</Code><Message><![CDATA[a <b> & c]]></Message></Error>\
             <Error><Code>D</Code></Error></Errors></Response>",
            "<a:ErrorResponse xmlns:a=\"x\"><a:Error>\n<a:Code>\n C \n</a:Code>\n<a:Message>a \
             &lt;b&gt; &amp; c</a:Message></a:Error></a:ErrorResponse>",
        ] {
            assert_eq!(
                read(body.as_bytes()),
                Some(error("C", "a <b> & c")),
                "{body}"
            );
        }
        assert_eq!(read(b"<Error><Code>C</Code><Mess"), Some(error("C", "")));
    }

    #[test]
    fn a_body_that_is_no_error_has_none() {
        for body in [
            "",
            "{}",
            "<html><body>Error</body></html>",
            "<Error><Code/></Error>",
            "<",
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn the_missing_permission_is_named() {
        let message = "User: x is not authorized to perform: sts:TagSession on resource: y";
        assert_eq!(missing_permission(message), Some("sts:TagSession"));
        assert_eq!(missing_permission("not authorized to perform: this"), None);
        assert_eq!(missing_permission("Access denied"), None);
    }

    #[test]
    fn an_external_id_is_mentioned_where_one_is_sent() {
        let failed = classify(403, b"<Error><Code>AccessDenied</Code></Error>", &ATTEMPT);
        assert!(failed.message.contains("and its external id"), "{failed}");
    }

    #[test]
    fn half_an_answer_is_tried_again() {
        let half = b"<AssumeRoleResponse><AssumeRoleResult><Credentials><Acc";
        assert_eq!(
            unreadable(half, &ATTEMPT, "").kind,
            FailureKind::Unavailable
        );
        let other = b"<html></html>";
        assert_eq!(
            unreadable(other, &ATTEMPT, "").kind,
            FailureKind::Misconfigured
        );
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd(status in 100_u16..600, body: Vec<u8>, text in "[<>/&;A-Za-z!\\[\\]]*") {
            for body in [body.as_slice(), text.as_bytes()] {
                let failed = classify(status, body, &ATTEMPT);
                prop_assert!(failed.message.starts_with("AssumeRole of arn"));
                prop_assert!(!failed.message.contains('\n'));
            }
        }
    }
}
