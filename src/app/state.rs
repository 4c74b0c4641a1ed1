//! What survives a restart: the key rings in the state directory, and the store.

use std::path::PathBuf;

use super::Fault;
use crate::api::container::AuthorizationTokens;
use crate::authority::{
    Authority, KeyRing, KeyRingError, PrivateFileError, Seals, StateKey, StateKeyError,
};
use crate::clock::Clock;
use crate::config::{Config, Origin};
use crate::store::Store;

/// The state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The state key is none.
    #[error("[state] key cannot be used")]
    Key(#[source] StateKeyError),
    /// A key ring cannot be read or kept.
    #[error("the state directory {} cannot be used", .directory.display())]
    Ring {
        /// The directory.
        directory: PathBuf,
        /// What is wrong.
        source: KeyRingError,
    },
    /// No key could be made.
    #[error("no keys could be made")]
    NoKeys(#[source] KeyRingError),
}

impl StateError {
    /// What kind of thing it is.
    pub(super) const fn fault(&self) -> Fault {
        match self {
            Self::Key(_) => Fault::Configuration,
            Self::Ring {
                source: KeyRingError::File(PrivateFileError::Exposed { .. }),
                ..
            } => Fault::Permission,
            Self::Ring { .. } | Self::NoKeys(_) => Fault::Other,
        }
    }
}

/// Everything that has keys.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) authority: Authority,
    pub(super) imds: Seals,
    pub(super) authorization: AuthorizationTokens,
    pub(super) store: Store,
}

/// Opens the key rings. Where nobody named a directory and the usual one cannot be had, they live
/// in memory, and the log says so.
pub(super) fn open(config: &Config, clock: &Clock) -> Result<Keyed, StateError> {
    let key = || config.state.key.as_ref().map(StateKey::parse).transpose();
    let in_memory = || {
        tracing::warn!("no state directory: tokens and local sessions end with this process");
        let store = Store::in_memory(clock.clone());
        let keyed = keyed(clock, store, || None, |_, _| KeyRing::in_memory());
        keyed.map_err(StateError::NoKeys)
    };
    let Some(directory) = &config.state.directory else {
        return in_memory();
    };
    drop(key().map_err(StateError::Key)?);
    let usable = || key().ok().flatten();
    let opened = keyed(
        clock,
        Store::at(directory, usable(), clock.clone()),
        usable,
        |name, with| KeyRing::open(directory, name, with),
    );
    match opened {
        Ok(keyed) => Ok(keyed),
        Err(error) if config.origin == Origin::Embedded => {
            tracing::warn!(directory = %directory.display(), %error, "the state directory cannot be used");
            in_memory()
        }
        Err(source) => Err(StateError::Ring {
            directory: directory.clone(),
            source,
        }),
    }
}

fn keyed(
    clock: &Clock,
    store: Store,
    key: impl Fn() -> Option<StateKey>,
    ring: impl Fn(&str, Option<&StateKey>) -> Result<KeyRing, KeyRingError>,
) -> Result<Keyed, KeyRingError> {
    let seals = |name: &str| Seals::new(ring(name, key().as_ref())?, key());
    let authority = ring("authority", key().as_ref())?;
    Ok(Keyed {
        authority: Authority::new(authority, key(), clock.clone())?,
        imds: seals("imds-tokens")?,
        authorization: AuthorizationTokens::new(seals("authorization-tokens")?),
        store,
    })
}
