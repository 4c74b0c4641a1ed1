//! Time, injected: the only place that asks the operating system what time it is.
//!
//! Three times exist side by side. *Wall time* is what the wire shows and what upstream compares
//! signatures with; it may be wrong and may jump. *Boot time* counts on through suspend and cannot
//! be set, so remaining lives are counted on it. tokio's pausable instant schedules.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// 2025-01-01: no machine that runs this has an earlier time. One whose clock says so has not been
/// told the time since it was switched on.
const EARLIEST: Duration = Duration::from_hours(482_136);

/// What tells that a clock ran on while the machine was off, or that its time was asked of others.
const TOLD: [&str; 2] = ["/sys/class/rtc/rtc0", "/run/systemd/timesync/synchronized"];

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

    /// This moment moved back, to the boot at most.
    #[must_use]
    pub const fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
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
    /// Which boot it is.
    number: u32,
    /// Whether the time was asked of nobody since.
    untold: bool,
}

impl Clock {
    /// A clock that starts at `wall` and advances with tokio's time.
    pub fn simulated(wall: SystemTime) -> Self {
        let offsets = Mutex::new(Offsets {
            wall,
            boot: Duration::from_secs(1000),
            number: 0,
            untold: false,
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

    /// Which boot the boot-time clock counts from: two of its moments can be compared only where
    /// this is the same. Empty where the system does not tell.
    pub fn boot_name(&self) -> String {
        match self {
            Self::System => {
                let read = fs::read_to_string("/proc/sys/kernel/random/boot_id");
                read.map(|id| id.trim().to_owned()).unwrap_or_default()
            }
            Self::Simulated(simulation) => {
                simulation.read(|offsets, _| format!("simulated {}", offsets.number))
            }
        }
    }

    /// Whether wall time can be right at all.
    pub fn is_plausible(&self) -> bool {
        self.now() >= SystemTime::UNIX_EPOCH + EARLIEST
    }

    /// Whether wall time can be compared with that of another boot. On a machine without a clock
    /// that runs on while it is off, it stands where it stood then until somebody tells the time.
    pub fn is_told(&self) -> bool {
        match self {
            Self::System => TOLD.iter().any(|place| Path::new(place).exists()),
            Self::Simulated(simulation) => !simulation.read(|offsets, _| offsets.untold),
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

    /// The machine was off this long; tokio's time does not pass meanwhile. Its clock ran on.
    pub fn reboot(&self, off: Duration) {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.wall += off;
        offsets.boot = Duration::from_secs(10);
        offsets.number = offsets.number.wrapping_add(1);
    }

    /// Whether somebody told the machine the time since it was switched on.
    pub fn set_told(&self, told: bool) {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.untold = !told;
    }

    /// Lets the machine sleep: wall and boot time go on, tokio's does not.
    pub fn suspend(&self, asleep: Duration) {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.wall += asleep;
        offsets.boot += asleep;
    }
}
