//! The one door: every protocol asks here, and here alone it is decided (grants), obtained
//! (sessions) and recorded (audit).
//!
//! Where to begin: [`Vending::ask`] recalls what this connection's [`Visit`] decided before. Where
//! it decided nothing yet, the facts that grants ask for are looked up, the [`Policy`] decides,
//! and the decision is kept with a lease on its session. A session that is held is handed out at
//! once, another is waited for within the client's patience. A reload, or a write to the store,
//! makes another policy; beside the grants it has what people made (`stored`) and what
//! administrators may have (`declared`).

mod arns;
mod asker;
mod declared;
mod explain;
mod own;
mod people;
mod policy;
mod provided;
mod refusal;
mod shared;
mod stored;
mod visit;
mod want;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

pub use declared::{Declared, DeclaredAccount, DeclaredRole};
pub use explain::{Explanation, NoCaller, Subject};
pub use own::OwnSession;
pub use people::{Delay, Roles, Unexchanged};
pub use policy::{AccountFacts, Policy, Registry};
pub use refusal::Refusal;
pub use stored::Stored;
pub use visit::Visit;
pub use want::{Handout, Proof, Want};

use crate::caller::{Caller, Desk, PerCaller};
use crate::clock::{BootTime, Clock};
use crate::config::Ahead;
use crate::grants::{Decision, Fact, Facts, Granted, Known, Names, Provided, Wanted, decide};
use crate::sessions::{Allowance, NoSession, Prefetch, Request, Session, Sessions, Wish};
use crate::telemetry::audit::{Audit, Denial, LineKey, Share};
use crate::types::RoleRef;
use shared::{Basis, Shared};
use visit::{Asked, Decided};

/// How often a decision may ask for one more fact before it is a denial: each is asked for once.
const MAX_FACTS: usize = 7;

/// How long a caller's container is looked for before a token is bound without it.
const LOOK_UP: Duration = Duration::from_millis(200);

/// How long what grant sources said, if only that there is nothing, counts on a kept connection.
const SOURCE_AGE: Duration = Duration::from_mins(1);

/// How often it is asked which decisions are still of use.
const FORGETTING: Duration = Duration::from_mins(1);

/// How long the token request gives name services to say what the caller will ask for.
const GLANCE: Duration = Duration::from_millis(50);

/// Decides, obtains and records.
#[derive(Debug)]
pub struct Vending {
    policy: ArcSwap<Policy>,
    sessions: Sessions,
    allowances: PerCaller<Allowance>,
    shared: Shared<Decided>,
    flights_per_caller: usize,
    desk: Arc<Desk>,
    audit: Arc<Audit>,
    clock: Clock,
}

impl Vending {
    /// A door with this policy, where each caller may have so many flights under way.
    pub fn new(
        policy: Policy,
        sessions: Sessions,
        flights_per_caller: usize,
        desk: Arc<Desk>,
        audit: Arc<Audit>,
        clock: Clock,
    ) -> Self {
        Self {
            policy: ArcSwap::from_pointee(policy),
            sessions,
            allowances: PerCaller::default(),
            shared: Shared::default(),
            flights_per_caller,
            desk,
            audit,
            clock,
        }
    }

    /// Follows a new policy from now on; what was decided under the old one is decided again.
    pub fn follow(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
        self.shared.clear();
    }

    /// The same policy beside what is made through APIs now.
    pub fn follow_stored(&self, stored: &Arc<Stored>) {
        self.policy.rcu(|policy| Policy {
            stored: Arc::clone(stored),
            ..Policy::clone(policy)
        });
        self.shared.clear();
    }

    /// Forgets what nobody uses, for ever.
    pub async fn run(&self) -> ! {
        loop {
            tokio::time::sleep(FORGETTING).await;
            self.shared.forget_unused();
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// What is held.
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The audit trail.
    pub const fn audit(&self) -> &Arc<Audit> {
        &self.audit
    }

    /// Credentials for what is wanted: a held session at once, or what a flight brings within the
    /// client's patience.
    pub async fn ask(&self, visit: &Visit, want: &Want) -> Result<Handout, Refusal> {
        let (decided, spent) = self.decided(visit, want).await?;
        let session = match decided.lease().held() {
            Some(session) => session,
            None => self.wait(visit, want, &decided, spent).await?,
        };
        Ok(self.handed(visit, want, decided, session))
    }

    /// The hand-out of this session, recorded.
    fn handed(
        &self,
        visit: &Visit,
        want: &Want,
        decided: Arc<Decided>,
        session: Arc<Session>,
    ) -> Handout {
        decided.record(&session, || {
            asker::hand_out(&self.audit, visit, want, &decided, &session)
        });
        Handout { session, decided }
    }

    /// What [`Self::ask`] would hand out, where it was decided before, on this connection or on
    /// another of the same caller, and a session is held.
    pub fn at_once(
        &self,
        visit: &Visit,
        role: &Wanted,
        proof: Proof,
        now: BootTime,
    ) -> Option<Handout> {
        let asked = Asked {
            wanted: role,
            proof,
            identity: None,
            assumption: None,
        };
        let policy = self.policy.load();
        let decided = self.recall(visit, &policy, &asked);
        let decided = decided.or_else(|| self.recall_shared(visit, &policy, &asked))?;
        let session = decided.lease().held_at(now)?;
        // The first hand-out of a session opens its line in the audit trail: that is `ask`'s.
        decided
            .count(&session)
            .then_some(Handout { session, decided })
    }

    /// The name of the role that [`Self::ask`] would give. It starts the flight and gives it the
    /// client's patience, and answers with the name all the same while the flight goes on.
    pub async fn name(&self, visit: &Visit, want: &Want) -> Result<RoleRef, Refusal> {
        let (decided, spent) = self.decided(visit, want).await?;
        if decided.lease().held().is_none()
            && let Err(refusal) = self.wait(visit, want, &decided, spent).await
            && (refusal != Refusal::NotReady || decided.lease().failure().is_some())
        {
            return Err(refusal);
        }
        Ok(decided.role().clone())
    }

    /// The name of the role that [`Self::ask`] would give, only while it would.
    pub async fn ready_name(&self, visit: &Visit, want: &Want) -> Result<RoleRef, Refusal> {
        let (decided, spent) = self.decided(visit, want).await?;
        if decided.lease().held().is_none() {
            self.wait(visit, want, &decided, spent).await?;
        }
        Ok(decided.role().clone())
    }

    /// A caller's first sign: what it will ask for is fetched now, if it is not held. Never waits
    /// for upstream, nor long for anything, and is no use of the role.
    pub async fn first_sign(&self, visit: &Visit, want: &Want) {
        let decided = tokio::time::timeout(GLANCE, Box::pin(self.decide(visit, want))).await;
        if let Ok(Ok(decided)) = decided {
            decided.lease().begin();
        }
    }

    /// Fetches these sessions before anybody asks, and keeps them as long as the handles live.
    pub async fn prefetch(&self, sessions: &[Ahead]) -> Vec<Prefetch> {
        let policy = self.policy.load_full();
        let mut wanted = Vec::new();
        for ahead in sessions {
            let names = self.desk.names_of(ahead.uid).await.and(&ahead.names);
            let wish = Wish {
                narrowing: ahead.narrowing.clone(),
                ..Wish::declared(ahead.role.clone(), names)
            };
            let request = policy.catalogue.request(&wish);
            wanted.extend(request.map(|request| self.sessions.prefetch(request)));
        }
        wanted
    }

    /// What [`Self::role`] tells, where the caller asks for it by name: a denial is recorded.
    pub async fn own_role(
        &self,
        visit: &Visit,
        want: &Want,
    ) -> Result<(RoleRef, AccountFacts), Refusal> {
        let (decided, _) = self.decided(visit, want).await?;
        Ok((decided.role().clone(), decided.account().clone()))
    }

    /// The role that this caller gets and what is known of its account, without any fetch.
    pub async fn role(
        &self,
        visit: &Visit,
        want: &Want,
    ) -> Result<(RoleRef, AccountFacts), Refusal> {
        let decided = self.decide(visit, want).await?;
        Ok((decided.role().clone(), decided.account().clone()))
    }

    /// Completes what is known of a caller, so that a token can be bound to it. What it took.
    pub async fn identify(&self, caller: &Caller) -> Duration {
        if caller.is_placed() {
            return Duration::ZERO;
        }
        let begun = Instant::now();
        // In a box: most callers are placed by then.
        let look_up = Box::pin(self.desk.look_up(caller, Fact::Place));
        // A caller that cannot be placed in time is so for this request only.
        drop(tokio::time::timeout(LOOK_UP, look_up).await);
        begun.elapsed()
    }

    /// Waits for a flight as long as the client's patience lasts, of which some is spent.
    async fn wait(
        &self,
        visit: &Visit,
        want: &Want,
        decided: &Decided,
        spent: Duration,
    ) -> Result<Arc<Session>, Refusal> {
        let left = want.patience.saturating_sub(spent);
        let waited = decided.lease().wait(left).await;
        waited.map_err(|missing| self.missed(visit, want, &missing))
    }

    /// Why a session that was waited for is not there.
    fn missed(&self, visit: &Visit, want: &Want, missing: &NoSession) -> Refusal {
        let asked = want.assumption.as_deref();
        self.refused(visit, want, Refusal::of(missing, asked))
    }

    /// The decision, and what it took where it was not remembered.
    async fn decided(
        &self,
        visit: &Visit,
        want: &Want,
    ) -> Result<(Arc<Decided>, Duration), Refusal> {
        if let Some(decided) = self.recall(visit, &self.policy.load(), &Asked::of(want)) {
            return Ok((decided, Duration::ZERO));
        }
        let begun = Instant::now();
        // In a box: most decisions are remembered, and need no room to be made.
        match Box::pin(self.decide(visit, want)).await {
            Ok(decided) => Ok((decided, begun.elapsed())),
            Err(refusal) => Err(self.refused(visit, want, refusal)),
        }
    }

    async fn decide(&self, visit: &Visit, want: &Want) -> Result<Arc<Decided>, Refusal> {
        loop {
            let policy = self.policy.load_full();
            let asked = Asked::of(want);
            let known = self.recall(visit, &policy, &asked);
            let known = known.or_else(|| self.recall_shared(visit, &policy, &asked));
            if let Some(known) = known {
                return Ok(known);
            }
            let decided = self.decide_under(&policy, visit, want).await?;
            // A reload during a look-up: what the old policy says no longer holds, and its session
            // must not be entered again.
            if !Arc::ptr_eq(&policy, &self.policy.load()) {
                continue;
            }
            let decided = Arc::new(self.lease(policy, visit, want, decided));
            visit.remember(&asked, Arc::clone(&decided));
            // What was looked up meanwhile is part of what it rests on.
            if let Some(basis) = Basis::of(visit, &asked).filter(|_| decided.is_lasting()) {
                self.shared.remember(visit.caller().key(), basis, &decided);
            }
            return Ok(decided);
        }
    }

    fn recall(
        &self,
        visit: &Visit,
        policy: &Arc<Policy>,
        asked: &Asked<'_>,
    ) -> Option<Arc<Decided>> {
        visit.recall(policy, asked, &self.clock)
    }

    /// What was decided on this basis on another connection, which this one remembers from now on.
    fn recall_shared(
        &self,
        visit: &Visit,
        policy: &Arc<Policy>,
        asked: &Asked<'_>,
    ) -> Option<Arc<Decided>> {
        let basis = Basis::of(visit, asked)?;
        let in_force = |decided: &Decided| decided.is_under(policy);
        let caller = visit.caller().key();
        let decided = self.shared.recall(&caller, &basis, in_force)?;
        visit.remember(asked, Arc::clone(&decided));
        Some(decided)
    }

    /// Looks up what the decision needs, and decides.
    async fn decide_under(
        &self,
        policy: &Policy,
        visit: &Visit,
        want: &Want,
    ) -> Result<(Granted, Arc<Request>, Option<BootTime>), Refusal> {
        let mut provided = Known::NotYet;
        let mut asked = None;
        for _ in 0..MAX_FACTS {
            let facts = Facts {
                provided: provided.clone(),
                ..visit.facts(want)
            };
            let stored = policy.stored.grant(&facts, &want.role);
            let declared = policy.declared.grant(want.proof, &want.role);
            let own = stored.iter().chain(&declared);
            let candidates = policy.grants.candidates(&facts).chain(own);
            let mut decision = decide(&facts, candidates, &want.role, visit.select());
            // What a grant must not give may be the caller's by itself.
            if let Decision::Role(granted) = &decision
                && stored.is_some()
                && policy.stored.allows(granted, &facts).is_err()
            {
                decision = decide(&facts, &stored, &want.role, visit.select());
            }
            match decision {
                Decision::Role(granted) => {
                    policy.stored.allows(&granted, &facts)?;
                    want.proof.suffices(granted.grant())?;
                    let names = self.names(visit, want).await;
                    let wish = Wish {
                        identity: want.identity.clone(),
                        principal: facts.principal().cloned(),
                        assumption: want.assumption.clone(),
                        ..Wish::granted(&granted, names)
                    };
                    let request = policy.catalogue.request(&wish).inspect_err(|error| {
                        let grant = granted.grant().id;
                        // What the caller brings is the caller's matter: the audit trail has it.
                        if !error.is_callers() {
                            tracing::warn!(role = %granted.role(), %grant, %error, "a granted role cannot be had");
                        }
                    })?;
                    let until = self.end(want, &provided);
                    return Ok((*granted, request, until));
                }
                Decision::Deny(reason) => return Err(policy.stored.denial(reason, &facts)),
                Decision::Needs(Fact::Provided) => {
                    provided = self.provided(policy, visit, want).await;
                    if provided == Known::NotYet {
                        break;
                    }
                }
                // It could not be had in time.
                Decision::Needs(fact) if asked == Some(fact) => break,
                Decision::Needs(fact) => {
                    self.desk.look_up(visit.caller(), fact).await;
                    asked = Some(fact);
                }
            }
        }
        // What is still being looked up may be known to the next request.
        Err(Refusal::NotReady)
    }

    /// What placeholders stand for.
    async fn names(&self, visit: &Visit, want: &Want) -> Names {
        let names = match want.proof {
            Proof::Bearer(owner) => self.desk.names_of(Some(owner)).await,
            Proof::Shown | Proof::Administrator | Proof::NotAsked | Proof::Missing => {
                self.desk.names(visit.caller()).await
            }
        };
        match &want.identity {
            Some(identity) => asker::with_identity(names, identity),
            None => names,
        }
    }

    fn lease(
        &self,
        policy: Arc<Policy>,
        visit: &Visit,
        want: &Want,
        decided: (Granted, Arc<Request>, Option<BootTime>),
    ) -> Decided {
        let (granted, request, until) = decided;
        let allowance = self.allowances.of(asker::whose(visit, want), || {
            Allowance::new(self.flights_per_caller)
        });
        let lease = self.sessions.lease(&granted, &request, allowance);
        let account = policy.account(&granted.role().account);
        Decided::new(policy, granted, request, lease, account, until)
    }

    /// When a decision has to be made again: with the token that it rests on, and soon where
    /// somebody else was asked.
    fn end(&self, want: &Want, provided: &Known<Arc<[Provided]>>) -> Option<BootTime> {
        let now = self.clock.boot();
        let token = want.identity.as_ref().map(|identity| {
            let left = identity.expires_at.duration_since(self.clock.now());
            now.plus(left.unwrap_or_default())
        });
        let asked = (*provided != Known::NotYet).then(|| now.plus(SOURCE_AGE));
        token.into_iter().chain(asked).min()
    }

    /// Denials are recorded; what is only not ready is not one.
    fn refused(&self, visit: &Visit, want: &Want, refusal: Refusal) -> Refusal {
        if refusal.is_denial() {
            visit.deny(want, refusal, || {
                let name = asker::name(visit, want);
                let role: Option<Arc<str>> = want.role.role().map(Arc::from);
                let reason = refusal.as_str();
                let key = LineKey::denial(Arc::clone(&name), want.api, reason, role.clone());
                let share = Share::of(&asker::whose(visit, want));
                self.audit.denial(key, share, || Denial {
                    party: asker::party(visit, want, name),
                    listener: visit.listener(),
                    api: want.api,
                    role,
                    reason,
                })
            });
        }
        refusal
    }
}
