//! AuthorizationTokens, and the unguessable ids of the ECS relative form: stateless, bound to a
//! uid, where `exec` asked for them also to its process. One that was issued as a bearer token also
//! stands for its uid where the kernel cannot tell who shows it; one for containers is bound to none.
//!
//! A token shows that its bearer chose to ask; it gives nothing by itself: grants decide.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::authority::{KeyRingError, Seals};
use crate::caller::ProcessId;
use crate::config::Holder;
use crate::types::RoleRef;

/// What an AuthorizationToken is sealed for.
const TOKEN: Purpose = Purpose {
    bound: b"rolecall AuthorizationToken 1",
    bearer: b"rolecall bearer token 1",
    container: b"rolecall container token 1",
};
/// What an id is sealed for.
const ID: Purpose = Purpose {
    bound: b"rolecall container id 1",
    bearer: b"rolecall bearer id 1",
    container: b"rolecall containers id 1",
};

/// What something is sealed for, by whom it may be shown: the one never opens as the other.
struct Purpose {
    bound: &'static [u8],
    bearer: &'static [u8],
    container: &'static [u8],
}

impl Purpose {
    const fn by(&self, holder: Holder) -> &'static [u8] {
        match holder {
            Holder::Owner => self.bound,
            Holder::Bearer => self.bearer,
            Holder::Container => self.container,
        }
    }
}

/// The longest token that is looked at.
const MAX_LEN: usize = 1024;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub uid: u32,
    /// The role it is for; the caller's own otherwise.
    pub role: Option<RoleRef>,
    /// The process it dies with.
    pub process: Option<ProcessId>,
    /// Who may show it.
    pub holder: Holder,
}

/// Claims as they stand under the seal.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    uid: u32,
    role: Option<&'a str>,
    process: Option<(u32, u64)>,
}

/// The token is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token was not issued here")]
pub struct InvalidToken;

/// Issues and opens AuthorizationTokens and ids.
#[derive(Clone, Debug)]
pub struct AuthorizationTokens(Arc<Seals>);

impl AuthorizationTokens {
    /// Tokens under these seals. Their keys are not rotated by themselves: a program keeps its
    /// token for as long as it runs.
    pub fn new(seals: Seals) -> Self {
        Self(Arc::new(seals))
    }

    /// A token that is sent as `Authorization`.
    pub fn issue(&self, claims: &Claims) -> Result<String, KeyRingError> {
        self.seal(&TOKEN, claims)
    }

    /// An id that stands in a path.
    pub fn issue_id(&self, claims: &Claims) -> Result<String, KeyRingError> {
        self.seal(&ID, claims)
    }

    /// What a token says.
    pub fn open(&self, token: &str) -> Result<Claims, InvalidToken> {
        self.open_as(&TOKEN, token)
    }

    /// What an id says.
    pub fn open_id(&self, id: &str) -> Result<Claims, InvalidToken> {
        self.open_as(&ID, id)
    }

    fn seal(&self, purpose: &Purpose, claims: &Claims) -> Result<String, KeyRingError> {
        let role = claims.role.as_ref().map(RoleRef::to_string);
        let sealed = Sealed {
            uid: claims.uid,
            role: role.as_deref(),
            process: claims.process.map(|process| (process.pid, process.started)),
        };
        let plain = postcard::to_stdvec(&sealed).map_err(|_too_long| KeyRingError::Random)?;
        let context = purpose.by(claims.holder);
        Ok(URL_SAFE_NO_PAD.encode(self.0.seal(context, &plain)?))
    }

    fn open_as(&self, purpose: &Purpose, token: &str) -> Result<Claims, InvalidToken> {
        if token.len() > MAX_LEN {
            return Err(InvalidToken);
        }
        let holders = [Holder::Owner, Holder::Bearer, Holder::Container];
        let opened = holders
            .into_iter()
            .find_map(|holder| self.open_for(purpose.by(holder), token, holder).ok());
        opened.ok_or(InvalidToken)
    }

    fn open_for(
        &self,
        context: &[u8],
        token: &str,
        holder: Holder,
    ) -> Result<Claims, InvalidToken> {
        let mut sealed = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_not_base64| InvalidToken)?;
        let plain = self
            .0
            .open(context, &mut sealed)
            .map_err(|_not_ours| InvalidToken)?;
        let claims: Sealed<'_> = postcard::from_bytes(plain).map_err(|_other| InvalidToken)?;
        let role = claims.role.map(RoleRef::parse).transpose();
        Ok(Claims {
            uid: claims.uid,
            role: role.map_err(|_invalid| InvalidToken)?,
            process: claims
                .process
                .map(|(pid, started)| ProcessId { pid, started }),
            holder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::KeyRing;

    #[test]
    fn tokens_and_ids_round_trip_and_are_not_each_other() {
        let seals = Seals::new(KeyRing::in_memory().unwrap(), None).unwrap();
        let tokens = AuthorizationTokens::new(seals);
        let claims = Claims {
            uid: 1000,
            role: Some(RoleRef::parse("prod/web").unwrap()),
            process: Some(ProcessId {
                pid: 4711,
                started: 123_456,
            }),
            holder: Holder::Owner,
        };
        let token = tokens.issue(&claims).unwrap();
        assert_eq!(tokens.open(&token), Ok(claims.clone()));
        assert_eq!(tokens.open_id(&token), Err(InvalidToken));
        let id = tokens.issue_id(&claims).unwrap();
        assert_eq!(tokens.open_id(&id), Ok(claims.clone()));
        assert_eq!(tokens.open(&id), Err(InvalidToken));
        for holder in [Holder::Bearer, Holder::Container] {
            let others = Claims {
                holder,
                ..claims.clone()
            };
            let shown = tokens.issue(&others).unwrap();
            assert_eq!(tokens.open(&shown), Ok(others.clone()));
            assert_eq!(tokens.open_id(&shown), Err(InvalidToken));
            let in_path = tokens.issue_id(&others).unwrap();
            assert_eq!(tokens.open_id(&in_path), Ok(others));
        }
        assert!(
            token
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        for wrong in [
            "",
            "x",
            &token.replacen(|_| true, "", 1),
            &format!("{token}A"),
            &"A".repeat(100_000),
        ] {
            assert_eq!(tokens.open(wrong), Err(InvalidToken));
        }
    }
}
