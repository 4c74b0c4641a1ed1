//! What is asked for at the door, with what proof, and what is handed out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::visit::Decided;
use super::{AccountFacts, Refusal};
use crate::grants::{Grant, Wanted, WebIdentity};
use crate::sessions::{Assumption, Session};
use crate::types::{RoleArn, RoleRef};

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct Want {
    /// Which role.
    pub role: Wanted,
    /// What the request brought beside the connection.
    pub proof: Proof,
    /// The web identity that it showed.
    pub identity: Option<Arc<WebIdentity>>,
    /// What it asks of the session beyond its role.
    pub assumption: Option<Arc<Assumption>>,
    /// How long this client can be let wait for a flight.
    pub patience: Duration,
    /// The protocol, for the audit trail.
    pub api: &'static str,
}

/// What a request brought to show that its sender chose to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// A token, an unguessable path, a unix socket.
    Shown,
    /// The same, of an administrator, in the protocol in which that is enough for every role that
    /// the configuration declares.
    Administrator,
    /// Nothing, on a listener that allows it.
    NotAsked,
    /// Nothing; only a grant may allow it (IMDSv1 for one caller).
    Missing,
    /// A token that stands for this user where the kernel cannot tell who shows it.
    Bearer(u32),
}

impl Proof {
    /// Whether it is enough for what this grant gives.
    pub(super) fn suffices(self, grant: &Grant) -> Result<(), Refusal> {
        let enough = match self {
            Self::Shown | Self::Administrator | Self::Bearer(_) => true,
            Self::NotAsked => grant.imdsv1 != Some(false),
            Self::Missing => grant.imdsv1 == Some(true),
        };
        if enough {
            Ok(())
        } else {
            Err(Refusal::ProofMissing)
        }
    }
}

/// One answer with credentials.
#[derive(Clone, Debug)]
pub struct Handout {
    /// The session handed out.
    pub session: Arc<Session>,
    pub(super) decided: Arc<Decided>,
}

impl Handout {
    /// The role it is of.
    pub fn role(&self) -> &RoleRef {
        self.decided.role()
    }

    /// The role's ARN, where it has one.
    pub fn role_arn(&self) -> Option<&RoleArn> {
        self.decided.request().role_arn.as_ref()
    }

    /// The role session name, where it has one.
    pub fn session_name(&self) -> Option<&str> {
        self.decided.request().session_name.as_deref()
    }

    /// The source identity that was set.
    pub fn source_identity(&self) -> Option<&str> {
        self.decided.request().source_identity.as_deref()
    }

    /// What a protocol says of a hand-out whatever session it is of, made by `render` once for what
    /// was asked and kept with what was decided of it.
    pub fn rendered(&self, render: impl FnOnce() -> Bytes) -> Bytes {
        self.decided.rendered(render)
    }

    /// What is known of the role's account.
    pub fn account(&self) -> &AccountFacts {
        self.decided.account()
    }
}
