//! Prometheus metrics. Labels are closed sets; whoever counts holds the counter itself, so that a
//! request looks nothing up.

use std::fmt;
use std::sync::OnceLock;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::providers::{Observer, Outcome};

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Status codes that are counted by themselves; others are `other`.
const CODES: [(u16, &str); 26] = [
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (301, "301"),
    (302, "302"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (411, "411"),
    (412, "412"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (421, "421"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

const OTHER_CODE: &str = "other";

/// All metrics of the daemon.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels<3>, Counter>,
    fetches: Family<Labels<2>, Counter>,
    identities: Family<Labels<1>, Counter>,
    source_lookups: Family<Labels<1>, Counter>,
    /// Connections whose caller has no evidence that counts.
    pub callers_unidentified: Counter,
    /// Metadata requests that came without a valid ImdsToken.
    pub imds_token_missing: Counter,
    /// Metadata requests that were served without one.
    pub imds_v1_requests: Counter,
    /// Open connections.
    pub connections: Gauge,
    /// How far the latest refresh lies behind its time.
    pub refresh_lag: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Upstream's clock less ours.
    pub clock_skew: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Sessions held.
    pub sessions_held: Gauge,
    /// PAM's stacks that hang.
    pub pam_hanging: Gauge,
    /// Panics of tasks.
    pub panics: Counter,
}

impl Metrics {
    /// All at zero. `log_lost` counts the log events that no target took.
    pub fn new(log_lost: Counter) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("rolecall"),
            requests: Family::default(),
            fetches: Family::default(),
            identities: Family::default(),
            source_lookups: Family::default(),
            callers_unidentified: Counter::default(),
            imds_token_missing: Counter::default(),
            imds_v1_requests: Counter::default(),
            connections: Gauge::default(),
            refresh_lag: Gauge::default(),
            clock_skew: Gauge::default(),
            sessions_held: Gauge::default(),
            pam_hanging: Gauge::default(),
            panics: Counter::default(),
        };
        metrics.register(log_lost);
        metrics
    }

    fn register(&mut self, log_lost: Counter) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register(
            "credential_fetches",
            "Upstream calls for credentials, by result and by who asked",
            self.fetches.clone(),
        );
        registry.register(
            "web_identity_tokens",
            "Web identity tokens that requests showed",
            self.identities.clone(),
        );
        registry.register(
            "grant_source_lookups",
            "Questions to grant sources, by result",
            self.source_lookups.clone(),
        );
        registry.register(
            "callers_unidentified",
            "Connections whose caller could not be identified",
            self.callers_unidentified.clone(),
        );
        registry.register(
            "imds_token_missing",
            "Metadata requests without a valid token",
            self.imds_token_missing.clone(),
        );
        registry.register(
            "imds_v1_requests",
            "Metadata requests served without a token (IMDSv1)",
            self.imds_v1_requests.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "refresh_lag_seconds",
            "How late the latest refresh began",
            self.refresh_lag.clone(),
        );
        registry.register(
            "clock_skew_seconds",
            "Upstream's clock less this machine's",
            self.clock_skew.clone(),
        );
        registry.register("sessions_held", "Sessions held", self.sessions_held.clone());
        registry.register(
            "pam_stacks_hanging",
            "PAM stacks that have not ended in time",
            self.pam_hanging.clone(),
        );
        registry.register("panics", "Panics of tasks", self.panics.clone());
        registry.register(
            "log_events_lost",
            "Log events that a target did not take",
            log_lost,
        );
        registry.register(
            "build",
            "The running version",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
    }

    /// The counters of one API's requests, by route and status.
    pub fn requests(&self, api: &'static str, routes: &'static [&'static str]) -> RequestCounters {
        let cells = routes.len() * (CODES.len() + 1);
        RequestCounters {
            api,
            routes,
            family: self.requests.clone(),
            cells: (0..cells).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The counter of upstream calls with this result, asked for by this.
    pub fn fetches(&self, result: &'static str, origin: &'static str) -> Counter {
        let labels = [("result", result), ("origin", origin)];
        self.fetches.get_or_create_owned(&labels)
    }

    /// The counters of tokens that callers show.
    pub fn web_identities(&self) -> TokenCounters {
        let counter = |result| self.identities.get_or_create_owned(&[("result", result)]);
        TokenCounters {
            verified: counter("ok"),
            refused: counter("refused"),
            not_ready: counter("not-ready"),
        }
    }

    /// Counts a connection for as long as it is open.
    pub fn connection(&self, identified: bool) -> OpenConnection {
        if !identified {
            self.callers_unidentified.inc();
        }
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// All metrics as text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut page = String::with_capacity(4096);
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

/// Counts web identity tokens by what became of them.
#[derive(Debug)]
pub struct TokenCounters {
    /// Its issuer signed it, for us.
    pub verified: Counter,
    /// It proves nothing.
    pub refused: Counter,
    /// Its issuer's keys were not there.
    pub not_ready: Counter,
}

impl Observer for Metrics {
    fn asked(&self, outcome: Outcome) {
        let labels = [("result", outcome.as_str())];
        self.source_lookups.get_or_create_owned(&labels).inc();
    }
}

/// One open connection in the gauge.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counts the requests of one API: one look into an array, one addition.
#[derive(Debug)]
pub struct RequestCounters {
    api: &'static str,
    routes: &'static [&'static str],
    family: Family<Labels<3>, Counter>,
    /// Filled at first use, so that only series that occur are shown.
    cells: Box<[OnceLock<Counter>]>,
}

impl RequestCounters {
    /// Counts one request of this route (its place in the list that was registered).
    pub fn count(&self, route: usize, status: u16) {
        let code = CODES
            .binary_search_by_key(&status, |(code, _)| *code)
            .unwrap_or(CODES.len());
        let cell = self.cells.get(route * (CODES.len() + 1) + code);
        if let (Some(cell), Some(route)) = (cell, self.routes.get(route)) {
            cell.get_or_init(|| {
                let code = CODES.get(code).map_or(OTHER_CODE, |(_, text)| text);
                let labels = [("api", self.api), ("route", *route), ("code", code)];
                self.family.get_or_create_owned(&labels)
            })
            .inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_status() {
        let metrics = Metrics::new(Counter::default());
        let imds = metrics.requests("imds", &["token", "role"]);
        imds.count(0, 200);
        imds.count(1, 404);
        imds.count(1, 404);
        imds.count(1, 418);
        imds.count(7, 200);
        let page = metrics.encode().unwrap();
        for line in [
            "rolecall_requests_total{api=\"imds\",route=\"token\",code=\"200\"} 1",
            "rolecall_requests_total{api=\"imds\",route=\"role\",code=\"404\"} 2",
            "rolecall_requests_total{api=\"imds\",route=\"role\",code=\"other\"} 1",
        ] {
            assert!(page.contains(line), "{line} in\n{page}");
        }
        assert_eq!(page.matches("rolecall_requests_total{").count(), 3);
    }

    #[test]
    fn status_codes_are_in_order() {
        assert!(CODES.is_sorted_by(|(a, _), (b, _)| a < b));
        for (code, text) in CODES {
            assert_eq!(code.to_string(), text);
        }
    }

    #[test]
    fn connections_are_counted_while_they_are_open() {
        let metrics = Metrics::new(Counter::default());
        let open = metrics.connection(true);
        drop(metrics.connection(false));
        assert_eq!(
            (
                metrics.connections.get(),
                metrics.callers_unidentified.get()
            ),
            (1, 1)
        );
        drop(open);
        assert_eq!(metrics.connections.get(), 0);
    }

    #[test]
    fn all_metrics_are_documented_and_no_others() {
        let metrics = Metrics::new(Counter::default());
        metrics.fetches("ok", "upstream").inc();
        metrics.requests("imds", &["token"]).count(0, 200);
        metrics.web_identities().verified.inc();
        metrics.asked(Outcome::Roles);
        let page = metrics.encode().unwrap();
        let shown: BTreeSet<&str> = page
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split([' ', '{']).next()?.strip_prefix("rolecall_"))
            .collect();
        let documented: BTreeSet<&str> = include_str!("../../docs/telemetry.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `rolecall_"))
            .filter_map(|line| line.split(['`', '{']).next())
            .collect();
        assert_eq!(shown, documented);
    }
}
