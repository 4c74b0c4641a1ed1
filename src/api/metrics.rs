//! Prometheus metrics, and whether the daemon lives and is ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hyper::{Method, StatusCode};

use crate::http::{CachedHeaders, Refused, Request, Response, not_allowed, text};
use crate::telemetry::metrics::{CONTENT_TYPE, Metrics};
use crate::vending::Vending;

/// Whether the daemon is ready to hand out what it was told to prefetch.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Ready from now on, or no longer.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// `/metrics`, `/healthz` and `/readyz`.
#[derive(Debug)]
pub struct Exposition {
    metrics: Arc<Metrics>,
    vending: Arc<Vending>,
    readiness: Readiness,
    headers: CachedHeaders,
}

impl Exposition {
    /// Shows these.
    pub fn new(metrics: Arc<Metrics>, vending: Arc<Vending>, readiness: Readiness) -> Self {
        Self {
            metrics,
            vending,
            readiness,
            headers: CachedHeaders::new(CONTENT_TYPE, None),
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
        let held = self.vending.sessions().held();
        let held = i64::try_from(held).unwrap_or(i64::MAX);
        self.metrics.sessions_held.set(held);
        match self.metrics.encode() {
            Ok(page) => self.headers.answer(StatusCode::OK, Bytes::from(page)),
            Err(error) => {
                tracing::error!(%error, "the metrics could not be written");
                text(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }
}

/// For listeners that serve nothing else.
pub(super) fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "not found\n")
}
