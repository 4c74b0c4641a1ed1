//! A web identity token in a file, which its issuer renews in place.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::sessions::{FailureKind, FetchError, KeyDigest};

/// The largest token that STS takes.
const LONGEST: usize = 20_000;

/// The file, and whose token was in it when the configuration was read.
#[derive(Debug)]
pub(in crate::source) struct TokenFile {
    path: PathBuf,
    identity: Option<Identity>,
}

/// The claims that make a token the same one after it was renewed.
#[derive(Debug, Deserialize)]
struct Identity {
    #[serde(rename = "iss")]
    issuer: String,
    #[serde(rename = "sub")]
    subject: String,
}

impl TokenFile {
    pub(in crate::source) fn new(path: PathBuf) -> Self {
        let identity = std::fs::read_to_string(&path)
            .ok()
            .and_then(|token| identity(&token));
        Self { path, identity }
    }

    pub(in crate::source) fn digest(&self, key: KeyDigest) -> KeyDigest {
        let identity = self.identity.as_ref();
        key.field("token-file", self.path.as_os_str().as_encoded_bytes())
            .optional(
                "issuer",
                identity.map(|identity| identity.issuer.as_bytes()),
            )
            .optional(
                "subject",
                identity.map(|identity| identity.subject.as_bytes()),
            )
    }

    /// The token as it is now.
    pub(in crate::source) async fn read(&self) -> Result<String, FetchError> {
        let read = tokio::fs::read_to_string(&self.path).await;
        let text = read.map_err(|error| self.failed(&format!("cannot be read: {error}")))?;
        let token = text.trim();
        if (4..=LONGEST).contains(&token.len()) {
            Ok(token.to_owned())
        } else {
            let length = token.len();
            Err(self.failed(&format!(
                "has {length} characters; STS takes 4 to {LONGEST}"
            )))
        }
    }

    fn failed(&self, why: &str) -> FetchError {
        let message = format!(
            "the web identity token in {} {why}",
            Path::display(&self.path)
        );
        FetchError::new(FailureKind::BaseCredentials, message)
    }
}

/// The identity in a JWT, unverified: it only tells one token from another.
fn identity(token: &str) -> Option<Identity> {
    let claims = token.trim().split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(token: &str) -> crate::sessions::SessionKey {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), token).unwrap();
        let mut read = TokenFile::new(file.path().to_owned());
        read.path = PathBuf::from("/same");
        read.digest(KeyDigest::default()).finish()
    }

    #[test]
    fn a_renewed_token_is_the_same_and_another_subjects_is_not() {
        let token = |claims: &str| format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
        let first = key(&token(r#"{"iss":"https://i","sub":"a","exp":1}"#));
        assert_eq!(
            first,
            key(&token(r#"{"iss":"https://i","sub":"a","exp":2}"#))
        );
        assert_ne!(
            first,
            key(&token(r#"{"iss":"https://i","sub":"b","exp":1}"#))
        );
        assert_ne!(first, key("not a token"));
    }
}
