//! What a benchmark found, printed: one JSON object, or why there is none.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints what was measured"
)]

use std::fmt::Display;
use std::process::ExitCode;

/// Prints it; the exit code.
pub(super) fn shown<E: Display>(figures: Result<serde_json::Value, E>) -> ExitCode {
    match figures {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
