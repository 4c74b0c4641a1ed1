//! Whom an event is about, in texts of bounded length.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

/// The longest name of a caller that is kept: those of units have 255 bytes.
const LONGEST_NAME: usize = 384;

/// The longest evidence that is kept: control groups' paths may have 4 KiB.
const LONGEST_EVIDENCE: usize = 1024;

/// Who was answered.
#[derive(Clone, Debug)]
pub struct Party {
    /// The caller, as people call it.
    pub name: Arc<str>,
    /// How we know.
    pub evidence: Arc<str>,
    /// The user, where that is evidence.
    pub uid: Option<u32>,
    /// The user who may see what is kept of it: its own outside containers, and whoever made the
    /// container.
    pub owner: Option<u32>,
    /// With whom it shares what is kept.
    pub share: Share,
}

/// All that is kept of one caller, whatever it is called at times: no caller pushes out what is
/// kept of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Share(u64);

impl Share {
    /// The share of this caller.
    pub fn of(caller: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        caller.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Party {
    /// A caller's name as it is kept: what is too long ends in a digest, so that two never become
    /// one.
    pub fn name(text: &str) -> Arc<str> {
        if text.len() <= LONGEST_NAME {
            return Arc::from(text);
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let (head, _) = text.split_at(text.floor_char_boundary(LONGEST_NAME));
        let mut name = head.to_owned();
        name.push('…');
        for byte in digest.as_ref().iter().take(8) {
            // Writing to a String cannot fail.
            let _: std::fmt::Result = write!(name, "{byte:02x}");
        }
        Arc::from(name)
    }

    /// Evidence as it is kept: the middle of what is too long is left out.
    pub fn evidence(text: String) -> Arc<str> {
        bounded(Arc::from(text), LONGEST_EVIDENCE)
    }
}

/// A text of at most so many bytes and an ellipsis: three quarters of them from its head, the rest
/// from its end.
pub(super) fn bounded(text: Arc<str>, most: usize) -> Arc<str> {
    if text.len() <= most {
        return text;
    }
    let (head, _) = text.split_at(text.floor_char_boundary(most - most / 4));
    let (_, tail) = text.split_at(text.ceil_char_boundary(text.len() - most / 4));
    Arc::from(format!("{head}…{tail}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_bounded_and_short_ones_stay(text in "\\PC{0,2000}") {
            let evidence = Party::evidence(text.clone());
            prop_assert!(evidence.len() <= LONGEST_EVIDENCE + 3);
            prop_assert!(text.len() > LONGEST_EVIDENCE || *evidence == *text);
            let name = Party::name(&text);
            prop_assert!(name.len() <= LONGEST_NAME + 3 + 16);
            prop_assert!(text.len() > LONGEST_NAME || *name == *text);
        }
    }

    #[test]
    fn long_names_that_begin_alike_stay_two() {
        let long = "x".repeat(5000);
        assert_ne!(Party::name(&long), Party::name(&format!("{long}y")));
        let path = format!("uid 7 cgroup {long} exe /usr/bin/env");
        let evidence = Party::evidence(path);
        assert!(evidence.starts_with("uid 7 cgroup") && evidence.ends_with("exe /usr/bin/env"));
    }
}
