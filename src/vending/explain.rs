//! What would be decided for a caller, and why. The look-ups and the decision are those of
//! [`Vending::ask`]; nothing is fetched, and nothing is recorded.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Vending, Visit, Want, asker};
use crate::caller::{Caller, NoContainer};
use crate::grants::{Fact, Facts, Grant, Granted, Known, Names, Verdict, explain};
use crate::sessions::Request;
use crate::vending::{Policy, Refusal};

/// About whom somebody asks who is not connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The process of this number.
    Process(u32),
    /// This user, outside units and containers.
    User(u32),
    /// The container whose id begins like this, or that machined knows by this name.
    Container(String),
    /// Whoever proves this name to an API.
    Principal(String),
}

/// Nobody can be told anything about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCaller {
    /// The process.
    #[error("there is no such process here, or it ended while it was looked at")]
    NoProcess,
    /// The container.
    #[error(transparent)]
    NoContainer(#[from] NoContainer),
}

/// What is decided for one caller on one listener.
#[derive(Debug)]
pub struct Explanation {
    /// The caller, as the audit trail names it.
    pub caller: Arc<str>,
    /// The evidence for it.
    pub evidence: Arc<str>,
    /// What is known of it: all that any grant asks for.
    pub facts: Facts,
    /// What placeholders stand for.
    pub names: Names,
    /// The role that it gets, and what upstream is asked for.
    pub outcome: Result<(Granted, Arc<Request>), Refusal>,
    /// What each grant makes of it, in the order in which they are tried.
    pub verdicts: Vec<(Arc<Grant>, Verdict)>,
}

impl Vending {
    /// Whom this subject would be if it connected now.
    pub async fn caller_of(&self, subject: &Subject) -> Result<Arc<Caller>, NoCaller> {
        let caller = match subject {
            Subject::Process(pid) => {
                let caller = self.desk.of_process(*pid).await;
                caller.evidence().uid().ok_or(NoCaller::NoProcess)?;
                caller
            }
            Subject::User(uid) => self.desk.of_uid(*uid),
            Subject::Container(id) => self.desk.of_container(id).await?,
            Subject::Principal(name) => self.desk.of_principal(&Arc::from(name.as_str())),
        };
        Ok(Arc::new(caller))
    }

    /// What [`Self::ask`] would decide, with what every grant makes of the caller.
    pub async fn explain(&self, visit: &Visit, want: &Want) -> Explanation {
        let policy = self.policy.load_full();
        let facts = self.all_facts(&policy, visit, want).await;
        let decided = self.decide_under(&policy, visit, want).await;
        let names = self.names(visit, want).await;
        let verdicts = explain(&facts, &policy.grants);
        let verdicts = verdicts.into_iter().map(|(_, verdict)| verdict);
        Explanation {
            caller: asker::name(visit, want),
            evidence: asker::evidence(visit, want),
            verdicts: policy.grants.iter().cloned().zip(verdicts).collect(),
            facts,
            names,
            outcome: decided.map(|(granted, request, _)| (granted, request)),
        }
    }

    /// All that any grant asks for, each fact looked up once.
    async fn all_facts(&self, policy: &Policy, visit: &Visit, want: &Want) -> Facts {
        let mut asked = BTreeSet::new();
        let mut provided = Known::NotYet;
        loop {
            let facts = Facts {
                provided: provided.clone(),
                ..visit.facts(want)
            };
            let verdicts = explain(&facts, &policy.grants);
            let needed = verdicts.into_iter().find_map(|(_, verdict)| match verdict {
                Verdict::Needs(fact) if !asked.contains(&fact) => Some(fact),
                Verdict::Needs(_) | Verdict::Gives(_) | Verdict::NoRole | Verdict::Fails(_) => None,
            });
            let Some(fact) = needed else {
                return facts;
            };
            asked.insert(fact);
            if fact == Fact::Provided {
                provided = self.provided(policy, visit, want).await;
            } else {
                self.desk.look_up(visit.caller(), fact).await;
            }
        }
    }
}
