//! `rolecall schema`.

use clap::Args;

use super::failure::Failure;
use super::output::print;
use crate::config::schema;

/// Print the JSON schema of the configuration, for editors
#[derive(Debug, Args)]
pub(super) struct Options {}

impl Options {
    #[expect(clippy::unused_self, reason = "every command is run by its options")]
    pub(super) fn run(&self) -> Result<(), Failure> {
        print(&format!("{:#}\n", schema()))
    }
}
