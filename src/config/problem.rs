//! What is wrong with a configuration, and where.

use std::cell::RefCell;
use std::fmt;

use super::raw::{PartId, Place, Position, Sources, Tree};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is used, and will disappoint.
    Warning,
    /// It is used; something in it may be a mistake.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One problem: what, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, a sentence without full stop.
    pub message: String,
    /// Where.
    pub position: Option<Position>,
    /// The path of the key, such as `account.prod.role.web.duration`.
    pub key: String,
    /// Another place that has to do with it.
    pub other: Option<Position>,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.message)?;
        match &self.position {
            Some(position) if self.key.is_empty() => write!(f, "\n  --> {position}")?,
            Some(position) => write!(f, "\n  --> {position} ({})", self.key)?,
            None if self.key.is_empty() => {}
            None => write!(f, "\n  --> {}", self.key)?,
        }
        if let Some(other) = &self.other {
            write!(f, "\n  and {other}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Where something stands. The path of its key is made for a problem alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// This part of the tree.
    Part(PartId),
    /// In a file, whatever is there.
    File(Place),
}

impl Default for At {
    /// Nowhere in particular.
    fn default() -> Self {
        Self::Part(PartId::default())
    }
}

impl At {
    fn place(self, tree: &Tree<'_>) -> Option<Place> {
        match self {
            Self::Part(part) => tree.place(part),
            Self::File(place) => Some(place),
        }
    }

    fn key(self, tree: &Tree<'_>) -> String {
        match self {
            Self::Part(part) => tree.path(part),
            Self::File(_) => String::new(),
        }
    }
}

/// Collects all problems of one run.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<Found>>);

#[derive(Clone, Debug)]
struct Found {
    severity: Severity,
    message: String,
    at: At,
    other: Option<At>,
    hint: Option<String>,
}

/// A problem just added, to say more about it.
#[derive(Debug)]
pub(super) struct Added<'a>(&'a Problems);

impl Problems {
    pub(super) fn error(&self, at: &At, message: impl Into<String>) -> Added<'_> {
        self.add(Severity::Error, at, message.into())
    }

    pub(super) fn warning(&self, at: &At, message: impl Into<String>) -> Added<'_> {
        self.add(Severity::Warning, at, message.into())
    }

    pub(super) fn note(&self, at: &At, message: impl Into<String>) -> Added<'_> {
        self.add(Severity::Note, at, message.into())
    }

    fn add(&self, severity: Severity, at: &At, message: String) -> Added<'_> {
        let found = Found {
            severity,
            message,
            at: *at,
            other: None,
            hint: None,
        };
        self.0.borrow_mut().push(found);
        Added(self)
    }

    /// Whether there is an error among them.
    pub(super) fn refused(&self) -> bool {
        self.0
            .borrow()
            .iter()
            .any(|found| found.severity == Severity::Error)
    }

    /// All of them, in the order of the files, errors first.
    pub(super) fn into_list(self, tree: &Tree<'_>, sources: &Sources) -> Vec<Problem> {
        let mut found = self.0.into_inner();
        found.sort_by_key(|found| (found.severity, found.at.place(tree)));
        let position = |at: At| sources.position(at.place(tree)?);
        let problem = |one: Found| Problem {
            severity: one.severity,
            message: one.message,
            position: position(one.at),
            key: one.at.key(tree),
            other: one.other.and_then(position),
            hint: one.hint,
        };
        let mut list: Vec<Problem> = found.into_iter().map(problem).collect();
        list.dedup();
        list
    }
}

impl Added<'_> {
    /// Says what to do.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.0.0.borrow_mut().last_mut() {
            last.hint = Some(hint.into());
        }
        self
    }

    /// Says what to do, where there is something to say.
    pub(super) fn hint_if(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Names another place that has to do with it.
    pub(super) fn and(self, at: &At) -> Self {
        if let Some(last) = self.0.0.borrow_mut().last_mut() {
            last.other = Some(*at);
        }
        self
    }
}
