//! `rolecall man`.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::{Man, generate_to};

use super::failure::{Exit, Failure};
use super::output::print_bytes;

/// Print the manual page, or write those of all commands into a directory
///
/// For example: rolecall man | man -l -
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Write rolecall.1, rolecall-serve.1 and so on here
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Options {
    pub(super) fn run(&self, command: Command) -> Result<(), Failure> {
        let Some(directory) = &self.directory else {
            let mut page = Vec::new();
            Man::new(command).render(&mut page).map_err(|error| {
                Failure::new(Exit::Fault, "the page cannot be made").because(&error)
            })?;
            return print_bytes(&page);
        };
        generate_to(command, directory).map_err(|error| {
            let what = format!("the pages cannot be written to {}", directory.display());
            Failure::new(Exit::Permission, what).because(&error)
        })
    }
}
