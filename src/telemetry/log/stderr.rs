//! Standard error: what it is, and lines on it.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};

use nix::sys::stat::fstat;

use super::queue::Target;
use super::record::Record;
use super::render;
use crate::config::LogTarget;

/// What standard error leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardError {
    /// Somebody who reads.
    Terminal {
        /// Whether colours are welcome.
        colour: bool,
    },
    /// systemd's journal.
    Journal,
    /// A pipe or a file.
    Other,
}

impl StandardError {
    /// Finds out, given the values of `JOURNAL_STREAM` and `NO_COLOR`.
    ///
    /// systemd names the stream by device and inode, since children inherit the variable but may
    /// have their standard error elsewhere (systemd.exec(5)).
    pub fn detect(journal_stream: Option<&OsStr>, no_color: Option<&OsStr>) -> Self {
        let stderr = io::stderr();
        if stderr.is_terminal() {
            let colour = no_color.is_none_or(OsStr::is_empty);
            return Self::Terminal { colour };
        }
        let stream = fstat(&stderr).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
        match (journal_stream, stream) {
            (Some(named), Ok(stream)) if named == OsStr::new(&stream) => Self::Journal,
            _ => Self::Other,
        }
    }

    /// Where the log goes when the configuration does not say.
    pub(super) const fn default_target(self) -> LogTarget {
        match self {
            Self::Terminal { .. } => LogTarget::Text,
            Self::Journal => LogTarget::Journald,
            Self::Other => LogTarget::Json,
        }
    }
}

/// JSON lines on standard error.
pub(super) fn json() -> Box<dyn Target> {
    Box::new(Lines(|record: &Record| render::json(record)))
}

/// Readable lines on standard error.
pub(super) fn text(standard_error: StandardError) -> Box<dyn Target> {
    let colour = standard_error == StandardError::Terminal { colour: true };
    Box::new(Lines(move |record: &Record| {
        render::text(record, colour).into_bytes()
    }))
}

struct Lines<F>(F);

impl<F: Fn(&Record) -> Vec<u8> + Send> Target for Lines<F> {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        io::stderr().lock().write_all(&(self.0)(record))
    }
}
