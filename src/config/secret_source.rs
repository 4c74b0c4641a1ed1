//! Where a secret is: the configuration names the place, never the secret.

use std::fs;
use std::io;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::problem::{At, Problems};
use super::surroundings::{Purpose, Surroundings};

/// The longest secret that is read.
const LONGEST: u64 = 64 * 1024;

/// A place of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretSource {
    /// `credential:NAME`: a systemd credential.
    Credential(String),
    /// `file:/path`.
    File(PathBuf),
    /// `env:NAME`.
    Environment(String),
}

/// The text names no place of a secret. It is not repeated: it may be the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSource {
    #[error("a secret is never written in the file itself")]
    Plain,
    #[error("the name of a systemd credential is one file name")]
    CredentialName,
    #[error("the file of a secret has an absolute path")]
    RelativePath,
    #[error("the name of a variable is letters, digits and `_`")]
    VariableName,
}

/// A secret could not be had.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0}; {forms}", forms = SecretSource::FORMS)]
    NoSource(NoSource),
    #[error("there are no systemd credentials here: $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials,
    #[error("cannot read {0}")]
    Io(PathBuf, #[source] io::Error),
    #[error("{0} is refused: {1}")]
    Refused(PathBuf, String),
    #[error("the variable {0} is not set")]
    NoVariable(String),
    #[error("this secret is empty")]
    Empty,
    #[error("this secret is longer than {LONGEST} bytes or is not UTF-8")]
    NoText,
}

impl SecretSource {
    /// What can be written.
    pub(super) const FORMS: &'static str = "write \"credential:NAME\" (a systemd credential), \
         \"file:/path\" or \"env:NAME\"";

    pub(super) fn parse(text: &str) -> Result<Self, NoSource> {
        if let Some(name) = text.strip_prefix("credential:") {
            let plain = !name.is_empty() && !name.contains(['/', '\0']);
            return if plain && name != "." && name != ".." {
                Ok(Self::Credential(name.to_owned()))
            } else {
                Err(NoSource::CredentialName)
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            return if path.starts_with('/') && !path.contains('\0') {
                Ok(Self::File(PathBuf::from(path)))
            } else {
                Err(NoSource::RelativePath)
            };
        }
        if let Some(name) = text.strip_prefix("env:") {
            let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
            return if !name.is_empty() && name.chars().all(valid) {
                Ok(Self::Environment(name.to_owned()))
            } else {
                Err(NoSource::VariableName)
            };
        }
        Err(NoSource::Plain)
    }

    /// Reads it; what goes wrong is a problem at this place.
    pub(super) fn read(
        &self,
        surroundings: &Surroundings,
        at: &At,
        problems: &Problems,
    ) -> Option<SecretString> {
        match self.try_read(surroundings) {
            Ok(secret) => Some(secret),
            Err(error) if surroundings.purpose == Purpose::Check && error.is_only_ours() => {
                problems.warning(at, format!("{error}; only the service itself can read it"));
                Some(SecretString::default())
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                problems.error(at, format!("{error}{}", cause.unwrap_or_default()));
                None
            }
        }
    }

    fn try_read(&self, surroundings: &Surroundings) -> Result<SecretString, Unreadable> {
        let text = match self {
            Self::Credential(name) => {
                let directory = surroundings
                    .variable("CREDENTIALS_DIRECTORY")
                    .ok_or(Unreadable::NoCredentials)?;
                read_file(&surroundings.path(&Path::new(&directory).join(name)))?
            }
            Self::File(path) => {
                let place = surroundings.path(path);
                let data = fs::metadata(&place).map_err(|e| Unreadable::Io(path.clone(), e))?;
                let mode = Mode::of(&data);
                mode.keeps_secrets(surroundings)
                    .map_err(|why| Unreadable::Refused(path.clone(), why))?;
                read_file(&place)?
            }
            Self::Environment(name) => surroundings
                .variable(name)
                .map(Zeroizing::new)
                .ok_or_else(|| Unreadable::NoVariable(name.clone()))?,
        };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(Unreadable::Empty);
        }
        Ok(SecretString::from(text))
    }
}

/// A secret that may be replaced while the daemon runs: it is read where it is used, each time by
/// the rules for secrets.
#[derive(Clone)]
pub struct SecretPlace {
    source: SecretSource,
    surroundings: Surroundings,
}

/// A secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SecretError(#[from] Unreadable);

impl SecretPlace {
    pub(super) const fn new(source: SecretSource, surroundings: Surroundings) -> Self {
        Self {
            source,
            surroundings,
        }
    }

    /// The place that a text names as the configuration does.
    pub fn parse(text: &str, surroundings: Surroundings) -> Result<Self, SecretError> {
        let source = SecretSource::parse(text).map_err(Unreadable::NoSource)?;
        Ok(Self::new(source, surroundings))
    }

    /// Reads it now.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        Ok(self.source.try_read(&self.surroundings)?)
    }

    /// The file that holds it, where one does.
    pub fn file(&self) -> Option<PathBuf> {
        match &self.source {
            SecretSource::Credential(name) => {
                let directory = self.surroundings.variable("CREDENTIALS_DIRECTORY")?;
                Some(self.surroundings.path(&Path::new(&directory).join(name)))
            }
            SecretSource::File(path) => Some(self.surroundings.path(path)),
            SecretSource::Environment(_) => None,
        }
    }
}

impl PartialEq for SecretPlace {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for SecretPlace {}

impl std::fmt::Debug for SecretPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}

impl Unreadable {
    /// Whether the service may well see what this process does not.
    fn is_only_ours(&self) -> bool {
        match self {
            Self::NoCredentials | Self::NoVariable(_) => true,
            Self::Io(_, error) => error.kind() == io::ErrorKind::PermissionDenied,
            Self::NoSource(_) | Self::Refused(..) | Self::Empty | Self::NoText => false,
        }
    }
}

/// A pipe would hang whoever reads it, and nobody keeps a secret in a device.
fn open(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    let file = options
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ))
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, Unreadable> {
    let failed = |error| Unreadable::Io(path.to_owned(), error);
    let file = open(path).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::new());
    let read = file
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > LONGEST {
        return Err(Unreadable::NoText);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_not_utf8| Unreadable::NoText)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Who owns a file and what they may do with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    pub(super) owner: u32,
    pub(super) group: u32,
    pub(super) bits: u32,
}

impl Mode {
    pub(super) fn of(data: &fs::Metadata) -> Self {
        Self {
            owner: data.uid(),
            group: data.gid(),
            bits: data.mode(),
        }
    }

    /// Whether any of these bits is set.
    const fn allows(self, bits: u32) -> bool {
        self.bits & bits != 0
    }

    /// Whether nobody but root and us could have written the file; the reason otherwise. A check
    /// need not be run by the daemon's user.
    pub(super) fn is_ours(self, surroundings: &Surroundings) -> Result<(), String> {
        let known = self.owner == 0 || self.owner == surroundings.uid;
        if !known && surroundings.purpose == Purpose::Serve {
            return Err(format!(
                "it belongs to uid {}, neither to root nor to us",
                self.owner
            ));
        }
        if self.allows(0o022) {
            return Err(format!(
                "its group or others may write it (mode {:04o}, `chmod go-w` mends it)",
                self.bits & 0o7777
            ));
        }
        Ok(())
    }

    /// Whether nobody but root and us can read the file; the reason otherwise.
    fn keeps_secrets(self, surroundings: &Surroundings) -> Result<(), String> {
        self.is_ours(surroundings)?;
        let for_our_group = self.owner == 0
            && !self.allows(0o037)
            && (self.group == surroundings.gid
                || surroundings.group("rolecall") == Some(self.group));
        if !self.allows(0o077) || for_our_group {
            return Ok(());
        }
        Err(format!(
            "others may read it (mode {:04o}); make it 0600, or root:rolecall 0640",
            self.bits & 0o7777
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_secret_is_refused_and_not_repeated() {
        let error = SecretSource::parse("wJalrXUtnFEMI/K7MDENG").unwrap_err();
        assert_eq!(error, NoSource::Plain);
        assert!(!error.to_string().contains("wJalr"));
        assert!(SecretSource::parse("credential:../x").is_err());
        assert!(SecretSource::parse("file:relative").is_err());
        assert!(SecretSource::parse("env:").is_err());
    }

    #[test]
    fn files_of_secrets_are_root_s_or_ours_and_nobody_else_s() {
        let mut surroundings = Surroundings::empty("/nowhere");
        surroundings.uid = 990;
        surroundings.gid = 990;
        surroundings.with_group("rolecall", 991);
        let keeps = |owner, group, bits| Mode { owner, group, bits }.keeps_secrets(&surroundings);
        for (owner, group, bits) in [
            (0, 0, 0o100_600),
            (990, 990, 0o100_400),
            (0, 990, 0o100_640),
            (0, 991, 0o100_440),
        ] {
            assert_eq!(
                keeps(owner, group, bits),
                Ok(()),
                "{owner} {group} {bits:o}"
            );
        }
        for (owner, group, bits) in [
            (1000, 990, 0o100_600),
            (0, 0, 0o100_644),
            (0, 5, 0o100_640),
            (990, 990, 0o100_640),
            (0, 991, 0o100_660),
        ] {
            assert!(
                keeps(owner, group, bits).is_err(),
                "{owner} {group} {bits:o}"
            );
        }
    }
}
