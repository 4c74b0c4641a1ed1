//! Documents of this repository that programs write.

use std::fs;
use std::path::{Path, PathBuf};

/// Where a document is, by its path in the repository.
pub(crate) fn place(document: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(document)
}

/// Holds a document against what would be written now. Tells the first line in which they differ,
/// and the command that writes it anew.
#[track_caller]
pub(crate) fn assert_current(document: &str, now: &str, command: &str) {
    let committed = fs::read_to_string(place(document)).unwrap_or_default();
    if let Some((number, committed, now)) = first_difference(&committed, now) {
        panic!(
            "{document}:{number} is not what is written now\n committed: {committed:?}\n      \
             now: {now:?}\nwrite it anew: {command}"
        );
    }
}

/// The number of the first line that differs, and what each has there: `None` after its end.
fn first_difference<'a>(
    one: &'a str,
    other: &'a str,
) -> Option<(usize, Option<&'a str>, Option<&'a str>)> {
    let ones: Vec<_> = one.split_inclusive('\n').collect();
    let others: Vec<_> = other.split_inclusive('\n').collect();
    let mut lines = 0..ones.len().max(others.len());
    let at = lines.find(|line| ones.get(*line) != others.get(*line))?;
    Some((at + 1, ones.get(at).copied(), others.get(at).copied()))
}

#[test]
fn documents_differ_by_their_first_line_that_does() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    let other = first_difference("a\nb\nc\n", "a\nB\nC\n");
    assert_eq!(other, Some((2, Some("b\n"), Some("B\n"))));
    let longer = first_difference("a\n", "a\nb\n");
    assert_eq!(longer, Some((2, None, Some("b\n"))));
    let unended = first_difference("a\n", "a");
    assert_eq!(unended, Some((1, Some("a\n"), Some("a"))));
}
