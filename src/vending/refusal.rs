//! Why a caller gets no credentials, in the words that each protocol translates into its own.

use crate::grants::NoGrant;
use crate::sessions::{Assumption, Excess, FailureKind, NoRequest, NoSession};

/// No credentials, and why. Outside texts are each protocol's own; details go to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// Nothing counts as evidence of who asks.
    #[error("the caller is not identified")]
    NotIdentified,
    /// The caller is known; no grant is for it.
    #[error("no grant is for this caller")]
    NoGrant,
    /// Grants give the caller several roles, and its listener only one.
    #[error("grants give this caller several roles")]
    SeveralRoles,
    /// The role asked for is not this caller's, or there is none of that name.
    #[error("this caller has no role of that name")]
    NoSuchRole,
    /// The protocol's token is missing.
    #[error("the request shows no token")]
    ProofMissing,
    /// More is asked of the session than its role may be asked for.
    #[error(transparent)]
    Excess(Excess),
    /// Upstream denies the role.
    #[error("upstream denies this role")]
    DeniedUpstream,
    /// The configuration, or upstream's answer, can never give a session.
    #[error("the role's configuration does not work upstream")]
    Misconfigured,
    /// The account has no such thing: no console, no container registry.
    #[error("the role's account does not offer that")]
    NotOffered,
    /// Nothing valid is held yet.
    #[error("no session is held yet")]
    NotReady,
}

impl Refusal {
    /// Why there is no session for whoever asks this of it.
    pub(super) fn of(missing: &NoSession, asked: Option<&Assumption>) -> Self {
        let excess = match missing {
            NoSession::Failed(error) => error.excess,
            NoSession::NotYet | NoSession::Stopping => None,
        };
        match excess.filter(|excess| asked.is_some_and(|asked| asked.may_cause(*excess))) {
            Some(excess) => Self::Excess(excess),
            None => Self::from(missing),
        }
    }

    /// As audit and metrics spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotIdentified => "not-identified",
            Self::NoGrant => "no-grant",
            Self::SeveralRoles => "several-roles",
            Self::NoSuchRole => "no-such-role",
            Self::ProofMissing => "token-missing",
            Self::Excess(Excess::Life) => "too-long",
            Self::Excess(Excess::ChainedLife) => "too-long-for-a-chain",
            Self::Excess(Excess::Policy) => "policy-refused",
            Self::Excess(Excess::MalformedPolicy) => "policy-malformed",
            Self::Excess(Excess::PackedPolicy) => "policy-too-large",
            Self::DeniedUpstream => "denied-upstream",
            Self::Misconfigured => "misconfigured",
            Self::NotOffered => "not-offered",
            Self::NotReady => "not-ready",
        }
    }

    /// Whether the role is the caller's, and what upstream says stands in the way.
    pub const fn is_upstreams(self) -> bool {
        match self {
            Self::DeniedUpstream | Self::Misconfigured | Self::NotOffered | Self::NotReady => true,
            Self::NotIdentified
            | Self::NoGrant
            | Self::SeveralRoles
            | Self::NoSuchRole
            | Self::ProofMissing
            | Self::Excess(_) => false,
        }
    }

    /// Whether somebody was refused something, rather than let wait for it.
    pub const fn is_denial(self) -> bool {
        match self {
            Self::NotIdentified
            | Self::NoGrant
            | Self::SeveralRoles
            | Self::NoSuchRole
            | Self::ProofMissing
            | Self::Excess(Excess::Policy)
            | Self::DeniedUpstream => true,
            Self::Excess(
                Excess::Life | Excess::ChainedLife | Excess::MalformedPolicy | Excess::PackedPolicy,
            )
            | Self::Misconfigured
            | Self::NotOffered
            | Self::NotReady => false,
        }
    }
}

impl From<NoGrant> for Refusal {
    fn from(reason: NoGrant) -> Self {
        match reason {
            NoGrant::NotIdentified => Self::NotIdentified,
            NoGrant::NoMatch => Self::NoGrant,
            NoGrant::OtherRole => Self::NoSuchRole,
            NoGrant::Several => Self::SeveralRoles,
        }
    }
}

impl From<NoRequest> for Refusal {
    fn from(missing: NoRequest) -> Self {
        match missing {
            NoRequest::NoRole => Self::NoSuchRole,
            NoRequest::NotYet => Self::NotReady,
            NoRequest::NoIdentity => Self::ProofMissing,
            NoRequest::NoAccount | NoRequest::TwoPolicies => Self::Misconfigured,
            NoRequest::Excess(excess) => Self::Excess(excess),
        }
    }
}

impl From<&NoSession> for Refusal {
    fn from(missing: &NoSession) -> Self {
        match missing {
            NoSession::NotYet | NoSession::Stopping => Self::NotReady,
            NoSession::Failed(error) => Self::from(error.kind),
        }
    }
}

impl From<FailureKind> for Refusal {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Denied => Self::DeniedUpstream,
            FailureKind::Misconfigured => Self::Misconfigured,
            FailureKind::Throttled | FailureKind::Unavailable | FailureKind::BaseCredentials => {
                Self::NotReady
            }
        }
    }
}
