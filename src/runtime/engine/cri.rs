//! The Container Runtime Interface: gRPC as containerd and CRI-O serve it to the kubelet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::cri_messages::{
    ContainerStatusResponse, Containers, Event, EventsRequest, Filter, ListRequest, NODE, READY,
    RUNNING, SandboxMetadata, SandboxStatus, SandboxStatusResponse, Sandboxes, State,
    StatusRequest, Version, VersionRequest,
};
use super::grpc::{Channel, NOT_FOUND, RpcError, UNIMPLEMENTED};
use super::{Engine, EngineError, MAX_CONTAINERS, Tell};
use crate::runtime::ask::Connection;
use crate::runtime::wire::{Inspected, Kind, Listed, PodName};

/// No list is larger.
const MAX_LIST: usize = 32 << 20;
/// No status, event or version is larger: a verbose one has the whole OCI configuration in it.
const MAX_STATUS: usize = 4 << 20;
/// How often a runtime is asked that tells no events: containerd before 1.7.
const POLL: Duration = Duration::from_secs(2);
/// How long a runtime may take to answer while it is watched.
const BEGIN: Duration = Duration::from_secs(5);

/// One that speaks so.
#[derive(Debug, Default)]
pub(super) struct Cri {
    /// A sandbox keeps its addresses for its life.
    seen: Mutex<HashMap<String, Arc<[IpAddr]>>>,
    name: Mutex<Option<Arc<str>>>,
}

impl Cri {
    /// The pods that are ready, with their addresses.
    pub(super) async fn list(&self, connection: Connection) -> Result<Vec<Listed>, EngineError> {
        let owner = connection.server;
        let mut channel = Channel::new(connection.stream).await?;
        let ready = ready_sandboxes(&mut channel).await?;
        if ready.len() > MAX_CONTAINERS {
            return Err(EngineError::TooMany);
        }
        let mut seen = HashMap::with_capacity(ready.len());
        let mut listed = Vec::with_capacity(ready.len());
        for id in ready {
            let before = lock(&self.seen).get(&id).cloned();
            let addresses = match before {
                Some(addresses) => addresses,
                None => match sandbox(&mut channel, &id, false).await? {
                    Some((status, _)) => addresses(&status).into(),
                    // It went while it was asked for.
                    None => continue,
                },
            };
            listed.push(Listed {
                id: id.clone(),
                owner,
                kind: Kind::Pod,
                addresses: addresses.to_vec(),
                shares: None,
            });
            // The network may be set up later than the sandbox is there.
            if !addresses.is_empty() {
                seen.insert(id, addresses);
            }
        }
        *lock(&self.seen) = seen;
        Ok(listed)
    }

    pub(super) async fn inspect(
        &self,
        connection: Connection,
        id: &str,
    ) -> Result<Option<Inspected>, EngineError> {
        let owner = connection.server;
        let mut channel = Channel::new(connection.stream).await?;
        let runtime = self.runtime_name(&mut channel).await?;
        let told = match container(&mut channel, id).await? {
            Some(told) => Some(told),
            None => pod(&mut channel, id).await?,
        };
        Ok(told.map(|told| Inspected {
            owner,
            runtime: runtime.to_string(),
            ..told
        }))
    }

    /// `containerd`, `cri-o`.
    async fn runtime_name(&self, channel: &mut Channel) -> Result<Arc<str>, EngineError> {
        let before = lock(&self.name).clone();
        if let Some(name) = before {
            return Ok(name);
        }
        let version: Version = channel
            .call("Version", &VersionRequest {}, MAX_STATUS)
            .await?;
        let name: Arc<str> = Arc::from(version.runtime_name);
        *lock(&self.name) = Some(Arc::clone(&name));
        Ok(name)
    }

    pub(super) async fn watch(
        &self,
        connection: Connection,
        engine: &Engine,
        tell: Tell<'_>,
    ) -> Result<(), EngineError> {
        let mut channel = Channel::new(connection.stream).await?;
        // Whoever serves it may be another runtime, or another version, than before.
        *lock(&self.name) = None;
        let asked = timeout(BEGIN, self.runtime_name(&mut channel)).await;
        asked.map_err(|_elapsed| EngineError::Slow)??;
        match follow(&mut channel, engine, tell).await {
            Err(EngineError::Rpc(RpcError::Status(UNIMPLEMENTED))) => {
                poll(&mut channel, engine, tell).await
            }
            ended => ended,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows the runtime's events. Its answer may begin with the first of them, so its silence is
/// taken for consent.
async fn follow(channel: &mut Channel, engine: &Engine, tell: Tell<'_>) -> Result<(), EngineError> {
    let asked = channel.stream("GetContainerEvents", &EventsRequest {}, MAX_STATUS);
    let mut asked = std::pin::pin!(asked);
    let mut events = match timeout(POLL, asked.as_mut()).await {
        Ok(events) => {
            let events = events?;
            engine.is_back(tell);
            events
        }
        Err(_silent) => {
            engine.is_back(tell);
            asked.await?
        }
    };
    while let Some(event) = events.next::<Event>().await? {
        tell(Some(event.container));
    }
    Ok(())
}

/// Compares what runs now with what ran before, again and again.
async fn poll(channel: &mut Channel, engine: &Engine, tell: Tell<'_>) -> Result<(), EngineError> {
    let mut before: Option<Vec<String>> = None;
    loop {
        let now = async {
            let mut now = ready_sandboxes(channel).await?;
            now.extend(running_containers(channel).await?);
            now.sort_unstable();
            Ok::<_, EngineError>(now)
        };
        let now = timeout(BEGIN, now).await;
        let now = now.map_err(|_elapsed| EngineError::Slow)??;
        match &before {
            None => engine.is_back(tell),
            Some(before) => {
                for id in differing(before, &now) {
                    tell(Some(id.clone()));
                }
            }
        }
        before = Some(now);
        sleep(POLL).await;
    }
}

/// What is in one of two sorted lists only.
fn differing<'a>(one: &'a [String], other: &'a [String]) -> impl Iterator<Item = &'a String> {
    let gone = one.iter().filter(|id| other.binary_search(id).is_err());
    let come = other.iter().filter(|id| one.binary_search(id).is_err());
    gone.chain(come)
}

async fn ready_sandboxes(channel: &mut Channel) -> Result<Vec<String>, EngineError> {
    let question = ListRequest {
        filter: Some(Filter {
            id: String::new(),
            state: Some(State { state: READY }),
        }),
    };
    let list: Sandboxes = channel.call("ListPodSandbox", &question, MAX_LIST).await?;
    let ready = list.items.into_iter().filter(|item| item.state == READY);
    Ok(ready.map(|item| item.id).collect())
}

async fn running_containers(channel: &mut Channel) -> Result<Vec<String>, EngineError> {
    let question = ListRequest {
        filter: Some(Filter {
            id: String::new(),
            state: Some(State { state: RUNNING }),
        }),
    };
    let list: Containers = channel.call("ListContainers", &question, MAX_LIST).await?;
    let running = list.containers.into_iter();
    let running = running.filter(|item| item.state == RUNNING);
    Ok(running.map(|item| item.id).collect())
}

fn by_id(id: &str) -> ListRequest {
    ListRequest {
        filter: Some(Filter {
            id: id.to_owned(),
            state: None,
        }),
    }
}

async fn container(channel: &mut Channel, id: &str) -> Result<Option<Inspected>, EngineError> {
    let list: Containers = channel
        .call("ListContainers", &by_id(id), MAX_STATUS)
        .await?;
    let found = list.containers.into_iter().find(|item| item.id == id);
    let Some(found) = found.filter(|item| item.state == RUNNING) else {
        return Ok(None);
    };
    let question = StatusRequest {
        id: id.to_owned(),
        verbose: true,
    };
    let asked = channel.call("ContainerStatus", &question, MAX_STATUS).await;
    let answer: ContainerStatusResponse = match asked {
        Err(RpcError::Status(NOT_FOUND)) => return Ok(None),
        answer => answer?,
    };
    let status = answer.status.ok_or(EngineError::Lacks("the status"))?;
    if status.state != RUNNING {
        return Ok(None);
    }
    let name = status.metadata.ok_or(EngineError::Lacks("the name"))?.name;
    let image = status.image.ok_or(EngineError::Lacks("the image"))?;
    let image = if image.user_specified.is_empty() {
        image.image
    } else {
        image.user_specified
    };
    let Some((sandbox, _)) = sandbox(channel, &found.sandbox, false).await? else {
        return Ok(None);
    };
    Ok(Some(Inspected {
        id: status.id,
        owner: 0,
        runtime: String::new(),
        kind: Kind::Container,
        name,
        image,
        labels: status.labels.into_iter().collect(),
        started_at: status.started_at.to_string(),
        addresses: Vec::new(),
        shares: Some(found.sandbox),
        host_network: is_on_host(&sandbox),
        pod: Some(pod_name(sandbox.metadata)?),
        pid: pid(&answer.info),
        cgroup: None,
    }))
}

async fn pod(channel: &mut Channel, id: &str) -> Result<Option<Inspected>, EngineError> {
    let Some((status, info)) = sandbox(channel, id, true).await? else {
        return Ok(None);
    };
    Ok(Some(Inspected {
        addresses: addresses(&status),
        host_network: is_on_host(&status),
        id: status.id,
        owner: 0,
        runtime: String::new(),
        kind: Kind::Pod,
        name: String::new(),
        image: String::new(),
        labels: status.labels.into_iter().collect(),
        started_at: status.created_at.to_string(),
        shares: None,
        pod: Some(pod_name(status.metadata)?),
        pid: pid(&info),
        cgroup: None,
    }))
}

/// A sandbox that is ready, and what the runtime says beyond the interface.
async fn sandbox(
    channel: &mut Channel,
    id: &str,
    verbose: bool,
) -> Result<Option<(SandboxStatus, HashMap<String, String>)>, EngineError> {
    let question = StatusRequest {
        id: id.to_owned(),
        verbose,
    };
    let asked = channel
        .call("PodSandboxStatus", &question, MAX_STATUS)
        .await;
    let answer: SandboxStatusResponse = match asked {
        Err(RpcError::Status(NOT_FOUND)) => return Ok(None),
        answer => answer?,
    };
    let status = answer.status.ok_or(EngineError::Lacks("the status"))?;
    if status.id != id {
        return Err(EngineError::Other);
    }
    Ok((status.state == READY).then_some((status, answer.info)))
}

fn pod_name(metadata: Option<SandboxMetadata>) -> Result<PodName, EngineError> {
    let metadata = metadata.ok_or(EngineError::Lacks("the pod's name"))?;
    Ok(PodName {
        namespace: metadata.namespace,
        name: metadata.name,
    })
}

fn is_on_host(status: &SandboxStatus) -> bool {
    let namespaces = status
        .linux
        .as_ref()
        .and_then(|linux| linux.namespaces.as_ref());
    let options = namespaces.and_then(|namespaces| namespaces.options.as_ref());
    options.is_some_and(|options| options.network == NODE)
}

/// A pod in the host's network namespace has the host's addresses, which are nobody's.
fn addresses(status: &SandboxStatus) -> Vec<IpAddr> {
    let Some(network) = status.network.as_ref().filter(|_| !is_on_host(status)) else {
        return Vec::new();
    };
    let additional = network.additional.iter().map(|ip| &ip.ip);
    let all = std::iter::once(&network.ip).chain(additional);
    all.filter_map(|ip| ip.parse().ok()).collect()
}

/// The pid stands in a JSON text that containerd and CRI-O call `info`.
fn pid(info: &HashMap<String, String>) -> Option<u32> {
    #[derive(Deserialize)]
    struct Info {
        pid: Option<u32>,
    }
    let info: Info = serde_json::from_str(info.get("info")?).ok()?;
    info.pid.filter(|pid| *pid != 0)
}
