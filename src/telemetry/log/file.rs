//! JSON lines in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::queue::Target;
use super::record::Record;
use super::render;

/// Opens (or makes) the file to append to it.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Target>> {
    Ok(Box::new(LogFile {
        file: append(path)?,
        path: path.to_owned(),
    }))
}

struct LogFile {
    path: PathBuf,
    file: File,
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

impl Target for LogFile {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        self.file.write_all(&render::json(record))
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        Ok(())
    }
}
