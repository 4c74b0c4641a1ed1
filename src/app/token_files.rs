//! Authorization tokens written to files, for programs that are told where to find theirs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::api::container::{AuthorizationTokens, Claims};
use crate::authority::KeyRingError;
use crate::config::Config;

/// A token could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file system refuses.
    #[error("the token file {} cannot be written: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could put another file in its place, or a link.
    #[error("the token file {} is refused: {} {reason}; every directory above it must belong to root or the daemon's user and be writable by nobody else", .path.display(), .directory.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// The directory above it.
        directory: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No token could be made.
    #[error("no token could be made for a file")]
    NoToken(#[source] KeyRingError),
}

/// Writes the tokens and ids that listeners name, each for its owner only.
pub(super) fn write(config: &Config, tokens: &AuthorizationTokens) -> Result<(), TokenFileError> {
    for file in config
        .listeners
        .iter()
        .flat_map(|listener| &listener.tokens)
    {
        let claims = Claims {
            uid: file.owner,
            role: file.role.clone(),
            process: None,
            bearer: file.bearer,
        };
        let token = tokens.issue(&claims).map_err(TokenFileError::NoToken)?;
        replace(&file.file, file.owner, &token)?;
        if let Some(path) = &file.uri_file {
            let id = tokens.issue_id(&claims).map_err(TokenFileError::NoToken)?;
            replace(path, file.owner, &format!("/v2/credentials/{id}"))?;
        }
    }
    Ok(())
}

/// No newline: five SDKs refuse a token with one.
fn replace(path: &Path, owner: u32, content: &str) -> Result<(), TokenFileError> {
    check_directories(path)?;
    let new = path.with_extension("new");
    let written = write_new(&new, owner, content).and_then(|()| fs::rename(&new, path));
    written.map_err(|source| {
        drop(fs::remove_file(&new));
        TokenFileError::Io {
            path: path.to_owned(),
            source,
        }
    })
}

/// Nobody but root and the daemon may decide where the file comes to lie: the daemon may be able to
/// write where its owner is not.
fn check_directories(path: &Path) -> Result<(), TokenFileError> {
    // Both the path as it is written and what links on it lead to.
    let parent = path.parent().unwrap_or(path);
    let resolved = fs::canonicalize(parent).unwrap_or_else(|_missing| parent.to_owned());
    for directory in parent.ancestors().chain(resolved.ancestors()) {
        let Ok(facts) = fs::symlink_metadata(directory) else {
            // It will be made by the daemon itself.
            continue;
        };
        let trusted = facts.uid() == 0 || facts.uid() == geteuid().as_raw();
        let sticky = facts.mode() & 0o1000 != 0;
        let reason = if !trusted {
            "belongs to another user"
        } else if facts.is_symlink() || facts.mode() & 0o022 == 0 || sticky {
            continue;
        } else {
            "can be written by others"
        };
        return Err(TokenFileError::Exposed {
            path: path.to_owned(),
            directory: directory.to_owned(),
            reason,
        });
    }
    Ok(())
}

fn write_new(path: &Path, owner: u32, content: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    drop(fs::remove_file(path));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)?;
    file.write_all(content.as_bytes())?;
    std::os::unix::fs::fchown(&file, Some(owner), None)
}
