//! How the daemon is confined, as `status` and `doctor` show it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the daemon has given up for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Whether Landlock holds it.
    pub landlock: Landlock,
    /// Whether neither setuid nor file capabilities give it or its programs more.
    pub no_new_privileges: bool,
    /// Whether its memory may be written to swap.
    pub memory: Memory,
    /// Whether its memory is neither dumped nor shown to others of its user.
    pub undumpable: bool,
}

/// What the kernel forbids the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Landlock {
    /// It starts no program, and writes in these places only.
    Up {
        /// The kernel's version of it: `V7`.
        version: String,
        /// Whether that has all that is used.
        whole: bool,
        /// Where it writes.
        writes: Vec<String>,
    },
    /// Nothing: these keys and files name programs, which may need what it does not.
    Programs {
        /// Which.
        named: Vec<String>,
    },
    /// Nothing: the kernel, or a sandbox around it, has no Landlock.
    Absent,
    /// Nothing: /proc would hide callers from it.
    HiddenProc,
    /// Nothing: it was refused.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Whether memory may be written to swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Memory {
    /// The control group has no swap.
    NoSwap,
    /// It is locked.
    Locked,
    /// It may be.
    MayBeSwapped {
        /// Why it is not locked.
        reason: String,
    },
}

/// In one line.
impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.landlock {
            Landlock::Up { version, whole, .. } => {
                let part = if *whole { "" } else { " in part" };
                write!(f, "Landlock {version}{part}")?;
            }
            Landlock::Programs { .. } => f.write_str("no Landlock, for programs of others")?,
            Landlock::Absent => f.write_str("no Landlock here")?,
            Landlock::HiddenProc => f.write_str("no Landlock, for /proc hides callers")?,
            Landlock::Refused { .. } => f.write_str("Landlock refused")?,
        }
        f.write_str(if self.no_new_privileges {
            ", no new privileges"
        } else {
            ", new privileges possible"
        })?;
        f.write_str(match self.memory {
            Memory::NoSwap => ", memory without swap",
            Memory::Locked => ", memory locked",
            Memory::MayBeSwapped { .. } => ", memory may be swapped",
        })?;
        f.write_str(if self.undumpable {
            ", no core dumps"
        } else {
            ", core dumps possible"
        })
    }
}
