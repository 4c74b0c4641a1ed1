//! What is told to logs and metrics.

use std::fmt::Debug;
use std::time::Duration;

use super::{FetchError, Request, Session, Upstream};

/// Is told what happens to sessions. Called outside all locks, on the thread that serves: it must
/// not block.
pub trait Observer: Send + Sync + Debug {
    /// A call upstream begins.
    fn fetch_started(&self, _request: &Request) {}

    /// A call upstream has ended.
    fn fetch_finished(
        &self,
        _request: &Request,
        _result: Result<&Session, &FetchError>,
        _took: Duration,
    ) {
    }

    /// How far upstream's clock and this host's are apart, at each answer that tells it.
    fn skew(&self, _upstream: &Upstream, _skew: Skew) {}

    /// A held session was replaced by a newer one while `remaining` of its life was left; `behind`
    /// is how long SDKs may have been looking for a newer one by then.
    fn renewed(&self, _request: &Request, _remaining: Duration, _behind: Duration) {}

    /// A held session was let go.
    fn dropped(&self, _request: &Request, _why: Dropped) {}

    /// Upstream asked for fewer calls, and the bucket now lets this many through each second.
    fn slowed(&self, _upstream: &Upstream, _per_second: f64) {}

    /// A caller was refused because no further session may be held.
    fn full(&self, _request: &Request, _capacity: usize) {}
}

/// Tells nobody.
impl Observer for () {}

/// Why a held session was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dropped {
    /// Nobody used it for its idle time.
    Idle,
    /// It ended, and no newer one could be had.
    Expired,
    /// To make room: nobody had used it for longer than the others.
    Evicted,
    /// An operator forgot it.
    Forgotten,
    /// The configuration no longer makes its request.
    Retired,
}

impl Dropped {
    /// As logs and metrics spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::Forgotten => "forgotten",
            Self::Retired => "retired",
        }
    }
}

/// How far this host's wall clock is from upstream's.
///
/// A session's life is counted on the boot clock from upstream's own time, so skew never makes a
/// session wrong and none is refused for it. But who signs with the wrong wall clock is refused by
/// AWS beyond a few minutes, so it has to be heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// By how much.
    pub by: Duration,
    /// Whether this host is ahead of upstream.
    pub ahead: bool,
}

/// What a skew means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkewLevel {
    /// Nothing: answers take time, and the `Date` header tells whole seconds.
    Fine,
    /// Worth a warning.
    Warning,
    /// AWS refuses what is signed with this clock.
    Misconfigured,
}

impl Skew {
    /// What it means.
    pub const fn level(self) -> SkewLevel {
        match self.by.as_secs() {
            0..=60 => SkewLevel::Fine,
            61..=900 => SkewLevel::Warning,
            _ => SkewLevel::Misconfigured,
        }
    }
}
