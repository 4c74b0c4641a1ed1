//! The only place that knows all parts: a configuration becomes a bound daemon, which then runs.

mod control;
mod offline;
mod reload;
mod run;
mod serve;
mod state;
mod stored;
mod token_files;
mod unit;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

pub use offline::{Offline, OfflineError};
pub use reload::{AskReload, ReloadError, Reloaded, Reloader};
pub use serve::{Fault, ServeError, raise_descriptors, serve};
pub use state::{StateError, seal_rings_again};
pub use token_files::TokenFileError;
pub use unit::{TellError, tell_containers};

use crate::api::container::AuthorizationTokens;
use crate::api::imds::{Imds, Tokens};
use crate::api::metrics::{Exposition, Readiness};
use crate::api::{Deps, InForce, Mounted, Patience, Peoples, container};
use crate::authority::{Authority, Held};
use crate::caller::{Desk, DeskError};
use crate::clock::Clock;
use crate::config::{self, Api, Bind, Config};
use crate::grants::Grants;
use crate::http::LoopMark;
use crate::listener::{
    self, BindError, Bound as BoundSocket, CallerLimits, Kind, Limits, Listener, Parking, Passed,
    Peers, Shared, Tls, TlsError,
};
use crate::people::{self, Gate, Issuers, Proofs};
use crate::providers::{self, Providers};
use crate::runtime::Containers;
use crate::sessions::{Catalogue, Observer, Prefetch, Sessions};
use crate::source::local::LocalPlans;
use crate::source::{Engine, Environment, PlanError, Plans};
use crate::store::Store;
use crate::systemd;
use crate::telemetry::audit::Audit;
use crate::telemetry::metrics::Metrics;
use crate::transport::{LOOP_HEADER, OwnAddresses};
use crate::vending::{AccountFacts, Declared, Policy, Registry, Vending};

/// What a daemon is given from outside.
#[derive(Debug)]
pub struct Outside {
    /// Time.
    pub clock: Clock,
    /// The sockets that the service manager handed over.
    pub passed: Passed,
    /// The environment for upstream's SDK.
    pub environment: Environment,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Is told what happens to sessions.
    pub observer: Arc<dyn Observer>,
    /// How many descriptors the process may open.
    pub descriptors: usize,
}

/// The daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Callers could never be identified.
    #[error("callers cannot be identified here")]
    Desk(#[source] DeskError),
    /// A socket could not be had.
    #[error("listener {listener:?}")]
    Bind {
        /// Which.
        listener: String,
        /// Why.
        source: BindError,
    },
    /// A listener's certificate cannot be used.
    #[error("listener {listener:?}: tls")]
    Tls {
        /// Which.
        listener: String,
        /// Why.
        source: TlsError,
    },
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A role can never be obtained.
    #[error("the configuration asks for what cannot be")]
    Plan(#[source] PlanError),
    /// A token could not be written for its owner.
    #[error(transparent)]
    TokenFile(#[from] TokenFileError),
}

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
    plans: arc_swap::ArcSwap<Plans>,
    /// Held by who changes what is decided by.
    deciding: Mutex<()>,
    /// Told when other objects of the store are decided by.
    adopted: Notify,
    prefetched: Mutex<Vec<Prefetch>>,
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

/// Binds everything that the configuration names. Nothing runs yet.
pub fn bind(config: Config, mut outside: Outside) -> Result<Bound, StartError> {
    let clock = outside.clock.clone();
    let containers = config.runtime.as_ref();
    let containers = containers.map(|unit| Containers::new(unit.socket.clone(), clock.clone()));
    let desk = Desk::open(clock.clone()).map_err(StartError::Desk)?;
    let desk = Arc::new(desk.asking(containers.clone()));
    let keyed = state::open(&config, &clock)?;
    let certificates = certificates(&config)?;
    let sockets = bind_sockets(&config, &mut outside.passed)?;
    let admin = bind_admin(&config)?;
    let addresses = addresses(&sockets, &admin);
    let own: OwnAddresses = addresses
        .iter()
        .filter_map(|bound| bound.address.parse::<SocketAddr>().ok())
        .collect();
    let sessions = Sessions::new(clock.clone(), config.limits.sessions, outside.observer);
    let engine = Engine::new(clock.clone(), outside.environment, own);
    let authority = Arc::new(keyed.authority);
    authority.set_not_before(config.not_before());
    let asked = Arc::clone(&outside.metrics);
    let decisions = decisions(&config, &engine, &authority, asked);
    let decisions = decisions.map_err(StartError::Plan)?;
    let Decisions { policy, plans } = decisions.beside(&keyed.store, &config);
    let audit = Arc::new(Audit::new(clock.clone()));
    desk.follow(&policy.grants);
    let vending = Vending::new(
        policy,
        sessions,
        config.limits.flights_per_caller,
        Arc::clone(&desk),
        audit,
        clock.clone(),
    );
    let issuers = Issuers::new(&config.issuers, engine.client(), clock.clone());
    let issuers = Arc::new(issuers);
    let proofs = Proofs {
        clock: clock.clone(),
        issuers: Arc::clone(&issuers),
        store: keyed.store.clone(),
        directories: people::directories(&config.people, &clock),
    };
    let gate = Gate::new(&config.people, proofs);
    let limits = limits(&config, outside.descriptors);
    let daemon = Arc::new(Daemon {
        vending: Arc::new(vending),
        metrics: outside.metrics,
        readiness: Readiness::default(),
        in_force: InForce::default(),
        authorization: keyed.authorization,
        store: keyed.store,
        plans: arc_swap::ArcSwap::new(plans),
        deciding: Mutex::default(),
        adopted: Notify::new(),
        _held: keyed.held,
        addresses,
        clock: clock.clone(),
        desk: Arc::clone(&desk),
        containers,
        authority,
        gate: Arc::new(gate),
        issuers,
        engine,
        prefetched: Mutex::default(),
        config: arc_swap::ArcSwap::from_pointee(config),
    });
    daemon.follow_store();
    token_files::write(&daemon.config.load(), &daemon.authorization)?;
    let imds = Arc::new(Tokens::new(clock, &boot_id(), keyed.imds));
    let shared = Arc::new(Shared::new(desk, limits, sockets.len() + 1));
    let seats = shared.seats(Parking::PROGRAMS);
    let listeners = sockets.into_iter().map(|(listener, bound)| Listener {
        name: Arc::clone(&listener.name),
        bound,
        peers: peers(&listener),
        tls: certificates.get(&listener.name).cloned(),
        seats: Arc::clone(&seats),
        handler: Arc::new(daemon.mounted(&listener, &imds)),
    });
    let listeners = listeners.collect();
    Ok(Bound {
        daemon,
        listeners,
        admin,
        shared,
        imds,
    })
}

/// The certificates of the listeners that have one.
fn certificates(config: &Config) -> Result<HashMap<Arc<str>, Arc<Tls>>, StartError> {
    let listeners = config.listeners.iter();
    let with_tls = listeners.filter_map(|listener| Some((listener, listener.tls.clone()?)));
    let opened = with_tls.map(|(listener, files)| match Tls::open(files) {
        Ok(tls) => Ok((Arc::clone(&listener.name), Arc::new(tls))),
        Err(source) => Err(StartError::Tls {
            listener: listener.name.to_string(),
            source,
        }),
    });
    opened.collect()
}

/// Whether the listeners' certificates can be used, as far as this process may read them.
pub fn check_certificates(config: &Config) -> Result<(), StartError> {
    for listener in &config.listeners {
        match listener.tls.as_ref().map(Tls::check) {
            // The service can read its key; who checks need not.
            None | Some(Ok(()) | Err(TlsError::Key(_))) => {}
            Some(Err(source)) => {
                return Err(StartError::Tls {
                    listener: listener.name.to_string(),
                    source,
                });
            }
        }
    }
    Ok(())
}

/// Who of other hosts may connect: metrics are anybody's where nothing is said.
fn peers(listener: &config::Listener) -> Peers {
    if listener.peers.is_empty() && listener.apis == [Api::Metrics] {
        return Peers::Anyone;
    }
    Peers::Networks(listener.peers.clone())
}

fn bind_sockets(
    config: &Config,
    passed: &mut Passed,
) -> Result<Vec<(config::Listener, BoundSocket)>, StartError> {
    let mut sockets = Vec::new();
    for listener in &config.listeners {
        let kind = if listener.is_for_this_host() {
            Kind::Metadata
        } else {
            Kind::Other
        };
        for bind in &listener.binds {
            let name = listener.name.to_string();
            match listener::bind(bind, kind, passed) {
                Ok(bound) => sockets.extend(bound.into_iter().map(|b| (listener.clone(), b))),
                Err(error @ BindError::NoIpv6(_)) => {
                    tracing::warn!(listener = %name, %error, "an address is left out");
                }
                Err(source) => {
                    return Err(StartError::Bind {
                        listener: name,
                        source,
                    });
                }
            }
        }
    }
    for name in passed.left() {
        tracing::warn!(
            socket = name,
            "a socket was handed over that no listener names"
        );
    }
    Ok(sockets)
}

/// The admin socket is always there: reload, status and health depend on it.
fn bind_admin(config: &Config) -> Result<BoundSocket, StartError> {
    let bind = Bind::Unix(config.admin_socket.clone());
    let mut bound =
        listener::bind(&bind, Kind::Other, &mut Passed::default()).map_err(|source| {
            StartError::Bind {
                listener: control::NAME.to_owned(),
                source,
            }
        })?;
    bound.pop().ok_or_else(|| StartError::Bind {
        listener: control::NAME.to_owned(),
        source: BindError::NotPassed(control::NAME.to_owned()),
    })
}

/// Where all of it listens.
fn addresses(sockets: &[(config::Listener, BoundSocket)], admin: &BoundSocket) -> Vec<Address> {
    let served = sockets.iter();
    let served = served.map(|(listener, socket)| Address::of(&listener.name, socket));
    let admin = Address::of(&Arc::from(control::NAME), admin);
    served.chain([admin]).collect()
}

/// How many may connect and ask at once, with as many descriptors as there are.
fn limits(config: &Config, descriptors: usize) -> Limits {
    let each = CallerLimits {
        connections: config.limits.connections_per_caller,
        requests: config.limits.requests_per_caller,
    };
    let limits = Limits::new(config.limits.connections, each, descriptors);
    if limits.connections < config.limits.connections {
        tracing::warn!(
            "only {} connections can be served at once, not `limits.connections`: the process may \
             open {} files (LimitNOFILE)",
            limits.connections,
            descriptors
        );
    }
    limits
}

/// What is decided by, and how it is obtained.
struct Decisions {
    policy: Policy,
    plans: Arc<Plans>,
}

/// The decisions of a configuration.
fn decisions(
    config: &Config,
    engine: &Engine,
    authority: &Arc<Authority>,
    observer: Arc<impl providers::Observer + 'static>,
) -> Result<Decisions, PlanError> {
    let local = Arc::new(LocalPlans::new(Arc::clone(authority), config));
    let plans = Arc::new(Plans::build(config, engine, local)?);
    let accounts: HashMap<_, _> = config
        .accounts
        .iter()
        .map(|(alias, account)| {
            let facts = AccountFacts {
                id: account.id.clone(),
                partition: Some(account.partition.clone()),
                region: account.region.clone(),
                registry: Registry::of(account),
            };
            (alias.clone(), facts)
        })
        .collect();
    let providers = Providers::new(&config.sources, &engine.client(), engine.clock(), observer);
    let catalogue: Arc<dyn Catalogue> = Arc::<Plans>::clone(&plans);
    let policy = Policy {
        grants: Arc::new(Grants::new(config.grants.clone())),
        providers: Arc::new(providers),
        catalogue,
        accounts: Arc::new(accounts),
        declared: Arc::new(Declared::of(config)),
        stored: Arc::default(),
    };
    Ok(Decisions { policy, plans })
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
            authority: Arc::clone(&self.authority),
            rules: Arc::new(self.config.load().authority.clone()),
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
    async fn follow(&self, config: Config, decisions: Decisions) {
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
        *self
            .prefetched
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = wanted;
        self.config.store(Arc::new(config));
    }

    /// Obtains the roles that the configuration wants held from the start, and is ready when they
    /// are, or when the deadline has passed.
    async fn get_ready(&self) {
        let config = self.config.load_full();
        self.issuers.prepare();
        let wanted = self.vending.prefetch(&config.prefetched()).await;
        let held = async {
            for prefetch in &wanted {
                drop(prefetch.obtained().await);
            }
        };
        if tokio::time::timeout(config.limits.ready_deadline, held)
            .await
            .is_err()
        {
            let missing = wanted
                .iter()
                .filter(|prefetch| prefetch.held().is_none())
                .count();
            tracing::warn!(
                missing,
                "ready without some prefetched roles: the deadline passed"
            );
        }
        *self
            .prefetched
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = wanted;
        self.readiness.set(true);
        systemd::ready("serving");
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

/// The kernel's name for this boot: ImdsTokens do not outlive it.
fn boot_id() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    read.map(|id| id.trim().to_owned()).unwrap_or_default()
}
