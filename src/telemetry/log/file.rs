//! JSON lines in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::queue::Target;
use super::record::Record;
use super::render;

/// Opens (or makes) the file to append to it.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Target>> {
    Ok(Box::new(LogFile {
        file: append(path)?,
        path: path.to_owned(),
        torn: is_torn(path),
    }))
}

struct LogFile {
    path: PathBuf,
    file: File,
    /// Whether the last line lacks its end, as on a full disk.
    torn: bool,
}

/// A pipe is not waited for until somebody reads it.
fn append(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path);
    let file = opened.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENXIO) => io::Error::other("nobody reads this pipe"),
        Some(_) | None => error,
    })?;
    // The thread that writes may take its time.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    Ok(file)
}

impl Target for LogFile {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        let mut line = render::json(record);
        if self.torn {
            // What is whole stands on lines of its own.
            line.insert(0, b'\n');
        }
        let written = write_whole(&mut self.file, &line);
        self.torn = match written {
            Ok(()) => false,
            Err((_, 0)) => self.torn,
            Err(_) => true,
        };
        written.map_err(|(error, _)| error)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        self.torn = is_torn(&self.path);
        Ok(())
    }
}

/// Whether who wrote before could not write all of its last line.
fn is_torn(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let last = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last).map(|()| last)
    };
    // It is empty, or may only be written: then nobody can tell.
    last().is_ok_and(|last: [u8; 1]| last != *b"\n")
}

/// Writes all of it; or why not, and how much was.
fn write_whole(to: &mut impl Write, bytes: &[u8]) -> Result<(), (io::Error, usize)> {
    let mut left = bytes;
    loop {
        match to.write(left) {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((error, bytes.len() - left.len())),
        }
        if left.is_empty() {
            return Ok(());
        }
    }
}
