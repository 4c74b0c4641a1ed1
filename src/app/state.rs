//! What survives a restart: the key rings in the state directory, and the store.

use std::fs;
use std::path::{Path, PathBuf};

use super::Fault;
use crate::api::container::AuthorizationTokens;
use crate::authority::{
    Authority, Held, HoldError, KeyRing, KeyRingError, PrivateFileError, Seals, StateKey,
    StateKeyError,
};
use crate::clock::Clock;
use crate::config::{Config, KeptSessions, Origin};
use crate::keeping::{self, Place};
use crate::store::Store;
use crate::telemetry::error_chain;

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
    /// What is in the directory is being replaced.
    #[error(
        "the state directory {} is in use by `rolecall state`: start again when that has ended",
        .0.display()
    )]
    Replaced(PathBuf),
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
            Self::Ring { .. } | Self::Replaced(_) | Self::NoKeys(_) => Fault::Other,
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
    /// Where held sessions are kept for the next process, if they are.
    pub(super) place: Option<Place>,
    /// Keeps `rolecall state` from replacing what is used. None where nothing is kept, or where that
    /// cannot be replaced anyway.
    pub(super) held: Option<Held>,
}

/// What names this host.
const MACHINE_ID: &str = "/etc/machine-id";

/// The rings of keys that the state directory holds beside the store's.
const RINGS: [&str; 4] = ["authority", "imds-tokens", "authorization-tokens", SESSIONS];

/// The ring that seals held sessions. All others can do without it.
const SESSIONS: &str = "sessions";

/// Held sessions take no more of the disk: some fifty thousand of the usual length.
const MOST_KEPT: u64 = 64 * 1024 * 1024;

/// Seals all rings of keys with `new` from now on, in a directory that no daemon uses; how many.
/// Interrupted, it is simply done again.
pub fn seal_rings_again(
    directory: &Path,
    old: Option<&StateKey>,
    new: &StateKey,
) -> Result<usize, KeyRingError> {
    let mut sealed = 0;
    for name in RINGS {
        sealed += usize::from(KeyRing::seal_again(directory, name, old, new)?);
    }
    Ok(sealed)
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
    let held = match Held::shared(directory) {
        Ok(held) => Some(held),
        Err(HoldError::Used) => return Err(StateError::Replaced(directory.clone())),
        // Where that matters, the rings tell.
        Err(HoldError::File(_)) => None,
    };
    let usable = || key().ok().flatten();
    let opened = keyed(
        clock,
        Store::at(directory, usable(), clock.clone()),
        usable,
        |name, with| KeyRing::open(directory, name, with),
    );
    match opened {
        Ok(keyed) => Ok(Keyed {
            held,
            place: place(config, directory, usable, clock),
            ..keyed
        }),
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

/// Where held sessions are kept. What an earlier process kept is removed where nothing is to be.
fn place(
    config: &Config,
    directory: &Path,
    key: impl Fn() -> Option<StateKey>,
    clock: &Clock,
) -> Option<Place> {
    if config.state.sessions == KeptSessions::Memory {
        match keeping::discard(directory) {
            Ok(false) => {}
            Ok(true) => tracing::info!("sessions that were kept for a restart were removed"),
            Err(error) => {
                tracing::warn!(%error, "sessions that were kept for a restart cannot be removed");
            }
        }
        return None;
    }
    let ring = ring_of_sessions(directory, key().as_ref());
    match ring.and_then(|ring| Seals::new(ring, key())) {
        Ok(seals) => Some(Place {
            directory: directory.to_owned(),
            seals,
            host: keeping::host(&fs::read_to_string(MACHINE_ID).unwrap_or_default()),
            clock: clock.clone(),
            most: MOST_KEPT,
        }),
        Err(error) => {
            let error = error_chain(&error);
            tracing::warn!(error, "held sessions are not kept for a restart");
            None
        }
    }
}

/// A rolecall from before there was this ring leaves it as it is when it seals all others with the next
/// state key. Those have been opened, so it is this one that is of no use any more.
fn ring_of_sessions(directory: &Path, key: Option<&StateKey>) -> Result<KeyRing, KeyRingError> {
    let opened = KeyRing::open(directory, SESSIONS, key);
    let Err(KeyRingError::OtherStateKey(path)) = &opened else {
        return opened;
    };
    let aside = KeyRing::put_aside(directory, SESSIONS)?;
    tracing::warn!(
        path = %path.display(),
        aside = %aside.display(),
        "the keys of held sessions are sealed with another state key, and put aside: fresh ones are made"
    );
    KeyRing::open(directory, SESSIONS, key)
}

fn keyed(
    clock: &Clock,
    store: Store,
    key: impl Fn() -> Option<StateKey>,
    ring: impl Fn(&str, Option<&StateKey>) -> Result<KeyRing, KeyRingError>,
) -> Result<Keyed, KeyRingError> {
    let [authority, imds, authorization, _] = RINGS;
    let seals = |name: &str| Seals::new(ring(name, key().as_ref())?, key());
    let authority = ring(authority, key().as_ref())?;
    Ok(Keyed {
        authority: Authority::new(authority, key(), clock.clone())?,
        imds: seals(imds)?,
        authorization: AuthorizationTokens::new(seals(authorization)?),
        store,
        place: None,
        held: None,
    })
}
