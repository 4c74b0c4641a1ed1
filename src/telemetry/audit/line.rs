//! One line of the trail: what was handed out or denied, and how often since it was last told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::trail::{Kind, Trail};
use crate::grants::GrantId;
use crate::types::{AccessKeyId, RoleRef};

/// One hand-out.
#[derive(Clone, Debug)]
pub struct HandOut {
    /// Who got it.
    pub caller: Arc<str>,
    /// How we know.
    pub evidence: Arc<str>,
    /// Where it was asked for.
    pub listener: Arc<str>,
    /// In which protocol.
    pub api: &'static str,
    /// Which role's keys.
    pub role: RoleRef,
    /// By which grant.
    pub grant: GrantId,
    /// The grant's reason.
    pub reason: Arc<str>,
    /// The role session name that upstream knows.
    pub session_name: Option<Arc<str>>,
    /// Joins the trail to upstream's.
    pub access_key_id: AccessKeyId,
    /// Upstream's expiration.
    pub expires_at: SystemTime,
}

/// One denial.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Who was refused.
    pub caller: Arc<str>,
    /// How we know who it is.
    pub evidence: Arc<str>,
    /// Where.
    pub listener: Arc<str>,
    /// In which protocol.
    pub api: &'static str,
    /// The role that was asked for, where one was.
    pub role: Option<Arc<str>>,
    /// Why.
    pub reason: &'static str,
}

impl Denial {
    pub(super) fn whatever_role(self) -> Self {
        Self { role: None, ..self }
    }
}

/// A key that a caller was handed.
#[derive(Clone, Debug)]
pub struct HandedOut {
    /// Who got it.
    pub caller: Arc<str>,
    /// How we know.
    pub evidence: Arc<str>,
    /// `account/role`.
    pub role: Arc<str>,
    /// Which key.
    pub access_key_id: AccessKeyId,
}

/// What makes two hand-outs, or two denials, the same.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    HandOut(Arc<str>, RoleRef, AccessKeyId),
    Denial(Arc<str>, &'static str, &'static str, Option<Arc<str>>),
}

impl Key {
    pub(super) fn of_hand_out(of: &HandOut) -> Self {
        Self::HandOut(
            Arc::clone(&of.caller),
            of.role.clone(),
            of.access_key_id.clone(),
        )
    }

    pub(super) fn of_denial(of: &Denial) -> Self {
        Self::Denial(Arc::clone(&of.caller), of.api, of.reason, of.role.clone())
    }

    pub(super) fn of_denial_whatever_role(of: &Denial) -> Self {
        Self::Denial(Arc::clone(&of.caller), of.api, of.reason, None)
    }
}

/// What an event is about.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) caller: Arc<str>,
    pub(super) evidence: Arc<str>,
    pub(super) listener: Arc<str>,
    pub(super) api: &'static str,
    pub(super) role: Option<Arc<str>>,
    pub(super) grant: Option<GrantId>,
    pub(super) reason: Arc<str>,
    pub(super) session_name: Option<Arc<str>>,
    pub(super) access_key_id: Option<AccessKeyId>,
    pub(super) expires_at: Option<SystemTime>,
}

impl Subject {
    pub(super) fn of_hand_out(of: &HandOut) -> Self {
        Self {
            kind: Kind::HandOut,
            caller: Arc::clone(&of.caller),
            evidence: Arc::clone(&of.evidence),
            listener: Arc::clone(&of.listener),
            api: of.api,
            role: Some(Arc::from(of.role.to_string())),
            grant: Some(of.grant),
            reason: Arc::clone(&of.reason),
            session_name: of.session_name.clone(),
            access_key_id: Some(of.access_key_id.clone()),
            expires_at: Some(of.expires_at),
        }
    }

    pub(super) fn of_denial(of: &Denial) -> Self {
        Self {
            kind: Kind::Denial,
            caller: Arc::clone(&of.caller),
            evidence: Arc::clone(&of.evidence),
            listener: Arc::clone(&of.listener),
            api: of.api,
            role: of.role.clone(),
            grant: None,
            reason: Arc::from(of.reason),
            session_name: None,
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

    pub(super) fn caller(&self) -> &str {
        &self.subject.caller
    }

    pub(super) fn handed_out(&self) -> Option<HandedOut> {
        let of = &self.subject;
        Some(HandedOut {
            caller: Arc::clone(&of.caller),
            evidence: Arc::clone(&of.evidence),
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
