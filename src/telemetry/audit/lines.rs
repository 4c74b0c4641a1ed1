//! The lines that are kept, so that the same is counted and not told anew.

use std::collections::HashMap;
use std::sync::Arc;

use super::line::{AuditLine, LineKey};
use super::party::Share;

/// How many lines are let go at once when there are too many.
pub(super) const RETIRED_AT_ONCE: usize = 1024;

/// The lines of one table.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: HashMap<LineKey, Kept>,
    shares: HashMap<Share, usize>,
}

/// A line in the table.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) line: Arc<AuditLine>,
    /// Periods without a count.
    pub(super) quiet: u32,
}

impl Lines {
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// How many are this caller's.
    pub(super) fn of(&self, share: Share) -> usize {
        self.shares.get(&share).copied().unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<AuditLine>> {
        self.lines.values().map(|kept| &kept.line)
    }

    /// Counts once more on the line of this key.
    pub(super) fn again(&self, key: &LineKey) -> Option<Arc<AuditLine>> {
        let line = &self.lines.get(key)?.line;
        line.again();
        Some(Arc::clone(line))
    }

    /// Keeps a new line, if there is room or can be made; what was let go for it. Counts are told
    /// when a line is dropped.
    pub(super) fn keep(
        &mut self,
        key: LineKey,
        line: &Arc<AuditLine>,
        most: usize,
    ) -> Vec<Arc<AuditLine>> {
        let retired = if self.lines.len() >= most {
            self.retire()
        } else {
            Vec::new()
        };
        if self.lines.len() < most {
            *self.shares.entry(line.share()).or_default() += 1;
            let kept = Kept {
                line: Arc::clone(line),
                quiet: 0,
            };
            self.lines.insert(key, kept);
        }
        retired
    }

    /// Keeps only these.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Kept) -> bool) {
        let shares = &mut self.shares;
        self.lines.retain(|_, kept| {
            let stays = keep(kept);
            if !stays {
                leave(shares, kept.line.share());
            }
            stays
        });
    }

    /// Lets go lines that no connection keeps: of the caller who has most, or of anybody where that
    /// one's are all kept.
    fn retire(&mut self) -> Vec<Arc<AuditLine>> {
        let largest = self.shares.iter().max_by_key(|(_, number)| **number);
        let largest = largest.map(|(share, _)| *share);
        let retired = self.retire_where(|share| Some(share) == largest);
        if retired.is_empty() {
            self.retire_where(|_| true)
        } else {
            retired
        }
    }

    fn retire_where(&mut self, whose: impl Fn(Share) -> bool) -> Vec<Arc<AuditLine>> {
        let mut retired = Vec::new();
        self.retain(|kept| {
            let go = retired.len() < RETIRED_AT_ONCE
                && whose(kept.line.share())
                && Arc::strong_count(&kept.line) == 1;
            if go {
                retired.push(Arc::clone(&kept.line));
            }
            !go
        });
        retired
    }
}

fn leave(shares: &mut HashMap<Share, usize>, share: Share) {
    if let Some(number) = shares.get_mut(&share) {
        *number = number.saturating_sub(1);
        if *number == 0 {
            shares.remove(&share);
        }
    }
}
