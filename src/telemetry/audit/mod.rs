//! The audit trail: who got which keys, who was refused, and how often; exact and bounded.
//!
//! The first hand-out of each (caller, role, access key id) and each first denial is an event of
//! its own. What follows is counted on an [`AuditLine`], which the connection keeps: one atomic
//! addition for each later answer. Counts are told once a minute, and when a line is let go.
//!
//! Invariant: every hand-out and every denial is in exactly one event's count. A line that is
//! dropped tells what it still holds, so this needs no care from whoever keeps one.
//!
//! What is kept is bounded, and shared fairly: who does most loses first.

mod line;
mod lines;
mod party;
#[cfg(test)]
mod tests;
mod trail;

pub use line::{AuditLine, Denial, HandOut, HandedOut, LineKey};
pub use party::{Party, Share};
pub use trail::{AuditEvent, Kind};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use lines::{Kept, Lines};
use trail::Trail;

/// How often counts are told.
const PERIOD: Duration = Duration::from_mins(1);

/// How many periods a denial is remembered after its last; the next one is a first one again.
const DENIAL_MEMORY: u32 = 60;

/// How many hand-outs' lines are kept: more than connections and a day's usual roles.
const HAND_OUTS: usize = 16_384;

/// How many denials' lines are kept that tell which role was asked for.
const DENIALS: usize = 1024;

/// And how many of one caller: which role is asked for is the caller's choice.
const DENIALS_OF_EACH: usize = 64;

/// How many counts are told before other work gets its turn.
const TOLD_AT_ONCE: usize = 64;

/// The audit trail.
#[derive(Debug)]
pub struct Audit {
    trail: Arc<Trail>,
    lines: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    hand_outs: Lines,
    denials: Lines,
}

impl Audit {
    /// An empty trail.
    pub fn new(clock: Clock) -> Self {
        Self {
            trail: Arc::new(Trail::new(clock)),
            lines: Mutex::default(),
        }
    }

    /// Records one hand-out. The line counts later ones of the same key; `hand_out` tells of it,
    /// where it is the first.
    pub fn hand_out(&self, key: LineKey, hand_out: impl FnOnce() -> HandOut) -> Arc<AuditLine> {
        let mut lines = self.lock();
        let table = &mut lines.hand_outs;
        if let Some(line) = table.again(&key) {
            return line;
        }
        let line = Arc::new(AuditLine::first(hand_out().into(), Arc::clone(&self.trail)));
        let retired = table.keep(key, &line, HAND_OUTS);
        drop(lines);
        drop(retired);
        line
    }

    /// Records one denial. The line counts later ones of the same key; `denial` tells of it, where
    /// it is the first.
    pub fn denial(
        &self,
        key: LineKey,
        share: Share,
        denial: impl FnOnce() -> Denial,
    ) -> Arc<AuditLine> {
        let mut lines = self.lock();
        let table = &mut lines.denials;
        if let Some(line) = table.again(&key) {
            return line;
        }
        // Which role is asked for is the caller's choice: it must not fill the table.
        let named = table.len() < DENIALS && table.of(share) < DENIALS_OF_EACH;
        let (key, denial) = if named {
            (key, denial())
        } else {
            let folded = key.whatever_role();
            if let Some(line) = table.again(&folded) {
                return line;
            }
            let denial = Denial {
                role: None,
                ..denial()
            };
            (folded, denial)
        };
        let line = Arc::new(AuditLine::first(denial.into(), Arc::clone(&self.trail)));
        let retired = table.keep(key, &line, DENIALS * 2);
        drop(lines);
        drop(retired);
        line
    }

    /// Tells counts once a minute, for ever.
    #[expect(clippy::infinite_loop, reason = "ends when its task is cancelled")]
    pub async fn run(&self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let counted = self.end_period();
            for some in counted.chunks(TOLD_AT_ONCE) {
                for line in some {
                    line.tell();
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Tells all counts now: at the end.
    pub fn tell_counts(&self) {
        for line in self.end_period() {
            line.tell();
        }
    }

    /// The lines that have counts, after those were let go that nobody will count on again.
    fn end_period(&self) -> Vec<Arc<AuditLine>> {
        let now = self.trail.now();
        let mut counted = Vec::new();
        let mut keep = |kept: &mut Kept, over: bool| {
            if kept.line.has_count() {
                counted.push(Arc::clone(&kept.line));
                kept.quiet = 0;
                return true;
            }
            kept.quiet = kept.quiet.saturating_add(1);
            !over || Arc::strong_count(&kept.line) > 1
        };
        let mut lines = self.lock();
        lines.hand_outs.retain(|kept| {
            let over = kept.line.expires_before(now);
            keep(kept, over)
        });
        lines.denials.retain(|kept| {
            let over = kept.quiet >= DENIAL_MEMORY;
            keep(kept, over)
        });
        counted
    }

    /// Which keys were handed to these callers, as far as it is remembered: until the keys expire.
    pub fn handed_out(&self, to: impl Fn(&Party) -> bool) -> Vec<HandedOut> {
        let lines = self.lock();
        let theirs = lines.hand_outs.iter().filter(|line| to(line.party()));
        theirs.filter_map(|line| line.handed_out()).collect()
    }

    /// The newest events after this sequence number, oldest first; at most a thousand
    /// of hand-outs and a thousand of denials are kept.
    pub fn events_after(&self, sequence: u64) -> Vec<Arc<AuditEvent>> {
        self.trail.after(sequence)
    }

    /// Tells the sequence number of the newest event, and each new one.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.trail.watch()
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
