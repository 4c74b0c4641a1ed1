//! What is told upstream of whom a session is for: valid whatever the caller is called.

use std::fmt;
use std::sync::Arc;

use super::{InvalidText, all, iam_name_byte};

text_type! {
    /// A role session name as STS takes it.
    SessionName, "a role session name", "2 to 64 letters, digits or characters of `_+=,.@-`",
    |text| all(text, 2..=64, iam_name_byte)
}

text_type! {
    /// The value of a session tag: of STS's `[\p{L}\p{Z}\p{N}_.:/=+\-@]*` what is ASCII, and letters
    /// of scripts that are surely in it.
    TagValue, "a tag's value", "at most 256 letters, digits, spaces or characters of `_.:/=+-@`",
    |text| text.chars().count() <= TagValue::MAX && text.chars().all(is_tag_char)
}

fn is_tag_char(c: char) -> bool {
    match c {
        ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@' => true,
        // Blocks in which all that the standard library calls alphabetic is in `\p{L}`: elsewhere it
        // counts marks too, which STS refuses.
        '\0'..='\u{24f}'
        | '\u{370}'..='\u{481}'
        | '\u{48a}'..='\u{52f}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' => c.is_alphabetic() || c.is_ascii_digit(),
        _ => false,
    }
}

/// A key of a session tag as it is told from others: letters are large and small alike, in every
/// script.
pub fn folded_tag(key: &str) -> String {
    key.chars().flat_map(char::to_lowercase).collect()
}

/// Whether two keys of session tags are one.
pub fn same_tag(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || folded_tag(one) == folded_tag(other)
}

impl SessionName {
    /// The longest role session name; names of federated users are shorter.
    pub const MAX: usize = 64;
    /// The longest name of a federated user (GetFederationToken).
    pub const MAX_FEDERATED: usize = 32;

    /// Makes a valid name of any text: other characters become `-`, a short name is padded to two,
    /// and one over `max` keeps its head and ends in eight hex digits of its SHA-256, so that two
    /// long names never become one.
    ///
    /// `+` is replaced too: Ceph's gateway refuses it.
    pub fn from_any(text: &str, max: usize) -> Self {
        let mut name: String = text.chars().map(session_name_char).collect();
        if name.len() > max {
            let tail = digest_of(text);
            name.truncate(max.saturating_sub(tail.len() + 1));
            name.push('-');
            name.push_str(&tail);
        }
        while name.len() < 2 {
            name.push('-');
        }
        Self(Arc::from(name))
    }
}

impl TagValue {
    /// The longest value of a tag.
    pub const MAX: usize = 256;

    /// Makes a valid value of any text, as [`SessionName::from_any`] makes a name.
    pub fn from_any(text: &str) -> Self {
        let valid = |c| if is_tag_char(c) { c } else { '-' };
        let mut value: String = text.chars().map(valid).collect();
        if text.chars().count() > Self::MAX {
            let tail = digest_of(text);
            value = value.chars().take(Self::MAX - tail.len() - 1).collect();
            value.push('-');
            value.push_str(&tail);
        }
        Self(Arc::from(value))
    }
}

/// Eight hex digits of a text's SHA-256.
fn digest_of(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let bytes = digest.as_ref().iter().take(4);
    let digits = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn session_name_char(c: char) -> char {
    let allowed = c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | ',' | '.' | '@' | '-');
    if allowed { c } else { '-' }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn session_names_are_made_valid() {
        let made = |text: &str| {
            SessionName::from_any(text, SessionName::MAX)
                .as_str()
                .to_owned()
        };
        assert_eq!(made("nginx.service"), "nginx.service");
        assert_eq!(made("DOMAIN\\user"), "DOMAIN-user");
        assert_eq!(made("fe80::1"), "fe80--1");
        assert_eq!(made("a+b"), "a-b");
        assert_eq!(made(""), "--");
        let long = "x".repeat(65);
        assert_eq!(made(&long).len(), 64);
        assert_ne!(made(&long), made(&"x".repeat(66)));
        let federated = SessionName::from_any("someone.with.a.long.name@example.org", 32);
        assert_eq!(federated.as_str().len(), 32);
    }

    fn is_digest(tail: &str) -> bool {
        let digits = tail.strip_prefix('-').unwrap_or_default();
        digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    proptest! {
        #[test]
        fn any_text_makes_a_session_name(text in ".{0,100}", federated: bool) {
            let max = if federated { SessionName::MAX_FEDERATED } else { SessionName::MAX };
            let name = SessionName::from_any(&text, max);
            prop_assert!(SessionName::new(name.as_str()).is_ok(), "{name}");
            prop_assert!((2..=max).contains(&name.as_str().len()), "{name}");
            prop_assert!(!name.as_str().contains('+'), "Ceph refuses it");
            let again = SessionName::from_any(name.as_str(), max);
            prop_assert_eq!(&again, &name, "what is valid stays");
            if text.chars().count() > max {
                prop_assert!(is_digest(name.as_str().split_at(max - 9).1), "{}", name);
            } else {
                let length = text.chars().count().max(2);
                prop_assert_eq!(name.as_str().len(), length, "each character is one");
            }
        }

        #[test]
        fn over_long_names_that_begin_alike_stay_two(
            head in "[a-z]{64,300}", one in "[a-z.]{1,200}", other in "[a-z.]{1,200}",
        ) {
            prop_assume!(one != other);
            let name = |tail: &str| SessionName::from_any(&format!("{head}{tail}"), SessionName::MAX);
            prop_assert_ne!(name(&one), name(&other));
        }

        #[test]
        fn any_text_makes_a_tags_value(text in ".{0,400}") {
            let value = TagValue::from_any(&text);
            prop_assert!(TagValue::new(value.as_str()).is_ok(), "{value}");
            prop_assert_eq!(TagValue::from_any(value.as_str()), value.clone());
            let length = text.chars().count();
            prop_assert_eq!(value.as_str().chars().count(), length.min(TagValue::MAX));
        }
    }

    #[test]
    fn names_of_callers_are_told_apart_upstream() {
        let made = |text: &str| {
            SessionName::from_any(text, SessionName::MAX)
                .as_str()
                .to_owned()
        };
        for (caller, name) in [
            ("fd00:ec2::254", "fd00-ec2--254"),
            ("::1", "--1"),
            ("CORP\\jane.doe", "CORP-jane.doe"),
            ("jane doe@example.org", "jane-doe@example.org"),
            ("getty@tty1.service", "getty@tty1.service"),
            ("dev-disk-by\\x2did.swap", "dev-disk-by-x2did.swap"),
            ("jürgen", "j-rgen"),
            ("x", "x-"),
        ] {
            assert_eq!(made(caller), name);
        }
        let unit = format!("{}.service", "a".repeat(240));
        assert_eq!(made(&unit).len(), 64);
        assert_ne!(made(&unit), made(&format!("{}.socket", "a".repeat(241))));
        let user = SessionName::from_any(&unit, SessionName::MAX_FEDERATED);
        assert!(user.as_str().starts_with(&"a".repeat(23)) && user.as_str().len() == 32);
    }

    #[test]
    fn images_and_labels_are_tags_values() {
        let made = |text: &str| TagValue::from_any(text).as_str().to_owned();
        for image in [
            "registry.example:5000/ci/build:1.2",
            "größe 5",
            "東京",
            "a=b+c@d",
            "",
        ] {
            assert_eq!(made(image), image);
        }
        assert_eq!(made("{\"a\": 1,\n2}"), "--a-: 1--2-");
        assert_eq!(made("\u{915}\u{94d}\u{301}\u{1f980}"), "----");
        assert_eq!(made("\u{a0}x"), "-x");
        assert!(TagValue::new(&"x".repeat(257)).is_err());
    }
}
