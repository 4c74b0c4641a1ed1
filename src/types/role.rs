//! What roles are called.

use std::fmt;
use std::sync::Arc;

use super::{AccountAlias, AccountId, InvalidText, Partition, all, iam_name_byte};

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
        let parts = [
            "arn:",
            partition.as_str(),
            ":iam::",
            account,
            ":role/",
            name.as_str(),
        ];
        Self(Arc::from(parts.concat()))
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
        if text.starts_with("arn:") {
            return Err(InvalidText {
                what: "a role",
                rule: "written as account/role, as the configuration names them; its ARN stands \
                       there only",
            });
        }
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
    fn role_refs_round_trip() {
        let role = RoleRef::parse("prod/web").unwrap();
        assert_eq!(role.to_string(), "prod/web");
        for text in ["prod", "/web", "prod/", "prod/w", "prod/a/b", "pr od/web"] {
            assert!(RoleRef::parse(text).is_err(), "{text}");
        }
        let told = RoleRef::parse("arn:aws:iam::123456789012:role/web").unwrap_err();
        assert!(told.rule.starts_with("written as account/role"), "{told}");
    }
}
