//! Base credentials: what an account's STS calls are signed with.

use aws_credential_types::Credentials;
use secrecy::ExposeSecret;

use super::Engine;
use crate::config::BaseCredentials;
use crate::sessions::{FailureKind, FetchError, KeyDigest, Session, SessionKey};

/// The base credentials of one or more accounts.
#[derive(Debug)]
pub(super) struct Base {
    from: From,
    fingerprint: SessionKey,
}

#[derive(Debug)]
enum From {
    Key(Credentials),
    Environment,
}

impl PartialEq for Base {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Base {
    /// The base credentials that the configuration names, where they are the account's own.
    pub(super) fn new(configured: &BaseCredentials, engine: &Engine) -> Option<Self> {
        let key = KeyDigest::default();
        let (from, key) = match configured {
            BaseCredentials::Key { id, secret, token } => {
                let token = token.as_ref().map(ExposeSecret::expose_secret);
                let secret = secret.expose_secret();
                let key = key
                    .field("from", b"key")
                    .field("id", id.as_str().as_bytes())
                    .field("secret", secret.as_bytes())
                    .optional("token", token.map(str::as_bytes));
                let token = token.map(str::to_owned);
                (
                    From::Key(Credentials::new(id.as_str(), secret, token, None, "key")),
                    key,
                )
            }
            BaseCredentials::Environment => {
                let mut key = key.field("from", b"environment");
                for (name, value) in engine.environment().beginning_with("AWS_") {
                    key = key.field(name, value.as_bytes());
                }
                (From::Environment, key)
            }
            _ => return None,
        };
        Some(Self {
            from,
            fingerprint: key.finish(),
        })
    }

    /// What tells these base credentials from others.
    pub(super) const fn fingerprint(&self) -> &SessionKey {
        &self.fingerprint
    }

    /// Credentials to sign with now.
    pub(super) fn load(&self, engine: &Engine) -> Result<Credentials, FetchError> {
        match &self.from {
            From::Key(credentials) => Ok(credentials.clone()),
            From::Environment => {
                let environment = engine.environment();
                let id = environment.get("AWS_ACCESS_KEY_ID");
                let secret = environment.get("AWS_SECRET_ACCESS_KEY");
                let token = environment.get("AWS_SESSION_TOKEN").map(str::to_owned);
                match (id, secret) {
                    (Some(id), Some(secret)) => {
                        Ok(Credentials::new(id, secret, token, None, "environment"))
                    }
                    _ => Err(FetchError::new(
                        FailureKind::BaseCredentials,
                        "the environment has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                    )),
                }
            }
        }
    }
}

/// A held session, to sign the next link of a chain with.
pub(super) fn of_session(session: &Session) -> Credentials {
    let credentials = &session.credentials;
    Credentials::new(
        credentials.access_key_id.as_str(),
        credentials.secret_access_key.expose_secret(),
        Some(credentials.session_token.expose_secret().to_owned()),
        None,
        "session",
    )
}
