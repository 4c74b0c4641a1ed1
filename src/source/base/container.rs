//! Base credentials from an endpoint that answers as a container's does: another rolecall, an AFP
//! role, ECS, EKS Pod Identity.

use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use secrecy::{ExposeSecret, SecretString};

use super::document;
use crate::sessions::KeyDigest;
use crate::transport::{Ask, BODY_LIMIT, Transport};

/// How long an endpoint has for its answer.
const DEADLINE: Duration = Duration::from_secs(4);

/// An endpoint and how it is asked.
#[derive(Debug)]
pub(super) struct Container {
    url: String,
    authorization: Authorization,
}

/// What is sent as `Authorization`.
#[derive(Debug)]
pub(super) enum Authorization {
    None,
    Token(SecretString),
    /// Read at each ask: EKS renews it in place.
    File(PathBuf),
}

impl Container {
    /// The endpoint that the configuration names.
    pub(super) fn named(url: &str, token: Option<&SecretString>) -> Self {
        let authorization = token
            .cloned()
            .map_or(Authorization::None, Authorization::Token);
        Self::new(url.to_owned(), authorization)
    }

    pub(super) const fn new(url: String, authorization: Authorization) -> Self {
        Self { url, authorization }
    }

    pub(super) fn digest(&self, key: KeyDigest) -> KeyDigest {
        let key = key.field("url", self.url.as_bytes());
        match &self.authorization {
            Authorization::None => key,
            Authorization::Token(token) => key.field("token", token.expose_secret().as_bytes()),
            Authorization::File(path) => {
                key.field("token-file", path.as_os_str().as_encoded_bytes())
            }
        }
    }

    pub(super) async fn ask(&self, transport: &Transport) -> Result<Credentials, CredentialsError> {
        let authorization = match &self.authorization {
            Authorization::None => None,
            Authorization::Token(token) => Some(token.clone()),
            Authorization::File(path) => {
                let read = tokio::fs::read_to_string(path).await;
                let token = read.map_err(|error| {
                    let message = format!("the token file {}: {error}", path.display());
                    CredentialsError::provider_error(message)
                })?;
                Some(SecretString::from(token.trim_end()))
            }
        };
        let get = Ask {
            url: self.url.clone(),
            authorization,
            form: None,
            deadline: DEADLINE,
            limit: BODY_LIMIT,
        };
        let failed = |why: String| CredentialsError::provider_error(format!("{}: {why}", self.url));
        let answer = transport.ask(&get).await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        if answer.status != 200 {
            return Err(failed(format!("it answered {}", answer.status)));
        }
        document::read(&answer.body, "endpoint").map_err(CredentialsError::provider_error)
    }
}
