//! From a configuration to the end of the process: what `rolecall serve` does.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use super::{Bound, Outside, Reloader, StartError, TokenFileError, bind};
use crate::config::Config;
use crate::listener::BindError;
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

/// What kind of thing kept the daemon from serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The configuration asks for what cannot be.
    Configuration,
    /// The daemon may not do what it must.
    Permission,
    /// Anything else.
    Other,
}

/// A socket that could not be had, for a reason that only a look at the host explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused<'a> {
    /// Somebody has `127.0.0.1:80`, or `unix:/path`.
    Taken(&'a str),
    /// No interface has the address of `192.0.2.1:80`.
    Missing(&'a str),
}

impl ServeError {
    /// The socket that could not be had.
    pub fn refused(&self) -> Option<Refused<'_>> {
        match self {
            Self::Start(StartError::Bind { source, .. }) => match source {
                BindError::InUse(address) => Some(Refused::Taken(address)),
                BindError::Missing(address) => Some(Refused::Missing(address)),
                BindError::Permission(_)
                | BindError::Folder(_)
                | BindError::NotPassed(_)
                | BindError::NotAListener(_)
                | BindError::NoIpv6(_)
                | BindError::Other { .. } => None,
            },
            Self::Process(_) | Self::Start(_) => None,
        }
    }

    /// What kind of thing it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Start(StartError::Bind { source, .. }) => match source {
                BindError::Permission(_) | BindError::Folder(_) => Fault::Permission,
                BindError::NotPassed(_) | BindError::NotAListener(_) => Fault::Configuration,
                BindError::InUse(_)
                | BindError::Missing(_)
                | BindError::NoIpv6(_)
                | BindError::Other { .. } => Fault::Other,
            },
            Self::Start(StartError::Plan(_) | StartError::Tls { .. }) => Fault::Configuration,
            Self::Start(StartError::State(state)) => state.fault(),
            Self::Start(StartError::TokenFile(TokenFileError::Exposed { .. })) => Fault::Permission,
            Self::Process(_) | Self::Start(StartError::Desk(_) | StartError::TokenFile(_)) => {
                Fault::Other
            }
        }
    }
}

/// Serves until a signal asks for an end. `bound` is told what was bound before anything runs.
pub fn serve(
    config: Config,
    mut outside: Outside,
    reloader: Reloader,
    bound: impl FnOnce(&Bound),
) -> Result<(), ServeError> {
    outside.confinement.keep_memory_private();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ServeError::Process)?;
    let served = runtime.block_on(async {
        let mut signals = Signals::listen().map_err(ServeError::Process)?;
        let daemon = bind(config, outside)?;
        daemon.daemon().confinement.close_ports();
        bound(&daemon);
        let (ask, asked) = mpsc::channel(4);
        let forward = async move { while ask.send(signals.next().await).await.is_ok() {} };
        tokio::select! {
            () = daemon.run(asked, reloader) => {}
            () = forward => {}
        }
        Ok(())
    });
    // A thread that hangs on a file or a name service is not waited for.
    runtime.shutdown_background();
    served
}

/// Lets the process open as many descriptors as it may, and says how many: each connection is one.
pub fn raise_descriptors() -> usize {
    /// What every system lets a process open.
    const USUAL: usize = 1024;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return USUAL;
    };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard);
    usize::try_from(raised).unwrap_or(USUAL)
}
