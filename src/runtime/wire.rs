//! What the unit and the daemon say to each other: JSON over HTTP/1 on a unix socket.
//!
//! * `GET /v1/containers`: [`List`], what runs now and by which addresses this host sees it.
//! * `GET /v1/containers/{id}?owner=UID`: [`Inspected`]; 404 where nothing of this id runs under a
//!   runtime of this owner, 409 where what is said of it disagrees, 502 where its runtime does not
//!   answer.
//! * `GET /v1/events`: a [`Change`] a line, for as long as the connection lasts; the first comes at
//!   once and says that anything may have changed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// What all runtimes run now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct List {
    pub(super) containers: Vec<Listed>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) id: String,
    /// The uid that the runtime runs as.
    pub(super) owner: u32,
    pub(super) kind: Kind,
    /// The addresses under which its connections reach this host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) addresses: Vec<IpAddr>,
    /// The container whose network namespace it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shares: Option<String>,
}

/// What has an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Container,
    /// A pod's sandbox: its containers share its network namespace.
    Pod,
}

/// All that is told of one running container or pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Inspected {
    pub(super) id: String,
    pub(super) owner: u32,
    /// `docker`, `podman`, or what a CRI runtime calls itself.
    pub(super) runtime: String,
    pub(super) kind: Kind,
    /// Empty for pods.
    pub(super) name: String,
    /// As whoever made the container named it; empty for pods.
    pub(super) image: String,
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<PodName>,
    pub(super) started_at: String,
    pub(super) addresses: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shares: Option<String>,
    pub(super) host_network: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pid: Option<u32>,
    /// The control group of that process, which names the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cgroup: Option<String>,
}

/// A pod, as its runtime was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PodName {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// Something changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// With this container or pod; without, anything may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
}

/// Length of the ids that docker, podman, containerd and CRI-O give.
pub(super) const ID_LENGTH: usize = 64;

/// Whether this is an id as runtimes give them: whole, never a prefix or a name.
pub(super) fn is_id(text: &str) -> bool {
    let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == ID_LENGTH && text.bytes().all(digit)
}
