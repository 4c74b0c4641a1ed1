//! The nouns of the field, parsed once and valid ever after.
//!
//! Every type here is cheap to clone and holds only text that its constructor accepted; limits are
//! those of AWS's API models (IAM, STS) unless a type says otherwise.

use std::fmt;
use std::sync::Arc;

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the text.
            pub fn new(text: &str) -> Result<Self, InvalidText> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(InvalidText { what: $what, rule: $rule })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

mod partition;
mod role;
mod session;

pub use partition::{Partition, Region};
pub use role::{RoleArn, RoleName, RoleRef};
pub use session::{SessionName, TagValue, folded_tag, same_tag};

/// A text that is not a valid value of some type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct InvalidText {
    /// The type, in the user's words.
    pub what: &'static str,
    /// The rule that the text breaks.
    pub rule: &'static str,
}

fn all(text: &str, lengths: std::ops::RangeInclusive<usize>, valid: fn(u8) -> bool) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(valid)
}

/// IAM's `[\w+=,.@-]`.
const fn iam_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-')
}

text_type! {
    /// The operator's name for an account: one path segment, one label.
    AccountAlias, "an account's alias", "1 to 64 letters, digits, `-`, `_` or `.`, not beginning with a dot",
    |text| all(text, 1..=64, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !text.starts_with('.')
}

text_type! {
    /// An AWS account id: twelve digits.
    AccountId, "an account id", "twelve digits",
    |text| all(text, 12..=12, |b| b.is_ascii_digit())
}

text_type! {
    /// The id of an access key, long-term (`AKIA…`) or of a session (`ASIA…`); other dialects' ids
    /// have other shapes.
    AccessKeyId, "an access key id", "3 to 128 printable characters without spaces",
    |text| all(text, 3..=128, |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b','))
}

text_type! {
    /// What an MFA device is known by: the text that STS takes for a serial number.
    MfaSerial, "an MFA device's serial number", "9 to 256 letters, digits and `_+=/:,.@-`",
    |text| all(text, 9..=256, |b| iam_name_byte(b) || matches!(b, b'/' | b':'))
}

text_type! {
    /// An external id, as a trust policy asks for it.
    ExternalId, "an external id", "2 to 1224 letters, digits or characters of `_+=,.@:/-`",
    |text| all(text, 2..=1224, |b| iam_name_byte(b) || matches!(b, b':' | b'/'))
}
