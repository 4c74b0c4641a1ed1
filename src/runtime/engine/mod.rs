//! The container runtimes, each asked in its own words: which containers run, what one is, what
//! changes.

mod cri;
pub(super) mod cri_messages;
mod docker;
pub(super) mod grpc;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ask::{AskError, Connection};
use super::wire::{Inspected, Listed};
use cri::Cri;
use docker::Docker;
use grpc::RpcError;

/// The most containers that one runtime may list.
const MAX_CONTAINERS: usize = 20_000;

/// How a runtime is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker's HTTP API.
    Docker,
    /// Podman's, which follows docker's.
    Podman,
    /// Kubernetes' Container Runtime Interface: containerd, CRI-O.
    Cri,
}

/// A runtime and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSpec {
    /// How it is spoken to.
    pub kind: EngineKind,
    /// Its unix socket.
    pub socket: PathBuf,
}

/// Why a runtime told nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error("it does not answer in time")]
    Slow,
    #[error("its answer is about another container")]
    Other,
    #[error("its answer lacks {0}")]
    Lacks(&'static str),
    #[error("it lists more than {MAX_CONTAINERS} containers")]
    TooMany,
    #[error("its events ended")]
    Ended,
}

impl From<serde_json::Error> for EngineError {
    fn from(error: serde_json::Error) -> Self {
        Self::Ask(AskError::Garbage(error))
    }
}

/// A runtime.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) spec: EngineSpec,
    speech: Speech,
    /// It failed, and has not come back since: it is not waited for.
    down: AtomicBool,
}

#[derive(Debug)]
enum Speech {
    Docker(Docker),
    Cri(Cri),
}

/// Is told when containers change: the id of one, or none where anything may have changed.
pub(super) type Tell<'t> = &'t (dyn Fn(Option<String>) + Send + Sync);

impl Engine {
    pub(super) fn new(spec: EngineSpec) -> Self {
        let speech = match spec.kind {
            EngineKind::Docker => Speech::Docker(Docker::DOCKER),
            EngineKind::Podman => Speech::Docker(Docker::PODMAN),
            EngineKind::Cri => Speech::Cri(Cri::default()),
        };
        Self {
            spec,
            speech,
            down: AtomicBool::new(false),
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    pub(super) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// What runs, and what exists in another's network namespace.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let socket = &self.spec.socket;
        let listed = match &self.speech {
            Speech::Docker(docker) => docker.list(socket).await?,
            Speech::Cri(cri) => cri.list(Connection::open(socket).await?).await?,
        };
        if listed.len() > MAX_CONTAINERS {
            return Err(EngineError::TooMany);
        }
        Ok(listed)
    }

    /// The running container or pod of this id; `None` where there is none, or where the runtime
    /// runs as another user than `owner`, which is then not asked.
    pub(super) async fn inspect(
        &self,
        id: &str,
        owner: u32,
    ) -> Result<Option<Inspected>, EngineError> {
        let connection = Connection::open(&self.spec.socket).await?;
        if connection.server != owner {
            return Ok(None);
        }
        let told = match &self.speech {
            Speech::Docker(docker) => docker.inspect(connection, id).await?,
            Speech::Cri(cri) => cri.inspect(connection, id).await?,
        };
        match told {
            Some(inspected) if inspected.id != id => Err(EngineError::Other),
            told => Ok(told),
        }
    }

    /// Tells what changes until that can no longer be told, and why. `tell` is told that anything
    /// may have changed as soon as changes are seen.
    pub(super) async fn watch(&self, tell: Tell<'_>) -> EngineError {
        match self.watched(tell).await {
            Ok(()) => EngineError::Ended,
            Err(error) => error,
        }
    }

    async fn watched(&self, tell: Tell<'_>) -> Result<(), EngineError> {
        let connection = Connection::open(&self.spec.socket).await?;
        match &self.speech {
            Speech::Docker(docker) => docker.watch(connection, self, tell).await,
            Speech::Cri(cri) => cri.watch(connection, self, tell).await,
        }
    }

    /// It answers again.
    fn is_back(&self, tell: Tell<'_>) {
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!(socket = %self.spec.socket.display(), "a container runtime answers again");
        }
        tell(None);
    }
}
