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

    /// The groups of a name that was proved elsewhere. [`NotMember::Unknown`] where it has none to
    /// tell of.
    fn groups<'a>(&'a self, name: &'a str) -> Asked<'a, Vec<Arc<str>>>;
}

/// Whether this can be the name of a person or a group: what others write into logs and session
/// names has no control characters.
pub fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_printable() {
        for name in ["a", "jane@example.org", "Jane Doe", "EXAMPLE\\jane", "зоя"] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for text in ["", " ", " a", "a\n", "a\0b", "a\u{85}b", &long] {
            assert!(!is_name(text), "{text:?}");
        }
    }
}
