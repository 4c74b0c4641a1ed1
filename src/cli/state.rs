//! `rolecall state`: copies of the store, and the key that seals it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::configuration::{self, count};
use super::failure::{Exit, Failure};
use super::output::print;
use crate::app::seal_rings_again;
use crate::authority::{Held, HoldError, KeyRingError, PrivateFileError, StateKey};
use crate::config::{Config, Purpose, SecretPlace, Surroundings};
use crate::secret::{ExposeSecret as _, SecretString};
use crate::store::{self, Backup, Cause, Fault, Rotated};

/// Copy, bring back or seal again what is made through the APIs
///
/// Accounts, connectors, tokens, access keys and MFA devices that are made through the APIs are kept
/// in the state directory: $STATE_DIRECTORY or `[state] directory`. Run this as the daemon's user. Where `[state] key` is a
/// systemd credential, run it with that credential: `systemd-run --pipe --wait --uid=rolecall
/// --property=LoadCredential=... rolecall state ...`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy the store, also while the daemon uses it
    ///
    /// Secrets stay sealed in the copy. It is made for its owner only, and replaces no file.
    Backup(Copying),
    /// Put a copy in the place of the store
    ///
    /// The daemon must not be running. The copy is read whole first: one that is damaged, of a later
    /// rolecall or sealed with another key changes nothing.
    Restore(Copying),
    RotateKey(Rotating),
}

/// Where the store is.
#[derive(Debug, Args)]
struct Place {
    /// The configuration file; drop-ins are read from rolecall.d beside it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The state directory [default: the configuration's]
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Where the copy is: of `backup` a file that does not exist yet.
#[derive(Debug, Args)]
struct Copying {
    /// The copy
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Give the store a fresh key, and seal that and all other keys anew
///
/// The daemon must not be running. With --new-key everything is sealed with that from now on: then
/// put it in the place of `[state] key` and start the daemon. Interrupted, it is simply run again.
#[derive(Debug, Args)]
struct Rotating {
    /// The next state key, 32 bytes in hex or base64: `credential:NAME`, `file:/path` or `env:NAME`
    #[arg(long, value_name = "SECRET")]
    new_key: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// A state directory and the key that is configured for it.
struct State {
    directory: PathBuf,
    key: Option<SecretString>,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), Failure> {
        match &self.command {
            Command::Backup(copying) => backup(copying),
            Command::Restore(copying) => restore(copying),
            Command::RotateKey(rotating) => rotate(rotating),
        }
    }
}

fn backup(Copying { file, place }: &Copying) -> Result<(), Failure> {
    let state = place.state()?;
    let copied = store::backup(&state.directory, file).map_err(|fault| match &fault {
        Fault::Kept {
            cause: Cause::Missing,
            ..
        } => Failure::new(Exit::No, "there is nothing to copy")
            .because(&fault)
            .remedy("name the daemon's state directory with --directory"),
        Fault::Kept { .. } | Fault::Opening | Fault::Ended => {
            failed("the store is not copied", &fault)
        }
    })?;
    print(&held(file, &copied))?;
    if copied.needs_ring {
        let ring = state.directory.join("store.keys");
        let (file, ring) = (file.display(), ring.display());
        print(&format!(
            "Its secrets open only with {ring}: keep a copy of that too, elsewhere than {file}.\n"
        ))?;
    }
    Ok(())
}

fn restore(Copying { file, place }: &Copying) -> Result<(), Failure> {
    let state = place.state()?;
    let key = state.key()?;
    let _alone = state.alone()?;
    let restored = store::restore(&state.directory, file, key.as_ref());
    let restored = restored.map_err(|fault| failed("the backup is not brought back", &fault))?;
    print(&held(&state.directory, &restored))
}

fn rotate(Rotating { new_key, place }: &Rotating) -> Result<(), Failure> {
    let state = place.state()?;
    let old = state.key()?;
    let new = new_key.as_deref().map(read_key).transpose()?;
    let _alone = state.alone()?;
    let rotated = match store::rotate_key(&state.directory, old.as_ref(), new.as_ref()) {
        // Nothing has been made yet; rings of keys there are all the same.
        Err(Fault::Kept {
            cause: Cause::Missing,
            ..
        }) => Rotated { secrets: 0 },
        rotated => rotated.map_err(|fault| failed("the key is not changed", &fault))?,
    };
    let secrets = count(rotated.secrets, "secret is", "secrets are");
    let Some(new) = new else {
        return print(&format!("{secrets} sealed with a fresh key.\n"));
    };
    let rings = seal_rings_again(&state.directory, old.as_ref(), &new);
    let rings = rings.map_err(|error| unsealed(&error))?;
    let rings = count(rings, "ring", "rings");
    print(&format!(
        "{secrets} sealed with a fresh key, and that and {rings} of keys with the new state key.\n\
         Put it in the place of `[state] key`, then start the daemon.\n"
    ))
}

impl Place {
    fn state(&self) -> Result<State, Failure> {
        // A backup needs no key, and of all secrets that of the state alone may be needed.
        let Config { state, .. } = configuration::load(self.config.as_deref(), Purpose::Check)?;
        let directory = self.directory.clone().or(state.directory);
        let none = || {
            Failure::new(Exit::Configuration, "there is no state directory")
                .remedy("name the daemon's with --directory")
        };
        Ok(State {
            directory: directory.ok_or_else(none)?,
            key: state.key,
        })
    }
}

impl State {
    fn key(&self) -> Result<Option<StateKey>, Failure> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        if key.expose_secret().is_empty() {
            let what = "`[state] key` cannot be read here";
            return Err(Failure::new(Exit::Permission, what).remedy(
                "run it as the daemon is run: as its user, with its credentials and variables",
            ));
        }
        parsed("`[state] key`", key).map(Some)
    }

    /// Keeps daemons away.
    fn alone(&self) -> Result<Held, Failure> {
        Held::alone(&self.directory).map_err(|error| match error {
            HoldError::Used => {
                let directory = self.directory.display();
                Failure::new(Exit::Fault, format!("{directory} is in use by the daemon"))
                    .remedy("stop it first: systemctl stop rolecall")
            }
            HoldError::File(error) => not_ours(exposed(&error), &error),
        })
    }
}

fn read_key(place: &str) -> Result<StateKey, Failure> {
    let surroundings = Surroundings::process(Purpose::Serve);
    let read = SecretPlace::parse(place, surroundings).and_then(|place| place.read());
    let key = read.map_err(|error| {
        Failure::new(Exit::Usage, "--new-key names no key that can be read").because(&error)
    })?;
    parsed("--new-key", &key)
}

fn parsed(what: &str, key: &SecretString) -> Result<StateKey, Failure> {
    StateKey::parse(key).map_err(|error| {
        Failure::new(Exit::Configuration, format!("{what} cannot be used"))
            .because(&error)
            .remedy("`openssl rand -hex 32` makes one")
    })
}

/// `copy: 1 account, 2 connectors, 0 tokens, 1 access key, 1 MFA device`
fn held(place: &Path, backup: &Backup) -> String {
    let counted = |number: i64, one, many| {
        let number = usize::try_from(number).unwrap_or_default();
        count(number, one, many)
    };
    format!(
        "{}: {}, {}, {}, {}, {}\n",
        place.display(),
        counted(backup.accounts, "account", "accounts"),
        counted(backup.connectors, "connector", "connectors"),
        counted(backup.tokens, "token", "tokens"),
        counted(backup.keys, "access key", "access keys"),
        counted(backup.devices, "MFA device", "MFA devices"),
    )
}

fn failed(what: &str, fault: &Fault) -> Failure {
    let exit = match fault {
        Fault::Kept { cause, .. } => match cause {
            Cause::Exposed(_) => return not_ours(true, fault),
            Cause::OtherKey(_) => Exit::Configuration,
            Cause::Full
            | Cause::Locked
            | Cause::InUse
            | Cause::ReadOnly
            | Cause::Damaged(_)
            | Cause::Newer(..)
            | Cause::Foreign
            | Cause::Missing
            | Cause::Failed(_) => Exit::Fault,
        },
        Fault::Opening | Fault::Ended => Exit::Fault,
    };
    Failure::new(exit, what).because(fault)
}

fn unsealed(error: &KeyRingError) -> Failure {
    let exit = match error {
        KeyRingError::OtherStateKey(_) => Exit::Configuration,
        KeyRingError::File(error) => return not_ours(exposed(error), error),
        KeyRingError::Damaged(_) | KeyRingError::OtherVersion(_) | KeyRingError::Random => {
            Exit::Fault
        }
    };
    Failure::new(exit, "not all keys are sealed with the new state key")
        .because(error)
        .remedy("mend that and run it again: it goes on where it ended")
}

const fn exposed(error: &PrivateFileError) -> bool {
    matches!(error, PrivateFileError::Exposed { .. })
}

fn not_ours(exposed: bool, error: &dyn std::error::Error) -> Failure {
    let exit = if exposed {
        Exit::Permission
    } else {
        Exit::Fault
    };
    Failure::new(exit, "the state directory cannot be used")
        .because(error)
        .remedy("run it as the daemon's user: sudo -u rolecall rolecall state ...")
}
