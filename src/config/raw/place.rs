//! Places in the text of configuration files.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place in one of the files that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::config) struct Place {
    /// Which file, in the order in which they were read.
    pub(in crate::config) file: usize,
    /// Bytes from its beginning.
    pub(in crate::config) offset: usize,
}

/// A place as people read it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// The files that were read.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Sources(Vec<(PathBuf, String)>);

impl Sources {
    /// Adds a file; returns its number.
    pub(in crate::config) fn add(&mut self, path: &Path, text: String) -> usize {
        self.0.push((path.to_owned(), text));
        self.0.len() - 1
    }

    /// The files' numbers and texts.
    pub(in crate::config) fn texts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0
            .iter()
            .enumerate()
            .map(|(number, (_, text))| (number, text.as_str()))
    }

    /// Where this place is.
    pub(in crate::config) fn position(&self, place: Place) -> Option<Position> {
        let (path, text) = self.0.get(place.file)?;
        let mut offset = place.offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = text.get(..offset)?;
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        Some(Position {
            file: path.clone(),
            line,
            column,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_in_characters() {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("a.toml"), "ä = 1\nbé = 2".to_owned());
        let at = |offset| {
            sources
                .position(Place { file, offset })
                .unwrap()
                .to_string()
        };
        assert_eq!(at(0), "a.toml:1:1");
        assert_eq!(at(3), "a.toml:1:3");
        assert_eq!(at(7), "a.toml:2:1");
        assert_eq!(at(11), "a.toml:2:4");
        assert_eq!(at(9), "a.toml:2:2");
        assert_eq!(at(900), "a.toml:2:7");
    }
}
