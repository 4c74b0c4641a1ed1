//! The start: a configuration becomes a daemon whose sockets are bound.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};

use super::decisions::Decisions;
use super::{
    Address, Bound, Confinement, Daemon, StateError, TokenFileError, control, state, survive,
    token_files,
};
use crate::api::InForce;
use crate::api::imds::Tokens;
use crate::api::metrics::Readiness;
use crate::authority::signature::{DerivedKeys, Replays};
use crate::caller::{Desk, DeskError};
use crate::clock::Clock;
use crate::config::{self, Api, Config};
use crate::interfaces::interfaces;
use crate::listener::{
    self, BindError, Bound as BoundSocket, CallerLimits, Kind, Limits, Listener, Parking, Passed,
    Peers, Shared, Tls, TlsError,
};
use crate::people::{self, Codes, Gate, Issuers, Proofs};
use crate::runtime::Containers;
use crate::sessions::Observer;
use crate::source::{Engine, Environment, PlanError};
use crate::store::Store;
use crate::telemetry::audit::Audit;
use crate::telemetry::metrics::Metrics;
use crate::transport::OwnAddresses;
use crate::vending::Vending;

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
    /// What the process gave up.
    pub confinement: Confinement,
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

/// Binds everything that the configuration names. Nothing runs yet.
pub fn bind(config: Config, mut outside: Outside) -> Result<Bound, StartError> {
    let clock = outside.clock.clone();
    let containers = config.runtime.as_ref();
    let containers = containers.map(|unit| Containers::new(unit.socket.clone(), clock.clone()));
    let desk = Desk::open(clock.clone()).map_err(StartError::Desk)?;
    let desk = Arc::new(desk.asking(containers.clone()));
    let keyed = state::open(&config, &clock)?;
    let certificates = certificates(&config)?;
    let admin = bind_admin(&config, &mut outside.passed)?;
    let sockets = bind_sockets(&config, &mut outside.passed)?;
    let addresses = addresses(&sockets, &admin);
    tell_absent(&addresses);
    let own: OwnAddresses = addresses
        .iter()
        .filter_map(|bound| bound.address.parse::<SocketAddr>().ok())
        .collect();
    let sessions = survive::sessions(
        keyed.place,
        clock.clone(),
        config.limits.sessions,
        outside.observer,
    );
    let engine = Engine::new(clock.clone(), outside.environment, own);
    let authority = Arc::new(keyed.authority);
    authority.set_not_before(config.not_before());
    let (config, asked) = (Arc::new(config), Arc::clone(&outside.metrics));
    let decisions = Decisions::of(&config, &engine, &authority, asked);
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
    let gate = gate(&config, &issuers, &keyed.store, &clock, &outside.metrics);
    let codes = Codes::new(keyed.store.clone(), clock.clone());
    let replays = Replays::new(config.authority.replay_cache);
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
        codes: Arc::new(codes),
        derived: Arc::new(DerivedKeys::default()),
        replays: Arc::new(Mutex::new(replays)),
        issuers,
        engine,
        prefetched: watch::Sender::default(),
        confinement: outside.confinement,
        config: arc_swap::ArcSwap::new(config),
    });
    daemon.follow_store();
    token_files::write(&daemon.config.load(), &daemon.authorization)?;
    // ImdsTokens do not outlive the boot.
    let boot = clock.boot_name();
    let imds = Arc::new(Tokens::new(clock, &boot, keyed.imds));
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
    Ok(Bound {
        listeners: listeners.collect(),
        daemon,
        admin,
        shared,
        imds,
    })
}

/// Where people prove their names.
fn gate(
    config: &Config,
    issuers: &Arc<Issuers>,
    store: &Store,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Gate {
    let proofs = Proofs {
        clock: clock.clone(),
        issuers: Arc::clone(issuers),
        store: store.clone(),
        directories: people::directories(&config.people, clock, hanging(metrics)),
    };
    Gate::new(&config.people, proofs)
}

/// Has the metrics tell how many of PAM's stacks hang.
fn hanging(metrics: &Arc<Metrics>) -> people::Hanging {
    let metrics = Arc::clone(metrics);
    people::Hanging::told(move |count| {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        metrics.pam_hanging.set(count);
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

/// The admin socket is always there: reload, status and health depend on it. It is the service
/// manager's where that has one at its path, so that commands wait while the daemon restarts.
fn bind_admin(config: &Config, passed: &mut Passed) -> Result<BoundSocket, StartError> {
    let path = &config.admin_socket;
    let bound = passed
        .take_at(path)
        .unwrap_or_else(|| listener::bind_unix(path));
    bound.map_err(|source| StartError::Bind {
        listener: control::NAME.to_owned(),
        source,
    })
}

/// Where all of it listens.
fn addresses(sockets: &[(config::Listener, BoundSocket)], admin: &BoundSocket) -> Vec<Address> {
    let served = sockets.iter();
    let served = served.map(|(listener, socket)| Address::of(&listener.name, socket));
    let admin = Address::of(&Arc::from(control::NAME), admin);
    served.chain([admin]).collect()
}

/// Addresses may come after the daemon does; until then nobody reaches it there.
fn tell_absent(addresses: &[Address]) {
    let of_interfaces = |bound: &&Address| {
        let address = bound.address.parse::<SocketAddr>();
        address.is_ok_and(|it| !it.ip().is_loopback() && !it.ip().is_unspecified())
    };
    let mut bound = addresses.iter().filter(of_interfaces).peekable();
    if bound.peek().is_none() {
        return;
    }
    let Ok(held) = interfaces() else { return };
    for Address {
        listener, address, ..
    } in bound
    {
        let is_own = |own: &IpAddr| address.parse().is_ok_and(|it: SocketAddr| it.ip() == *own);
        if !held.iter().any(|(_, own)| is_own(own)) {
            tracing::info!(%listener, %address, "no interface of this host has this address yet");
        }
    }
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
