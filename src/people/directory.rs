//! Where people and their groups are known besides the users file: the border that the gate asks
//! across.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::grants::Way;
use crate::secret::SecretString;

/// The longest name of a person or a group, in bytes.
const LONGEST_NAME: usize = 256;

/// Somebody whom a directory knows, proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name as the directory spells it, whatever was typed.
    pub name: Arc<str>,
    /// The names of its groups there.
    pub groups: Vec<Arc<str>>,
}

/// A directory does not say that somebody is a member. What is later here outweighs what is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotMember {
    /// It does not know the name: another directory may.
    #[error("the name is not known there")]
    Unknown,
    /// The proof is wrong. No other directory is asked.
    #[error("the proof of the name is wrong")]
    Wrong,
    /// It cannot say now.
    #[error("the directory gives no answer")]
    NotReady,
}

/// What a directory will have said. It ends by itself, and goes on to its end when it is dropped.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, NotMember>> + Send + 'a>>;

/// A directory of people. None of its work is done on the thread that asks.
pub trait Directory: Send + Sync + Debug {
    /// The way whose passwords it takes.
    fn way(&self) -> Way;

    /// Whose name and password these are.
    fn verify<'a>(&'a self, name: &'a str, password: &'a SecretString) -> Asked<'a, Member>;

    /// Who has a name that was proved elsewhere. [`NotMember::Unknown`] where it has nothing to tell
    /// of anybody.
    fn member<'a>(&'a self, name: &'a str) -> Asked<'a, Member>;

    /// Who has a name that it proved itself a while ago, as far as it can tell without the password.
    fn still<'a>(&'a self, name: &'a str) -> Asked<'a, Member> {
        self.member(name)
    }
}

/// What is not seen, or turns what stands beside it around: the characters that Unicode's
/// `Default_Ignorable_Code_Point` names, those of its category `Cf`, and what ends lines.
const UNSEEN: [(char, char); 33] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{f0000}', '\u{ffffd}'),
    ('\u{100000}', '\u{10fffd}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{fffe}', '\u{ffff}'),
    ('\u{1fffe}', '\u{1ffff}'),
    ('\u{10fffe}', '\u{10ffff}'),
];

/// Whether this can be the name of a person or a group, from wherever it comes: what others write
/// into logs, headers and session names, and what people compare by eye, holds nothing that is not
/// seen.
pub fn is_name(text: &str) -> bool {
    let is_unseen = |c: char| {
        UNSEEN
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&c))
    };
    (1..=LONGEST_NAME).contains(&text.len())
        && text.trim() == text
        && !text.chars().any(|c| c.is_control() || is_unseen(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_printable() {
        for name in ["a", "jane@example.org", "Jane Doe", "EXAMPLE\\jane", "зоя"] {
            assert!(is_name(name), "{name}");
        }
        let unseen = [
            "ann\u{200b}",
            "a\u{200d}nn",
            "\u{202e}nna",
            "ann\u{2066}",
            "\u{feff}ann",
            "a\u{ad}nn",
            "a\u{2028}b",
            "ann\u{e0061}",
            "ann\u{fe0f}",
            "\u{3164}",
            "a\u{e000}b",
        ];
        for text in unseen {
            assert!(!is_name(text), "{text:?}");
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for text in ["", " ", " a", "a\n", "a\0b", "a\u{85}b", &long] {
            assert!(!is_name(text), "{text:?}");
        }
    }
}
