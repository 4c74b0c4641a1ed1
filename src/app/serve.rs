//! From a configuration to the end of the process: what `rolecall serve` does.

use std::io;

use tokio::runtime::Builder;

use super::{Bound, Outside, Reloader, StartError, bind};
use crate::config::Config;
use crate::shutdown::Signals;

/// Why the daemon did not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The runtime or the signals could not be set up.
    #[error("the process cannot be set up")]
    Process(#[source] io::Error),
    /// The daemon could not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Serves until a signal asks for an end. `bound` is told what was bound before anything runs.
pub fn serve(
    config: Config,
    outside: Outside,
    reloader: Reloader,
    bound: impl FnOnce(&Bound),
) -> Result<(), ServeError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ServeError::Process)?;
    runtime.block_on(async {
        let signals = Signals::listen().map_err(ServeError::Process)?;
        let daemon = bind(config, outside)?;
        bound(&daemon);
        daemon.run(signals, reloader).await;
        Ok(())
    })
}
