//! The daemon's side: asks the unit what a container is and which container holds an address, and
//! remembers what stays true until the unit says otherwise.

mod addresses;
mod books;
mod facts;
mod link;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::time::timeout;

use super::wire;
use crate::clock::Clock;
use crate::grants::{ContainerFacts, ContainerId, Known};
use books::{Answer, Key};
use link::Link;

pub use addresses::At;
pub use facts::Interest;

/// How long a caller waits for what is asked off its path.
const PATIENCE: Duration = Duration::from_secs(1);

/// The containers of this host, as the unit knows them. Clones are the same.
#[derive(Clone, Debug)]
pub struct Containers(Arc<Link>);

/// Who holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The container, or the pod's sandbox.
    pub id: ContainerId,
    /// What its runtime tells of it. Of a pod neither name nor image: which of its containers asks
    /// cannot be told.
    pub facts: Arc<ContainerFacts>,
}

impl Containers {
    /// Those that the unit behind this socket knows. Nothing is asked before [`Self::run`] runs.
    pub fn new(socket: PathBuf, clock: Clock) -> Self {
        Self(Arc::new(Link::new(socket, clock)))
    }

    /// What grants may ask of containers: nothing else is kept of them. Whether that is another
    /// thing than before.
    pub fn follow(&self, interest: Interest) -> bool {
        self.0.books.follow(interest)
    }

    /// Keeps in step with the unit, for ever.
    pub async fn run(&self) -> ! {
        self.0.run().await
    }

    /// What is remembered of this container.
    pub fn remembered(&self, id: &ContainerId, owner: u32) -> Option<Known<Arc<ContainerFacts>>> {
        self.0.books.remembered(&Key::new(id, owner))
    }

    /// What the runtimes of this owner tell of the container that runs under this id; not known yet
    /// where the unit cannot be asked or takes its time. It is asked on, and whoever asks next finds
    /// what it brought.
    pub async fn inspect(&self, id: &ContainerId, owner: u32) -> Known<Arc<ContainerFacts>> {
        if !wire::is_id(id.as_str()) {
            return Known::No;
        }
        let key = Key::new(id, owner);
        if let Some(known) = self.0.books.remembered(&key) {
            return known;
        }
        let asked = timeout(PATIENCE, async {
            if self.0.is_up().await {
                self.0.ask(&key, 0).await
            } else {
                Answer::Failed
            }
        });
        asked.await.unwrap_or(Answer::Failed).into()
    }

    /// Who holds this address, as far as is remembered. Never waits.
    pub fn at(&self, address: IpAddr) -> At {
        self.0.at(address)
    }

    /// The one running container, or pod, that holds this address now, by a list and an inspection
    /// that both began after this call; no if nobody or several do.
    pub async fn confirm(&self, address: IpAddr) -> Known<Held> {
        let asked = timeout(PATIENCE, async {
            if self.0.is_up().await {
                self.0.confirm(address).await
            } else {
                Answer::Failed
            }
        });
        match asked.await.unwrap_or(Answer::Failed) {
            Answer::Told(told) => Known::Yes(Held {
                id: told.facts.id.clone(),
                facts: Arc::clone(&told.facts),
            }),
            Answer::Nothing => Known::No,
            Answer::Failed => Known::NotYet,
        }
    }
}

/// Users whose runtimes' word is the host's: root, and whoever runs the daemon.
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}
