//! The JSON in which programs and endpoints hand out credentials. Pure.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;

/// Why a document has no credentials in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DocumentError {
    /// No JSON object.
    #[error("the answer is no JSON object with credentials")]
    NotJson,
    /// Another version of credential_process output.
    #[error("the answer has version {0}, not 1")]
    Version(u64),
    /// It says itself that it failed.
    #[error("the answer says {0}")]
    Failed(String),
    /// A key or its secret is missing.
    #[error("the answer lacks {0}")]
    Lacks(&'static str),
    /// The expiration cannot be read.
    #[error("the answer's Expiration is no RFC 3339 time")]
    Expiration,
}

/// All spellings: containers and IMDS say `Token`, credential_process `SessionToken`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: Option<u64>,
    code: Option<String>,
    message: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    #[serde(alias = "SessionToken")]
    token: Option<String>,
    expiration: Option<String>,
}

/// Reads the document.
pub(super) fn read(json: &[u8], provider: &'static str) -> Result<Credentials, DocumentError> {
    let document: Document =
        serde_json::from_slice(json).map_err(|_invalid| DocumentError::NotJson)?;
    if let Some(version) = document.version.filter(|version| *version != 1) {
        return Err(DocumentError::Version(version));
    }
    if let Some(code) = document.code.filter(|code| code != "Success") {
        let message = document.message.map(|message| format!(": {message}"));
        let text = format!("{code}{}", message.unwrap_or_default());
        return Err(DocumentError::Failed(crate::transport::printable(&text)));
    }
    let present = |value: Option<String>, name| {
        value
            .filter(|value| !value.is_empty())
            .ok_or(DocumentError::Lacks(name))
    };
    let id = present(document.access_key_id, "AccessKeyId")?;
    let secret = present(document.secret_access_key, "SecretAccessKey")?;
    let token = document.token.filter(|token| !token.is_empty());
    let expires = document.expiration.as_deref().map(time).transpose()?;
    Ok(Credentials::new(id, secret, token, expires, provider))
}

fn time(text: &str) -> Result<SystemTime, DocumentError> {
    let time = DateTime::from_str(text, Format::DateTimeWithOffset)
        .map_err(|_invalid| DocumentError::Expiration)?;
    SystemTime::try_from(time).map_err(|_invalid| DocumentError::Expiration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Credentials, DocumentError> {
        super::read(json.as_bytes(), "test")
    }

    #[test]
    fn both_spellings_of_the_token_are_read() {
        for json in [
            r#"{"Version":1,"AccessKeyId":"AKIA1","SecretAccessKey":"s","SessionToken":"t",
                "Expiration":"2030-01-01T00:00:00Z"}"#,
            r#"{"Code":"Success","AccessKeyId":"AKIA1","SecretAccessKey":"s","Token":"t",
                "Expiration":"2030-01-01T01:00:00+01:00","Other":[1]}"#,
        ] {
            let read = read(json).unwrap();
            assert_eq!(read.access_key_id(), "AKIA1");
            assert_eq!(read.session_token(), Some("t"));
            let expiry = read.expiry().unwrap();
            let since = expiry.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(since.as_secs(), 1_893_456_000);
        }
        let long_term = read(r#"{"Version":1,"AccessKeyId":"A12","SecretAccessKey":"s"}"#).unwrap();
        assert_eq!(long_term.session_token(), None);
        assert_eq!(long_term.expiry(), None);
    }

    #[test]
    fn a_document_without_credentials_says_why() {
        let error = |json| read(json).unwrap_err();
        assert_eq!(error("<html>"), DocumentError::NotJson);
        assert_eq!(error(r#"{"Version":2}"#), DocumentError::Version(2));
        assert_eq!(
            error(r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"no"}"#),
            DocumentError::Failed("AssumeRoleUnauthorizedAccess: no".to_owned())
        );
        assert_eq!(
            error(r#"{"AccessKeyId":""}"#),
            DocumentError::Lacks("AccessKeyId")
        );
        assert_eq!(
            error(
                r#"{"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"2030-01-01T00:00:00"}"#
            ),
            DocumentError::Expiration
        );
    }
}
