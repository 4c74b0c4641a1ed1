//! What status shows of one session.

use std::time::{Duration, SystemTime};

use super::pacing::Pace;
use super::registry::Record;
use super::{FetchError, SessionKey};
use crate::clock::BootTime;
use crate::types::{AccessKeyId, RoleRef};

/// One key under one of its role's names.
#[derive(Clone, Debug)]
pub struct Report {
    /// The role.
    pub role: RoleRef,
    /// The key; its `Debug` is short.
    pub key: SessionKey,
    /// The role session name that upstream sees.
    pub session_name: Option<String>,
    /// What is held.
    pub held: Option<Held>,
    /// The failure since the last success.
    pub failure: Option<LastFailure>,
    /// Whether a fetch is under way.
    pub in_flight: bool,
    /// How many wait for it.
    pub waiters: usize,
    /// Whether it is kept without being used.
    pub prefetch: bool,
    /// Since the last use.
    pub unused: Duration,
    /// The upstream account and region.
    pub upstream: String,
    /// How its calls are paced, where any was made.
    pub pace: Option<Pace>,
}

/// A held session.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its access key id.
    pub access_key_id: AccessKeyId,
    /// Upstream's expiration.
    pub expires_at: SystemTime,
    /// What is left of its life.
    pub remaining: Duration,
    /// Until its renewal is tried.
    pub renews_in: Duration,
}

/// A failure that is remembered.
#[derive(Clone, Debug)]
pub struct LastFailure {
    /// What failed.
    pub error: FetchError,
    /// How long ago.
    pub age: Duration,
    /// Until it may be tried again.
    pub again_in: Duration,
}

impl Report {
    pub(super) fn new(role: &RoleRef, record: &Record, pace: Option<Pace>, now: BootTime) -> Self {
        let failure = record.failure.as_deref();
        let renews = failure.map_or(record.renews, |failure| failure.again);
        let held = record.entry.held.load();
        let held = held.as_ref().map(|session| Held {
            access_key_id: session.credentials.access_key_id.clone(),
            expires_at: session.expires_at,
            remaining: session.ends.since(now),
            renews_in: renews.since(now),
        });
        let flight = record.flight.as_ref();
        Self {
            role: role.clone(),
            key: record.entry.key,
            session_name: record.request.session_name.as_deref().map(str::to_owned),
            held,
            failure: failure.map(|failure| LastFailure {
                error: failure.error.clone(),
                age: now.since(failure.at),
                again_in: failure.again.since(now),
            }),
            in_flight: flight.is_some(),
            waiters: flight.map_or(0, |flight| flight.waiters()),
            prefetch: record.is_kept(),
            unused: now.since(record.entry.used()),
            upstream: record.request.upstream.name.clone(),
            pace,
        }
    }
}
