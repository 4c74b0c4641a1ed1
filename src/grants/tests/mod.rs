//! Callers and grants, told to each other.

mod decisions;
mod evidence;

use std::sync::Arc;

use super::*;
use crate::types::RoleRef;

fn role(text: &str) -> RoleRef {
    RoleRef::parse(text).unwrap()
}

fn grant(number: usize, given: &str, when: When) -> Arc<Grant> {
    let id = GrantId::Grant(number);
    Arc::new(Grant::of(id, role(given), when, Template::text("a test")))
}

fn texts(all: &[&str]) -> Patterns {
    let patterns = all.iter().map(|text| Pattern::new(text));
    Patterns::new(patterns.collect())
}

fn users(uids: &[u32]) -> UserIds {
    UserIds::new(uids.to_vec())
}

fn host(unit: &str) -> Known<Arc<Place>> {
    Known::Yes(Arc::new(Place::Host(HostPlace {
        unit: Some(Arc::from(unit)),
        slice: Some(Arc::from("system.slice")),
        ..HostPlace::default()
    })))
}

fn user(uid: u32) -> Facts {
    Facts {
        uid: Known::Yes(uid),
        place: host("session-1.scope"),
        ..Facts::default()
    }
}

/// What the caller gets by this pattern alone.
fn outcome(when: &When, facts: &Facts) -> Result<bool, Fact> {
    let grants = [grant(1, "prod/web", when.clone())];
    match decide(facts, &grants, &Wanted::First, Select::First) {
        Decision::Role(_) => Ok(true),
        Decision::Deny(_) => Ok(false),
        Decision::Needs(fact) => Err(fact),
    }
}
