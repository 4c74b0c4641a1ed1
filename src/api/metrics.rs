//! Prometheus metrics, and whether the daemon lives and is ready.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use tokio::time::Instant;

use crate::http::{CachedHeaders, Refused, Request, Response, not_allowed, text};
use crate::telemetry::metrics::{CONTENT_TYPE, Metrics};
use crate::vending::Vending;

/// How long a page of metrics is told again.
const FRESH: Duration = Duration::from_millis(100);

/// Whether the daemon is ready to hand out what it was told to prefetch.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Phase>);

#[derive(Debug, Default)]
struct Phase {
    ready: AtomicBool,
    ending: AtomicBool,
}

impl Readiness {
    /// Ready from now on.
    pub fn begin(&self) {
        self.0.ready.store(true, Ordering::Relaxed);
    }

    /// Asked to end: not ready any more, whatever becomes ready meanwhile.
    pub fn end(&self) {
        self.0.ending.store(true, Ordering::Relaxed);
    }

    /// Whether it is ready.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed) && !self.is_ending()
    }

    /// Whether it was asked to end.
    pub fn is_ending(&self) -> bool {
        self.0.ending.load(Ordering::Relaxed)
    }
}

/// `/metrics`, `/healthz` and `/readyz`.
#[derive(Debug)]
pub struct Exposition {
    metrics: Arc<Metrics>,
    vending: Arc<Vending>,
    readiness: Readiness,
    headers: CachedHeaders,
    /// The last page and when it was written: writing one costs a thousand times an answer.
    page: Mutex<Option<(Instant, Bytes)>>,
}

impl Exposition {
    /// Shows these.
    pub fn new(metrics: Arc<Metrics>, vending: Arc<Vending>, readiness: Readiness) -> Self {
        Self {
            metrics,
            vending,
            readiness,
            headers: CachedHeaders::new(CONTENT_TYPE, None),
            page: Mutex::default(),
        }
    }

    /// Whether a path is one of these.
    pub fn owns(path: &str) -> bool {
        matches!(path, "/metrics" | "/healthz" | "/readyz")
    }

    /// Answers one request.
    pub fn answer(&self, guarded: Result<(), Refused>, request: &Request) -> Response {
        if guarded.is_err() {
            return text(StatusCode::FORBIDDEN, "refused\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return not_allowed("GET, HEAD");
        }
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.readiness.is_ready() => text(StatusCode::OK, "ready\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            _ => self.page(),
        }
    }

    fn page(&self) -> Response {
        match self.fresh_page() {
            Ok(page) => self.headers.answer(StatusCode::OK, page),
            Err(error) => {
                tracing::error!(%error, "the metrics could not be written");
                text(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }

    /// The page of now, or of a moment ago.
    fn fresh_page(&self) -> Result<Bytes, fmt::Error> {
        let mut kept = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((written, page)) = kept.as_ref()
            && now.duration_since(*written) < FRESH
        {
            return Ok(page.clone());
        }
        let held = self.vending.sessions().held();
        let held = i64::try_from(held).unwrap_or(i64::MAX);
        self.metrics.sessions_held.set(held);
        let page = Bytes::from(self.metrics.encode()?);
        *kept = Some((now, page.clone()));
        Ok(page)
    }
}

/// For listeners that serve nothing else.
pub(super) fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "not found\n")
}
