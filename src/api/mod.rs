//! The protocols: one folder each. A protocol parses its route, has vending answer, and renders.
//! It may not fetch, cache or authorise.
//!
//! [`Mounted`] is what a listener serves: the protocols that its configuration names, behind one
//! guard. Adding a protocol is adding a folder and a line here.

pub mod accounts;
pub mod admin;
mod client;
pub mod connectors;
pub mod container;
mod document;
pub mod imds;
pub mod keystone;
pub mod metrics;
pub mod openapi;
pub mod operations;
pub mod peoples;
mod public_url;
pub mod sts;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use hyper::header::HOST;

pub use client::{Client, Patience, Temper};
pub use document::date;
pub use peoples::{Peoples, Prover};

use crate::authority::Authority;
use crate::authority::signature::{DerivedKeys, Replays};
use crate::clock::Clock;
use crate::config;
use crate::grants::Select;
use crate::http::{
    Answer, Connection, Guard, Handler, LoopMark, MAX_BODY, Refused, Request, Response, StatusCode,
    text,
};
use crate::people::Codes;
use crate::people::Issuers;
use crate::sessions::Slot;
use crate::store::Store;
use crate::telemetry::metrics::{Metrics, OpenConnection};
use crate::vending::{Vending, Visit};

/// Where each protocol keeps its rendering of a session.
pub(crate) mod slots {
    use super::Slot;

    /// The IMDS document.
    pub(crate) const IMDS: Slot = Slot::new(0);
    /// The IMDS document with minio-js's alias.
    pub(crate) const IMDS_MINIO_JS: Slot = Slot::new(1);
    /// The container document.
    pub(crate) const CONTAINER: Slot = Slot::new(2);
    /// The container document with minio-js's alias.
    pub(crate) const CONTAINER_MINIO_JS: Slot = Slot::new(4);
    /// The container document of ECS's relative form.
    pub(crate) const ECS: Slot = Slot::new(3);
    /// AFP's document without a console.
    pub(crate) const ACCOUNTS: Slot = Slot::new(5);
    /// STS's element of credentials.
    pub(crate) const STS: Slot = Slot::new(6);
}

/// What all protocols are given.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The one door.
    pub vending: Arc<Vending>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Time.
    pub clock: Clock,
    /// How long clients can be let wait.
    pub patience: Patience,
    /// How the daemon's own requests are known.
    pub own: LoopMark,
    /// Whether the configuration in force is the one that is written.
    pub in_force: InForce,
    /// What is made through APIs.
    pub store: Store,
    /// Whose web identities are believed.
    pub issuers: Arc<Issuers>,
    /// Issues sessions and opens what it issued.
    pub authority: Arc<Authority>,
    /// How signatures and Keystone's tokens count.
    pub rules: Arc<config::Authority>,
    /// Holds codes of MFA devices against the store.
    pub codes: Arc<Codes>,
    /// What was derived from the secrets of whoever signed lately.
    pub derived: Arc<DerivedKeys>,
    /// The signatures that were accepted, where they count once.
    pub replays: Arc<Mutex<Replays>>,
}

/// Whether the configuration in force is the one that is written.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    refused: Arc<AtomicBool>,
}

impl InForce {
    /// The one that is written was refused, or is in force again.
    pub fn set(&self, in_force: bool) {
        self.refused.store(!in_force, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_in_force(&self) -> bool {
        !self.refused.load(Ordering::Relaxed)
    }
}

/// The protocols of one listener.
#[derive(Debug)]
pub struct Mounted {
    guard: Guard,
    select: Select,
    deps: Deps,
    imds: Option<imds::Imds>,
    container: Option<container::Container>,
    metrics: Option<metrics::Exposition>,
    peoples: Option<Peoples>,
}

/// One connection, as the protocols see it.
#[derive(Debug)]
pub struct Guest {
    /// Where it came in and who asks.
    pub connection: Connection,
    /// What vending remembers of it.
    pub visit: Visit,
    /// What the metadata service remembers of it.
    imds: imds::Memory,
    /// Who proved a name over it.
    people: peoples::Memory,
    /// The `Host` that passed the guard first: a connection's requests have the same one. A copy: the
    /// header would keep all that came in with it.
    host: OnceLock<Box<[u8]>>,
    _counted: OpenConnection,
}

impl Guest {
    /// A connection of this listener, counted for as long as it is open.
    pub(crate) fn new(connection: Connection, select: Select, metrics: &Metrics) -> Self {
        let identified = connection.caller.has_uid();
        let listener = Arc::clone(&connection.listener);
        Self {
            visit: Visit::new(listener, Arc::clone(&connection.caller), select),
            connection,
            imds: imds::Memory::default(),
            people: peoples::Memory::default(),
            host: OnceLock::new(),
            _counted: metrics.connection(identified),
        }
    }
}

impl Mounted {
    /// Serves these protocols of a listener.
    pub fn new(
        listener: &config::Listener,
        deps: Deps,
        imds: Option<imds::Imds>,
        container: Option<container::Container>,
        metrics: Option<metrics::Exposition>,
        peoples: Option<Peoples>,
    ) -> Self {
        Self {
            guard: guard(listener, &deps),
            select: listener.select,
            deps,
            imds,
            container,
            metrics,
            peoples,
        }
    }
}

fn guard(listener: &config::Listener, deps: &Deps) -> Guard {
    let guard = Guard::new(&listener.hosts, deps.own.clone());
    match listener.public() {
        Some((origin, _)) => guard.with_public(origin),
        None => guard,
    }
}

impl Handler for Mounted {
    type Visit = Guest;

    fn visit(&self, connection: Connection) -> Guest {
        Guest::new(connection, self.select, &self.deps.metrics)
    }

    fn handle<'a>(&'a self, guest: &'a Guest, request: &'a Request) -> Answer<'a> {
        let guarded = self.check(guest, request);
        if let (Ok(()), Some(imds)) = (guarded, &self.imds)
            && let Some(response) = imds.at_once(&self.deps, guest, request)
        {
            return Answer::AtOnce(response);
        }
        Answer::later(self.answer(guest, guarded, request))
    }

    fn longest_body(&self, head: &Request) -> usize {
        let peoples = self.peoples.as_ref();
        peoples.map_or(MAX_BODY, |peoples| peoples.longest_body(head))
    }

    fn refuse_long(&self, _guest: &Guest, head: &Request) -> Response {
        let peoples = self.peoples.as_ref();
        let refused = peoples.and_then(|peoples| peoples.refuse_long(&self.deps, head));
        refused.unwrap_or_else(|| text(StatusCode::PAYLOAD_TOO_LARGE, ""))
    }
}

impl Mounted {
    async fn answer(
        &self,
        guest: &Guest,
        guarded: Result<(), Refused>,
        request: &Request,
    ) -> Response {
        let path = request.uri().path();
        if let Some(metrics) = &self.metrics
            && metrics::Exposition::owns(path)
        {
            return metrics.answer(guarded, request);
        }
        if let Some(peoples) = &self.peoples
            && let Some(response) = peoples
                .answer(&self.deps, guest, (&self.guard, guarded), request)
                .await
        {
            return response;
        }
        match (&self.imds, &self.container) {
            (Some(imds), None) => imds.answer(&self.deps, guest, guarded, request).await,
            (Some(imds), Some(_)) if !container::owns(path) => {
                imds.answer(&self.deps, guest, guarded, request).await
            }
            (_, Some(container)) => container.answer(&self.deps, guest, guarded, request).await,
            (None, None) => metrics::not_found(),
        }
    }

    fn check(&self, guest: &Guest, request: &Request) -> Result<(), Refused> {
        let known = guest.host.get().map(AsRef::as_ref);
        let checked = self.guard.check(&guest.connection, request, known);
        if checked.is_ok()
            && known.is_none()
            && let Some(host) = request.headers().get(HOST)
        {
            guest.host.get_or_init(|| host.as_bytes().into());
        }
        checked
    }
}

/// After so many objects of a list others have their turn.
const OFTEN: usize = 512;

/// Lists may be long, and the thread is everybody's.
async fn yield_often(done: usize) {
    if done.is_multiple_of(OFTEN) {
        tokio::task::yield_now().await;
    }
}
