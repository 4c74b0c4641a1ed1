//! `rolecall password`.

use std::io::{self, IsTerminal as _};

use clap::Args;

use super::failure::{Exit, Failure};
use super::output::print;
use super::terminal::{Silent, first_line};
use crate::people::{hashed, is_name};
use crate::secret::{ExposeSecret as _, SecretString, same_secret};

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
        let silent = Silent::open()?;
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
