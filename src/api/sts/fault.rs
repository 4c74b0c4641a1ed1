//! Why nothing is given, in AWS's words.

use std::borrow::Cow;

use crate::http::StatusCode;
use crate::sessions::Excess;
use crate::vending::Refusal;

/// Why nothing is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No operation is named.
    MissingAction,
    /// There is no such operation.
    InvalidAction {
        /// What was named.
        action: String,
        /// Its version.
        version: Option<String>,
    },
    /// The parameters cannot be read.
    MalformedInput(String),
    /// The request was not read.
    TooLarge,
    /// A parameter of the signature is missing.
    MissingParameter(String),
    /// A parameter is not what it must be.
    Validation(String),
    /// A session policy is none.
    MalformedPolicy(&'static str),
    /// The policies and tags take more than a session has room for: how much of it, where that is
    /// known.
    PackedPolicyTooLarge(Option<usize>),
    /// The signature cannot be read.
    IncompleteSignature(String),
    /// The signature's time is over, or has not come.
    RequestExpired(String),
    /// There is no signature.
    MissingAuthenticationToken,
    /// There is no such key.
    InvalidClientTokenId,
    /// The signature is another.
    SignatureDoesNotMatch,
    /// It is a signature for another service.
    OtherService,
    /// The session has ended.
    ExpiredToken,
    /// It is not the caller's.
    AccessDenied(Cow<'static, str>),
    /// The token is not believed.
    InvalidIdentityToken(Cow<'static, str>),
    /// The token's time is over.
    ExpiredIdentityToken,
    /// Its issuer says that it does not count.
    IdpRejected,
    /// Its issuer does not answer.
    IdpCommunication,
    /// Too many requests.
    Throttling,
    /// Something here, or upstream, does not work.
    InternalFailure,
    /// It does not work now.
    ServiceUnavailable,
}

impl Fault {
    /// The plain refusal.
    pub(super) const DENIED: Self = Self::AccessDenied(Cow::Borrowed("Access denied"));

    /// A policy that is JSON, and nothing more.
    pub(super) const SYNTAX_OF_POLICY: Self = Self::MalformedPolicy("Syntax errors in policy.");

    /// A second factor that is not the caller's.
    pub(super) const NO_DEVICE: Self = Self::AccessDenied(Cow::Borrowed(
        "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA \
         serial number is valid and associated with this user.",
    ));

    /// A code that does not count.
    pub(super) const WRONG_CODE: Self = Self::AccessDenied(Cow::Borrowed(
        "MultiFactorAuthentication failed with invalid MFA one time pass code. ",
    ));

    /// What vending refuses; `denied` is what is told of a role that is not the caller's, or that
    /// there is not.
    pub(super) fn of(refusal: Refusal, denied: impl FnOnce() -> String) -> Self {
        match refusal {
            Refusal::NotIdentified
            | Refusal::NoGrant
            | Refusal::SeveralRoles
            | Refusal::NoSuchRole
            | Refusal::ProofMissing
            | Refusal::Excess(Excess::Policy)
            | Refusal::DeniedUpstream => Self::AccessDenied(Cow::Owned(denied())),
            Refusal::Excess(Excess::Life) => Self::Validation(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
                    .to_owned(),
            ),
            Refusal::Excess(Excess::ChainedLife) => Self::Validation(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed \
                 by role chaining."
                    .to_owned(),
            ),
            Refusal::Excess(Excess::MalformedPolicy) => Self::SYNTAX_OF_POLICY,
            Refusal::Excess(Excess::PackedPolicy) => Self::PackedPolicyTooLarge(None),
            Refusal::Misconfigured | Refusal::NotOffered => Self::InternalFailure,
            Refusal::NotReady => Self::ServiceUnavailable,
        }
    }

    /// The status and the code.
    pub(super) const fn code(&self) -> (StatusCode, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
        match self {
            Self::MissingAction => (BAD, "MissingAction"),
            Self::InvalidAction { .. } => (BAD, "InvalidAction"),
            Self::MalformedInput(_) => (BAD, "MalformedInput"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            Self::MissingParameter(_) => (BAD, "MissingParameter"),
            Self::Validation(_) => (BAD, "ValidationError"),
            Self::MalformedPolicy(_) => (BAD, "MalformedPolicyDocument"),
            Self::PackedPolicyTooLarge(_) => (BAD, "PackedPolicyTooLarge"),
            Self::IncompleteSignature(_) => (BAD, "IncompleteSignature"),
            Self::RequestExpired(_) => (BAD, "RequestExpired"),
            Self::MissingAuthenticationToken => (FORBIDDEN, "MissingAuthenticationToken"),
            Self::InvalidClientTokenId => (FORBIDDEN, "InvalidClientTokenId"),
            Self::SignatureDoesNotMatch | Self::OtherService => {
                (FORBIDDEN, "SignatureDoesNotMatch")
            }
            Self::ExpiredToken => (FORBIDDEN, "ExpiredToken"),
            Self::AccessDenied(_) => (FORBIDDEN, "AccessDenied"),
            Self::InvalidIdentityToken(_) => (BAD, "InvalidIdentityToken"),
            Self::ExpiredIdentityToken => (BAD, "ExpiredTokenException"),
            Self::IdpRejected => (FORBIDDEN, "IDPRejectedClaim"),
            Self::IdpCommunication => (BAD, "IDPCommunicationError"),
            Self::Throttling => (BAD, "Throttling"),
            Self::InternalFailure => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
            Self::ServiceUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        }
    }

    /// The text.
    pub(super) fn message(&self) -> Cow<'_, str> {
        match self {
            Self::MissingAction => {
                "The request is missing an Action or operation parameter.".into()
            }
            Self::InvalidAction { action, version } => {
                let version = version.as_deref().unwrap_or("NO_VERSION_SPECIFIED");
                format!("Could not find operation {action} for version {version}").into()
            }
            Self::MalformedInput(why)
            | Self::MissingParameter(why)
            | Self::Validation(why)
            | Self::RequestExpired(why) => why.into(),
            Self::TooLarge => "The request is too large.".into(),
            Self::MalformedPolicy(why) => (*why).into(),
            Self::PackedPolicyTooLarge(Some(percent)) => format!(
                "Packed policy consumes {percent}% of allotted space, please use smaller policy."
            )
            .into(),
            Self::PackedPolicyTooLarge(None) => {
                "Packed policy consumes more than 100% of allotted \
                                                 space, please use smaller policy."
                    .into()
            }
            Self::IncompleteSignature(why) => {
                format!("The request signature does not conform to AWS standards: {why}").into()
            }
            Self::MissingAuthenticationToken => "Request is missing Authentication Token".into(),
            Self::InvalidClientTokenId => {
                "The security token included in the request is invalid.".into()
            }
            Self::SignatureDoesNotMatch => {
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details."
                    .into()
            }
            Self::OtherService => "Credential should be scoped to correct service: 'sts'. ".into(),
            Self::ExpiredToken => "The security token included in the request is expired".into(),
            Self::AccessDenied(why) | Self::InvalidIdentityToken(why) => Cow::Borrowed(why),
            Self::ExpiredIdentityToken => {
                "Token expired: current date/time must be before the expiration date/time".into()
            }
            Self::IdpRejected => {
                "The identity provider reported that authentication failed.".into()
            }
            Self::IdpCommunication => {
                "The identity provider could not be reached to verify the incoming identity token."
                    .into()
            }
            Self::Throttling => "Rate exceeded".into(),
            Self::InternalFailure => "The request processing has failed because of an unknown \
                                      error, exception or failure."
                .into(),
            Self::ServiceUnavailable => {
                "The request has failed due to a temporary failure of the server.".into()
            }
        }
    }
}
