//! How it is put that a value does not match.

use std::fmt::{self, Display};
use std::sync::Arc;

use super::super::when::Key;
use super::super::{Pattern, Patterns};

/// Why a key does not match. What a grant asks for is kept apart: not everybody may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyNot {
    /// What is seen: `unit is "cron.service"`.
    pub seen: String,
    /// What goes on after it, where there is more to say: `, not "nginx.service"`.
    pub wanted: Option<String>,
}

impl WhyNot {
    /// This value is not one of those asked for; or there is no value.
    pub(super) fn value(key: &str, seen: Option<&str>, wanted: impl Display) -> Self {
        match seen {
            Some(seen) => Self {
                seen: format!("{key} is {seen:?}"),
                wanted: Some(format!(", not {wanted}")),
            },
            None => Self {
                seen: format!("{key} is not known"),
                wanted: Some(format!(", {wanted} is asked for")),
            },
        }
    }

    /// None of these values is one of those asked for.
    pub(super) fn values<'a>(
        key: &str,
        seen: impl IntoIterator<Item = &'a Arc<str>>,
        wanted: impl Display,
    ) -> Self {
        let seen: Vec<String> = seen.into_iter().map(|value| format!("{value:?}")).collect();
        if seen.is_empty() {
            return Self::value(key, None, wanted);
        }
        Self {
            seen: format!("{key} is {}", seen.join(", ")),
            wanted: Some(format!(", not {wanted}")),
        }
    }

    pub(super) fn rule(seen: impl Into<String>) -> Self {
        Self {
            seen: seen.into(),
            wanted: None,
        }
    }
}

impl Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seen)?;
        f.write_str(self.wanted.as_deref().unwrap_or_default())
    }
}

/// A key, what is seen, and what is asked for.
pub(super) type Part<'a> = (&'a str, Option<&'a Arc<str>>, &'a Option<Patterns>);

pub(super) fn first(parts: &[Part<'_>]) -> Option<WhyNot> {
    let mut parts = parts.iter();
    parts.find_map(|(key, seen, wanted)| unless(key, *seen, wanted.as_ref()))
}

/// Why this value does not match, if it does not.
pub(super) fn unless(
    key: &str,
    seen: Option<&Arc<str>>,
    wanted: Option<&Patterns>,
) -> Option<WhyNot> {
    let fine = wanted.is_none_or(|wanted| seen.is_some_and(|seen| wanted.match_text(seen)));
    (!fine).then(|| text(key, seen, wanted))
}

pub(super) fn text(key: &str, seen: Option<&Arc<str>>, wanted: Option<&Patterns>) -> WhyNot {
    let wanted = wanted.map(all).unwrap_or_default();
    WhyNot::value(key, seen.map(AsRef::as_ref), wanted)
}

/// Of a place that is told: where no unit or slice is seen, the caller is in none.
pub(super) fn within(key: Key, seen: Option<&Arc<str>>, wanted: Option<&Patterns>) -> WhyNot {
    let not = text(key.as_str(), seen, wanted);
    match seen {
        Some(_) => not,
        None => WhyNot {
            seen: format!("the caller runs in no {}", key.as_str()),
            ..not
        },
    }
}

pub(super) fn number(key: &str, seen: Option<u32>, wanted: impl Iterator<Item = u32>) -> WhyNot {
    let wanted: Vec<String> = wanted.map(|id| id.to_string()).collect();
    let wanted = wanted.join(" or ");
    match seen {
        Some(seen) => WhyNot {
            seen: format!("{key} is {seen}"),
            wanted: Some(format!(", not {wanted}")),
        },
        None => WhyNot::value(key, None, wanted),
    }
}

pub(super) fn all(patterns: &Patterns) -> String {
    let patterns: Vec<String> = patterns.iter().map(quoted).collect();
    patterns.join(" or ")
}

pub(super) fn list(names: &[Arc<str>]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(" or ")
}

pub(super) fn quoted(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Text(text) | Pattern::Glob(text) => format!("{text:?}"),
        Pattern::Regex { .. } => pattern.to_string(),
    }
}
