//! When a held session is renewed: pure, total for every duration.
//!
//! SDKs ask again when what is left of a session's life falls below a window of their own, and get
//! the same session again if we have not renewed it by then. So we renew above a *line* that lies
//! over the widest of these windows, at a moment drawn from a *band* over the line, spread so that
//! sessions obtained together are not renewed together.

use std::time::Duration;

use super::MANDATORY_WINDOW;

const MINUTE: Duration = Duration::from_mins(1);

/// botocore takes what has less left than 15 min and its jitter of up to 10 min for an outage.
const BOTOCORE_WINDOW: Duration = MINUTE.saturating_mul(25);

/// The width of a band where the life allows it.
const BAND: Duration = MINUTE.saturating_mul(15);

/// What is left of a very short life at its renewal, if anything can be: the session must not fall
/// into the mandatory window first.
const LEAST_LEFT: Duration = MANDATORY_WINDOW.saturating_add(Duration::from_secs(15));

/// No session is renewed sooner than this after it was obtained.
const LEAST_AGE: Duration = Duration::from_secs(5);

/// The window in which current SDKs look for a newer session, by a session's life.
const fn sdk_window(life: Duration) -> Duration {
    match life.as_secs() / 60 {
        0..20 => MINUTE.saturating_mul(5),
        20..90 => MINUTE.saturating_mul(15),
        _ => MINUTE.saturating_mul(60),
    }
}

/// What is added to the widest window.
fn margin(life: Duration) -> Duration {
    (life / 12).clamp(MINUTE * 5, MINUTE * 10)
}

/// A session is renewed while at least this much of its life is left.
fn line(life: Duration) -> Duration {
    let wanted = sdk_window(life).max(BOTOCORE_WINDOW) + margin(life);
    wanted.min(life / 5 * 3)
}

/// How long SDKs may have been looking for a newer session when one comes with this much left of
/// the old one's life: beyond the margin above their windows.
pub(super) fn behind(life: Duration, left: Duration) -> Duration {
    line(life).saturating_sub(left.saturating_add(margin(life)))
}

/// The band above the line from which the moment is drawn: a quarter of what lies between the line
/// and the full life and at least 15 min, but never more than half of it, which only lives under
/// an hour feel.
fn band(life: Duration) -> Duration {
    let above = life.saturating_sub(line(life));
    (above / 4).max(BAND.min(above / 2))
}

/// How long after it was obtained a session of this life is renewed.
pub(super) fn renew_after(life: Duration, draw: Draw) -> Duration {
    let left = line(life) + draw.of(band(life));
    life.saturating_sub(left.max(LEAST_LEFT)).max(LEAST_AGE)
}

/// Why no schedule can satisfy every SDK with sessions of this duration, if so.
pub fn warning(duration: Duration) -> Option<&'static str> {
    if duration < MINUTE * 60 {
        Some(
            "sessions of less than an hour cannot be renewed before every SDK looks for newer \
             ones: botocore asks again whenever less than 25 minutes are left",
        )
    } else if (MINUTE * 90..MINUTE * 110).contains(&duration) {
        Some(
            "sessions of 90 to 110 minutes cannot be renewed before every SDK looks for newer \
             ones: from 90 minutes on some ask again whenever less than 60 minutes are left",
        )
    } else {
        None
    }
}

/// A fraction of a whole, zero to just under one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw(u64);

impl Draw {
    /// This fraction of a duration.
    pub(super) fn of(self, whole: Duration) -> Duration {
        // Saturates at 584 years, where nobody will notice.
        let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
        let part = (u128::from(nanos) * u128::from(self.0)) >> 64;
        Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
    }
}

/// Draws fractions that fill the whole evenly, however many are drawn: multiples of the golden
/// ratio from a random start.
#[derive(Debug)]
pub(super) struct Spread(u64);

impl Spread {
    /// 2^64 over the golden ratio.
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

    pub(super) const fn starting_at(start: u64) -> Self {
        Self(start)
    }

    /// The next fraction.
    pub(super) const fn draw(&mut self) -> Draw {
        self.0 = self.0.wrapping_add(Self::STEP);
        Draw(self.0)
    }
}

#[cfg(test)]
#[expect(
    clippy::unchecked_time_subtraction,
    reason = "a test that subtracts wrongly fails"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Draw = Draw(0);
    const LAST: Draw = Draw(u64::MAX);

    fn minutes(minutes: u64) -> Duration {
        MINUTE * u32::try_from(minutes).unwrap()
    }

    /// What is left at the renewal: the least and the most.
    fn left(life: Duration) -> (Duration, Duration) {
        (
            life - renew_after(life, FIRST),
            life - renew_after(life, LAST),
        )
    }

    fn assert_left(life: u64, least: u64, most: u64) {
        let (lowest, highest) = left(minutes(life));
        assert_eq!(lowest, minutes(least), "of {life} minutes");
        assert!(highest <= minutes(most), "of {life} minutes: {highest:?}");
        assert!(
            highest > minutes(most) - Duration::from_secs(1),
            "of {life} minutes: {highest:?}"
        );
    }

    #[test]
    fn usual_lives_are_renewed_where_the_contract_says() {
        assert_left(60, 30, 45);
        let (least, most) = left(minutes(12 * 60));
        assert_eq!(least, minutes(70));
        assert!(most > minutes(232) && most < minutes(233), "{most:?}");
        assert_left(15, 9, 12);
    }

    #[test]
    fn a_renewal_is_behind_when_the_margin_is_used_up() {
        assert_eq!(behind(minutes(60), minutes(25)), Duration::ZERO);
        assert_eq!(behind(minutes(60), minutes(24)), MINUTE);
        assert_eq!(behind(minutes(720), minutes(60)), Duration::ZERO);
        assert_eq!(behind(minutes(720), minutes(50)), minutes(10));
    }

    #[test]
    fn only_durations_that_no_schedule_satisfies_are_warned_of() {
        for (duration, warns) in [(15, true), (59, true), (60, false), (89, false)] {
            assert_eq!(warning(minutes(duration)).is_some(), warns, "{duration}");
        }
        for (duration, warns) in [(90, true), (109, true), (110, false), (720, false)] {
            assert_eq!(warning(minutes(duration)).is_some(), warns, "{duration}");
        }
    }

    #[test]
    fn consecutive_draws_fill_the_band_evenly() {
        let mut spread = Spread::starting_at(0xDEAD_BEEF_0BAD_CAFE);
        let mut cells = [0; 100];
        for _ in 0..10_000 {
            let at = spread.draw().of(Duration::from_nanos(100)).as_nanos();
            cells[usize::try_from(at).unwrap()] += 1;
        }
        assert!(
            cells.iter().all(|count| (98..=102).contains(count)),
            "{cells:?}"
        );
    }

    proptest! {
        #[test]
        fn every_life_has_a_moment_inside_it(nanos: u64, draw: u64) {
            let life = Duration::from_nanos(nanos);
            let after = renew_after(life, Draw(draw));
            prop_assert!(after <= life.max(LEAST_AGE));
            prop_assert!(after >= LEAST_AGE);
        }

        #[test]
        fn no_moment_lies_below_the_line_or_in_the_mandatory_window(secs in 900_u64..200_000, draw: u64) {
            let life = Duration::from_secs(secs);
            let left = life - renew_after(life, Draw(draw));
            prop_assert!(left >= line(life));
            prop_assert!(left > MANDATORY_WINDOW);
        }

        #[test]
        fn durations_without_warning_satisfy_the_widest_window(secs in 900_u64..200_000, draw: u64) {
            let life = Duration::from_secs(secs);
            if warning(life).is_none() {
                let left = life - renew_after(life, Draw(draw));
                prop_assert!(left >= BOTOCORE_WINDOW.max(sdk_window(life)));
            }
        }

        #[test]
        fn the_line_is_total(secs: u64, nanos in 0_u32..1_000_000_000) {
            let life = Duration::new(secs, nanos);
            prop_assert!(line(life) <= life);
            prop_assert!(renew_after(life, LAST) <= renew_after(life, FIRST));
        }
    }
}
