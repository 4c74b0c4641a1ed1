//! Docker's HTTP API, as docker and podman serve it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use tokio::time::timeout;

use super::{Engine, EngineError, Tell};
use crate::runtime::ask::{AskError, Connection};
use crate::runtime::wire::{Inspected, Kind, Listed};

/// No list is larger: twenty thousand containers have less.
const MAX_LIST: usize = 32 << 20;
/// Nothing that is told of one container is larger.
const MAX_INSPECT: usize = 1 << 20;
/// How long a runtime may take to begin telling events.
const BEGIN: Duration = Duration::from_secs(5);

/// `filters={"type":["container","network"]}`.
const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D";

/// One that speaks so.
#[derive(Debug)]
pub(super) struct Docker {
    name: &'static str,
    /// All but those that have ended: one that is just being started is not yet said to run.
    list: &'static str,
    /// Podman lists its default network under docker's name for it, except in words of its own.
    networks: &'static str,
}

impl Docker {
    /// `filters={"status":["created","running","paused","restarting"]}`.
    pub(super) const DOCKER: Self = Self {
        name: "docker",
        list: "/containers/json?filters=%7B%22status%22%3A%5B%22created%22%2C%22running%22%2C%22paused%22%2C%22restarting%22%5D%7D",
        networks: "/networks",
    };
    /// `filters={"status":["created","running","paused"]}`.
    pub(super) const PODMAN: Self = Self {
        name: "podman",
        list: "/containers/json?filters=%7B%22status%22%3A%5B%22created%22%2C%22running%22%2C%22paused%22%5D%7D",
        networks: "/v4.0.0/libpod/networks/json",
    };

    pub(super) async fn list(&self, socket: &Path) -> Result<Vec<Listed>, EngineError> {
        let networks = async {
            let (_, body) = asked(Connection::open(socket).await?, self.networks).await?;
            Ok::<Vec<Network>, EngineError>(serde_json::from_slice(&body)?)
        };
        let containers = async {
            let (owner, body) = asked(Connection::open(socket).await?, self.list).await?;
            Ok::<_, EngineError>((owner, serde_json::from_slice::<Vec<Item>>(&body)?))
        };
        let (networks, (owner, containers)) = tokio::try_join!(networks, containers)?;
        let bridges = bridges(networks);
        let listed = containers
            .into_iter()
            .map(|item| item.listed(owner, &bridges));
        Ok(listed.collect())
    }

    pub(super) async fn inspect(
        &self,
        connection: Connection,
        id: &str,
    ) -> Result<Option<Inspected>, EngineError> {
        let owner = connection.server;
        let path = format!("/containers/{id}/json");
        let (status, body) = connection.get(&path, MAX_INSPECT).await?;
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            other => return Err(AskError::Status(other).into()),
        }
        let details: Details = serde_json::from_slice(&body)?;
        details.inspected(self.name, owner)
    }

    pub(super) async fn watch(
        &self,
        connection: Connection,
        engine: &Engine,
        tell: Tell<'_>,
    ) -> Result<(), EngineError> {
        let begun = timeout(BEGIN, connection.lines(EVENTS)).await;
        let mut lines = begun.map_err(|_elapsed| EngineError::Slow)??;
        engine.is_back(tell);
        while let Some(line) = lines.next().await? {
            let event: Event = serde_json::from_slice(&line)?;
            if let Some(id) = event.container() {
                tell(Some(id));
            }
        }
        Ok(())
    }
}

async fn asked(connection: Connection, path: &str) -> Result<(u32, bytes::Bytes), AskError> {
    let owner = connection.server;
    match connection.get(path, MAX_LIST).await? {
        (StatusCode::OK, body) => Ok((owner, body)),
        (status, _) => Err(AskError::Status(status)),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    #[serde(alias = "name")]
    name: Option<String>,
    #[serde(alias = "id")]
    id: Option<String>,
    #[serde(alias = "driver")]
    driver: Option<String>,
}

/// The names and ids of networks that are bridges on this host: an address of any other kind, of a
/// macvlan say, is one that hosts elsewhere may have too.
fn bridges(networks: Vec<Network>) -> HashSet<String> {
    let bridges = networks
        .into_iter()
        .filter(|network| network.driver.as_deref() == Some("bridge"));
    bridges
        .flat_map(|network| [network.id, network.name])
        .flatten()
        .collect()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    id: String,
    state: Option<String>,
    host_config: Option<HostConfig>,
    network_settings: Option<NetworkSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    network_mode: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    networks: Option<HashMap<String, Option<Endpoint>>>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    #[serde(rename = "NetworkID")]
    network: Option<String>,
    #[serde(rename = "IPAddress")]
    v4: Option<String>,
    #[serde(rename = "GlobalIPv6Address")]
    v6: Option<String>,
}

impl Item {
    fn listed(self, owner: u32, bridges: &HashSet<String>) -> Listed {
        let running = matches!(self.state.as_deref(), Some("running" | "paused"));
        let settings = self.network_settings.filter(|_| running);
        let on_bridge = |name: &str, endpoint: &Endpoint| match endpoint.network.as_deref() {
            Some(id) if !id.is_empty() => bridges.contains(id),
            Some(_) | None => bridges.contains(name),
        };
        Listed {
            id: self.id,
            owner,
            kind: Kind::Container,
            addresses: settings.unwrap_or_default().addresses(on_bridge),
            shares: self.host_config.and_then(HostConfig::shares),
        }
    }
}

impl HostConfig {
    fn shares(self) -> Option<String> {
        let mode = self.network_mode?;
        mode.strip_prefix("container:").map(str::to_owned)
    }
}

impl NetworkSettings {
    fn addresses(self, counts: impl Fn(&str, &Endpoint) -> bool) -> Vec<IpAddr> {
        let endpoints = self.networks.unwrap_or_default().into_iter();
        let endpoints = endpoints.filter_map(|(name, endpoint)| {
            let endpoint = endpoint?;
            counts(&name, &endpoint).then_some([endpoint.v4, endpoint.v6])
        });
        let texts = endpoints.flatten().flatten();
        let mut addresses: Vec<IpAddr> = texts.filter_map(|text| text.parse().ok()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Details {
    id: String,
    name: Option<String>,
    state: Option<DetailedState>,
    config: Option<ContainerConfig>,
    host_config: Option<HostConfig>,
    network_settings: Option<NetworkSettings>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DetailedState {
    #[serde(default)]
    running: bool,
    #[serde(default)]
    pid: u32,
    started_at: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerConfig {
    image: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

impl Details {
    fn inspected(self, runtime: &str, owner: u32) -> Result<Option<Inspected>, EngineError> {
        let state = self.state.ok_or(EngineError::Lacks("the state"))?;
        if !state.running || state.pid == 0 {
            return Ok(None);
        }
        let config = self.config.ok_or(EngineError::Lacks("the configuration"))?;
        let host_config = self.host_config;
        let host_network = host_config
            .as_ref()
            .is_some_and(|host| host.network_mode.as_deref() == Some("host"));
        let name = self.name.ok_or(EngineError::Lacks("the name"))?;
        let settings = self.network_settings.unwrap_or_default();
        Ok(Some(Inspected {
            id: self.id,
            owner,
            runtime: runtime.to_owned(),
            kind: Kind::Container,
            // Docker's names begin with a slash: links between containers were paths.
            name: name.strip_prefix('/').unwrap_or(&name).to_owned(),
            image: config.image.ok_or(EngineError::Lacks("the image"))?,
            labels: config.labels.unwrap_or_default(),
            pod: None,
            started_at: state
                .started_at
                .ok_or(EngineError::Lacks("when it started"))?,
            addresses: settings.addresses(|_, _| true),
            shares: host_config.and_then(HostConfig::shares),
            host_network,
            pid: Some(state.pid),
            cgroup: None,
        }))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    r#type: Option<String>,
    action: Option<String>,
    actor: Option<Actor>,
}

#[derive(Debug, Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: Option<String>,
    #[serde(rename = "Attributes", default)]
    attributes: Attributes,
}

#[derive(Debug, Default, Deserialize)]
struct Attributes {
    container: Option<String>,
}

impl Event {
    /// The container that is another now: a command run in one, or its health, changes nothing.
    fn container(self) -> Option<String> {
        let action = self.action.unwrap_or_default();
        if ["exec", "health_status", "top", "attach", "resize"]
            .iter()
            .any(|nothing| action.starts_with(nothing))
        {
            return None;
        }
        let actor = self.actor?;
        match self.r#type.as_deref() {
            Some("container") => actor.id,
            Some("network") => actor.attributes.container,
            Some(_) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_that_change_a_container_name_it() {
        for (event, named) in [
            (
                r#"{"Type":"container","Action":"die","Actor":{"ID":"c1"}}"#,
                Some("c1"),
            ),
            (
                r#"{"Type":"network","Action":"connect","Actor":{"ID":"n","Attributes":{"container":"c2"}}}"#,
                Some("c2"),
            ),
            (
                r#"{"Type":"container","Action":"exec_create: sh","Actor":{"ID":"c1"}}"#,
                None,
            ),
            (
                r#"{"Type":"container","Action":"health_status: healthy","Actor":{"ID":"c1"}}"#,
                None,
            ),
            (
                r#"{"Type":"network","Action":"create","Actor":{"ID":"n"}}"#,
                None,
            ),
            (
                r#"{"Type":"image","Action":"pull","Actor":{"ID":"i"}}"#,
                None,
            ),
            ("{}", None),
        ] {
            let parsed: Event = serde_json::from_str(event).unwrap();
            assert_eq!(parsed.container().as_deref(), named, "{event}");
        }
    }

    #[test]
    fn only_addresses_on_bridges_of_this_host_are_listed() {
        let networks = r#"[
            {"Name":"bridge","Id":"n1","Driver":"bridge"},
            {"Name":"lan","Id":"n2","Driver":"macvlan"},
            {"name":"podman","id":"n3","driver":"bridge"},
            {"Name":null,"Id":null,"Driver":null}
        ]"#;
        let bridges = bridges(serde_json::from_str(networks).unwrap());
        let item = |state: &str| -> Item {
            let text = r#"{"Id":"c","State":"STATE","NetworkSettings":{"Networks":{
                "bridge":{"NetworkID":"n1","IPAddress":"172.17.0.2","GlobalIPv6Address":"fd00::2"},
                "podman":{"NetworkID":"","IPAddress":"10.88.0.2","GlobalIPv6Address":""},
                "lan":{"NetworkID":"n2","IPAddress":"192.168.1.2"},
                "bridge-like":{"NetworkID":"n2","IPAddress":"192.168.1.3"},
                "none":null}}}"#;
            serde_json::from_str(&text.replace("STATE", state)).unwrap()
        };
        let expected = ["10.88.0.2", "172.17.0.2", "fd00::2"];
        let expected: Vec<IpAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(item("running").listed(0, &bridges).addresses, expected);
        assert!(item("created").listed(0, &bridges).addresses.is_empty());
    }
}
