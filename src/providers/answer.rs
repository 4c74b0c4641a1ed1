//! What a source answers: `{"account": [["role", "reason"], …], …}`, whole or not at all.
//!
//! An answer in which anything is not understood is refused as a whole: with one of two roles left
//! out, a caller could get the other where it should have got none.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::grants::Provided;
use crate::types::{AccountAlias, InvalidText, RoleName, RoleRef};

/// The most roles that one name may have.
const ROLES: usize = 256;
/// The longest reason that is kept.
const REASON: usize = 200;

/// The answer is not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("its answer is not {{\"account\": [[\"role\", \"reason\"]]}}: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its answer names {name:?}: {invalid}")]
    Name { name: String, invalid: InvalidText },
    #[error("its answer has more than {ROLES} roles")]
    Many,
}

/// Accounts and their roles, in the order of the text, an account that stands there twice too.
struct Accounts(Vec<(String, Vec<(String, String)>)>);

impl<'de> Deserialize<'de> for Accounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AccountsVisitor)
    }
}

struct AccountsVisitor;

impl<'de> Visitor<'de> for AccountsVisitor {
    type Value = Accounts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of accounts")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Accounts, M::Error> {
        let mut accounts = Vec::new();
        while let Some(account) = map.next_entry()? {
            accounts.push(account);
        }
        Ok(Accounts(accounts))
    }
}

/// The roles that this answer of the source of this number gives.
pub(super) fn read(text: &[u8], source: usize) -> Result<Vec<Provided>, AnswerError> {
    let Accounts(accounts) = serde_json::from_slice(text)?;
    let mut roles: Vec<Provided> = Vec::new();
    for (account, entries) in accounts {
        for (role, reason) in entries {
            if roles.len() >= ROLES {
                return Err(AnswerError::Many);
            }
            let role = RoleRef {
                account: AccountAlias::new(&account)
                    .map_err(|invalid| unknown(&account, invalid))?,
                role: RoleName::new(&role).map_err(|invalid| unknown(&role, invalid))?,
            };
            roles.push(Provided {
                role,
                reason: told(&reason, source),
                source,
            });
        }
    }
    Ok(roles)
}

fn unknown(name: &str, invalid: InvalidText) -> AnswerError {
    let name = name.chars().take(REASON).collect();
    AnswerError::Name { name, invalid }
}

/// The reason, fit for a line of the audit trail.
fn told(reason: &str, source: usize) -> Arc<str> {
    let shown = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let shown: String = shown.take(REASON).collect();
    match shown.trim() {
        "" => Arc::from(format!("grant-source {source} says so")),
        shown => Arc::from(shown),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn roles(text: &str) -> Vec<(String, String)> {
        let told = read(text.as_bytes(), 2).unwrap().into_iter();
        told.inspect(|provided| assert_eq!(provided.source, 2))
            .map(|provided| (provided.role.to_string(), provided.reason.to_string()))
            .collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(role, reason): &(&str, &str)| ((*role).to_owned(), (*reason).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn accounts_roles_and_reasons_are_read_in_order() {
        let text =
            r#"{"prod": [["web", "on call"], ["db", ""]], "dev": [], "test": [["db", "x\ny"]]}"#;
        let told = [
            ("prod/web", "on call"),
            ("prod/db", "grant-source 2 says so"),
            ("test/db", "x y"),
        ];
        assert_eq!(roles(text), pairs(&told));
        assert_eq!(roles("{}"), pairs(&[]));
    }

    #[test]
    fn an_account_that_stands_there_twice_keeps_both_roles() {
        let text = r#"{"prod": [["web", "a"]], "prod": [["db", "b"]]}"#;
        assert_eq!(roles(text), pairs(&[("prod/web", "a"), ("prod/db", "b")]));
    }

    #[test]
    fn what_is_not_understood_is_refused_as_a_whole() {
        for text in [
            "",
            "[]",
            "null",
            r#"{"prod": "web"}"#,
            r#"{"prod": ["web"]}"#,
            r#"{"prod": [["web"]]}"#,
            r#"{"prod": [["web", "a", "b"]]}"#,
            r#"{"prod": [["web", null]]}"#,
            r#"{"prod": [["web", "a"]]} and more"#,
            r#"{"prod": [["web", "a"], ["no role", "b"]]}"#,
            r#"{"prod": [["web", "a"]], "no/account": [["web", "b"]]}"#,
            r#"{"prod": [["../web", "a"]]}"#,
            r#"{"prod": [["w", "a"]]}"#,
        ] {
            assert!(read(text.as_bytes(), 1).is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_is_of_bounded_size() {
        let many = |count: usize| {
            format!(
                r#"{{"prod": [{}]}}"#,
                vec![r#"["web", "a"]"#; count].join(",")
            )
        };
        assert_eq!(roles(&many(ROLES)).len(), ROLES);
        let error = read(many(ROLES + 1).as_bytes(), 1).unwrap_err();
        assert!(matches!(error, AnswerError::Many));
        let long = format!(r#"{{"prod": [["web", "{}"]]}}"#, "ä".repeat(1000));
        assert_eq!(roles(&long)[0].1, "ä".repeat(REASON));
    }

    proptest! {
        #[test]
        fn anything_gives_valid_roles_or_none(account in ".*", role in ".*", reason in ".*") {
            let text = serde_json::json!({ account: [[role, reason]] }).to_string();
            if let Ok(told) = read(text.as_bytes(), 1) {
                let written = told[0].role.to_string();
                prop_assert_eq!(RoleRef::parse(&written).unwrap().to_string(), written);
                prop_assert!(!told[0].reason.chars().any(char::is_control));
            }
        }
    }
}
