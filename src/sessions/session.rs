//! One session: credentials with the times they are valid between, and the answers made of them.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Fetched, SessionCredentials};
use crate::clock::{BootTime, Clock};

/// A held session is served until this long before it expires, and not after.
pub const MANDATORY_WINDOW: Duration = Duration::from_mins(1);

/// How many different renderings one session keeps.
pub const SLOTS: usize = 7;

/// Where a protocol keeps its rendering of a session. Protocols agree on the numbers among
/// themselves; a session does not know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u8);

impl Slot {
    /// The slot of this number, below [`SLOTS`]; a larger one keeps nothing.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }
}

/// STS session credentials, obtained once, never changed.
#[derive(Debug)]
pub struct Session {
    /// The credentials.
    pub credentials: SessionCredentials,
    /// Wall time when they were obtained, a second early: some SDKs refuse one that lies ahead.
    pub obtained_at: SystemTime,
    /// Upstream's own expiration in whole seconds: what the wire shows.
    pub expires_at: SystemTime,
    /// When their life ends on the boot-time clock, whatever the wall clock says.
    pub ends: BootTime,
    /// The whole life that was left when they were obtained.
    pub life: Duration,
    rendered: [OnceLock<Bytes>; SLOTS],
}

impl Session {
    /// The session that a fetch brought, where the answer took until now and `asked` was the life
    /// asked for.
    ///
    /// The life counted is the smaller of what upstream's own clock left and what was asked, so
    /// that a wrong clock here does no harm.
    pub fn obtained(fetched: Fetched, asked: Duration, clock: &Clock) -> Self {
        let now = clock.now();
        let upstream_now = fetched.upstream_now.unwrap_or(now);
        let told = fetched
            .expires_at
            .duration_since(upstream_now)
            .unwrap_or(Duration::ZERO);
        let life = told.min(asked);
        Self {
            credentials: fetched.credentials,
            obtained_at: now.checked_sub(Duration::from_secs(1)).unwrap_or(now),
            expires_at: fetched.expires_at,
            ends: clock.boot().plus(life),
            life,
            rendered: Default::default(),
        }
    }

    /// A session of another process, as it was kept.
    pub fn kept(
        credentials: SessionCredentials,
        (obtained_at, expires_at): (SystemTime, SystemTime),
        ends: BootTime,
        life: Duration,
    ) -> Self {
        Self {
            credentials,
            obtained_at,
            expires_at,
            ends,
            life,
            rendered: Default::default(),
        }
    }

    /// The same, ending at this moment.
    pub(super) fn ending(&self, ends: BootTime) -> Self {
        Self {
            credentials: self.credentials.clone(),
            obtained_at: self.obtained_at,
            expires_at: self.expires_at,
            ends,
            life: self.life,
            rendered: Default::default(),
        }
    }

    /// What is left of its life.
    pub fn remaining(&self, clock: &Clock) -> Duration {
        self.ends.since(clock.boot())
    }

    /// Whether it may be handed out at this moment: more than the mandatory window is left.
    pub fn is_servable_at(&self, now: BootTime) -> bool {
        is_servable(self.ends, now)
    }

    /// Whether at least nine tenths of the life that it had are left.
    pub fn is_fresh(&self, clock: &Clock) -> bool {
        self.remaining(clock) >= self.life * 9 / 10
    }

    /// The bytes of an answer, made by `render` at the first ask and kept.
    pub fn rendered(&self, slot: Slot, render: impl FnOnce(&Self) -> Bytes) -> Bytes {
        match self.rendered.get(usize::from(slot.0)) {
            Some(kept) => kept.get_or_init(|| render(self)).clone(),
            None => render(self),
        }
    }
}

/// Whether what ends then may be handed out at this moment.
pub(super) fn is_servable(ends: BootTime, now: BootTime) -> bool {
    ends.since(now) > MANDATORY_WINDOW
}
