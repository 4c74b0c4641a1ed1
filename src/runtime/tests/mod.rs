//! The unit and its client together, over small runtimes that do what a test wants.

mod addresses;
mod cri;
mod faults;
mod scripted_cri;
pub(crate) mod scripted_docker;
mod stories;

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::clock::Clock;
use crate::grants::{ContainerFacts, ContainerId, Known};

/// Nothing that is waited for takes longer, in simulated time.
const LONG: Duration = Duration::from_mins(5);

/// A folder for sockets, with processes of a host.
pub(crate) struct Host {
    folder: TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A process in this control group.
    pub(crate) fn process(&self, pid: u32, group: &str) {
        let folder = self.path("proc").join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cgroup"), format!("0::{group}\n")).unwrap();
    }

    /// A unit that asks these runtimes.
    pub(crate) fn unit(&self, engines: &[(EngineKind, &str)]) -> DropGuard {
        let engines = engines.iter().map(|(kind, socket)| EngineSpec {
            kind: *kind,
            socket: self.path(socket),
        });
        let unit = Unit::bind(UnitSpec {
            socket: self.path("unit"),
            engines: engines.collect(),
            asker: None,
            processes: self.path("proc"),
        });
        let stop = CancellationToken::new();
        drop(tokio::spawn(unit.unwrap().run(stop.clone())));
        stop.drop_guard()
    }

    /// A client of the unit, which runs for as long as the handle is kept.
    pub(crate) fn client(&self) -> (Containers, AbortOnDropHandle<()>) {
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
        let containers = Containers::new(self.path("unit"), clock);
        let labels = [Arc::from("team")].into_iter().collect();
        containers.follow(Interest { labels });
        let running = containers.clone();
        let running = tokio::spawn(async move { running.run().await });
        (containers, AbortOnDropHandle::new(running))
    }
}

/// An id of sixty-four times this digit.
pub(crate) fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

pub(crate) fn container_id(digit: char) -> ContainerId {
    ContainerId::new(&id(digit))
}

fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Containers {
    async fn told(&self, digit: char) -> Known<Arc<ContainerFacts>> {
        timeout(LONG, self.inspect(&container_id(digit), own_uid()))
            .await
            .unwrap()
    }

    /// The digit of the container that holds this address.
    async fn holder(&self, of: &str) -> Known<char> {
        match timeout(LONG, self.confirm(address(of))).await.unwrap() {
            Known::Yes(held) => {
                assert_eq!(held.id, held.facts.id);
                Known::Yes(held.id.as_str().chars().next().unwrap())
            }
            Known::No => Known::No,
            Known::NotYet => Known::NotYet,
        }
    }
}

/// Asks again and again until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asked = timeout(LONG, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    asked.await.unwrap_or_else(|_| panic!("never: {what}"));
}
