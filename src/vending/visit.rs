//! What is remembered for one connection, so that a known caller's next request costs no decision.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::Bytes;

use super::{AccountFacts, Policy, Proof, Refusal, Want};
use crate::caller::Caller;
use crate::clock::{BootTime, Clock};
use crate::grants::{Facts, Grant, Granted, HostPlace, Known, Place, Select, Wanted, WebIdentity};
use crate::sessions::{Assumption, Lease, Request, Session};
use crate::telemetry::audit::AuditLine;
use crate::types::RoleRef;

/// How many decisions a connection remembers: an SDK asks for one role, by list and by name.
const REMEMBERED: usize = 4;

/// One connection, as vending sees it.
#[derive(Debug)]
pub struct Visit {
    listener: Arc<str>,
    caller: Arc<Caller>,
    select: Select,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    decisions: Vec<Remembered>,
    denials: Vec<Denied>,
}

/// What is asked of a caller's decisions, as far as they differ by it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) proof: Proof,
    pub(super) identity: Option<&'a Arc<WebIdentity>>,
    pub(super) assumption: Option<&'a Arc<Assumption>>,
}

impl<'a> Asked<'a> {
    pub(super) const fn of(want: &'a Want) -> Self {
        Self {
            wanted: &want.role,
            proof: want.proof,
            identity: want.identity.as_ref(),
            assumption: want.assumption.as_ref(),
        }
    }
}

/// The same, kept.
#[derive(Debug)]
struct Kept {
    wanted: Wanted,
    proof: Proof,
    identity: Option<Arc<WebIdentity>>,
    assumption: Option<Arc<Assumption>>,
}

/// A denial and to whom it was: other tokens over the same connection are others'.
#[derive(Debug)]
struct Denied {
    asked: Kept,
    refusal: Refusal,
    line: Arc<AuditLine>,
}

/// A decision and what it was made for.
#[derive(Debug)]
struct Remembered {
    asked: Kept,
    decided: Arc<Decided>,
}

impl Kept {
    fn of(asked: &Asked<'_>) -> Self {
        Self {
            wanted: asked.wanted.clone(),
            proof: asked.proof,
            identity: asked.identity.cloned(),
            assumption: asked.assumption.cloned(),
        }
    }

    /// Whether it is this that was asked. A token's verification gives the same identity for as
    /// long as it is the same token.
    fn is(&self, asked: &Asked<'_>) -> bool {
        let same = match (&self.identity, asked.identity) {
            (None, None) => true,
            (Some(shown), Some(now)) => Arc::ptr_eq(shown, now),
            (Some(_), None) | (None, Some(_)) => false,
        };
        same && self.is_but_for_the_token(asked)
    }

    fn is_but_for_the_token(&self, asked: &Asked<'_>) -> bool {
        self.proof == asked.proof
            && self.wanted == *asked.wanted
            && self.assumption.as_ref() == asked.assumption
    }
}

impl Visit {
    /// This caller connected to this listener, which gives several roles this way.
    pub fn new(listener: Arc<str>, caller: Arc<Caller>, select: Select) -> Self {
        Self {
            listener,
            caller,
            select,
            memory: Mutex::default(),
        }
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) const fn select(&self) -> Select {
        self.select
    }

    /// What grants may ask of this caller.
    pub(super) fn own_facts(&self) -> Facts {
        self.caller.facts().on(Arc::clone(&self.listener))
    }

    /// What grants may ask of this caller and this request.
    pub(super) fn facts(&self, want: &Want) -> Facts {
        let facts = Facts {
            identity: want.identity.clone(),
            ..self.own_facts()
        };
        let facts = match want.assumption.as_deref() {
            Some(asked) => with_assumption(facts, asked),
            None => facts,
        };
        match want.proof {
            // The owner gave the token away: whoever shows it stands for the owner itself.
            Proof::Bearer(owner) => Facts {
                uid: Known::Yes(owner),
                gid: Known::No,
                groups: Known::No,
                place: Known::Yes(Arc::new(Place::Host(HostPlace::default()))),
                container: Known::No,
                exe: Known::No,
                ..facts
            },
            Proof::Shown | Proof::Administrator | Proof::NotAsked | Proof::Missing => facts,
        }
    }

    pub(super) fn listener(&self) -> Arc<str> {
        Arc::clone(&self.listener)
    }

    /// What was decided for this before, if under the policy that is still in force.
    pub(super) fn recall(
        &self,
        policy: &Arc<Policy>,
        asked: &Asked<'_>,
        clock: &Clock,
    ) -> Option<Arc<Decided>> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decisions = memory.decisions.iter();
        let known = decisions.find(|known| {
            known.asked.is(asked) && known.decided.is_under(policy) && known.decided.holds(clock)
        });
        known.map(|known| Arc::clone(&known.decided))
    }

    pub(super) fn remember(&self, asked: &Asked<'_>, decided: Arc<Decided>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.decisions.retain(|known| !known.asked.is(asked));
        if memory.decisions.len() >= REMEMBERED {
            memory.decisions.remove(0);
        }
        memory.decisions.push(Remembered {
            asked: Kept::of(asked),
            decided,
        });
    }

    /// Counts a denial; where it is new to this connection, through a line that `open` opens.
    pub(super) fn deny(
        &self,
        want: &Want,
        refusal: Refusal,
        open: impl FnOnce() -> Arc<AuditLine>,
    ) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut denials = memory.denials.iter();
        let asked = Asked::of(want);
        let known = denials.find(|known| {
            known.refusal == refusal
                && known.asked.identity.as_ref() == asked.identity
                && known.asked.is_but_for_the_token(&asked)
        });
        if let Some(known) = known {
            known.line.again();
            return;
        }
        if memory.denials.len() >= REMEMBERED {
            memory.denials.remove(0);
        }
        memory.denials.push(Denied {
            asked: Kept::of(&asked),
            refusal,
            line: open(),
        });
    }
}

fn with_assumption(facts: Facts, asked: &Assumption) -> Facts {
    let identity = asked.source_identity.as_ref();
    let external_id = asked.external_id.as_ref();
    Facts {
        external_id: external_id.map(|id| Arc::from(id.as_str())),
        mfa: asked.mfa,
        source_identity: identity.map(|identity| Arc::from(identity.as_str())),
        ..facts
    }
}

/// A caller's role, decided, with the lease on its session.
#[derive(Debug)]
pub(super) struct Decided {
    policy: Arc<Policy>,
    granted: Granted,
    request: Arc<Request>,
    lease: Lease,
    account: AccountFacts,
    /// When it has to be made again.
    until: Option<BootTime>,
    /// The audit line of the session last handed out over this connection.
    line: Mutex<Option<(Weak<Session>, Arc<AuditLine>)>>,
    /// What a protocol says of it.
    rendered: OnceLock<Bytes>,
}

impl Decided {
    pub(super) const fn new(
        policy: Arc<Policy>,
        granted: Granted,
        request: Arc<Request>,
        lease: Lease,
        account: AccountFacts,
        until: Option<BootTime>,
    ) -> Self {
        Self {
            policy,
            granted,
            request,
            lease,
            account,
            until,
            line: Mutex::new(None),
            rendered: OnceLock::new(),
        }
    }

    /// The bytes made by `render` at the first ask.
    pub(super) fn rendered(&self, render: impl FnOnce() -> Bytes) -> Bytes {
        self.rendered.get_or_init(render).clone()
    }

    pub(super) const fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(super) const fn role(&self) -> &RoleRef {
        self.granted.role()
    }

    pub(super) const fn reason(&self) -> &Arc<str> {
        self.granted.reason()
    }

    /// Whether it holds for as long as its policy, and what is known of the caller.
    pub(super) const fn is_lasting(&self) -> bool {
        self.until.is_none()
    }

    /// Whether it was made under this policy.
    pub(super) fn is_under(&self, policy: &Arc<Policy>) -> bool {
        Arc::ptr_eq(&self.policy, policy)
    }

    fn holds(&self, clock: &Clock) -> bool {
        self.until.is_none_or(|until| clock.boot() < until)
    }

    pub(super) const fn grant(&self) -> &Arc<Grant> {
        self.granted.grant()
    }

    pub(super) const fn request(&self) -> &Arc<Request> {
        &self.request
    }

    pub(super) const fn account(&self) -> &AccountFacts {
        &self.account
    }

    /// Counts a hand-out of the session that was handed out over this connection before; whether it
    /// was.
    pub(super) fn count(&self, session: &Arc<Session>) -> bool {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        match line.as_ref() {
            Some((counted, line)) if std::ptr::eq(counted.as_ptr(), Arc::as_ptr(session)) => {
                line.again();
                true
            }
            Some(_) | None => false,
        }
    }

    /// Counts a hand-out; where the session is new to this connection, through a line that `open`
    /// opens and that counts it already.
    pub(super) fn record(&self, session: &Arc<Session>, open: impl FnOnce() -> Arc<AuditLine>) {
        if !self.count(session) {
            let opened = (Arc::downgrade(session), open());
            *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        }
    }
}
