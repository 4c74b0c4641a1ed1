//! The gate before people's APIs: what a request shows is held against what its mount takes.

use std::sync::Arc;

use hyper::HeaderMap;

use crate::config::{self, Administrator, Mount};
use crate::grants::{Person, Way};

/// Who may pass.
#[derive(Debug)]
pub struct Gate {
    administrators: Vec<Administrator>,
}

/// What a request is known by before it has proved anything.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The uid of its process, where the kernel tells it.
    pub uid: Option<u32>,
    /// Whether it came over a unix socket.
    pub over_unix: bool,
    /// The subject of the certificate that its peer showed, as RFC 4514 writes it.
    pub subject: Option<&'a str>,
    /// The listener that it came to.
    pub listener: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proven {
    /// The connection's own caller, by the kernel's evidence.
    Peer {
        /// Whether it administers.
        administrator: bool,
    },
    /// Somebody who proved a name.
    Person(Arc<Person>),
}

/// Nobody may pass with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Nothing that the mount takes is shown.
    #[error("the request proves no name")]
    Missing,
    /// What is shown is wrong.
    #[error("the name or its proof is wrong")]
    Wrong,
}

impl Gate {
    /// A gate by this configuration.
    pub fn new(people: &config::People) -> Self {
        Self {
            administrators: people.administrators.clone(),
        }
    }

    /// Who a request comes from, by what its mount takes.
    #[expect(
        clippy::unused_async,
        reason = "what proves a name is looked up off the path"
    )]
    pub async fn prove(&self, mount: &Mount, asking: Asking<'_>) -> Result<Proven, Unproven> {
        let by_peer = mount.authenticate.contains(&Way::Peer);
        match asking.uid.filter(|_| by_peer) {
            Some(uid) => Ok(Proven::Peer {
                administrator: self.administrators.contains(&Administrator::Uid(uid)),
            }),
            None => Err(Unproven::Missing),
        }
    }
}
