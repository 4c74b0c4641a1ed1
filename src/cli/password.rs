//! `rolecall password`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _};

use clap::Args;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::failure::{Exit, Failure};
use super::output::print;
use crate::people::{hashed, is_name};
use crate::secret::{ExposeSecret as _, SecretString, same_secret};

/// The longest line that is read from standard input.
const LONGEST: u64 = 4096;

/// Print a line for the users file
///
/// Asks for the password on the terminal, or reads its first line from standard input. For example:
/// rolecall password ann >> /etc/rolecall/users
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Whose password it is
    #[arg(value_name = "NAME")]
    name: String,
}

impl Options {
    pub(super) fn run(&self) -> Result<(), Failure> {
        if !is_name(&self.name) || self.name.contains(':') || self.name.starts_with('#') {
            let what = "a name is printable, holds no `:` and begins with no `#`";
            return Err(Failure::new(Exit::Usage, what));
        }
        let password = if io::stdin().is_terminal() {
            self.asked()?
        } else {
            first_line(io::stdin().lock())?
        };
        let hash = hashed(&password)
            .map_err(|error| Failure::new(Exit::Usage, "this is no password").because(&error))?;
        print(&format!("{}:{hash}\n", self.name))
    }

    fn asked(&self) -> Result<SecretString, Failure> {
        let failed = |error: io::Error| {
            Failure::new(Exit::Fault, "the terminal cannot be asked").because(&error)
        };
        let open = OpenOptions::new().read(true).write(true).open("/dev/tty");
        let silent = Silent::new(open.map_err(failed)?).map_err(failed)?;
        let name = &self.name;
        let once = silent.ask(&format!("Password of {name}: "))?;
        let again = silent.ask("The same again: ")?;
        let (first, second) = (once.expose_secret(), again.expose_secret());
        if same_secret(first.as_bytes(), second.as_bytes()) {
            Ok(once)
        } else {
            Err(Failure::new(Exit::No, "these were two passwords"))
        }
    }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        silent.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self { terminal, before })
    }

    fn ask(&self, prompt: &str) -> Result<SecretString, Failure> {
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
fn first_line(from: impl io::Read) -> Result<SecretString, Failure> {
    let mut line = Zeroizing::new(String::new());
    let read = BufReader::new(from.take(LONGEST)).read_line(&mut line);
    read.map_err(|error| Failure::new(Exit::Fault, "no password could be read").because(&error))?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    Ok(SecretString::from(text.strip_suffix('\r').unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line() {
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
