//! What a check finds: how bad it is, what it means, and how to mend it.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::plain;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// All is well.
    Ok,
    /// It could not be looked at.
    Unseen,
    /// It works, and may disappoint.
    Warning,
    /// It does not work.
    Fault,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) means: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(what: impl Into<String>) -> Self {
        Self::new(Level::Ok, what)
    }

    pub(super) fn unseen(what: impl Into<String>) -> Self {
        Self::new(Level::Unseen, what)
    }

    pub(super) fn warning(what: impl Into<String>) -> Self {
        Self::new(Level::Warning, what)
    }

    pub(super) fn fault(what: impl Into<String>) -> Self {
        Self::new(Level::Fault, what)
    }

    /// What another command would have failed with.
    pub(super) fn of_failure(level: Level, failure: &Failure) -> Self {
        let finding = Self::new(level, failure.what().unwrap_or("it failed"));
        Self {
            means: failure.reason().map(str::to_owned),
            mend: failure.way_out().map(str::to_owned),
            ..finding
        }
    }

    fn new(level: Level, what: impl Into<String>) -> Self {
        Self {
            level,
            what: what.into(),
            means: None,
            mend: None,
        }
    }

    /// What follows from it.
    #[must_use]
    pub(super) fn means(mut self, means: impl Into<String>) -> Self {
        self.means = Some(means.into());
        self
    }

    /// What to do.
    #[must_use]
    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

/// `ok       port           127.0.0.1:1338 is served`, then a line each for the rest.
pub(super) fn readable(check: &str, finding: &Finding) -> String {
    let mut text = String::new();
    let lines = [
        (finding.level.to_string(), check, Some(&finding.what)),
        (String::new(), "  means", finding.means.as_ref()),
        (String::new(), "  mend", finding.mend.as_ref()),
    ];
    for (level, label, told) in lines {
        if let Some(told) = told {
            let told = plain(&told.replace('\n', "; "));
            let _fits = writeln!(text, "{level:<7}  {label:<13}  {told}");
        }
    }
    text
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Unseen => "unseen",
            Self::Warning => "warning",
            Self::Fault => "fault",
        })
    }
}
