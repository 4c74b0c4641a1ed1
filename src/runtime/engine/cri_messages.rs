//! The messages of the Container Runtime Interface, version 1, as far as they are asked for here.
//! Numbers are those of `runtime.v1` in Kubernetes' `cri-api`.

use std::collections::HashMap;

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct VersionRequest {}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct Version {
    #[prost(string, tag = "2")]
    pub(in crate::runtime) runtime_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct State {
    #[prost(int32, tag = "1")]
    pub(in crate::runtime) state: i32,
}

/// The filter of lists: all parts hold.
#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct Filter {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) id: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::runtime) state: Option<State>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct ListRequest {
    #[prost(message, optional, tag = "1")]
    pub(in crate::runtime) filter: Option<Filter>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct SandboxMetadata {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) name: String,
    #[prost(string, tag = "3")]
    pub(in crate::runtime) namespace: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct Sandbox {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) id: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::runtime) metadata: Option<SandboxMetadata>,
    #[prost(int32, tag = "3")]
    pub(in crate::runtime) state: i32,
}

/// `SANDBOX_READY`.
pub(in crate::runtime) const READY: i32 = 0;

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct Sandboxes {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::runtime) items: Vec<Sandbox>,
}

/// Asks for the status of a sandbox or a container.
#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct StatusRequest {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) id: String,
    #[prost(bool, tag = "2")]
    pub(in crate::runtime) verbose: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct PodIp {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) ip: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct SandboxNetwork {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) ip: String,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::runtime) additional: Vec<PodIp>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct NamespaceOption {
    #[prost(int32, tag = "1")]
    pub(in crate::runtime) network: i32,
}

/// `NODE`: the host's network namespace.
pub(in crate::runtime) const NODE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct Namespaces {
    #[prost(message, optional, tag = "2")]
    pub(in crate::runtime) options: Option<NamespaceOption>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct LinuxSandbox {
    #[prost(message, optional, tag = "1")]
    pub(in crate::runtime) namespaces: Option<Namespaces>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct SandboxStatus {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) id: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::runtime) metadata: Option<SandboxMetadata>,
    #[prost(int32, tag = "3")]
    pub(in crate::runtime) state: i32,
    #[prost(int64, tag = "4")]
    pub(in crate::runtime) created_at: i64,
    #[prost(message, optional, tag = "5")]
    pub(in crate::runtime) network: Option<SandboxNetwork>,
    #[prost(message, optional, tag = "6")]
    pub(in crate::runtime) linux: Option<LinuxSandbox>,
    #[prost(map = "string, string", tag = "7")]
    pub(in crate::runtime) labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct SandboxStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(in crate::runtime) status: Option<SandboxStatus>,
    #[prost(map = "string, string", tag = "2")]
    pub(in crate::runtime) info: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct Container {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) id: String,
    #[prost(string, tag = "2")]
    pub(in crate::runtime) sandbox: String,
    #[prost(int32, tag = "6")]
    pub(in crate::runtime) state: i32,
}

/// `CONTAINER_RUNNING`.
pub(in crate::runtime) const RUNNING: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct Containers {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::runtime) containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct Image {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) image: String,
    /// Of newer runtimes: `image` may be an id with them.
    #[prost(string, tag = "18")]
    pub(in crate::runtime) user_specified: String,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct ContainerStatus {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) id: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::runtime) metadata: Option<ContainerMetadata>,
    #[prost(int32, tag = "3")]
    pub(in crate::runtime) state: i32,
    #[prost(int64, tag = "5")]
    pub(in crate::runtime) started_at: i64,
    #[prost(message, optional, tag = "8")]
    pub(in crate::runtime) image: Option<Image>,
    #[prost(map = "string, string", tag = "12")]
    pub(in crate::runtime) labels: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(in crate::runtime) status: Option<ContainerStatus>,
    #[prost(map = "string, string", tag = "2")]
    pub(in crate::runtime) info: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct EventsRequest {}

#[derive(Clone, PartialEq, Message)]
pub(in crate::runtime) struct Event {
    #[prost(string, tag = "1")]
    pub(in crate::runtime) container: String,
}
