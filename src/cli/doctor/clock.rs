//! Whether this machine's clock is upstream's.

use std::time::Duration;

use super::finding::Finding;
use super::scene::Scene;
use crate::sessions::{Skew, SkewLevel};

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    let Ok(status) = &scene.status else {
        return vec![Finding::unseen(
            "only a running daemon has upstream's clock to compare with",
        )];
    };
    vec![of_skew(status.clock_skew_seconds)]
}

/// Positive where this machine is behind.
fn of_skew(seconds: f64) -> Finding {
    if seconds == 0.0 {
        return Finding::ok("no upstream has told a time that differs");
    }
    let skew = Skew {
        by: Duration::from_secs_f64(seconds.abs()),
        ahead: seconds < 0.0,
    };
    let way = if skew.ahead { "ahead of" } else { "behind" };
    let what = format!("the clock is {} s {way} upstream's", skew.by.as_secs());
    let mend = "set the clock, and keep it set: `timedatectl set-ntp true`";
    match skew.level() {
        SkewLevel::Fine => Finding::ok(what),
        SkewLevel::Warning => {
            let means = "SDKs take credentials for expired too early, or too late";
            Finding::warning(what).means(means).mend(mend)
        }
        SkewLevel::Misconfigured => {
            let means = "AWS refuses what is signed here";
            Finding::fault(what).means(means).mend(mend)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn skew_is_fine_a_warning_or_a_fault() {
        for (seconds, level) in [
            (0.0, Level::Ok),
            (-2.0, Level::Ok),
            (90.0, Level::Warning),
            (-90.0, Level::Warning),
            (3600.0, Level::Fault),
            (-3600.0, Level::Fault),
        ] {
            assert_eq!(of_skew(seconds).level, level, "{seconds}");
        }
        assert!(of_skew(-90.0).what.contains("90 s ahead of"));
    }
}
