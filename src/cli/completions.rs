//! `rolecall completions`.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use super::failure::Failure;
use super::output::print_bytes;

/// Print a script that completes rolecall's commands and options
///
/// For example: rolecall completions bash > /etc/bash_completion.d/rolecall
#[derive(Debug, Args)]
pub(super) struct Options {
    /// For this shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Options {
    pub(super) fn run(&self, mut command: Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut command, "rolecall", &mut script);
        print_bytes(&script)
    }
}
