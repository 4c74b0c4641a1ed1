//! The memory of a failed fetch: what callers are told meanwhile, and when it is tried again.

use std::time::Duration;

use super::schedule::Draw;
use super::{FailureKind, FetchError, Request};
use crate::clock::BootTime;

/// The last failure of a key that has not succeeded since.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: FetchError,
    /// When it happened.
    pub(super) at: BootTime,
    /// Not tried again before.
    pub(super) again: BootTime,
    /// How many failures of this kind came in a row.
    times: usize,
    /// What the caller had brought when the fetch began.
    brought: u64,
}

impl Failure {
    /// Remembers a failure, where `before` is what was remembered until now.
    pub(super) fn remember(
        error: FetchError,
        before: Option<&Self>,
        now: BootTime,
        draw: Draw,
        brought: u64,
    ) -> Self {
        let times = match before {
            Some(before) if before.error.kind == error.kind => before.times.saturating_add(1),
            Some(_) | None => 1,
        };
        Self {
            again: now.plus(delay(error.kind, times, draw)),
            error,
            at: now,
            times,
            brought,
        }
    }

    /// Whether nothing is tried before the next try is due.
    pub(super) fn stands(&self, now: BootTime, request: &Request) -> bool {
        self.again > now && self.brought == request.brought()
    }
}

/// Seconds until the next try, after the first, second … failure in a row; the last one repeats.
///
/// IAM is eventually consistent, so a denial is first tried again soon. A mistake in the
/// configuration may also be mended upstream (a disabled region, a maximal duration), so it is
/// tried each minute. Base credentials come back by somebody's login, which should work at once.
const fn seconds(kind: FailureKind) -> &'static [u64] {
    match kind {
        FailureKind::Denied => &[2, 5, 15, 60],
        FailureKind::Throttled => &[1, 2, 4, 8, 16, 32, 60],
        FailureKind::Unavailable => &[1, 2, 4, 8, 15],
        FailureKind::Misconfigured => &[15, 60],
        FailureKind::BaseCredentials => &[2, 5, 15, 30],
    }
}

fn delay(kind: FailureKind, times: usize, draw: Draw) -> Duration {
    let steps = seconds(kind);
    let step = times.saturating_sub(1).min(steps.len().saturating_sub(1));
    let full = Duration::from_secs(steps.get(step).copied().unwrap_or(60));
    match kind {
        FailureKind::Throttled | FailureKind::Unavailable => full / 2 + draw.of(full),
        FailureKind::Denied | FailureKind::Misconfigured | FailureKind::BaseCredentials => full,
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::Spread;
    use super::*;

    fn delays(kind: FailureKind, count: usize) -> Vec<Duration> {
        let now = BootTime::after_boot(Duration::from_secs(1000));
        let mut spread = Spread::starting_at(7);
        let mut last = None;
        let mut delays = Vec::new();
        for _ in 0..count {
            let error = FetchError::new(kind, "scripted");
            let failure = Failure::remember(error, last.as_ref(), now, spread.draw(), 0);
            delays.push(failure.again.since(now));
            last = Some(failure);
        }
        delays
    }

    #[test]
    fn denials_are_tried_again_soon_and_then_each_minute() {
        let seconds: Vec<u64> = delays(FailureKind::Denied, 6)
            .iter()
            .map(Duration::as_secs)
            .collect();
        assert_eq!(seconds, [2, 5, 15, 60, 60, 60]);
    }

    #[test]
    fn an_unavailable_upstream_is_tried_again_within_seconds() {
        for (step, delay) in delays(FailureKind::Unavailable, 40).into_iter().enumerate() {
            assert!(delay >= Duration::from_millis(500), "{step}: {delay:?}");
            assert!(delay < Duration::from_millis(22_500), "{step}: {delay:?}");
        }
    }

    #[test]
    fn throttles_back_off_with_jitter() {
        let delays = delays(FailureKind::Throttled, 8);
        assert!(delays[0] < Duration::from_secs(2));
        assert!(delays[6] >= Duration::from_secs(30));
        assert_ne!(delays[6], delays[7]);
    }

    #[test]
    fn another_kind_starts_from_its_beginning() {
        let now = BootTime::after_boot(Duration::ZERO);
        let draw = Spread::starting_at(1).draw();
        let denied = || FetchError::new(FailureKind::Denied, "no");
        let first = Failure::remember(denied(), None, now, draw, 0);
        let second = Failure::remember(denied(), Some(&first), now, draw, 0);
        assert_eq!(second.again.since(now), Duration::from_secs(5));
        let other = FetchError::new(FailureKind::Misconfigured, "no region");
        let third = Failure::remember(other, Some(&second), now, draw, 0);
        let fourth = Failure::remember(denied(), Some(&third), now, draw, 0);
        assert_eq!(fourth.again.since(now), Duration::from_secs(2));
    }
}
