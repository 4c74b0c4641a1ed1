//! The daemon as its admin socket steers it.

use std::sync::Arc;
use std::time::Duration;

use super::{AskReload, Daemon};
use crate::api::admin::wire::{Confinement, Socket};
use crate::api::admin::{Admin, Control, Door, ReloadFuture, Signing};
use crate::clock::BootTime;
use crate::config::{Api, Config, Origin};
use crate::grants::Select;

/// The admin socket's name, where listeners have theirs.
pub(super) const NAME: &str = "admin";

/// A running daemon, with the way to have it reloaded.
#[derive(Debug)]
struct Running {
    daemon: Arc<Daemon>,
    reload: AskReload,
    since: BootTime,
}

/// The handler of the admin socket.
pub(super) fn admin(daemon: &Arc<Daemon>, reload: AskReload) -> Arc<Admin> {
    let running = Running {
        daemon: Arc::clone(daemon),
        reload,
        since: daemon.clock.boot(),
    };
    Arc::new(Admin::new(
        Arc::clone(&daemon.vending),
        daemon.authorization.clone(),
        Signing {
            store: daemon.store.clone(),
            authority: Arc::clone(&daemon.authority),
            rules: Arc::new(daemon.config.load().authority.clone()),
        },
        daemon.clock.clone(),
        Box::new(running),
        Arc::clone(&daemon.metrics),
    ))
}

impl Control for Running {
    fn is_ready(&self) -> bool {
        self.daemon.readiness.is_ready()
    }

    fn uptime(&self) -> Duration {
        self.daemon.clock.boot().since(self.since)
    }

    fn configuration(&self) -> String {
        match &self.daemon.config.load().origin {
            Origin::Embedded => "built in".to_owned(),
            Origin::File(path) => path.display().to_string(),
        }
    }

    fn confinement(&self) -> Option<Confinement> {
        self.daemon.confinement.shown()
    }

    fn sockets(&self) -> Vec<Socket> {
        let config = self.daemon.config.load();
        let addresses = self.daemon.addresses.iter();
        addresses
            .map(|bound| Socket {
                name: bound.listener.to_string(),
                address: bound.address.clone(),
                apis: apis(&config, &bound.listener),
                hop_limit: bound.hop_limit,
            })
            .collect()
    }

    fn doors(&self) -> Vec<Door> {
        doors(&self.daemon.config.load())
    }

    fn reload(&self) -> ReloadFuture<'_> {
        Box::pin(async {
            let reloaded = self.reload.reload().await;
            reloaded.map_err(|error| error.to_string())
        })
    }
}

/// The listeners that hand out credentials, and the admin socket itself.
pub(super) fn doors(config: &Config) -> Vec<Door> {
    let vending = config
        .listeners
        .iter()
        .filter(|listener| listener.is_for_this_host());
    let doors = vending.map(|listener| Door {
        listener: Arc::clone(&listener.name),
        select: listener.select,
        vends: true,
    });
    let admin = Door {
        listener: Arc::from(NAME),
        select: Select::First,
        vends: false,
    };
    doors.chain([admin]).collect()
}

fn apis(config: &Config, listener: &str) -> Vec<String> {
    if listener == NAME {
        return vec![NAME.to_owned()];
    }
    let listeners = config.listeners.iter();
    let mut named = listeners.filter(|known| *known.name == *listener);
    let apis = named.next().map(|known| known.apis.as_slice());
    let apis = apis.unwrap_or_default().iter().map(|api| match api {
        Api::Imds => "imds",
        Api::Container => "container",
        Api::Accounts => "accounts",
        Api::Connectors => "connectors",
        Api::Keystone => "keystone",
        Api::Sts => "sts",
        Api::Metrics => "metrics",
    });
    apis.map(str::to_owned).collect()
}
