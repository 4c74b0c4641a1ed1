//! The nouns of the field, parsed once and valid ever after.
//!
//! Every type here is cheap to clone and holds only text that its constructor accepted; limits are
//! those of AWS's API models (IAM, STS) unless a type says otherwise.

use std::fmt;
use std::sync::Arc;

/// A text that is not a valid value of some type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}")]
pub struct InvalidText {
    /// The type, in the user's words.
    pub what: &'static str,
    /// The rule that the text breaks.
    pub rule: &'static str,
}

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
    /// An AWS partition, such as `aws` or `aws-cn`.
    Partition, "a partition", "a name such as `aws`, `aws-cn` or `aws-us-gov`",
    |text| all(text, 1..=32, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

text_type! {
    /// An AWS region, or what another dialect takes for one.
    Region, "a region", "a name such as `eu-central-1`",
    |text| all(text, 1..=64, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

text_type! {
    /// A role's name without its path. Two bytes at least: s3cmd takes a shorter role list for an
    /// empty one.
    RoleName, "a role's name", "2 to 64 letters, digits or characters of `_+=,.@-`",
    |text| all(text, 2..=64, iam_name_byte)
}

text_type! {
    /// The ARN of a role, of any partition; Ceph's have no account id.
    RoleArn, "a role ARN", "of the form arn:PARTITION:iam::ACCOUNT:role/NAME, 20 to 2048 characters",
    |text| (20..=2048).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic())
        && role_arn_shape(text)
}

text_type! {
    /// A role session name as STS takes it.
    SessionName, "a role session name", "2 to 64 letters, digits or characters of `_+=,.@-`",
    |text| all(text, 2..=64, iam_name_byte)
}

text_type! {
    /// The id of an access key, long-term (`AKIA…`) or of a session (`ASIA…`); other dialects' ids
    /// have other shapes.
    AccessKeyId, "an access key id", "3 to 128 printable characters without spaces",
    |text| all(text, 3..=128, |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b','))
}

text_type! {
    /// An external id, as a trust policy asks for it.
    ExternalId, "an external id", "2 to 1224 letters, digits or characters of `_+=,.@:/-`",
    |text| all(text, 2..=1224, |b| iam_name_byte(b) || matches!(b, b':' | b'/'))
}

fn role_arn_shape(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let head = [
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ];
    let [
        Some("arn"),
        Some(partition),
        Some("iam"),
        Some(""),
        Some(account),
    ] = head
    else {
        return false;
    };
    let role = parts
        .next()
        .and_then(|resource| resource.strip_prefix("role/"));
    !partition.is_empty()
        && account
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && role.is_some_and(|path| !path.is_empty() && !path.ends_with('/'))
}

impl RoleArn {
    /// `arn:{partition}:iam::{account}:role/{name}`; the account is empty where a dialect has none.
    pub fn derived(partition: &Partition, account: Option<&AccountId>, name: &RoleName) -> Self {
        let account = account.map_or("", AccountId::as_str);
        Self(Arc::from(format!(
            "arn:{partition}:iam::{account}:role/{name}"
        )))
    }
}

/// A role as it is written everywhere: `account/role`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleRef {
    /// The account's alias.
    pub account: AccountAlias,
    /// The role's name in that account.
    pub role: RoleName,
}

impl RoleRef {
    /// Parses `account/role`.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let (account, role) = text.split_once('/').ok_or(InvalidText {
            what: "a role",
            rule: "written as account/role",
        })?;
        Ok(Self {
            account: AccountAlias::new(account)?,
            role: RoleName::new(role)?,
        })
    }
}

impl fmt::Display for RoleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.role)
    }
}

impl fmt::Debug for RoleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.role)
    }
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
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            let bytes = digest.as_ref().iter().take(4);
            let digits = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
            let tail: String = digits
                .filter_map(|digit| char::from_digit(u32::from(digit), 16))
                .collect();
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

fn session_name_char(c: char) -> char {
    let allowed = c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | ',' | '.' | '@' | '-');
    if allowed { c } else { '-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns_of_all_dialects_parse() {
        for arn in [
            "arn:aws:iam::123456789012:role/app",
            "arn:aws-cn:iam::123456789012:role/team/web",
            "arn:aws:iam:::role/S3Access",
        ] {
            assert_eq!(RoleArn::new(arn).unwrap().as_str(), arn);
        }
        for arn in [
            "",
            "arn:aws:iam::123456789012:user/bob",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:sts::123456789012:assumed-role/app/x",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            assert!(RoleArn::new(arn).is_err(), "{arn}");
        }
    }

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

    #[test]
    fn role_refs_round_trip() {
        let role = RoleRef::parse("prod/web").unwrap();
        assert_eq!(role.to_string(), "prod/web");
        for text in ["prod", "/web", "prod/", "prod/w", "prod/a/b", "pr od/web"] {
            assert!(RoleRef::parse(text).is_err(), "{text}");
        }
    }
}
