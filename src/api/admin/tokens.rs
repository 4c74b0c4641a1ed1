//! Bearer tokens of people's APIs: made once, known by their hash, revoked by their id.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use uuid::Uuid;

use super::Admin;
use super::answer::Failure;
use super::wire::{BearerToken, BearerTokens, MadeToken, NewToken, RevokeToken, Secret};
use crate::people::{is_name, token_hash};
use crate::secret::{SecretString, random};
use crate::store::{Fault, StoreError, Token, TokenDraft};

/// What tokens begin with, so that people and scanners know them.
const PREFIX: &str = "rolecall_";

/// No token lives longer.
const LONGEST: Duration = Duration::from_hours(24 * 366);

impl Admin {
    /// Makes a token. It is told here and never again.
    pub(super) async fn make_token(&self, asked: &NewToken) -> Result<MadeToken, Failure> {
        let wrong = |message: &str| Failure::new(StatusCode::BAD_REQUEST, message);
        if !is_name(&asked.user) {
            return Err(wrong("a user's name is printable, and not long"));
        }
        let life = Duration::from_secs(asked.expires_in_seconds);
        if life.is_zero() || life > LONGEST {
            return Err(wrong(
                "a token lives for a year at most, and ends in the future",
            ));
        }
        let random = random::<32>().map_err(|_no_entropy| {
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "there is no randomness")
        })?;
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let draft = TokenDraft {
            user: Arc::from(asked.user.as_str()),
            hash: token_hash(&text),
            expires: self.clock.now() + life,
        };
        let made = self.store.create_token(draft).await.map_err(failed)?;
        Ok(MadeToken {
            known: known(&made),
            token: Secret::new(SecretString::from(text)),
        })
    }

    /// All tokens that count, in the order in which they were made.
    pub(super) fn bearer_tokens(&self) -> Result<BearerTokens, Failure> {
        let objects = self.store.objects().map_err(|fault| unavailable(&fault))?;
        let now = self.clock.now();
        let all = objects.tokens.values();
        let mut tokens: Vec<_> = all.filter(|token| now < token.draft.expires).collect();
        tokens.sort_by_key(|token| (token.made, token.id));
        Ok(BearerTokens {
            tokens: tokens.into_iter().map(|token| known(token)).collect(),
        })
    }

    /// Revokes a token.
    pub(super) async fn revoke_token(&self, asked: &RevokeToken) -> Result<RevokeToken, Failure> {
        let id: Uuid = asked.id.parse().map_err(|_no_id| {
            let message = "a token's id is a UUID";
            Failure::new(StatusCode::BAD_REQUEST, message).remedy("`rolecall key list` shows them")
        })?;
        self.store.delete_token(id).await.map_err(failed)?;
        Ok(RevokeToken { id: id.to_string() })
    }
}

fn known(token: &Token) -> BearerToken {
    let seconds = |time: std::time::SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs()
    };
    BearerToken {
        id: token.id.to_string(),
        user: token.draft.user.to_string(),
        made: seconds(token.made),
        expires: seconds(token.draft.expires),
    }
}

fn failed(error: StoreError) -> Failure {
    match error {
        StoreError::Unknown => Failure::new(StatusCode::NOT_FOUND, "there is no such token")
            .remedy("`rolecall key list` shows those that count"),
        StoreError::Unavailable(fault) => unavailable(&fault),
        StoreError::Changed
        | StoreError::NameTaken
        | StoreError::InUse { .. }
        | StoreError::NoAccount(_)
        | StoreError::TooMany { .. }
        | StoreError::Used => Failure::new(StatusCode::CONFLICT, "the token was not written")
            .reason(Some(error.to_string())),
    }
}

fn unavailable(fault: &Fault) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be used")
        .reason(Some(fault.to_string()))
        .remedy("the daemon's log says more")
}
