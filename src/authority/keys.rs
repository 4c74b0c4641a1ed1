//! Keys that survive a restart: the current one and the one before it, in a file of the state
//! directory.
//!
//! The file is written whole or not at all, is for its owner only, and is refused when anybody
//! else could have read or replaced it. Where the operator gives a state key, the file is sealed
//! with it.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::private_file::{self, PrivateFileError};
use crate::secret::{ExposeSecret, NotOurs, SEAL_KEY_LEN, Seal, SecretBox, SecretString, random};

/// Names a key of a ring; stands in clear before everything that the key made.
pub(super) type KeyId = [u8; 4];

/// How the first lines of key files begin, whatever the version.
const FAMILIES: [&str; 2] = ["rolecall keys ", "rolecall sealed keys "];
/// First line of a key file.
const HEADER: &str = "rolecall keys 1";
/// First line of a sealed key file.
const SEALED_HEADER: &str = "rolecall sealed keys 1";

/// One key and its name.
#[derive(Debug)]
pub(super) struct NamedKey {
    pub(super) id: KeyId,
    pub(super) key: SecretBox<[u8; SEAL_KEY_LEN]>,
}

/// Where a ring is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In this file.
    File(PathBuf),
    /// Nowhere: it is gone when the daemon ends.
    Memory,
}

/// The current key, which makes, and the one before it, which is still accepted.
#[derive(Debug)]
pub struct KeyRing {
    kept: Kept,
    pub(super) current: NamedKey,
    pub(super) previous: Option<NamedKey>,
}

/// The key that seals the state at rest: `[state] key`.
#[derive(Debug)]
pub struct StateKey(Seal);

/// The state key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state key must be 32 bytes in hex or base64")]
pub struct StateKeyError;

/// The keys could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The state directory or the file in it cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file is damaged.
    #[error("{} is damaged; restore it, or remove it to have new keys made", .0.display())]
    Damaged(PathBuf),
    /// The file was written by another version.
    #[error("{} is of another version of rolecall; run that one, or remove it to have new keys made", .0.display())]
    OtherVersion(PathBuf),
    /// The file is sealed and there is no state key, or another one.
    #[error("{} is sealed with another state key than the configured one", .0.display())]
    OtherStateKey(PathBuf),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

impl StateKey {
    /// Parses 32 bytes in hex or base64.
    pub fn parse(text: &SecretString) -> Result<Self, StateKeyError> {
        let text = text.expose_secret().trim();
        let bytes = unhex(text).or_else(|| {
            let decoded = Zeroizing::new(STANDARD.decode(text).ok()?);
            decoded.as_slice().try_into().ok().map(Zeroizing::new)
        });
        let bytes = bytes.ok_or(StateKeyError)?;
        let key = SecretBox::new(Box::new(*bytes));
        Seal::new(&key).ok().map(Self).ok_or(StateKeyError)
    }

    /// Seals a small text at rest. `context` must be the same when it is opened.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyRingError> {
        let sealed = self.0.seal(context, plain);
        sealed.map_err(|_unspecified| KeyRingError::Random)
    }

    /// Opens in place what [`Self::seal`] made; returns the plain text's part of `sealed`.
    pub fn open<'a>(&self, context: &[u8], sealed: &'a mut [u8]) -> Result<&'a [u8], NotOurs> {
        self.0.open(context, sealed)
    }
}

impl KeyRing {
    /// A ring that lives as long as the process.
    pub fn in_memory() -> Result<Self, KeyRingError> {
        Ok(Self {
            kept: Kept::Memory,
            current: NamedKey::generate()?,
            previous: None,
        })
    }

    /// The ring of this name in a state directory; made there if there is none yet.
    pub fn open(
        directory: &Path,
        name: &str,
        state_key: Option<&StateKey>,
    ) -> Result<Self, KeyRingError> {
        private_file::check_directory(directory)?;
        let path = file_of(directory, name);
        if let Some(ring) = Self::read(&path, state_key)? {
            return Ok(ring);
        }
        let ring = Self {
            kept: Kept::File(path),
            current: NamedKey::generate()?,
            previous: None,
        };
        ring.keep(state_key)?;
        Ok(ring)
    }

    /// Puts the file of the ring of this name out of the way; where it lies then.
    pub fn put_aside(directory: &Path, name: &str) -> Result<PathBuf, KeyRingError> {
        let aside = directory.join(format!("{name}.keys.refused"));
        private_file::rename(&file_of(directory, name), &aside)?;
        Ok(aside)
    }

    /// Where it is kept.
    pub const fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The ring after this one: a fresh key makes, the current one is still accepted.
    pub fn rotated(&self, state_key: Option<&StateKey>) -> Result<Self, KeyRingError> {
        let ring = Self {
            kept: self.kept.clone(),
            current: NamedKey::generate()?,
            previous: Some(self.current.copy()),
        };
        ring.keep(state_key)?;
        Ok(ring)
    }

    /// Seals the ring of this name with `new` from now on; whether there is one. One that is sealed
    /// with it already stays as it is.
    pub fn seal_again(
        directory: &Path,
        name: &str,
        old: Option<&StateKey>,
        new: &StateKey,
    ) -> Result<bool, KeyRingError> {
        let path = file_of(directory, name);
        let read = match Self::read(&path, old) {
            Err(KeyRingError::OtherStateKey(_)) => Self::read(&path, Some(new)),
            read => read,
        };
        let Some(ring) = read? else {
            return Ok(false);
        };
        ring.keep(Some(new)).map(|()| true)
    }

    fn read(path: &Path, state_key: Option<&StateKey>) -> Result<Option<Self>, KeyRingError> {
        let Some(text) = private_file::read(path)? else {
            return Ok(None);
        };
        let damaged = || KeyRingError::Damaged(path.to_owned());
        let text = std::str::from_utf8(&text).ok().ok_or_else(damaged)?;
        let (header, body) = text.split_once('\n').ok_or_else(damaged)?;
        let (current, previous) = match header {
            HEADER => parse_keys(body).ok_or_else(damaged)?,
            SEALED_HEADER => {
                let other = || KeyRingError::OtherStateKey(path.to_owned());
                let StateKey(seal) = state_key.ok_or_else(other)?;
                let mut sealed = STANDARD.decode(body.trim_end()).ok().ok_or_else(damaged)?;
                let opened = seal.open(SEALED_HEADER.as_bytes(), &mut sealed);
                let opened = opened.ok().ok_or_else(other)?;
                let plain = std::str::from_utf8(opened).ok().ok_or_else(damaged)?;
                parse_keys(plain).ok_or_else(damaged)?
            }
            _ if FAMILIES.iter().any(|family| header.starts_with(family)) => {
                return Err(KeyRingError::OtherVersion(path.to_owned()));
            }
            _ => return Err(damaged()),
        };
        Ok(Some(Self {
            kept: Kept::File(path.to_owned()),
            current,
            previous,
        }))
    }

    fn keep(&self, state_key: Option<&StateKey>) -> Result<(), KeyRingError> {
        let Kept::File(path) = &self.kept else {
            return Ok(());
        };
        let mut body = Zeroizing::new(String::new());
        for key in std::iter::once(&self.current).chain(&self.previous) {
            body.push_str(&hex(&key.id));
            body.push(' ');
            body.push_str(&Zeroizing::new(hex(key.key.expose_secret())));
            body.push('\n');
        }
        let text = match state_key {
            None => Zeroizing::new(format!("{HEADER}\n{}", *body)),
            Some(StateKey(seal)) => {
                let sealed = seal
                    .seal(SEALED_HEADER.as_bytes(), body.as_bytes())
                    .ok()
                    .ok_or(KeyRingError::Random)?;
                Zeroizing::new(format!("{SEALED_HEADER}\n{}\n", STANDARD.encode(sealed)))
            }
        };
        Ok(private_file::write(path, text.as_bytes())?)
    }
}

impl NamedKey {
    fn generate() -> Result<Self, KeyRingError> {
        let random_bytes = || random::<SEAL_KEY_LEN>().ok().ok_or(KeyRingError::Random);
        Ok(Self {
            id: random().ok().ok_or(KeyRingError::Random)?,
            key: SecretBox::new(Box::new(random_bytes()?)),
        })
    }

    fn copy(&self) -> Self {
        Self {
            id: self.id,
            key: SecretBox::new(Box::new(*self.key.expose_secret())),
        }
    }
}

fn file_of(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.keys"))
}

fn parse_keys(body: &str) -> Option<(NamedKey, Option<NamedKey>)> {
    let mut lines = body.lines();
    let current = parse_key(lines.next()?)?;
    let previous = match lines.next() {
        Some(line) => Some(parse_key(line)?),
        None => None,
    };
    lines.next().is_none().then_some((current, previous))
}

fn parse_key(line: &str) -> Option<NamedKey> {
    let (id, key) = line.split_once(' ')?;
    Some(NamedKey {
        id: *unhex(id)?,
        key: SecretBox::new(Box::new(*unhex(key)?)),
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

fn unhex<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    let mut digits = text.chars();
    for byte in bytes.iter_mut() {
        let high = digits.next()?.to_digit(16)?;
        let low = digits.next()?.to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}
