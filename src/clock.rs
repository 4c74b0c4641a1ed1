//! Time, injected: the only place that asks the operating system what time it is.
//!
//! Three times exist side by side. *Wall time* is what the wire shows and what upstream compares
//! signatures with; it may be wrong and may jump. *Boot time* counts on through suspend and cannot
//! be set, so remaining lives are counted on it. tokio's pausable instant schedules.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// A moment on the boot-time clock (`CLOCK_BOOTTIME`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(Duration);

impl BootTime {
    /// The moment this long after boot.
    pub const fn after_boot(since: Duration) -> Self {
        Self(since)
    }

    /// How long after boot.
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// This moment moved forward, saturating.
    #[must_use]
    pub const fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// What lies between `earlier` and this moment, zero if this is the earlier one.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Tells wall time and boot time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The operating system's clocks.
    #[default]
    System,
    /// Clocks that advance with tokio's (paused) time and can be set: simulations and tests.
    Simulated(Arc<Simulation>),
}

/// The state of a simulated clock.
#[derive(Debug)]
pub struct Simulation {
    start: tokio::time::Instant,
    offsets: Mutex<Offsets>,
}

#[derive(Debug)]
struct Offsets {
    wall: SystemTime,
    boot: Duration,
}

impl Clock {
    /// A clock that starts at `wall` and advances with tokio's time.
    pub fn simulated(wall: SystemTime) -> Self {
        let offsets = Mutex::new(Offsets {
            wall,
            boot: Duration::from_secs(1000),
        });
        Self::Simulated(Arc::new(Simulation {
            start: tokio::time::Instant::now(),
            offsets,
        }))
    }

    /// Wall time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where wall time is read"
    )]
    pub fn now(&self) -> SystemTime {
        match self {
            Self::System => SystemTime::now(),
            Self::Simulated(simulation) => simulation.read(|offsets, passed| offsets.wall + passed),
        }
    }

    /// Time since boot, suspend included.
    pub fn boot(&self) -> BootTime {
        match self {
            Self::System => clock_gettime(ClockId::CLOCK_BOOTTIME)
                .map_or(BootTime(Duration::ZERO), |time| {
                    BootTime(Duration::from(time))
                }),
            Self::Simulated(simulation) => {
                BootTime(simulation.read(|offsets, passed| offsets.boot + passed))
            }
        }
    }
}

impl Simulation {
    fn read<T>(&self, f: impl FnOnce(&Offsets, Duration) -> T) -> T {
        let offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        f(&offsets, self.start.elapsed())
    }

    /// Sets wall time alone, as an operator or NTP does.
    pub fn set_wall(&self, wall: SystemTime) {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.wall = wall
            .checked_sub(self.start.elapsed())
            .unwrap_or(SystemTime::UNIX_EPOCH);
    }

    /// Lets the machine sleep: wall and boot time go on, tokio's does not.
    pub fn suspend(&self, asleep: Duration) {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.wall += asleep;
        offsets.boot += asleep;
    }
}
