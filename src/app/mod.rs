//! The only place that knows all parts: a configuration becomes a bound daemon, which then runs.

mod bind;
mod confine;
mod control;
mod decisions;
mod offline;
mod ready;
mod reload;
mod run;
mod serve;
mod state;
mod stored;
mod survive;
mod token_files;
mod unit;
mod watchdog;

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};

pub use bind::{Outside, StartError, bind, check_certificates};
pub use confine::{Confinement, confine, confine_unit};
pub use offline::{Offline, OfflineError};
pub use reload::{AskReload, ReloadError, Reloaded, Reloader};
pub use serve::{Fault, Refused, ServeError, raise_descriptors, serve};
pub use state::{StateError, seal_rings_again};
pub use token_files::TokenFileError;
pub use unit::{TellError, tell_containers};

use crate::api::container::AuthorizationTokens;
use crate::api::imds::{Imds, Tokens};
use crate::api::metrics::{Exposition, Readiness};
use crate::api::{Deps, InForce, Mounted, Patience, Peoples, container};
use crate::authority::signature::{DerivedKeys, Replays};
use crate::authority::{Authority, Held};
use crate::caller::Desk;
use crate::clock::Clock;
use crate::config::{self, Api, Config};
use crate::http::LoopMark;
use crate::listener::{Bound as BoundSocket, Listener, Shared};
use crate::people::{Codes, Gate, Issuers};
use crate::runtime::Containers;
use crate::sessions::Prefetch;
use crate::source::{Engine, Plans};
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::transport::LOOP_HEADER;
use crate::vending::Vending;
use decisions::Decisions;

/// A daemon whose sockets are bound.
#[derive(Debug)]
pub struct Bound {
    daemon: Arc<Daemon>,
    listeners: Vec<Listener<Mounted>>,
    admin: BoundSocket,
    shared: Arc<Shared>,
    imds: Arc<Tokens>,
}

/// The parts that live as long as the daemon.
#[derive(Debug)]
pub struct Daemon {
    /// The configuration in force.
    pub config: arc_swap::ArcSwap<Config>,
    /// The one door.
    pub vending: Arc<Vending>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Whether it is ready.
    pub readiness: Readiness,
    /// Whether the configuration in force is the one that is written.
    pub in_force: InForce,
    /// Issues what `exec` hands to programs.
    pub authorization: AuthorizationTokens,
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// What is made through APIs.
    pub store: Store,
    clock: Clock,
    desk: Arc<Desk>,
    containers: Option<Containers>,
    authority: Arc<Authority>,
    engine: Engine,
    issuers: Arc<Issuers>,
    gate: Arc<Gate>,
    codes: Arc<Codes>,
    derived: Arc<DerivedKeys>,
    replays: Arc<Mutex<Replays>>,
    plans: arc_swap::ArcSwap<Plans>,
    /// Held by who changes what is decided by.
    deciding: Mutex<()>,
    /// Told when other objects of the store are decided by.
    adopted: Notify,
    prefetched: watch::Sender<Arc<Vec<Prefetch>>>,
    confinement: Confinement,
    _held: Option<Held>,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The listener's name.
    pub listener: Arc<str>,
    /// `127.0.0.1:1338`, `unix:/path`.
    pub address: String,
    /// How many hops its answers make, of TCP.
    pub hop_limit: Option<u8>,
}

impl Address {
    fn of(listener: &Arc<str>, bound: &BoundSocket) -> Self {
        Self {
            listener: Arc::clone(listener),
            address: bound.address.clone(),
            hop_limit: bound.hop_limit,
        }
    }
}

impl Daemon {
    fn mounted(&self, listener: &config::Listener, imds: &Arc<Tokens>) -> Mounted {
        let serves = |api: Api| listener.apis.contains(&api);
        let patience = self.config.load().limits.patience;
        let deps = Deps {
            vending: Arc::clone(&self.vending),
            metrics: Arc::clone(&self.metrics),
            clock: self.clock.clone(),
            patience: patience.map_or(Patience::Known, Patience::Fixed),
            own: LoopMark::new(LOOP_HEADER, Arc::clone(self.engine.mark())),
            in_force: self.in_force.clone(),
            store: self.store.clone(),
            issuers: Arc::clone(&self.issuers),
            authority: Arc::clone(&self.authority),
            rules: Arc::new(self.config.load().authority.clone()),
            codes: Arc::clone(&self.codes),
            derived: Arc::clone(&self.derived),
            replays: Arc::clone(&self.replays),
        };
        let since = self.clock.now();
        let metadata =
            serves(Api::Imds).then(|| Imds::new(listener, Arc::clone(imds), since, &self.metrics));
        let container = serves(Api::Container).then(|| {
            container::Container::new(
                listener,
                self.authorization.clone(),
                Arc::clone(&self.issuers),
                &self.metrics,
            )
        });
        let exposition = serves(Api::Metrics).then(|| {
            Exposition::new(
                Arc::clone(&self.metrics),
                Arc::clone(&self.vending),
                self.readiness.clone(),
            )
        });
        let peoples = Peoples::new(listener, &self.gate, &deps);
        Mounted::new(listener, deps, metadata, container, exposition, peoples)
    }

    /// Follows a new configuration: sessions that its roles still make are kept, others let go.
    async fn follow(&self, config: Arc<Config>, decisions: Decisions) {
        self.authority.set_not_before(config.not_before());
        self.issuers.follow(&config.issuers);
        self.issuers.prepare();
        self.desk.follow(&decisions.policy.grants);
        self.decide_by(&config, decisions);
        let wanted = self.vending.prefetch(&config.prefetched()).await;
        let sessions = self.vending.sessions();
        sessions.retain(&*self.vending.policy().catalogue).await;
        sessions.clear_failures();
        // The old handles go last: a session that both want is never let go in between.
        drop(self.prefetched.send_replace(Arc::new(wanted)));
        self.config.store(config);
    }
}

impl Bound {
    /// The parts that live as long as the daemon.
    pub const fn daemon(&self) -> &Arc<Daemon> {
        &self.daemon
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[Address] {
        &self.daemon.addresses
    }
}
