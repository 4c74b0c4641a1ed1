//! Reading the configuration for a command.

use std::io::{self, Write};
use std::path::Path;

use super::failure::{Exit, Failure};
use crate::config::{Config, LoadError, Problem, Purpose, Severity, Surroundings};

/// Reads this file, else the default one, else what is built in. All its problems are told on
/// standard error.
pub(super) fn load(file: Option<&Path>, purpose: Purpose) -> Result<Config, Failure> {
    match Config::load(file, &Surroundings::process(purpose)) {
        Ok((config, problems)) => {
            tell(&problems);
            Ok(config)
        }
        Err(error) => Err(refused(&error)),
    }
}

/// The failure of a command whose configuration is not used, its problems told.
pub(super) fn refused(error: &LoadError) -> Failure {
    if let LoadError::Invalid(found) = error {
        tell(&found.problems);
    }
    refusal(error)
}

/// Writes problems on standard error, an empty line after each.
pub(super) fn tell(problems: &[Problem]) {
    let mut err = io::stderr().lock();
    for problem in problems {
        // Nobody is left to be told when standard error is gone.
        drop(writeln!(err, "{problem}\n"));
    }
}

/// The failure alone.
pub(super) fn refusal(error: &LoadError) -> Failure {
    let exit = if error.exit_code() == 77 {
        Exit::Permission
    } else {
        Exit::Configuration
    };
    match error {
        LoadError::Invalid(refused) => {
            let errors = refused.problems.iter();
            let errors = errors.filter(|problem| problem.severity == Severity::Error);
            let remedy = "mend what stands above; `rolecall check` tells when all is right";
            Failure::new(exit, "the configuration is refused")
                .why(count(errors.count(), "error", "errors"))
                .remedy(remedy)
        }
        LoadError::Unreadable { source, .. } => {
            Failure::new(exit, error.to_string()).because(source)
        }
        LoadError::Untrusted { .. } => Failure::new(exit, error.to_string()),
    }
}

/// `1 role`, `2 roles`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
