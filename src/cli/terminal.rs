//! Secrets that a person types.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::thread;

use nix::sys::signal::{SigSet, Signal, raise};
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
        shown_at_the_end(terminal.try_clone()?, before.clone())?;
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

/// Has the terminal show what is typed again before a signal ends this process, as Ctrl-C does. What
/// would stop it waits until then.
fn shown_at_the_end(terminal: File, before: Termios) -> io::Result<()> {
    let mut ends = SigSet::empty();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        ends.add(signal);
    }
    let mut stops = ends;
    stops.add(Signal::SIGTSTP);
    // Threads that are started from here on inherit it.
    stops.thread_block()?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let Ok(signal) = ends.wait() else {
                return;
            };
            let restored = tcsetattr(&terminal, SetArg::TCSAFLUSH, &before);
            let unblocked = SigSet::from(signal).thread_unblock();
            if let Err(error) = restored.and(unblocked).and_then(|()| raise(signal)) {
                tracing::debug!(%error, "the terminal has gone away");
            }
        })?;
    Ok(())
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
