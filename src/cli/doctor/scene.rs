//! What checks look at, gathered once.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use nix::unistd::Uid;

use crate::api::admin::wire::{Socket, Status};
use crate::cli::daemon::{AT_ONCE, Daemon};
use crate::cli::failure::Failure;
use crate::cli::listening::{Listening, listening};
use crate::config::{Bind, Config, LoadError, Problem, Purpose, Surroundings};
use crate::interfaces::interfaces;

/// The host, the configuration and the daemon, as they are at this moment.
#[derive(Debug)]
pub(super) struct Scene {
    /// The way to the daemon.
    pub(super) daemon: Daemon,
    /// What it says of itself.
    pub(super) status: Result<Status, Failure>,
    /// The configuration with its warnings.
    pub(super) config: Result<(Config, Vec<Problem>), LoadError>,
    /// Whether everything can be seen.
    pub(super) is_root: bool,
    /// The addresses of this host, each with its interface.
    pub(super) interfaces: Vec<(String, IpAddr)>,
    /// What listens on TCP ports.
    pub(super) listening: Vec<Listening>,
}

/// A TCP socket of a listener that hands out credentials, or of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Served {
    /// The listener's name.
    pub(super) listener: String,
    /// Where.
    pub(super) address: SocketAddr,
}

impl Scene {
    pub(super) fn here(config: Option<PathBuf>, socket: Option<PathBuf>) -> Result<Self, Failure> {
        let daemon = Daemon::find(socket)?;
        let status: Result<Status, Failure> = daemon.get("/v1/status", AT_ONCE);
        let file = config.or_else(|| {
            let running = PathBuf::from(&status.as_ref().ok()?.configuration);
            // No daemon has a pipe or a device for one, and opening some has consequences.
            (running.is_absolute() && running.is_file()).then_some(running)
        });
        let surroundings = Surroundings::process(Purpose::Check);
        Ok(Self {
            daemon,
            config: Config::load(file.as_deref(), &surroundings),
            status,
            is_root: Uid::effective().is_root(),
            interfaces: interfaces().unwrap_or_default(),
            listening: listening(),
        })
    }

    /// Where the daemon listens, by its own word; where it will, without one.
    pub(super) fn served(&self) -> Vec<Served> {
        match &self.status {
            Ok(status) => status.listeners.iter().filter_map(bound).collect(),
            Err(_unreachable) => self.configured(),
        }
    }

    /// Where the configuration says that it listens: addresses with a port of their own.
    pub(super) fn configured(&self) -> Vec<Served> {
        let Ok((config, _)) = &self.config else {
            return Vec::new();
        };
        let binds = config.listeners.iter().flat_map(|listener| {
            let binds = listener.binds.iter();
            binds.map(|bind| (&listener.name, bind))
        });
        let tcp = binds.filter_map(|(listener, bind)| match bind {
            Bind::Tcp(address) if address.port() != 0 => Some(Served {
                listener: listener.to_string(),
                address: *address,
            }),
            Bind::Tcp(_) | Bind::Unix(_) | Bind::Passed(_) => None,
        });
        tcp.collect()
    }
}

fn bound(socket: &Socket) -> Option<Served> {
    Some(Served {
        listener: socket.name.clone(),
        address: socket.address.parse().ok()?,
    })
}
