//! What is remembered for one connection, so that a known caller's next request costs no decision.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{AccountFacts, Policy, Proof, Refusal, Want};
use crate::caller::Caller;
use crate::clock::{BootTime, Clock};
use crate::grants::{Facts, Grant, Granted, HostPlace, Known, Place, Select, Wanted, WebIdentity};
use crate::sessions::{Lease, Request, Session};
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

/// A denial and to whom it was: other tokens over the same connection are others'.
#[derive(Debug)]
struct Denied {
    wanted: Wanted,
    proof: Proof,
    identity: Option<Arc<WebIdentity>>,
    refusal: Refusal,
    line: Arc<AuditLine>,
}

/// A decision and what it was made for.
#[derive(Debug)]
struct Remembered {
    wanted: Wanted,
    proof: Proof,
    identity: Option<Arc<WebIdentity>>,
    decided: Arc<Decided>,
}

impl Remembered {
    /// Whether it is this that was asked. A token's verification gives the same identity for as
    /// long as it is the same token.
    fn is_of(&self, wanted: &Wanted, proof: Proof, identity: Option<&Arc<WebIdentity>>) -> bool {
        let same = match (&self.identity, identity) {
            (None, None) => true,
            (Some(shown), Some(now)) => Arc::ptr_eq(shown, now),
            (Some(_), None) | (None, Some(_)) => false,
        };
        same && self.proof == proof && self.wanted == *wanted
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

    /// What grants may ask of this caller and this request.
    pub(super) fn facts(&self, want: &Want) -> Facts {
        let facts = Facts {
            listener: Some(Arc::clone(&self.listener)),
            identity: want.identity.clone(),
            ..self.caller.facts()
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
        wanted: &Wanted,
        proof: Proof,
        identity: Option<&Arc<WebIdentity>>,
        clock: &Clock,
    ) -> Option<Arc<Decided>> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decisions = memory.decisions.iter();
        let known = decisions.find(|known| {
            known.is_of(wanted, proof, identity)
                && Arc::ptr_eq(&known.decided.policy, policy)
                && known.decided.holds(clock)
        });
        known.map(|known| Arc::clone(&known.decided))
    }

    pub(super) fn remember(&self, want: &Want, decided: &Arc<Decided>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory
            .decisions
            .retain(|known| !known.is_of(&want.role, want.proof, want.identity.as_ref()));
        if memory.decisions.len() >= REMEMBERED {
            memory.decisions.remove(0);
        }
        memory.decisions.push(Remembered {
            wanted: want.role.clone(),
            proof: want.proof,
            identity: want.identity.clone(),
            decided: Arc::clone(decided),
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
        let known = denials.find(|known| {
            known.refusal == refusal
                && known.wanted == want.role
                && known.proof == want.proof
                && known.identity == want.identity
        });
        if let Some(known) = known {
            known.line.again();
            return;
        }
        if memory.denials.len() >= REMEMBERED {
            memory.denials.remove(0);
        }
        memory.denials.push(Denied {
            wanted: want.role.clone(),
            proof: want.proof,
            identity: want.identity.clone(),
            refusal,
            line: open(),
        });
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
        }
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
