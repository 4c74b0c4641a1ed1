//! Patterns of texts: a text itself, a glob, a regular expression.

use std::fmt;
use std::sync::Arc;

use regex_lite::Regex;

/// The longest text that a regular expression is tried on: what callers bring is bounded elsewhere,
/// and this bounds the time that a match may take.
const LONGEST: usize = 4096;

/// What matches a whole text.
#[derive(Clone)]
pub enum Pattern {
    /// This very text.
    Text(Arc<str>),
    /// Texts of this form, `*` standing for any text.
    Glob(Arc<str>),
    /// Texts that this matches from end to end.
    Regex {
        /// As it is written.
        written: Arc<str>,
        /// Anchored at both ends.
        regex: Regex,
    },
}

/// What a pattern's named groups matched.
pub type Named = Vec<(Arc<str>, Arc<str>)>;

impl Pattern {
    /// A text, or a glob where it has a `*`.
    pub fn new(text: &str) -> Self {
        if text.contains('*') {
            Self::Glob(Arc::from(text))
        } else {
            Self::Text(Arc::from(text))
        }
    }

    /// A regular expression that has to match whole texts.
    pub fn regex(text: &str) -> Result<Self, regex_lite::Error> {
        // Alone first: `a)(b` would close the group that the anchors need.
        drop(Regex::new(text)?);
        Ok(Self::Regex {
            written: Arc::from(text),
            regex: Regex::new(&format!("^(?:{text})$"))?,
        })
    }

    /// The names of its groups.
    pub fn groups(&self) -> Vec<Arc<str>> {
        match self {
            Self::Regex { regex, .. } => regex.capture_names().flatten().map(Arc::from).collect(),
            Self::Text(_) | Self::Glob(_) => Vec::new(),
        }
    }

    /// Whether it matches this text.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => **own == *text,
            Self::Glob(glob) => matches_glob(glob, text),
            Self::Regex { regex, .. } => text.len() <= LONGEST && regex.is_match(text),
        }
    }

    /// What its named groups match in this text; `None` where it does not match.
    pub fn captures(&self, text: &str) -> Option<Named> {
        let Self::Regex { regex, .. } = self else {
            return self.matches(text).then(Vec::new);
        };
        if text.len() > LONGEST {
            return None;
        }
        let captures = regex.captures(text)?;
        let named = regex.capture_names().flatten().filter_map(|name| {
            let found = captures.name(name)?;
            Some((Arc::from(name), Arc::from(found.as_str())))
        });
        Some(named.collect())
    }

    /// The only text that it matches, where there is just one.
    pub fn single(&self) -> Option<&Arc<str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Glob(_) | Self::Regex { .. } => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Glob(text) => f.write_str(text),
            Self::Regex { written, .. } => write!(f, "/{written}/"),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) | (Self::Glob(one), Self::Glob(other)) => {
                one == other
            }
            (Self::Regex { written: one, .. }, Self::Regex { written: other, .. }) => one == other,
            (Self::Text(_) | Self::Glob(_) | Self::Regex { .. }, _) => false,
        }
    }
}

impl Eq for Pattern {}

/// Patterns of which one must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// These.
    pub const fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns)
    }

    /// Whether one of them matches.
    pub fn match_text(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(text))
    }

    /// What the named groups of the first that matches match.
    pub fn captures(&self, text: &str) -> Option<Named> {
        self.0.iter().find_map(|pattern| pattern.captures(text))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter()
    }

    /// The only text that they match, where there is just one.
    pub fn single(&self) -> Option<&Arc<str>> {
        match self.0.as_slice() {
            [pattern] => pattern.single(),
            _ => None,
        }
    }

    /// Whether everything that `narrow` matches is surely matched here too.
    pub fn cover(&self, narrow: &Self) -> bool {
        narrow.iter().all(|pattern| {
            self.0.contains(pattern)
                || pattern.single().is_some_and(|text| self.match_text(text))
                || self.0.contains(&Pattern::new("*"))
        })
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pattern) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" or ")?;
            }
            pattern.fmt(f)?;
        }
        Ok(())
    }
}

/// Whether the whole text matches; `*` stands for any text.
pub fn matches_glob(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = left.split_once(part) else {
            return false;
        };
        left = after;
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_texts() {
        for (pattern, name) in [
            ("*", ""),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*b*c", "axbxxc"),
            ("ab", "ab"),
        ] {
            assert!(Pattern::new(pattern).matches(name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a", "ab"),
            ("a*", "ba"),
            ("a*b*c", "acb"),
            ("ab*ba", "aba"),
        ] {
            assert!(!Pattern::new(pattern).matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn expressions_match_whole_texts_and_tell_their_groups() {
        let pattern = Pattern::regex("aws-(?<account>[a-z]+)-(?<role>[a-z0-9]+)").unwrap();
        assert!(!pattern.matches("x aws-prod-web"));
        assert!(!pattern.matches("aws-prod-web\n"));
        let named = pattern.captures("aws-prod-web").unwrap();
        let named: Vec<_> = named.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(named, [("account", "prod"), ("role", "web")]);
        // An alternative is inside the anchors.
        assert!(!Pattern::regex("a|b").unwrap().matches("bc"));
        assert!(Pattern::regex("a)(b").is_err());
        assert!(
            !Pattern::regex(".*")
                .unwrap()
                .matches(&"a".repeat(LONGEST + 1))
        );
    }

    #[test]
    fn what_covers_matches_all_that_the_narrower_one_does() {
        let list = |texts: &[&str]| Patterns::new(texts.iter().map(|t| Pattern::new(t)).collect());
        assert!(list(&["a*"]).cover(&list(&["ab", "a*"])));
        assert!(list(&["*"]).cover(&Patterns::new(vec![Pattern::regex("x").unwrap()])));
        assert!(!list(&["ab"]).cover(&list(&["a*"])));
    }
}
