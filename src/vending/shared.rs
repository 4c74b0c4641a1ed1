//! Decisions that a caller's connections share: where the same is known of two, the same was decided.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::visit::Asked;
use super::{Proof, Visit};
use crate::caller::{CallerKey, Particulars};
use crate::grants::{Facts, Select, Wanted};

/// So many callers are remembered.
const CALLERS: usize = 1024;
/// So many decisions of each.
const OF_EACH: usize = 16;

/// All that a decision rests on beside the policy, as far as it has been looked up.
#[derive(Debug, PartialEq)]
pub(super) struct Basis {
    wanted: Wanted,
    proof: Proof,
    select: Select,
    facts: Facts,
    particulars: Particulars,
}

impl Basis {
    /// What a decision for this caller rests on; `None` where more counts than who it is: a token, or
    /// what is asked of the session.
    pub(super) fn of(visit: &Visit, asked: &Asked<'_>) -> Option<Self> {
        let bearer = matches!(asked.proof, Proof::Bearer(_));
        if bearer || asked.identity.is_some() || asked.assumption.is_some() {
            return None;
        }
        Some(Self {
            wanted: asked.wanted.clone(),
            proof: asked.proof,
            select: visit.select(),
            facts: visit.own_facts(),
            particulars: visit.caller().particulars(),
        })
    }
}

/// What was decided lately, by caller.
#[derive(Debug)]
pub(super) struct Shared<T>(Mutex<Callers<T>>);

type Callers<T> = HashMap<CallerKey, Vec<Held<T>>, RandomState>;

#[derive(Debug)]
struct Held<T> {
    basis: Basis,
    decided: Arc<T>,
    /// Since it was last asked who is still of use.
    used: bool,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Shared<T> {
    /// What was decided on this basis, if it still holds.
    pub(super) fn recall(
        &self,
        caller: &CallerKey,
        basis: &Basis,
        holds: impl Fn(&T) -> bool,
    ) -> Option<Arc<T>> {
        let mut callers = self.lock();
        let mut held = callers.get_mut(caller)?.iter_mut();
        let same = held.find(|held| held.basis == *basis && holds(&held.decided))?;
        same.used = true;
        Some(Arc::clone(&same.decided))
    }

    /// This was decided on this basis.
    pub(super) fn remember(&self, caller: CallerKey, basis: Basis, decided: &Arc<T>) {
        let mut callers = self.lock();
        // What is still of use comes back at once.
        if callers.len() >= CALLERS && !callers.contains_key(&caller) {
            callers.clear();
        }
        let all = callers.entry(caller).or_default();
        all.retain(|held| held.basis != basis);
        if all.len() >= OF_EACH {
            all.remove(0);
        }
        all.push(Held {
            basis,
            decided: Arc::clone(decided),
            used: true,
        });
    }

    /// Forgets what was not used since it was last called: what is remembered keeps sessions and
    /// policies.
    pub(super) fn forget_unused(&self) {
        self.lock().retain(|_, all| {
            all.retain_mut(|held| std::mem::take(&mut held.used));
            !all.is_empty()
        });
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Callers<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::grants::{Groups, Known};
    use crate::types::RoleName;

    const KEY: CallerKey = CallerKey::Uid(7);

    fn basis(facts: Facts) -> Basis {
        Basis {
            wanted: Wanted::First,
            proof: Proof::Shown,
            select: Select::First,
            facts,
            particulars: Particulars::default(),
        }
    }

    fn known() -> Facts {
        Facts {
            uid: Known::Yes(7),
            groups: Known::NotYet,
            listener: Some(Arc::from("metadata")),
            ..Facts::default()
        }
    }

    #[test]
    fn the_same_was_decided_where_the_same_is_known_and_nowhere_else() {
        let shared = Shared::default();
        shared.remember(KEY, basis(known()), &Arc::new(1));
        let recall = |basis: &Basis| shared.recall(&KEY, basis, |_| true).map(|one| *one);
        assert_eq!(recall(&basis(known())), Some(1));
        let others = [
            Facts {
                uid: Known::Yes(8),
                ..known()
            },
            Facts {
                groups: Known::Yes(Arc::new(Groups::default())),
                ..known()
            },
            Facts {
                listener: Some(Arc::from("other")),
                ..known()
            },
        ];
        for facts in others {
            assert_eq!(recall(&basis(facts.clone())), None, "{facts:?}");
        }
        let wanted = Wanted::ChosenName(RoleName::new("web").unwrap());
        let chosen = Basis {
            wanted,
            ..basis(known())
        };
        let not_shown = Basis {
            proof: Proof::NotAsked,
            ..basis(known())
        };
        let only = Basis {
            select: Select::Only,
            ..basis(known())
        };
        let mut subordinate = basis(known());
        subordinate.particulars.counted_as = Some(8);
        for other in [chosen, not_shown, only, subordinate] {
            assert_eq!(recall(&other), None, "{other:?}");
        }
        let other_caller = shared.recall(&CallerKey::Uid(8), &basis(known()), |_| true);
        assert_eq!(other_caller, None);
        let stale = shared.recall(&KEY, &basis(known()), |_| false);
        assert_eq!(stale, None);
    }

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let shared = Shared::default();
        shared.remember(KEY, basis(known()), &Arc::new(1));
        shared.forget_unused();
        assert!(shared.recall(&KEY, &basis(known()), |_| true).is_some());
        shared.forget_unused();
        shared.forget_unused();
        assert!(shared.recall(&KEY, &basis(known()), |_| true).is_none());
        assert!(shared.lock().is_empty());
    }

    #[test]
    fn few_are_remembered() {
        let shared = Shared::default();
        for uid in 0..3000_u32 {
            shared.remember(CallerKey::Uid(uid), basis(known()), &Arc::new(uid));
        }
        for role in 0..100 {
            let wanted = Wanted::ChosenName(RoleName::new(&format!("r{role}")).unwrap());
            let basis = Basis {
                wanted,
                ..basis(known())
            };
            shared.remember(CallerKey::Uid(2999), basis, &Arc::new(role));
        }
        let callers = shared.lock();
        assert!(callers.len() <= CALLERS);
        assert!(callers.values().all(|all| all.len() <= OF_EACH));
    }
}
