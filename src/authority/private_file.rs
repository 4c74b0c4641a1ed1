//! Files of the state directory that hold secrets: written whole or not at all, refused when
//! anybody else could have read or replaced them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::Uid;
use zeroize::Zeroizing;

/// No such file is longer.
const MAX_LENGTH: u64 = 64 * 1024;

/// A secret file or its directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The operating system refuses.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Somebody else could read or replace it.
    #[error("{} {problem}; it must be {rule}", path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What is right.
        rule: &'static str,
    },
}

/// Makes the directory where there is none, and refuses one where others may replace files.
pub fn check_directory(directory: &Path) -> Result<(), PrivateFileError> {
    let io = |action| io_error(action, directory);
    if !directory.exists() {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(io("make"))?;
    }
    let facts = fs::metadata(directory).map_err(io("look at"))?;
    if facts.mode() & 0o022 != 0 {
        return Err(exposed(
            directory,
            format!("has mode {:04o}", facts.mode() & 0o7777),
            "writable by its owner only",
        ));
    }
    check_owner(directory, facts.uid())
}

/// The file's content; `None` where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFileError> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("open", path)(error)),
    };
    check_file(path, &file)?;
    let mut content = Zeroizing::new(Vec::new());
    file.take(MAX_LENGTH)
        .read_to_end(&mut content)
        .map_err(io_error("read", path))?;
    Ok(Some(content))
}

/// The file to read and write; made, for its owner only, where there is none. What stands there is
/// refused where anybody else could use it.
pub fn open_private(path: &Path) -> Result<File, PrivateFileError> {
    let file = open_or_make(path)?;
    check_file(path, &file)?;
    Ok(file)
}

/// As [`open_private`], whoever else could use what stands there.
pub(super) fn open_or_make(path: &Path) -> Result<File, PrivateFileError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path);
    opened.map_err(io_error("open", path))
}

/// Replaces the file's content: after a crash it holds the old content or the new.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    let new = path.with_extension("new");
    let written = write_new(&new, content).and_then(|()| fs::rename(&new, path));
    if let Err(source) = written {
        // What failed is told; that the half file cannot be removed either adds nothing to it.
        drop(fs::remove_file(&new));
        return Err(io_error("write", path)(source));
    }
    Ok(())
}

/// Gives the file another name, in the place of what had that.
pub(super) fn rename(path: &Path, to: &Path) -> Result<(), PrivateFileError> {
    fs::rename(path, to).map_err(io_error("rename", path))
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn check_file(path: &Path, file: &File) -> Result<(), PrivateFileError> {
    let facts = file.metadata().map_err(io_error("look at", path))?;
    if !facts.is_file() {
        return Err(exposed(path, "is no file".to_owned(), "a regular file"));
    }
    if facts.mode() & 0o077 != 0 {
        return Err(exposed(
            path,
            format!("has mode {:04o}", facts.mode() & 0o7777),
            "0600, for its owner only",
        ));
    }
    check_owner(path, facts.uid())
}

fn check_owner(path: &Path, owner: u32) -> Result<(), PrivateFileError> {
    if owner == Uid::effective().as_raw() || owner == 0 {
        return Ok(());
    }
    Err(exposed(
        path,
        format!("belongs to uid {owner}"),
        "the daemon's own or root's",
    ))
}

pub(super) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> PrivateFileError {
    let path = path.to_owned();
    move |source| PrivateFileError::Io {
        action,
        path,
        source,
    }
}

fn exposed(path: &Path, problem: String, rule: &'static str) -> PrivateFileError {
    PrivateFileError::Exposed {
        path: path.to_owned(),
        problem,
        rule,
    }
}
