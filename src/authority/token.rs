//! The session token, version 2.
//!
//! Base64 (of the URL's alphabet, without padding, so that no client must escape it) of: one byte
//! of version, four of key id, then sealed the claims. Version and key id are bound to the seal.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::keys::KeyId;
use crate::secret::{Seal, SecretString};
use crate::types::{AccessKeyId, AccountAlias, RoleName, RoleRef, SessionName};

const VERSION: u8 = 2;
/// Version and key id.
const HEAD: usize = 5;
/// Longer than any token that is issued: 50 tags and a policy at STS's limits.
const MAX_LENGTH: usize = 64 * 1024;
/// Says what the seal is for, so that nothing else sealed with the same key is taken for a token.
const CONTEXT: &[u8] = b"rolecall session token";

/// Why a session token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token.
    #[error("the session token is malformed")]
    Malformed,
    /// It is a token of another version, if it is any.
    #[error("the session token is not of this version of rolecall")]
    OtherVersion,
    /// Its key is neither the current one nor the one before it.
    #[error("the session token was made with a key that is no longer accepted")]
    UnknownKey,
    /// It does not open with the key that it names.
    #[error("the session token was not made here, or was changed")]
    NotOurs,
    /// Its time is over.
    #[error("the session token has expired")]
    Expired,
    /// Its role's sessions of that time are no longer accepted.
    #[error("the session token was issued before its role's not-before")]
    Revoked,
}

/// What a session is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SessionOf {
    /// A role.
    Role(RoleRef),
    /// The user who holds this long-term key of an account (GetSessionToken). It ends with the key.
    User {
        /// The key's account.
        account: AccountAlias,
        /// The key's id.
        key: AccessKeyId,
    },
    /// Somebody for whom the holder of this long-term key vouches (GetFederationToken): not that
    /// holder. It ends with the key.
    Federated {
        /// The key's account.
        account: AccountAlias,
        /// The key's id.
        key: AccessKeyId,
    },
}

impl SessionOf {
    /// Its account.
    pub const fn account(&self) -> &AccountAlias {
        match self {
            Self::Role(role) => &role.account,
            Self::User { account, .. } | Self::Federated { account, .. } => account,
        }
    }

    /// The role, where it is a role's.
    pub const fn role(&self) -> Option<&RoleRef> {
        match self {
            Self::Role(role) => Some(role),
            Self::User { .. } | Self::Federated { .. } => None,
        }
    }
}

/// What a session token says.
#[derive(Debug)]
pub struct SessionClaims {
    /// The access key id it goes with.
    pub access_key_id: AccessKeyId,
    /// The secret access key, derived again.
    pub secret_access_key: SecretString,
    /// Who proved a name to get it, where somebody did.
    pub principal: Option<String>,
    /// What it is a session of.
    pub of: SessionOf,
    /// The role session name, or the name of the user or of who is vouched for.
    pub session_name: SessionName,
    /// When it was issued.
    pub issued_at: SystemTime,
    /// When it ends.
    pub expires_at: SystemTime,
    /// How many roles were assumed before this one.
    pub chain_depth: u8,
    /// Session tags.
    pub tags: Vec<(String, String)>,
    /// The keys of those tags that go on into chained roles.
    pub transitive_keys: Vec<String>,
    /// The source identity.
    pub source_identity: Option<String>,
    /// The session policy.
    pub policy: Option<String>,
    /// Managed policies as session policies.
    pub policy_arns: Vec<String>,
    /// Whether a second factor was shown.
    pub mfa: bool,
}

/// What a session is of, under the seal: an account, and a role or a key there.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum SealedOf<'a> {
    Role(&'a str, &'a str),
    User(&'a str, &'a str),
    Federated(&'a str, &'a str),
}

impl<'a> From<&'a SessionOf> for SealedOf<'a> {
    fn from(of: &'a SessionOf) -> Self {
        match of {
            SessionOf::Role(role) => Self::Role(role.account.as_str(), role.role.as_str()),
            SessionOf::User { account, key } => Self::User(account.as_str(), key.as_str()),
            SessionOf::Federated { account, key } => {
                Self::Federated(account.as_str(), key.as_str())
            }
        }
    }
}

impl SealedOf<'_> {
    /// The same, checked again.
    fn opened(self) -> Option<SessionOf> {
        let (Self::Role(account, name)
        | Self::User(account, name)
        | Self::Federated(account, name)) = self;
        let account = AccountAlias::new(account).ok()?;
        let key = || AccessKeyId::new(name).ok();
        Some(match self {
            Self::Role(..) => SessionOf::Role(RoleRef {
                account,
                role: RoleName::new(name).ok()?,
            }),
            Self::User(..) => SessionOf::User {
                account,
                key: key()?,
            },
            Self::Federated(..) => SessionOf::Federated {
                account,
                key: key()?,
            },
        })
    }
}

/// The claims as they stand under the seal. The order of the fields is the format: another one is
/// another version.
#[derive(Serialize, Deserialize)]
pub(super) struct SealedClaims<'a> {
    pub(super) access_key: [u8; 10],
    pub(super) principal: Option<&'a str>,
    #[serde(borrow)]
    pub(super) of: SealedOf<'a>,
    pub(super) session_name: &'a str,
    pub(super) issued: u64,
    pub(super) life: u32,
    pub(super) chain_depth: u8,
    #[serde(borrow)]
    pub(super) tags: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    pub(super) transitive_keys: Vec<&'a str>,
    pub(super) source_identity: Option<&'a str>,
    pub(super) policy: Option<&'a str>,
    #[serde(borrow)]
    pub(super) policy_arns: Vec<&'a str>,
    pub(super) mfa: bool,
}

/// A token taken apart, its seal still closed.
pub(super) struct SealedToken {
    pub(super) key_id: KeyId,
    bytes: Vec<u8>,
}

impl SealedToken {
    /// Takes a token apart. Total and without side effects, whatever the text.
    pub(super) fn parse(token: &str) -> Result<Self, TokenError> {
        if token.len() > MAX_LENGTH {
            return Err(TokenError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .ok_or(TokenError::Malformed)?;
        match bytes.split_first_chunk() {
            Some(([VERSION, a, b, c, d], _)) => Ok(Self {
                key_id: [*a, *b, *c, *d],
                bytes,
            }),
            Some(_) => Err(TokenError::OtherVersion),
            None => Err(TokenError::Malformed),
        }
    }

    /// Breaks the seal.
    pub(super) fn open(&mut self, seal: &Seal) -> Result<SealedClaims<'_>, TokenError> {
        let (head, sealed) = self
            .bytes
            .split_at_mut_checked(HEAD)
            .ok_or(TokenError::Malformed)?;
        let plain = seal
            .open(&context(head), sealed)
            .ok()
            .ok_or(TokenError::NotOurs)?;
        SealedClaims::decode(plain)
    }
}

impl<'a> SealedClaims<'a> {
    /// The token that carries these claims.
    pub(super) fn seal(&self, key_id: KeyId, seal: &Seal) -> Option<String> {
        let [a, b, c, d] = key_id;
        let head = [VERSION, a, b, c, d];
        let plain = postcard::to_stdvec(self).ok()?;
        let mut bytes = head.to_vec();
        bytes.append(&mut seal.seal(&context(&head), &plain).ok()?);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn decode(plain: &'a [u8]) -> Result<Self, TokenError> {
        match postcard::take_from_bytes(plain) {
            Ok((claims, [])) => Ok(claims),
            Ok(_) | Err(_) => Err(TokenError::Malformed),
        }
    }

    /// The claims as the rest of the daemon uses them; everything is checked again.
    pub(super) fn claims(
        &self,
        access_key_id: AccessKeyId,
        secret_access_key: SecretString,
    ) -> Result<SessionClaims, TokenError> {
        let time = |seconds: u64| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let issued_at = time(self.issued).ok_or(TokenError::Malformed)?;
        let expires_at = issued_at
            .checked_add(Duration::from_secs(u64::from(self.life)))
            .ok_or(TokenError::Malformed)?;
        Ok(SessionClaims {
            access_key_id,
            secret_access_key,
            principal: self.principal.map(str::to_owned),
            of: self.of.opened().ok_or(TokenError::Malformed)?,
            session_name: SessionName::new(self.session_name)
                .ok()
                .ok_or(TokenError::Malformed)?,
            issued_at,
            expires_at,
            chain_depth: self.chain_depth,
            tags: self
                .tags
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            transitive_keys: owned(&self.transitive_keys),
            source_identity: self.source_identity.map(str::to_owned),
            policy: self.policy.map(str::to_owned),
            policy_arns: owned(&self.policy_arns),
            mfa: self.mfa,
        })
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn context(head: &[u8]) -> Vec<u8> {
    [CONTEXT, head].concat()
}
