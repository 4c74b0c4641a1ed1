//! The audit trail: who got which keys, who was refused, and how often; exact and bounded.
//!
//! The first hand-out of each (caller, role, access key id) and each first denial is an event of
//! its own. What follows is counted on an [`AuditLine`], which the connection keeps: one atomic
//! addition for each later answer. Counts are told once a minute, and when a line is let go.
//!
//! Invariant: every hand-out and every denial is in exactly one event's count. A line that is
//! dropped tells what it still holds, so this needs no care from whoever keeps one.

mod line;
#[cfg(test)]
mod tests;
mod trail;

pub use line::{AuditLine, Denial, HandOut, HandedOut};
pub use trail::{AuditEvent, Kind};

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use line::{Key, Subject};
use trail::Trail;

/// How often counts are told.
const PERIOD: Duration = Duration::from_mins(1);

/// How many periods a denial is remembered after its last; the next one is a first one again.
const DENIAL_MEMORY: u32 = 60;

/// How many hand-outs' lines are kept: more than connections and a day's usual roles.
const HAND_OUTS: usize = 16_384;

/// How many denials' lines are kept.
const DENIALS: usize = 1024;

/// How many lines are let go at once when there are too many.
const RETIRED_AT_ONCE: usize = 1024;

/// How many counts are told before other work gets its turn.
const TOLD_AT_ONCE: usize = 64;

/// The audit trail.
#[derive(Debug)]
pub struct Audit {
    trail: Arc<Trail>,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    hand_outs: HashMap<Key, Held>,
    denials: HashMap<Key, Held>,
}

#[derive(Debug)]
struct Held {
    line: Arc<AuditLine>,
    /// Periods without a count.
    quiet: u32,
}

impl Audit {
    /// An empty trail.
    pub fn new(clock: Clock) -> Self {
        Self {
            trail: Arc::new(Trail::new(clock)),
            lines: Mutex::default(),
        }
    }

    /// Records one hand-out. The line counts later ones of the same caller, role and access key.
    pub fn hand_out(&self, hand_out: &HandOut) -> Arc<AuditLine> {
        let key = Key::of_hand_out(hand_out);
        self.count(
            key,
            HAND_OUTS,
            |lines| &mut lines.hand_outs,
            || Subject::of_hand_out(hand_out),
        )
    }

    /// Records one denial. The line counts later ones of the same caller for the same reason.
    pub fn denial(&self, denial: &Denial) -> Arc<AuditLine> {
        let asked = Key::of_denial(denial);
        let folded = Key::of_denial_whatever_role(denial);
        let known = {
            let lines = self.lock();
            lines.denials.contains_key(&asked) || lines.denials.len() < DENIALS
        };
        // Which role is asked for is the caller's choice: it must not fill the table.
        let (key, denial) = if known {
            (asked, denial.clone())
        } else {
            (folded, denial.clone().whatever_role())
        };
        self.count(
            key,
            DENIALS * 2,
            |lines| &mut lines.denials,
            || Subject::of_denial(&denial),
        )
    }

    fn count(
        &self,
        key: Key,
        bound: usize,
        table: fn(&mut Lines) -> &mut HashMap<Key, Held>,
        subject: impl FnOnce() -> Subject,
    ) -> Arc<AuditLine> {
        let mut lines = self.lock();
        let table = table(&mut lines);
        let retired = if table.len() >= bound {
            retire(table)
        } else {
            Vec::new()
        };
        let full = table.len() >= bound;
        let line = match table.entry(key) {
            Entry::Occupied(held) => {
                let line = Arc::clone(&held.get().line);
                line.again();
                line
            }
            Entry::Vacant(place) => {
                let line = Arc::new(AuditLine::first(subject(), Arc::clone(&self.trail)));
                if !full {
                    place.insert(Held {
                        line: Arc::clone(&line),
                        quiet: 0,
                    });
                }
                line
            }
        };
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
        let mut keep = |held: &mut Held, over: bool| {
            if held.line.has_count() {
                counted.push(Arc::clone(&held.line));
                held.quiet = 0;
                return true;
            }
            held.quiet = held.quiet.saturating_add(1);
            !over || Arc::strong_count(&held.line) > 1
        };
        let mut lines = self.lock();
        lines.hand_outs.retain(|_, held| {
            let over = held.line.expires_before(now);
            keep(held, over)
        });
        lines.denials.retain(|_, held| {
            let over = held.quiet >= DENIAL_MEMORY;
            keep(held, over)
        });
        counted
    }

    /// Which keys were handed to these callers, as far as it is remembered: until the keys expire.
    pub fn handed_out(&self, to: impl Fn(&str) -> bool) -> Vec<HandedOut> {
        let lines = self.lock();
        let held = lines.hand_outs.values().map(|held| &held.line);
        let theirs = held.filter(|line| to(line.caller()));
        theirs.filter_map(|line| line.handed_out()).collect()
    }

    /// The newest events after this sequence number, oldest first; at most a thousand are kept.
    pub fn events_after(&self, sequence: u64) -> Vec<Arc<AuditEvent>> {
        self.trail.after(sequence)
    }

    /// Tells the sequence number of the newest event, and each new one.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.trail.watch()
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go lines that no connection keeps. Their counts are told when they are dropped.
fn retire(table: &mut HashMap<Key, Held>) -> Vec<Arc<AuditLine>> {
    let mut retired = Vec::new();
    table.retain(|_, held| {
        let go = retired.len() < RETIRED_AT_ONCE && Arc::strong_count(&held.line) == 1;
        if go {
            retired.push(Arc::clone(&held.line));
        }
        !go
    });
    retired
}
