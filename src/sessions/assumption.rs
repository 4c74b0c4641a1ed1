//! What a caller of the STS face asks of a session beyond its role.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::secret::{ExposeSecret as _, SecretString, same_secret};
use crate::types::{ExternalId, SessionName};

/// What an identity provider says of the caller, for upstream to believe or not.
#[derive(Clone, Debug)]
pub struct ProvidedContext {
    /// Who says it.
    pub provider: Arc<str>,
    /// What it says, signed.
    pub assertion: SecretString,
}

impl ProvidedContext {
    fn assertion(&self) -> &[u8] {
        self.assertion.expose_secret().as_bytes()
    }
}

impl PartialEq for ProvidedContext {
    fn eq(&self, other: &Self) -> bool {
        self.provider == other.provider && same_secret(self.assertion(), other.assertion())
    }
}

impl Eq for ProvidedContext {}

impl Hash for ProvidedContext {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.provider.hash(state);
        self.assertion().hash(state);
    }
}

/// What a caller asks of a session beyond its role. Each has the form that STS asks for; what the
/// configuration says of the role goes before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Assumption {
    /// The role session name, or the name of a federated user.
    pub session_name: Option<SessionName>,
    /// How long it is to live; an hour, or what the role allows if that is less, otherwise.
    pub duration: Option<Duration>,
    /// A session policy, compact JSON.
    pub policy: Option<Arc<str>>,
    /// Managed policies as session policies.
    pub policy_arns: Vec<String>,
    /// Session tags: the caller's own, after those that its session hands down.
    pub tags: Vec<(String, String)>,
    /// Which of the tags go on into chained roles.
    pub transitive_tags: Vec<String>,
    /// The source identity.
    pub source_identity: Option<SessionName>,
    /// What others vouch for of the caller.
    pub provided_contexts: Vec<ProvidedContext>,
    /// What grants may ask for; it is not sent upstream.
    pub external_id: Option<ExternalId>,
    /// Whether a second factor was shown; it is not sent upstream.
    pub mfa: bool,
    /// How many roles were assumed before this one.
    pub chain_depth: u8,
}

/// What a caller asked of a session is more than its role may be asked for, or than upstream takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Excess {
    /// A longer life than the role's.
    #[error("the role's sessions may not live that long")]
    Life,
    /// A longer life than that of chained roles.
    #[error("sessions of chained roles live for an hour at most")]
    ChainedLife,
    /// A session policy, where the role or its grant has one.
    #[error("the role or its grant has a session policy, so a caller cannot bring one")]
    Policy,
    /// A session policy that is none to upstream.
    #[error("upstream does not take the session policy")]
    MalformedPolicy,
    /// Policies and tags that upstream has no room for.
    #[error("upstream has no room for the policies and tags")]
    PackedPolicy,
}

impl Assumption {
    /// Whether the caller brings a session policy.
    pub const fn brings_policy(&self) -> bool {
        self.policy.is_some() || !self.policy_arns.is_empty()
    }

    /// Whether it can be for what the caller asks that upstream finds this, and not for what the
    /// configuration says of the role.
    pub const fn may_cause(&self, excess: Excess) -> bool {
        match excess {
            Excess::Life | Excess::ChainedLife => self.duration.is_some(),
            Excess::Policy | Excess::MalformedPolicy => self.brings_policy(),
            Excess::PackedPolicy => self.brings_policy() || !self.tags.is_empty(),
        }
    }
}
