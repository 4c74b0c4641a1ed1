//! One line of the trail: what was handed out or denied, and how often since it was last told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::party::{Party, Share, bounded};
use super::trail::{Kind, Trail};
use crate::grants::GrantId;
use crate::types::{AccessKeyId, RoleRef};

/// The longest reason that is kept: what a grant's patterns matched may stand in it.
const LONGEST_REASON: usize = 512;

/// One hand-out.
#[derive(Clone, Debug)]
pub struct HandOut {
    /// Who got it.
    pub party: Party,
    /// Where it was asked for.
    pub listener: Arc<str>,
    /// In which protocol.
    pub api: &'static str,
    /// Which role's keys; a user's own session has none.
    pub role: Option<RoleRef>,
    /// By which grant, where it was one.
    pub grant: Option<GrantId>,
    /// The grant's reason.
    pub reason: Arc<str>,
    /// The role session name that upstream knows.
    pub session_name: Option<Arc<str>>,
    /// The source identity that upstream knows.
    pub source_identity: Option<Arc<str>>,
    /// Joins the trail to upstream's.
    pub access_key_id: AccessKeyId,
    /// Upstream's expiration.
    pub expires_at: SystemTime,
}

/// One denial.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Who was refused.
    pub party: Party,
    /// Where.
    pub listener: Arc<str>,
    /// In which protocol.
    pub api: &'static str,
    /// The role that was asked for, where one was.
    pub role: Option<Arc<str>>,
    /// Why.
    pub reason: &'static str,
}

/// A key that a caller was handed.
#[derive(Clone, Debug)]
pub struct HandedOut {
    /// Who got it.
    pub party: Party,
    /// `account/role`.
    pub role: Arc<str>,
    /// Which key.
    pub access_key_id: AccessKeyId,
}

/// What makes two hand-outs, or two denials, the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LineKey(Same);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Same {
    HandOut(Arc<str>, Option<RoleRef>, AccessKeyId),
    Denial(Arc<str>, &'static str, &'static str, Option<Arc<str>>),
}

impl LineKey {
    /// All hand-outs of this key of this role to the caller of this name.
    pub fn hand_out(caller: Arc<str>, role: Option<&RoleRef>, key: &AccessKeyId) -> Self {
        Self(Same::HandOut(caller, role.cloned(), key.clone()))
    }

    /// All denials of this role to the caller of this name, over this API for this reason.
    pub fn denial(
        caller: Arc<str>,
        api: &'static str,
        reason: &'static str,
        role: Option<Arc<str>>,
    ) -> Self {
        Self(Same::Denial(caller, api, reason, role))
    }

    /// The same whatever role was asked for.
    pub(super) fn whatever_role(self) -> Self {
        match self.0 {
            Same::Denial(caller, api, reason, _) => Self::denial(caller, api, reason, None),
            hand_out @ Same::HandOut(..) => Self(hand_out),
        }
    }
}

/// What an event is about.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) party: Party,
    pub(super) listener: Arc<str>,
    pub(super) api: &'static str,
    pub(super) role: Option<Arc<str>>,
    pub(super) grant: Option<GrantId>,
    pub(super) reason: Arc<str>,
    pub(super) session_name: Option<Arc<str>>,
    pub(super) source_identity: Option<Arc<str>>,
    pub(super) access_key_id: Option<AccessKeyId>,
    pub(super) expires_at: Option<SystemTime>,
}

impl From<HandOut> for Subject {
    fn from(of: HandOut) -> Self {
        Self {
            kind: Kind::HandOut,
            party: of.party,
            listener: of.listener,
            api: of.api,
            role: of.role.map(|role| Arc::from(role.to_string())),
            grant: of.grant,
            reason: bounded(of.reason, LONGEST_REASON),
            session_name: of.session_name,
            source_identity: of.source_identity,
            access_key_id: Some(of.access_key_id),
            expires_at: Some(of.expires_at),
        }
    }
}

impl From<Denial> for Subject {
    fn from(of: Denial) -> Self {
        Self {
            kind: Kind::Denial,
            party: of.party,
            listener: of.listener,
            api: of.api,
            role: of.role,
            grant: None,
            reason: Arc::from(of.reason),
            session_name: None,
            source_identity: None,
            access_key_id: None,
            expires_at: None,
        }
    }
}

/// Counts what is the same as a first hand-out or denial. Whoever answers keeps it.
#[derive(Debug)]
pub struct AuditLine {
    subject: Arc<Subject>,
    untold: AtomicU64,
    trail: Arc<Trail>,
}

impl AuditLine {
    /// The line of an event that is told at once.
    pub(super) fn first(subject: Subject, trail: Arc<Trail>) -> Self {
        let subject = Arc::new(subject);
        trail.tell(subject.kind, &subject, 1);
        Self {
            subject,
            untold: AtomicU64::new(0),
            trail,
        }
    }

    /// The same again.
    pub fn again(&self) {
        self.untold.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn party(&self) -> &Party {
        &self.subject.party
    }

    pub(super) fn share(&self) -> Share {
        self.subject.party.share
    }

    pub(super) fn handed_out(&self) -> Option<HandedOut> {
        let of = &self.subject;
        Some(HandedOut {
            party: of.party.clone(),
            role: Arc::clone(of.role.as_ref()?),
            access_key_id: of.access_key_id.clone()?,
        })
    }

    pub(super) fn has_count(&self) -> bool {
        self.untold.load(Ordering::Relaxed) > 0
    }

    pub(super) fn expires_before(&self, now: SystemTime) -> bool {
        self.subject.expires_at.is_none_or(|end| end < now)
    }

    /// Tells what was counted since the last time.
    pub(super) fn tell(&self) {
        let count = self.untold.swap(0, Ordering::Relaxed);
        if count > 0 {
            self.trail.tell(Kind::Count, &self.subject, count);
        }
    }
}

impl Drop for AuditLine {
    fn drop(&mut self) {
        self.tell();
    }
}
