//! What happens to sessions, as metrics and log events.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::metrics::Metrics;
use crate::sessions::{
    Dropped, FailureKind, FetchError, Observer, Request, Session, Skew, SkewLevel, Upstream,
};

/// The `origin` label of what upstream answered.
const UPSTREAM: &str = "upstream";

/// The `origin` label of what never got there: somebody here must mend it.
const HERE: &str = "here";

/// Tells metrics and log of fetches.
#[derive(Debug)]
pub struct FetchRecorder {
    metrics: Arc<Metrics>,
    succeeded: Counter,
}

impl FetchRecorder {
    /// A recorder in these metrics.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let succeeded = metrics.fetches("ok", UPSTREAM);
        Self { metrics, succeeded }
    }
}

impl Observer for FetchRecorder {
    fn fetch_finished(
        &self,
        request: &Request,
        result: Result<&Session, &FetchError>,
        took: Duration,
    ) {
        match result {
            Ok(session) => {
                self.succeeded.inc();
                tracing::debug!(
                    role = %request.role,
                    session_name = request.session_name.as_deref(),
                    access_key_id = session.credentials.access_key_id.as_str(),
                    life = session.life.as_secs(),
                    milliseconds = milliseconds(took),
                    "credentials fetched"
                );
            }
            Err(error) => {
                self.metrics
                    .fetches(error.kind.as_str(), origin(error.kind))
                    .inc();
                tracing::warn!(
                    role = %request.role,
                    role_arn = request.role_arn.as_ref().map(tracing::field::display),
                    session_name = request.session_name.as_deref(),
                    upstream = request.upstream.name,
                    kind = error.kind.as_str(),
                    milliseconds = milliseconds(took),
                    error = %error,
                    "credentials could not be fetched"
                );
            }
        }
    }

    fn skew(&self, upstream: &Upstream, skew: Skew) {
        let apart = skew.by.as_secs_f64();
        let seconds = if skew.ahead { -apart } else { apart };
        let before = self.metrics.clock_skew.set(seconds);
        if level_of(before) == skew.level() {
            return;
        }
        let upstream = &upstream.name;
        match skew.level() {
            SkewLevel::Fine => tracing::info!(upstream, seconds, "the clock is right again"),
            SkewLevel::Warning => {
                tracing::warn!(
                    upstream,
                    seconds,
                    "this machine's clock differs from upstream's"
                );
            }
            SkewLevel::Misconfigured => tracing::error!(
                upstream,
                seconds,
                "this machine's clock is so wrong that AWS refuses its signatures; set it right"
            ),
        }
    }

    fn renewed(&self, request: &Request, remaining: Duration, behind: Duration) {
        self.metrics.refresh_lag.set(behind.as_secs_f64());
        if !behind.is_zero() {
            tracing::warn!(
                role = %request.role,
                remaining = remaining.as_secs(),
                behind = behind.as_secs(),
                "credentials were renewed late"
            );
        }
    }

    fn dropped(&self, request: &Request, why: Dropped) {
        let (role, reason) = (&request.role, why.as_str());
        match why {
            Dropped::Expired | Dropped::Evicted => {
                tracing::warn!(%role, reason, "a session was let go");
            }
            Dropped::Idle | Dropped::Forgotten | Dropped::Retired => {
                tracing::info!(%role, reason, "a session was let go");
            }
        }
    }

    fn slowed(&self, upstream: &Upstream, per_second: f64) {
        tracing::warn!(
            upstream = upstream.name,
            per_second,
            "upstream asks for fewer calls"
        );
    }

    fn full(&self, request: &Request, capacity: usize) {
        tracing::warn!(
            role = %request.role,
            capacity,
            "no further session may be held; raise `sessions` in [limits]"
        );
    }
}

const fn origin(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Denied | FailureKind::Throttled | FailureKind::Unavailable => UPSTREAM,
        FailureKind::Misconfigured | FailureKind::BaseCredentials => HERE,
    }
}

fn level_of(seconds: f64) -> SkewLevel {
    let by = Duration::try_from_secs_f64(seconds.abs()).unwrap_or(Duration::MAX);
    Skew { by, ahead: false }.level()
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::{FetchFuture, KeyDigest, Source};
    use crate::telemetry::witness;
    use crate::types::RoleRef;

    #[derive(Debug)]
    struct Nowhere;

    impl Source for Nowhere {
        fn fetch<'a>(&'a self, _base: Option<&'a Session>) -> FetchFuture<'a> {
            Box::pin(async { Err(FetchError::new(FailureKind::Unavailable, "nowhere")) })
        }
    }

    fn request() -> Request {
        Request {
            key: KeyDigest::default().finish(),
            role: RoleRef::parse("prod/web").unwrap(),
            role_arn: None,
            session_name: None,
            source_identity: None,
            upstream: Arc::new(upstream()),
            duration: Duration::from_hours(1),
            idle: Duration::from_hours(1),
            base: None,
            source: Arc::new(Nowhere),
            wish: Arc::new(crate::sessions::Wish::declared(
                RoleRef::parse("prod/web").unwrap(),
                crate::grants::Names::default(),
            )),
        }
    }

    fn upstream() -> Upstream {
        Upstream {
            name: "prod eu-central-1".to_owned(),
            per_second: 1.0,
            burst: 1,
        }
    }

    fn recorder() -> FetchRecorder {
        FetchRecorder::new(Arc::new(Metrics::new(Counter::default())))
    }

    #[test]
    fn failures_are_counted_by_kind_and_logged_with_upstream_s_words() {
        let recorder = recorder();
        let error = FetchError::new(FailureKind::Denied, "not authorized to assume");
        let lines = witness::of(|| {
            recorder.fetch_finished(&request(), Err(&error), Duration::from_millis(12));
        });
        assert!(lines.starts_with("WARN "), "{lines}");
        for part in [
            "role=prod/web",
            "kind=denied",
            "error=not authorized",
            "milliseconds=12",
        ] {
            assert!(lines.contains(part), "{part} in {lines}");
        }
        let page = recorder.metrics.encode().unwrap();
        let counted = "credential_fetches_total{result=\"denied\",origin=\"upstream\"} 1";
        assert!(page.contains(counted), "{page}");
    }

    #[test]
    fn skew_is_told_when_its_meaning_changes() {
        let recorder = recorder();
        let skew = |seconds| Skew {
            by: Duration::from_secs(seconds),
            ahead: true,
        };
        let lines = witness::of(|| {
            for seconds in [1, 90, 95, 1000, 2] {
                recorder.skew(&upstream(), skew(seconds));
            }
        });
        let levels: Vec<_> = lines
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(levels, ["WARN", "ERROR", "INFO"]);
        let page = recorder.metrics.encode().unwrap();
        assert!(page.contains("clock_skew_seconds -2.0"), "{page}");
    }

    #[test]
    fn late_renewals_show_in_the_gauge() {
        let recorder = recorder();
        let (left, behind) = (Duration::from_mins(20), Duration::from_mins(5));
        let lines = witness::of(|| recorder.renewed(&request(), left, behind));
        assert!(lines.contains("remaining=1200 behind=300"), "{lines}");
        assert!((recorder.metrics.refresh_lag.get() - 300.0).abs() < 0.1);
        recorder.renewed(&request(), left, Duration::ZERO);
        assert!(recorder.metrics.refresh_lag.get().abs() < 0.1);
    }
}
