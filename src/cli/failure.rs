//! How a command fails: what happened, why, what to do, and the exit code.

use std::fmt;
use std::io::{self, Write};
use std::process::{ExitCode, ExitStatus};

use super::output::plain;
use crate::telemetry::error_chain;

/// Exit codes, as in sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Whoever reads standard output has gone away.
    SeenEnough,
    /// A check or a question is answered "no".
    No,
    /// The command line is wrong.
    Usage,
    /// The daemon is not reachable.
    Unreachable,
    /// Something that should not happen.
    Fault,
    /// Not permitted.
    Permission,
    /// The configuration is wrong.
    Configuration,
    /// `exec`: as env(1), the command cannot be run.
    NotRunnable,
    /// `exec`: as env(1), there is no such command.
    NoCommand,
}

impl Exit {
    pub(super) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::SeenEnough => 0,
            Self::No => 1,
            Self::Usage => 64,
            Self::Unreachable => 69,
            Self::Fault => 70,
            Self::Permission => 77,
            Self::Configuration => 78,
            Self::NotRunnable => 126,
            Self::NoCommand => 127,
        })
    }
}

/// A command's failure.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    what: Option<String>,
    why: Option<String>,
    remedy: Option<String>,
}

impl Failure {
    /// What happened, a sentence without full stop.
    pub(super) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: Some(what.into()),
            why: None,
            remedy: None,
        }
    }

    /// That of a command of ours that ended so and told why; `None` where all was well.
    pub(super) fn of_status(status: ExitStatus) -> Option<Self> {
        let exit = match status.code() {
            Some(0) => return None,
            Some(1) => Exit::No,
            Some(77) => Exit::Permission,
            Some(78) => Exit::Configuration,
            Some(_) | None => Exit::Fault,
        };
        Some(Self::silent(exit))
    }

    /// A failure that has told itself already.
    pub(super) const fn silent(exit: Exit) -> Self {
        Self {
            exit,
            what: None,
            why: None,
            remedy: None,
        }
    }

    /// The same failure with another exit code.
    #[must_use]
    pub(super) fn exiting(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Why it happened: an error with its causes.
    #[must_use]
    pub(super) fn because(mut self, error: &dyn std::error::Error) -> Self {
        self.why = Some(error_chain(error));
        self
    }

    /// Why it happened, in words.
    #[must_use]
    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// What to do.
    #[must_use]
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What happened.
    pub(super) fn what(&self) -> Option<&str> {
        self.what.as_deref()
    }

    /// Why it happened.
    pub(super) fn reason(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// What to do.
    pub(super) fn way_out(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// Says it on standard error and gives the exit code.
    pub(super) fn tell(&self) -> ExitCode {
        if self.what.is_some() {
            // Nobody is left to be told when standard error is gone.
            drop(write!(io::stderr().lock(), "{self}"));
        }
        self.exit.code()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("rolecall: ", &self.what),
            ("  why: ", &self.why),
            ("  try: ", &self.remedy),
        ];
        for (label, part) in parts {
            if let Some(text) = part {
                let lines: Vec<String> = text.lines().map(plain).collect();
                writeln!(f, "{label}{}", lines.join("\n       "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_why_and_what_to_do() {
        let gone = io::Error::from(io::ErrorKind::NotFound);
        let failure = Failure::new(Exit::Unreachable, "the daemon cannot be reached")
            .because(&gone)
            .remedy("start it");
        let lines =
            "rolecall: the daemon cannot be reached\n  why: entity not found\n  try: start it\n";
        assert_eq!(failure.to_string(), lines);
    }

    #[test]
    fn what_others_said_moves_no_cursor() {
        let failure =
            Failure::new(Exit::No, "it is another's").why("one\x1b]0;x\x07\ntwo\r\u{202e}");
        let told = failure.to_string();
        assert!(
            !told.contains(['\x1b', '\x07', '\r', '\u{202e}']),
            "{told:?}"
        );
        assert!(
            told.contains("one") && told.contains("\n       two"),
            "{told:?}"
        );
    }
}
