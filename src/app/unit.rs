//! The unit that tells of containers: what `rolecall runtime` does.

use std::io;
use std::path::PathBuf;

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::Fault;
use crate::config::{EngineKind, Runtime};
use crate::runtime::{self, EngineSpec, Unit, UnitError, UnitSpec};
use crate::shutdown::{Asked, Signals};
use crate::systemd;

/// Why the unit did not run.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// The runtime or the signals could not be set up.
    #[error("the process cannot be set up")]
    Process(#[source] io::Error),
    /// There is no socket.
    #[error("the unit's socket cannot be had")]
    Unit(#[source] UnitError),
}

impl TellError {
    /// What kind of thing it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unit(UnitError::Bind { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Fault::Permission
            }
            Self::Unit(_) | Self::Process(_) => Fault::Other,
        }
    }
}

/// Answers questions about containers until a signal asks for an end.
pub fn tell_containers(config: Runtime) -> Result<(), TellError> {
    let engines = config.engines.into_iter().map(|engine| EngineSpec {
        kind: kind(engine.kind),
        socket: engine.socket,
    });
    let spec = UnitSpec {
        socket: config.socket,
        engines: engines.collect(),
        asker: config.asker,
        processes: PathBuf::from("/proc"),
    };
    let executor = Builder::new_current_thread().enable_all().build();
    executor.map_err(TellError::Process)?.block_on(async {
        let mut signals = Signals::listen().map_err(TellError::Process)?;
        tracing::info!(socket = %spec.socket.display(), "telling of containers");
        let unit = Unit::bind(spec).map_err(TellError::Unit)?;
        systemd::ready("telling of containers");
        let stop = CancellationToken::new();
        let ended = async {
            while signals.next().await != Asked::End {}
            systemd::stopping();
            stop.cancel();
        };
        tokio::join!(unit.run(stop.clone()), ended);
        Ok(())
    })
}

const fn kind(kind: EngineKind) -> runtime::EngineKind {
    match kind {
        EngineKind::Docker => runtime::EngineKind::Docker,
        EngineKind::Podman => runtime::EngineKind::Podman,
        EngineKind::Cri => runtime::EngineKind::Cri,
    }
}
