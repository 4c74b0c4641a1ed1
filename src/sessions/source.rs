//! The boundary to upstream: what can be asked for, and what comes back.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use secrecy::SecretString;

use super::{
    Assumption, CallerIdentity, Excess, Exchange, ExchangeFuture, LongTermKey, Session, SessionKey,
};
use crate::grants::{Granted, Names, Narrowing, WebIdentity};
use crate::types::{AccessKeyId, RoleArn, RoleRef};

/// What a fetch runs as.
pub type FetchFuture<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// One fully resolved way to obtain session credentials: an upstream, a call, all its parameters.
pub trait Source: Send + Sync + Debug {
    /// One upstream call. `base` is the session of the request's own base role, where it is chained.
    ///
    /// The future must end by itself (connect 1 s, whole call 4 s): no waiter cancels it, and one
    /// that takes a minute is given up. Where upstream refuses what `base` signed, it fails with
    /// [`FailureKind::BaseCredentials`], and `base` is renewed.
    fn fetch<'a>(&'a self, base: Option<&'a Session>) -> FetchFuture<'a>;

    /// Another number once the caller has brought what a fetch may succeed with that failed before:
    /// a failure is remembered no longer then.
    fn brought(&self) -> u64 {
        0
    }

    /// What its sessions can be exchanged for.
    fn exchange(&self) -> Option<&dyn Exchange> {
        None
    }

    /// What upstream's records will tell of the caller, beside the role session name.
    fn attribution(&self) -> Attribution<'_> {
        Attribution::default()
    }
}

/// What upstream is told of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attribution<'a> {
    /// The source identity.
    pub source_identity: Option<&'a str>,
    /// The session tags.
    pub tags: &'a [(String, String)],
}

/// A fully resolved request for a session. Equal keys mean the same upstream call.
#[derive(Debug)]
pub struct Request {
    /// Digest of everything that changes the call's meaning.
    pub key: SessionKey,
    /// The role's name, a label only: it is no part of the key.
    pub role: RoleRef,
    /// What it becomes upstream, where there is an ARN.
    pub role_arn: Option<RoleArn>,
    /// The role session name (or federated name) that upstream sees.
    pub session_name: Option<Arc<str>>,
    /// The source identity that upstream sees.
    pub source_identity: Option<Arc<str>>,
    /// Which calls are paced together.
    pub upstream: Arc<Upstream>,
    /// The life asked for.
    pub duration: Duration,
    /// Let go after this long without use.
    pub idle: Duration,
    /// What it was made of, to make it again after a reload.
    pub wish: Arc<Wish>,
    /// The request whose session signs this one: role chaining.
    pub base: Option<Arc<Self>>,
    /// Makes the call.
    pub source: Arc<dyn Source>,
}

impl Request {
    /// What the caller has brought to this request and to those below it.
    pub(super) fn brought(&self) -> u64 {
        let below = self.base.as_ref().map_or(0, |base| base.brought());
        self.source.brought().wrapping_add(below)
    }
}

/// An upstream account and region: calls to it share one token bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// For logs and status: `prod eu-central-1`.
    pub name: String,
    /// Calls a second in the long run.
    pub per_second: f64,
    /// Calls at once after a pause.
    pub burst: u32,
}

/// What an upstream call brought.
#[derive(Debug)]
pub struct Fetched {
    /// The credentials themselves.
    pub credentials: SessionCredentials,
    /// Upstream's own expiration, cut to whole seconds.
    pub expires_at: SystemTime,
    /// Upstream's clock at its answer (the `Date` header), where it told it.
    pub upstream_now: Option<SystemTime>,
}

/// An access key id, its secret and the session token that goes with them.
#[derive(Clone, Debug)]
pub struct SessionCredentials {
    /// Not secret: it stands in logs and audit, and joins them to CloudTrail.
    pub access_key_id: AccessKeyId,
    /// The secret access key.
    pub secret_access_key: SecretString,
    /// The STS session token.
    pub session_token: SecretString,
}

/// Why a fetch failed, named for what the daemon does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// Upstream refuses this caller this role. Tried again soon at first: IAM is eventually
    /// consistent.
    Denied,
    /// Upstream asks for fewer calls: the whole bucket slows down.
    Throttled,
    /// No answer, or a server's fault.
    Unavailable,
    /// The request or the answer can never be right: somebody must mend the configuration.
    Misconfigured,
    /// The credentials to sign with could not be had.
    BaseCredentials,
}

impl FailureKind {
    /// As logs and metrics spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Misconfigured => "misconfigured",
            Self::BaseCredentials => "base-credentials",
        }
    }
}

/// A failed fetch, shared by everybody who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What happened and what to do, for the log and the operator; never for the caller.
    pub message: Arc<str>,
    /// Whether no answer came in time.
    pub late: bool,
    /// What of the session's parameters upstream does not take, where it is that.
    pub excess: Option<Excess>,
}

impl FetchError {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            late: false,
            excess: None,
        }
    }

    /// The same, where no answer came in time.
    #[must_use]
    pub fn late(self) -> Self {
        Self { late: true, ..self }
    }

    /// The same, with what upstream does not take of the session's parameters.
    #[must_use]
    pub fn exceeding(self, excess: Option<Excess>) -> Self {
        Self { excess, ..self }
    }
}

/// One caller's wish for a role: what a request is made of, beside the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wish {
    /// The role.
    pub role: RoleRef,
    /// Whether it may be one that only a grant's template or a grant source names.
    pub may_be_undeclared: bool,
    /// What templates are filled with.
    pub names: Names,
    /// What the grant makes of its sessions.
    pub narrowing: Option<Arc<Narrowing>>,
    /// The web identity that the caller showed.
    pub identity: Option<Arc<WebIdentity>>,
    /// The name that the caller proved.
    pub principal: Option<Arc<str>>,
    /// What the caller asks of the session.
    pub assumption: Option<Arc<Assumption>>,
}

impl Wish {
    /// For this declared role, as it is.
    pub const fn declared(role: RoleRef, names: Names) -> Self {
        Self {
            role,
            may_be_undeclared: false,
            names,
            narrowing: None,
            identity: None,
            principal: None,
            assumption: None,
        }
    }

    /// Whose token it was, where the caller named its session itself: others may choose the same
    /// name.
    pub fn named_by_token(&self) -> Option<&Arc<WebIdentity>> {
        self.identity.as_ref().filter(|_| self.assumption.is_some())
    }

    /// For what a grant gives to a caller of these names, as it is.
    pub fn granted(granted: &Granted, names: Names) -> Self {
        let grant = granted.grant();
        Self {
            role: granted.role().clone(),
            may_be_undeclared: grant.role.fixed().is_none(),
            names: names.with_groups(granted.named()),
            narrowing: grant.narrowing.clone(),
            identity: None,
            principal: None,
            assumption: None,
        }
    }
}

/// Why there is no request for a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRequest {
    /// No such role is declared.
    #[error("there is no such role")]
    NoRole,
    /// The role's account is not declared, or cannot be used for roles that are not.
    #[error("the role's account cannot be used")]
    NoAccount,
    /// It is not known yet whether there is such a role.
    #[error("what is made through APIs is not known yet")]
    NotYet,
    /// The account's base credentials are the caller's web identity, and it showed none.
    #[error("the role needs a web identity token of its caller")]
    NoIdentity,
    /// The grant narrows what the role narrows already.
    #[error("the role has a session policy of its own, so a grant cannot add one")]
    TwoPolicies,
    /// The caller asks for more than the role may be asked for.
    #[error(transparent)]
    Excess(#[from] Excess),
}

impl NoRequest {
    /// Whether it is for what the caller brings or asks for, and not for the configuration.
    pub const fn is_callers(self) -> bool {
        match self {
            Self::NoIdentity | Self::Excess(_) => true,
            Self::NoRole | Self::NoAccount | Self::NotYet | Self::TwoPolicies => false,
        }
    }
}

/// Knows how each role is obtained: makes the request of a role for one caller.
pub trait Catalogue: Send + Sync + Debug {
    /// The request for this wish, the role's templates filled with the caller's names.
    fn request(&self, wish: &Wish) -> Result<Arc<Request>, NoRequest>;

    /// Whose this key is, as upstream says; `None` where there is no upstream. The future ends by
    /// itself within the bounds of [`Source::fetch`].
    fn whose(&self, _key: &LongTermKey) -> Option<ExchangeFuture<'_, CallerIdentity>> {
        None
    }
}
