//! Bearer tokens of people's APIs: made once, known by their hash, revoked by their id.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;

use super::Admin;
use super::answer::Failure;
use super::keys::{failed, named, seconds, unavailable};
use super::wire::{BearerToken, BearerTokens, MadeToken, NewToken, Secret};
use crate::people::token_hash;
use crate::secret::{SecretString, random};
use crate::store::{Token, TokenDraft};

/// What tokens begin with, so that people and scanners know them.
const PREFIX: &str = "rolecall_";

/// No token lives longer.
const LONGEST: Duration = Duration::from_hours(24 * 366);

impl Admin {
    /// Makes a token. It is told here and never again.
    pub(super) async fn make_token(&self, asked: &NewToken) -> Result<MadeToken, Failure> {
        let wrong = |message: &str| Failure::new(StatusCode::BAD_REQUEST, message);
        let user = named(&asked.user)?;
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
            user,
            hash: token_hash(&text),
            expires: self.clock.now() + life,
        };
        let made = self.store.create_token(draft).await;
        let made = made.map_err(|error| failed("token", error))?;
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
}

fn known(token: &Token) -> BearerToken {
    BearerToken {
        id: token.id.to_string(),
        user: token.draft.user.to_string(),
        made: seconds(token.made),
        expires: seconds(token.draft.expires),
    }
}
