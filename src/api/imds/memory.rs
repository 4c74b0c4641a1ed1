//! What the metadata service remembers of one connection: the token that opened last and the
//! document that was asked for with it.
//!
//! A connection's principal never changes, so a token that opened on it once is good on it until
//! its end; the same bytes need not be opened again.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::{TOKEN_LEN, TOKEN_TTL};
use crate::clock::BootTime;
use crate::grants::Wanted;
use crate::http::{CachedHeaders, Response};

/// One connection's memory.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    asked: Option<Asked>,
    /// The last remaining life that was told, in seconds, and the headers that told it.
    life: Option<(u64, CachedHeaders)>,
}

/// Not its token.
impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remembered(..)")
    }
}

struct Asked {
    path: Box<str>,
    token: [u8; TOKEN_LEN],
    role: Wanted,
    end: BootTime,
}

impl Memory {
    /// The document at this path was handed out for this token, which lives until `end`.
    pub(super) fn remember(&self, path: &str, token: &[u8], role: Wanted, end: BootTime) {
        if let Ok(token) = token.try_into() {
            let asked = Asked {
                path: path.into(),
                token,
                role,
                end,
            };
            self.lock().asked = Some(asked);
        }
    }

    /// The role that this path means and the end of this token, where both are those of before.
    pub(super) fn recall(&self, path: &str, token: &[u8]) -> Option<(Wanted, BootTime)> {
        let remembered = self.lock();
        let asked = remembered.asked.as_ref()?;
        // No secret from whoever asks here: they sent it over this very connection.
        let same = *asked.path == *path && asked.token == token;
        same.then(|| (asked.role.clone(), asked.end))
    }

    /// An answer that tells the token's remaining life, too; it changes once a second.
    pub(super) fn answer(&self, life: u64, headers: &CachedHeaders, body: Bytes) -> Response {
        let mut remembered = self.lock();
        match &remembered.life {
            Some((told, same)) if *told == life => same.answer(StatusCode::OK, body),
            Some(_) | None => {
                let telling = telling(headers, life);
                let response = telling.answer(StatusCode::OK, body);
                remembered.life = Some((life, telling));
                response
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// These headers, which have room for it, with a token's remaining life.
pub(super) fn telling(headers: &CachedHeaders, life: u64) -> CachedHeaders {
    headers.clone().with(TOKEN_TTL, HeaderValue::from(life))
}
