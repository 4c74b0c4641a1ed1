//! What is remembered for one connection, so that a known caller's next request costs no decision.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{AccountFacts, Policy, Proof, Refusal, Want};
use crate::caller::Caller;
use crate::grants::{Facts, Grant, Granted, Wanted};
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
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    decisions: Vec<(Wanted, Proof, Arc<Decided>)>,
    denials: Vec<(Wanted, Refusal, Arc<AuditLine>)>,
}

impl Visit {
    /// This caller connected to this listener.
    pub fn new(listener: Arc<str>, caller: Arc<Caller>) -> Self {
        Self {
            listener,
            caller,
            memory: Mutex::default(),
        }
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What grants may ask.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            listener: Some(Arc::clone(&self.listener)),
            ..self.caller.facts()
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
    ) -> Option<Arc<Decided>> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decisions = memory.decisions.iter();
        let known = decisions.find(|(role, shown, decided)| {
            *shown == proof && role == wanted && Arc::ptr_eq(&decided.policy, policy)
        });
        known.map(|(_, _, decided)| Arc::clone(decided))
    }

    pub(super) fn remember(&self, want: &Want, decided: &Arc<Decided>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory
            .decisions
            .retain(|(role, proof, _)| *role != want.role || *proof != want.proof);
        if memory.decisions.len() >= REMEMBERED {
            memory.decisions.remove(0);
        }
        memory
            .decisions
            .push((want.role.clone(), want.proof, Arc::clone(decided)));
    }

    /// Counts a denial; where it is new to this connection, through a line that `open` opens.
    pub(super) fn deny(
        &self,
        wanted: &Wanted,
        refusal: Refusal,
        open: impl FnOnce() -> Arc<AuditLine>,
    ) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut denials = memory.denials.iter();
        let known = denials.find(|(role, kind, _)| *kind == refusal && role == wanted);
        if let Some((_, _, line)) = known {
            line.again();
            return;
        }
        if memory.denials.len() >= REMEMBERED {
            memory.denials.remove(0);
        }
        memory.denials.push((wanted.clone(), refusal, open()));
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
    ) -> Self {
        Self {
            policy,
            granted,
            request,
            lease,
            account,
            line: Mutex::new(None),
        }
    }

    pub(super) const fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(super) fn role(&self) -> &RoleRef {
        self.granted.role()
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
