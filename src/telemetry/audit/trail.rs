//! Where events go: to the log, and into rings that the admin socket reads.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::{Serialize, SerializeMap, Serializer};
use tokio::sync::watch;

use super::line::Subject;
use super::party::{Party, Share};
use crate::clock::Clock;
use crate::grants::GrantId;
use crate::telemetry::log::AUDIT;
use crate::types::AccessKeyId;

/// How many events of hand-outs, and how many of denials, `rolecall audit` can show.
const KEPT: usize = 1000;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A first hand-out.
    HandOut,
    /// A first denial.
    Denial,
    /// More of the same.
    Count,
}

impl Kind {
    /// As the log spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HandOut => "hand-out",
            Self::Denial => "denial",
            Self::Count => "count",
        }
    }
}

/// One event of the trail.
#[derive(Debug)]
pub struct AuditEvent {
    /// Counts up from 1.
    pub sequence: u64,
    /// When.
    pub time: SystemTime,
    /// What.
    pub kind: Kind,
    /// How often.
    pub count: u64,
    subject: Arc<Subject>,
}

impl AuditEvent {
    /// Who was answered.
    pub fn party(&self) -> &Party {
        &self.subject.party
    }
}

impl Serialize for AuditEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of = &self.subject;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("sequence", &self.sequence)?;
        map.serialize_entry("timestamp", &seconds(self.time))?;
        map.serialize_entry("event", self.kind.as_str())?;
        if self.kind == Kind::Count {
            map.serialize_entry("of", of.kind.as_str())?;
        }
        map.serialize_entry("caller", &*of.party.name)?;
        if let Some(uid) = of.party.uid {
            map.serialize_entry("uid", &uid)?;
        }
        map.serialize_entry("evidence", &*of.party.evidence)?;
        map.serialize_entry("listener", &*of.listener)?;
        map.serialize_entry("api", of.api)?;
        if let Some(role) = &of.role {
            map.serialize_entry("role", &**role)?;
        }
        match of.grant {
            Some(GrantId::Grant(number)) => map.serialize_entry("grant", &number)?,
            Some(GrantId::Source(number)) => map.serialize_entry("grant_source", &number)?,
            Some(GrantId::Connector(id)) => map.serialize_entry("connector", &id)?,
            None => {}
        }
        map.serialize_entry("reason", &*of.reason)?;
        if let Some(name) = &of.session_name {
            map.serialize_entry("session_name", &**name)?;
        }
        if let Some(identity) = &of.source_identity {
            map.serialize_entry("source_identity", &**identity)?;
        }
        if let Some(id) = &of.access_key_id {
            map.serialize_entry("access_key_id", id.as_str())?;
        }
        if let Some(expires) = of.expires_at {
            map.serialize_entry("expires", &seconds(expires))?;
        }
        map.serialize_entry("count", &self.count)?;
        map.end()
    }
}

fn seconds(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[derive(Debug)]
pub(super) struct Trail {
    clock: Clock,
    rings: Mutex<Rings>,
    newest: watch::Sender<u64>,
}

/// The newest events. Denials never push out hand-outs: whoever has a key could otherwise hide it.
#[derive(Debug, Default)]
struct Rings {
    newest: u64,
    hand_outs: Ring,
    denials: Ring,
}

/// As many events as are kept, by sequence. The caller who has most of them loses its oldest first.
#[derive(Debug, Default)]
struct Ring {
    events: BTreeMap<u64, Arc<AuditEvent>>,
    shares: HashMap<Share, VecDeque<u64>>,
}

impl Ring {
    fn push(&mut self, event: AuditEvent) {
        if self.events.len() >= KEPT {
            self.make_room();
        }
        let share = self.shares.entry(event.party().share).or_default();
        share.push_back(event.sequence);
        self.events.insert(event.sequence, Arc::new(event));
    }

    fn make_room(&mut self) {
        let largest = self
            .shares
            .iter_mut()
            .max_by_key(|(_, its)| (its.len(), Reverse(its.front().copied())));
        let Some((share, its)) = largest else {
            return;
        };
        let share = *share;
        if let Some(oldest) = its.pop_front() {
            self.events.remove(&oldest);
        }
        if its.is_empty() {
            self.shares.remove(&share);
        }
    }

    fn after(&self, sequence: u64) -> impl Iterator<Item = &Arc<AuditEvent>> {
        let newer = self.events.range((Excluded(sequence), Unbounded));
        newer.map(|(_, event)| event)
    }
}

impl Trail {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            rings: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(super) fn tell(&self, kind: Kind, subject: &Arc<Subject>, count: u64) {
        log(kind, subject, count);
        let mut rings = self.lock();
        let sequence = rings.newest + 1;
        rings.newest = sequence;
        let event = AuditEvent {
            sequence,
            time: self.clock.now(),
            kind,
            count,
            subject: Arc::clone(subject),
        };
        match subject.kind {
            Kind::Denial => rings.denials.push(event),
            Kind::HandOut | Kind::Count => rings.hand_outs.push(event),
        }
        self.newest.send_replace(sequence);
    }

    pub(super) fn after(&self, sequence: u64) -> Vec<Arc<AuditEvent>> {
        let rings = self.lock();
        let (hand_outs, denials) = (
            rings.hand_outs.after(sequence),
            rings.denials.after(sequence),
        );
        let mut newer: Vec<_> = hand_outs.chain(denials).cloned().collect();
        newer.sort_unstable_by_key(|event| event.sequence);
        newer
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(kind: Kind, of: &Subject, count: u64) {
    let what = match (kind, of.kind) {
        (Kind::HandOut, _) => "credentials handed out",
        (Kind::Denial, _) => "credentials denied",
        (Kind::Count, Kind::Denial) => "denied again",
        (Kind::Count, Kind::HandOut | Kind::Count) => "handed out again",
    };
    let (grant, source, connector) = match of.grant {
        Some(GrantId::Grant(number)) => (Some(number), None, None),
        Some(GrantId::Source(number)) => (None, Some(number), None),
        Some(GrantId::Connector(id)) => (None, None, Some(id.to_string())),
        None => (None, None, None),
    };
    tracing::info!(
        target: AUDIT,
        event = kind.as_str(),
        caller = &*of.party.name,
        uid = of.party.uid,
        evidence = &*of.party.evidence,
        listener = &*of.listener,
        api = of.api,
        role = of.role.as_deref(),
        grant,
        grant_source = source,
        connector,
        reason = &*of.reason,
        session_name = of.session_name.as_deref(),
        source_identity = of.source_identity.as_deref(),
        access_key_id = of.access_key_id.as_ref().map(AccessKeyId::as_str),
        expires = of.expires_at.map(seconds),
        count,
        "{what}",
    );
}
