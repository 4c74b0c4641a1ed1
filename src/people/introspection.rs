//! Access tokens that only their issuer can read: it is asked what they say (RFC 7662).

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use serde_json::{Map, Value};

use super::{NotProven, Refused};
use crate::config;
use crate::secret::{ExposeSecret as _, SecretString};
use crate::transport::{Ask, AskError, Client, causes};

/// How long the issuer may take.
const DEADLINE: Duration = Duration::from_secs(4);

/// The longest answer that is read.
const LIMIT: usize = 64 * 1024;

/// An issuer's endpoint.
#[derive(Clone, Debug)]
pub(super) struct Introspection {
    config: config::Introspection,
    client: Client,
}

/// The issuer does not say what the token says.
#[derive(Debug, thiserror::Error)]
enum NoWord {
    #[error("{0:?} gives no answer")]
    Ask(String, #[source] AskError),
    #[error("{0:?} answered {1}")]
    Status(String, u16),
    #[error("what {0:?} answered is no answer of RFC 7662")]
    Unreadable(String),
}

impl Introspection {
    pub(super) const fn new(config: config::Introspection, client: Client) -> Self {
        Self { config, client }
    }

    /// What the issuer says of this token, as claims: an audience among them, as far as the issuer
    /// says for whom it was made.
    pub(super) async fn claims(
        &self,
        token: &SecretString,
    ) -> Result<Map<String, Value>, NotProven> {
        let mut claims = self.ask(token).await.map_err(|error| {
            let error = causes(&error);
            tracing::warn!(error, "an issuer does not say what an access token says");
            NotProven::NotReady
        })?;
        if claims.get("active") != Some(&Value::Bool(true)) {
            return Err(Refused::Inactive.into());
        }
        if !claims.contains_key("aud")
            && let Some(client) = claims.get("client_id").cloned()
        {
            claims.insert("aud".to_owned(), client);
        }
        Ok(claims)
    }

    async fn ask(&self, token: &SecretString) -> Result<Map<String, Value>, NoWord> {
        let url = || self.config.url.clone();
        let encoded = utf8_percent_encode(token.expose_secret(), NON_ALPHANUMERIC);
        let form = format!("token={encoded}&token_type_hint=access_token");
        // Both are encoded as in a form before they become a name and a password (RFC 6749, 2.3.1).
        let form_encoded =
            |text: &str| percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
        let secret = form_encoded(self.config.client_secret.expose_secret());
        let ask = Ask::new(url(), DEADLINE, LIMIT)
            .basic(
                &form_encoded(&self.config.client_id),
                &SecretString::from(secret),
            )
            .posting(SecretString::from(form));
        let asked = self.client.ask(ask).await;
        let answer = asked.map_err(|error| NoWord::Ask(url(), error))?;
        if answer.status != 200 {
            return Err(NoWord::Status(url(), answer.status));
        }
        serde_json::from_slice(&answer.body).map_err(|_invalid| NoWord::Unreadable(url()))
    }
}
