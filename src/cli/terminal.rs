//! Secrets that a person types.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::failure::{Exit, Failure};
use crate::secret::SecretString;

/// The longest line that is read.
const LONGEST: u64 = 4096;

/// A terminal that does not show what is typed, until this is dropped.
pub(super) struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    /// The terminal of this process, whatever its standard input is.
    pub(super) fn open() -> Result<Self, Failure> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
        terminal.and_then(Self::new).map_err(|error| {
            Failure::new(Exit::Fault, "the terminal cannot be asked").because(&error)
        })
    }

    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        silent.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self { terminal, before })
    }

    /// Asks for a line.
    pub(super) fn ask(&self, prompt: &str) -> Result<SecretString, Failure> {
        let mut terminal = &self.terminal;
        let written = terminal.write_all(prompt.as_bytes());
        written.map_err(|error| {
            Failure::new(Exit::Fault, "the terminal cannot be asked").because(&error)
        })?;
        first_line(terminal)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        if tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before).is_err() {
            tracing::debug!("the terminal has gone away");
        }
    }
}

/// The first line, without its end.
pub(super) fn first_line(from: impl io::Read) -> Result<SecretString, Failure> {
    let mut line = Zeroizing::new(String::new());
    let read = BufReader::new(from.take(LONGEST)).read_line(&mut line);
    read.map_err(|error| Failure::new(Exit::Fault, "no secret could be read").because(&error))?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    Ok(SecretString::from(text.strip_suffix('\r').unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ExposeSecret as _;

    #[test]
    fn a_secret_is_one_line() {
        for (text, line) in [
            ("secret\nmore\n", "secret"),
            ("secret", "secret"),
            (" a b \r\n", " a b "),
            ("", ""),
        ] {
            let read = first_line(text.as_bytes()).map_err(|_failure| text);
            assert_eq!(read.unwrap().expose_secret(), line);
        }
        assert!(first_line([0xff].as_slice()).is_err());
    }
}
