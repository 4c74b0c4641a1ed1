//! Where the daemon listens, and what is served there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Mount, Tls};
use crate::grants::Select;
use crate::types::RoleRef;

/// One `[[listener]]`.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name, in logs and metrics.
    pub name: Arc<str>,
    /// Its sockets.
    pub binds: Vec<Bind>,
    /// What is served there.
    pub apis: Vec<Api>,
    /// Whether requests without an ImdsToken are served.
    pub imdsv1: bool,
    /// Further `Host` names that are accepted.
    pub hosts: Vec<String>,
    /// What other metadata leaves tell.
    pub instance: Instance,
    /// `AccessKeyID` beside `AccessKeyId`, as minio-js reads it.
    pub minio_js_alias: bool,
    /// Whether the container API is served without `Authorization`.
    pub tokenless: bool,
    /// Authorization tokens written to files.
    pub tokens: Vec<TokenFile>,
    /// Who gets which where grants give several roles.
    pub select: Select,
    /// Where people's APIs are served.
    pub mounts: Vec<Mount>,
    /// Which other hosts may connect.
    pub peers: Vec<IpNet>,
    /// Where people's clients find it, without a slash at its end: answers name this, never the
    /// `Host` of a request.
    pub public_url: Option<String>,
    /// Its certificate.
    pub tls: Option<Tls>,
}

/// A socket of a listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bind {
    /// An address and port.
    Tcp(SocketAddr),
    /// `unix:/path`.
    Unix(PathBuf),
    /// `passed:NAME`: sockets of this name handed over by systemd.
    Passed(String),
}

/// A protocol that a listener can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// EC2 instance metadata.
    Imds,
    /// Container credentials: ECS and EKS Pod Identity.
    Container,
    /// AWS Federation Proxy's accounts.
    Accounts,
    /// Identity Federation's connectors.
    Connectors,
    /// OpenStack Keystone's EC2 credentials.
    Keystone,
    /// AWS STS.
    Sts,
    /// Prometheus metrics and health.
    Metrics,
}

/// What a metadata listener tells of the machine; what is not set is 404.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// `instance-id`.
    pub id: Option<String>,
    /// `placement/availability-zone`.
    pub availability_zone: Option<String>,
    /// `instance-type`.
    pub kind: Option<String>,
}

/// One `[[listener.token]]`: an authorization token written to a file at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile {
    /// The role it is for; the caller's first matching grant otherwise.
    pub role: Option<RoleRef>,
    /// Where the token is written, mode 0400, without newline.
    pub file: PathBuf,
    /// Where `/v2/credentials/{id}` is written, the ECS relative form.
    pub uri_file: Option<PathBuf>,
    /// Who may read it.
    pub owner: u32,
    /// Who may show it.
    pub holder: Holder,
}

/// Who may show a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Its owner.
    Owner,
    /// Its owner, and who cannot be told by the kernel: that one stands for the owner.
    Bearer,
    /// A container that is known by its address: what it gets is decided of the container, and the
    /// token only shows that it chose to ask.
    Container,
}

impl Listener {
    /// Whether it hands credentials to programs of this host, and to nobody else.
    pub fn is_for_this_host(&self) -> bool {
        self.apis
            .iter()
            .any(|api| matches!(api, Api::Imds | Api::Container))
    }

    /// The origin of its public URL, as browsers write it, and the path below that.
    pub fn public(&self) -> Option<(&str, &str)> {
        let url = self.public_url.as_deref()?;
        let (_, rest) = url.split_once("://")?;
        let path = rest.find('/').map_or(0, |at| rest.len() - at);
        url.split_at_checked(url.len() - path)
    }
}
