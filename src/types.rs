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
    /// What an MFA device is known by: the text that STS takes for a serial number.
    MfaSerial, "an MFA device's serial number", "9 to 256 letters, digits and `_+=/:,.@-`",
    |text| all(text, 9..=256, |b| iam_name_byte(b) || matches!(b, b'/' | b':'))
}

text_type! {
    /// An external id, as a trust policy asks for it.
    ExternalId, "an external id", "2 to 1224 letters, digits or characters of `_+=,.@:/-`",
    |text| all(text, 2..=1224, |b| iam_name_byte(b) || matches!(b, b':' | b'/'))
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

/// What AWS calls differently in each of its partitions.
#[derive(Debug)]
struct PartitionFacts {
    name: &'static str,
    /// What the names of its services' hosts end in.
    suffix: &'static str,
    /// The hosts of sign-in and of the console, where they are public.
    console: Option<(&'static str, &'static str)>,
    /// What the names of its regions begin with; `aws` has all others.
    regions: Option<&'static str>,
}

/// The partitions of AWS.
static PARTITIONS: [PartitionFacts; 8] = [
    PartitionFacts {
        name: "aws",
        suffix: "amazonaws.com",
        console: Some(("signin.aws.amazon.com", "console.aws.amazon.com")),
        regions: None,
    },
    PartitionFacts {
        name: "aws-cn",
        suffix: "amazonaws.com.cn",
        console: Some(("signin.amazonaws.cn", "console.amazonaws.cn")),
        regions: Some("cn-"),
    },
    PartitionFacts {
        name: "aws-us-gov",
        suffix: "amazonaws.com",
        console: Some((
            "signin.amazonaws-us-gov.com",
            "console.amazonaws-us-gov.com",
        )),
        regions: Some("us-gov-"),
    },
    PartitionFacts {
        name: "aws-iso",
        suffix: "c2s.ic.gov",
        console: None,
        regions: Some("us-iso-"),
    },
    PartitionFacts {
        name: "aws-iso-b",
        suffix: "sc2s.sgov.gov",
        console: None,
        regions: Some("us-isob-"),
    },
    PartitionFacts {
        name: "aws-iso-e",
        suffix: "cloud.adc-e.uk",
        console: None,
        regions: Some("eu-isoe-"),
    },
    PartitionFacts {
        name: "aws-iso-f",
        suffix: "csp.hci.ic.gov",
        console: None,
        regions: Some("us-isof-"),
    },
    PartitionFacts {
        name: "aws-eusc",
        suffix: "amazonaws.eu",
        console: None,
        regions: Some("eusc-"),
    },
];

impl Partition {
    fn facts(&self) -> Option<&'static PartitionFacts> {
        PARTITIONS.iter().find(|facts| facts.name == self.as_str())
    }

    /// The name of the partition that a region's name tells.
    pub fn of_region(region: &Region) -> &'static str {
        let tells = |facts: &&PartitionFacts| {
            let prefix = facts.regions;
            prefix.is_some_and(|prefix| region.as_str().starts_with(prefix))
        };
        PARTITIONS
            .iter()
            .find(tells)
            .map_or("aws", |facts| facts.name)
    }

    /// Whether it is one of those whose regions are known by their names.
    pub fn is_known(&self) -> bool {
        self.facts().is_some()
    }

    /// What the names of its services' hosts end in, where the partition is known.
    pub fn dns_suffix(&self) -> Option<&'static str> {
        self.facts().map(|facts| facts.suffix)
    }

    /// The host that signs browsers in, where it is public.
    pub fn signin_host(&self) -> Option<&'static str> {
        Some(self.facts()?.console?.0)
    }

    /// The console's host, where it is public.
    pub fn console_host(&self) -> Option<&'static str> {
        Some(self.facts()?.console?.1)
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

    #[test]
    fn role_refs_round_trip() {
        let role = RoleRef::parse("prod/web").unwrap();
        assert_eq!(role.to_string(), "prod/web");
        for text in ["prod", "/web", "prod/", "prod/w", "prod/a/b", "pr od/web"] {
            assert!(RoleRef::parse(text).is_err(), "{text}");
        }
    }
}
