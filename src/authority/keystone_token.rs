//! The KeystoneToken, version 1: sealed, so that nothing is remembered of it but its revocation.
//!
//! Base64 (of the URL's alphabet, without padding: it stands in headers and in paths) of: one byte of
//! version, four of key id, then sealed the claims. Version and key id are bound to the seal.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::keys::KeyId;
use crate::secret::Seal;
use crate::types::{AccessKeyId, AccountAlias, RoleName};

const VERSION: u8 = 1;
/// Version and key id.
const HEAD: usize = 5;
/// Longer than any token that is issued.
const MAX_LENGTH: usize = 2048;
/// Says what the seal is for, so that nothing else sealed with the same key is taken for a token.
const CONTEXT: &[u8] = b"rolecall keystone token";

/// Why a KeystoneToken does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeystoneTokenError {
    /// It was not made here, was changed, or its key is no longer accepted.
    #[error("the token was not made here, or with a key that is no longer accepted")]
    NotOurs,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// What proved a token's name: the token counts for as long as that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenProof {
    /// A password.
    Password {
        /// What it was held against, as the configuration spells it.
        way: Arc<str>,
        /// What the users file had for it, where it was that.
        fingerprint: Option<[u8; 32]>,
    },
    /// A bearer token of a build server, by its hash.
    Bearer([u8; 32]),
    /// A signature by this access key.
    AccessKey(AccessKeyId),
    /// A signature by a session of this role. The name may be the session's own.
    Session(RoleName),
    /// A signature by a session of somebody for whom the user of this access key vouches.
    Federated(AccessKeyId),
}

/// What a KeystoneToken says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeystoneClaims {
    /// Whose it is.
    pub name: Arc<str>,
    /// What proved that.
    pub proof: TokenProof,
    /// The account that it is for, where it is for one.
    pub project: Option<AccountAlias>,
    /// When it was made, in whole seconds.
    pub issued_at: SystemTime,
    /// When it ends, in whole seconds.
    pub expires_at: SystemTime,
    /// Its own id in audit trails, by which it is revoked.
    pub audit: Uuid,
    /// That of the first of its line, where it was made of another token.
    pub parent: Option<Uuid>,
}

/// The claims as they stand under the seal. The order of the fields is the format.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    name: &'a str,
    #[serde(borrow)]
    proof: SealedProof<'a>,
    project: Option<&'a str>,
    issued: u64,
    life: u32,
    audit: [u8; 16],
    parent: Option<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
enum SealedProof<'a> {
    Password {
        way: &'a str,
        fingerprint: Option<[u8; 32]>,
    },
    Bearer([u8; 32]),
    AccessKey(&'a str),
    Session(&'a str),
    Federated(&'a str),
}

impl KeystoneClaims {
    /// The token that carries these claims.
    pub(super) fn seal(&self, key_id: KeyId, seal: &Seal) -> Option<String> {
        let issued = self.issued_at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let life = self.expires_at.duration_since(self.issued_at).ok()?;
        let sealed = Sealed {
            name: &self.name,
            proof: match &self.proof {
                TokenProof::Password { way, fingerprint } => SealedProof::Password {
                    way,
                    fingerprint: *fingerprint,
                },
                TokenProof::Bearer(hash) => SealedProof::Bearer(*hash),
                TokenProof::AccessKey(id) => SealedProof::AccessKey(id.as_str()),
                TokenProof::Session(role) => SealedProof::Session(role.as_str()),
                TokenProof::Federated(id) => SealedProof::Federated(id.as_str()),
            },
            project: self.project.as_ref().map(AccountAlias::as_str),
            issued: issued.as_secs(),
            life: u32::try_from(life.as_secs()).ok()?,
            audit: *self.audit.as_bytes(),
            parent: self.parent.map(Uuid::into_bytes),
        };
        let [a, b, c, d] = key_id;
        let head = [VERSION, a, b, c, d];
        let plain = postcard::to_stdvec(&sealed).ok()?;
        let mut bytes = head.to_vec();
        bytes.append(&mut seal.seal(&context(&head), &plain).ok()?);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl Sealed<'_> {
    /// The claims as the rest of the daemon uses them; everything is checked again.
    fn claims(&self) -> Option<KeystoneClaims> {
        let issued_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.issued))?;
        Some(KeystoneClaims {
            name: Arc::from(self.name),
            proof: match self.proof {
                SealedProof::Password { way, fingerprint } => TokenProof::Password {
                    way: Arc::from(way),
                    fingerprint,
                },
                SealedProof::Bearer(hash) => TokenProof::Bearer(hash),
                SealedProof::AccessKey(id) => TokenProof::AccessKey(AccessKeyId::new(id).ok()?),
                SealedProof::Session(role) => TokenProof::Session(RoleName::new(role).ok()?),
                SealedProof::Federated(id) => TokenProof::Federated(AccessKeyId::new(id).ok()?),
            },
            project: match self.project {
                Some(project) => Some(AccountAlias::new(project).ok()?),
                None => None,
            },
            issued_at,
            expires_at: issued_at.checked_add(Duration::from_secs(u64::from(self.life)))?,
            audit: Uuid::from_bytes(self.audit),
            parent: self.parent.map(Uuid::from_bytes),
        })
    }
}

/// A token taken apart, its seal still closed.
pub(super) struct SealedKeystoneToken {
    pub(super) key_id: KeyId,
    bytes: Vec<u8>,
}

impl SealedKeystoneToken {
    /// Takes a token apart. Total and without side effects, whatever the text.
    pub(super) fn parse(token: &str) -> Option<Self> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        match bytes.split_first_chunk() {
            Some(([VERSION, a, b, c, d], _)) => Some(Self {
                key_id: [*a, *b, *c, *d],
                bytes,
            }),
            Some(_) | None => None,
        }
    }

    /// Breaks the seal.
    pub(super) fn open(mut self, seal: &Seal) -> Option<KeystoneClaims> {
        let (head, sealed) = self.bytes.split_at_mut_checked(HEAD)?;
        let plain = seal.open(&context(head), sealed).ok()?;
        match postcard::take_from_bytes::<Sealed<'_>>(plain) {
            Ok((read, [])) => read.claims(),
            Ok(_) | Err(_) => None,
        }
    }
}

fn context(head: &[u8]) -> Vec<u8> {
    [CONTEXT, head].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Authority, IssueRequest, KeyRing, SessionOf};
    use super::*;
    use crate::clock::Clock;
    use crate::secret::ExposeSecret as _;
    use crate::types::{RoleRef, SessionName};

    fn authority() -> (Authority, Clock) {
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH + Duration::from_hours(500_000));
        let ring = KeyRing::in_memory().unwrap();
        (Authority::new(ring, None, clock.clone()).unwrap(), clock)
    }

    fn claims(clock: &Clock, proof: TokenProof) -> KeystoneClaims {
        KeystoneClaims {
            name: Arc::from("зоя"),
            proof,
            project: Some(AccountAlias::new("local").unwrap()),
            issued_at: clock.now(),
            expires_at: clock.now() + Duration::from_hours(1),
            audit: Uuid::from_u128(7),
            parent: None,
        }
    }

    fn by_password() -> TokenProof {
        TokenProof::Password {
            way: Arc::from("basic"),
            fingerprint: Some([7; 32]),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_keystone_token_gives_back_what_it_was_made_of() {
        let (authority, clock) = authority();
        let proofs = [
            by_password(),
            TokenProof::Bearer([9; 32]),
            TokenProof::AccessKey(AccessKeyId::new("8cff51dc66594df4a2ae121f796df36c").unwrap()),
            TokenProof::Session(RoleName::new("demo").unwrap()),
            TokenProof::Federated(AccessKeyId::new("ASIA").unwrap()),
        ];
        for proof in proofs {
            let said = claims(&clock, proof);
            let token = authority.seal_keystone(&said).unwrap();
            assert!(token.len() < 255, "{}", token.len());
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            assert!(token.bytes().all(plain), "{token}");
            assert_eq!(authority.open_keystone(&token), Ok(said));
        }
        let rescoped = KeystoneClaims {
            project: None,
            parent: Some(Uuid::from_u128(8)),
            ..claims(&clock, by_password())
        };
        let token = authority.seal_keystone(&rescoped).unwrap();
        assert_eq!(authority.open_keystone(&token), Ok(rescoped));
    }

    #[tokio::test(start_paused = true)]
    async fn a_keystone_token_counts_until_it_ends() {
        let (authority, clock) = authority();
        let token = authority.seal_keystone(&claims(&clock, by_password()));
        let token = token.unwrap();
        tokio::time::advance(Duration::from_hours(1) - Duration::from_secs(1)).await;
        authority.open_keystone(&token).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let opened = authority.open_keystone(&token);
        assert_eq!(opened, Err(KeystoneTokenError::Expired));
    }

    #[tokio::test(start_paused = true)]
    async fn a_keystone_token_outlives_one_change_of_keys() {
        let (authority, clock) = authority();
        let token = authority.seal_keystone(&claims(&clock, by_password()));
        let token = token.unwrap();
        authority.rotate().unwrap();
        authority.open_keystone(&token).unwrap();
        authority.rotate().unwrap();
        let opened = authority.open_keystone(&token);
        assert_eq!(opened, Err(KeystoneTokenError::NotOurs));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sealed_elsewhere_or_for_something_else_is_no_keystone_token() {
        let (authority, clock) = authority();
        let (other, _) = self::authority();
        let foreign = other.seal_keystone(&claims(&clock, by_password()));
        let session = authority.issue(&IssueRequest::plain(
            SessionOf::Role(RoleRef::parse("local/demo").unwrap()),
            SessionName::new("somebody").unwrap(),
            Duration::from_hours(1),
        ));
        let session = session.unwrap().session_token;
        for text in [foreign.unwrap().as_str(), session.expose_secret(), "", "AQ"] {
            let opened = authority.open_keystone(text);
            assert_eq!(opened, Err(KeystoneTokenError::NotOurs), "{text}");
        }
        let own = authority.seal_keystone(&claims(&clock, by_password()));
        authority.open(&own.unwrap()).unwrap_err();
    }

    proptest! {
        #[test]
        fn no_text_but_a_keystone_token_opens(text in ".{0,300}", at in 0_usize..400, to: u8) {
            let ring = KeyRing::in_memory().unwrap();
            let authority = Authority::new(ring, None, Clock::System).unwrap();
            prop_assert!(authority.open_keystone(&text).is_err());
            let said = claims(&Clock::System, by_password());
            let token = authority.seal_keystone(&said).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            prop_assert!(authority.open_keystone(&URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }
    }
}
