//! Authorization tokens written to files, for programs that are told where to find theirs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
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
            holder: file.holder,
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

/// Makes the folder of token files, unless somebody else could decide where it comes to lie.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    match exposed(folder) {
        None => fs::create_dir_all(folder),
        Some(_) => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

fn check_directories(path: &Path) -> Result<(), TokenFileError> {
    match exposed(path.parent().unwrap_or(path)) {
        None => Ok(()),
        Some((directory, reason)) => Err(TokenFileError::Exposed {
            path: path.to_owned(),
            directory,
            reason,
        }),
    }
}

/// Nobody but root and the daemon may decide where a file comes to lie: the daemon may be able to
/// write where its owner is not. A volume that is open to all, as Kubernetes makes them, leads
/// nowhere else; it will do where the daemon has no more rights than anybody.
fn exposed(folder: &Path) -> Option<(PathBuf, &'static str)> {
    // Both the path as it is written and what links on it lead to.
    let resolved = fs::canonicalize(folder).unwrap_or_else(|_missing| folder.to_owned());
    let mut directories = folder.ancestors().chain(resolved.ancestors());
    directories.find_map(|directory| {
        // What is not there will be made by the daemon itself.
        let facts = fs::symlink_metadata(directory).ok()?;
        let trusted = facts.uid() == 0 || facts.uid() == geteuid().as_raw();
        let sticky = facts.mode() & 0o1000 != 0;
        let open = !facts.is_symlink() && facts.mode() & 0o022 != 0 && !sticky;
        let leads_nowhere = || directory == resolved && is_mount(directory) && has_no_privilege();
        let reason = if !trusted {
            "belongs to another user"
        } else if open && !leads_nowhere() {
            "can be written by others"
        } else {
            return None;
        };
        Some((directory.to_owned(), reason))
    })
}

/// Whether a file system begins there: nobody can put another folder in its place.
fn is_mount(directory: &Path) -> bool {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    is_mount_in(&mounts, directory)
}

/// The fifth field of a line is where it is mounted; blanks and backslashes in it are in octal.
fn is_mount_in(mounts: &[u8], directory: &Path) -> bool {
    let escaped = directory.as_os_str().as_bytes().iter().flat_map(|byte| {
        let octal = format!("\\{byte:03o}").into_bytes();
        let plain = !matches!(byte, b' ' | b'\t' | b'\n' | b'\\');
        if plain { vec![*byte] } else { octal }
    });
    let escaped: Vec<u8> = escaped.collect();
    let mut lines = mounts.split(|byte| *byte == b'\n');
    lines.any(|line| line.split(|byte| *byte == b' ').nth(4) == Some(&*escaped))
}

/// Whether it may do what any user may, and nothing else.
fn has_no_privilege() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let capabilities = lines.find_map(|line| line.strip_prefix("CapEff:"));
    capabilities.is_some_and(|set| set.trim().bytes().all(|digit| digit == b'0'))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_told_by_their_whole_path() {
        let mounts = b"36 35 98:0 / / rw - ext4 /dev/root rw\n\
            37 36 0:33 / /run/app rw,nosuid shared:7 - tmpfs tmpfs rw\n\
            38 36 0:34 / /run/my\\040app rw - tmpfs tmpfs rw\n";
        let is = |directory: &str| is_mount_in(mounts, Path::new(directory));
        assert!(is("/") && is("/run/app") && is("/run/my app"));
        assert!(!is("/run") && !is("/run/app/deeper") && !is("/run/my") && !is("tmpfs"));
    }
}
