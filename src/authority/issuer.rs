//! Issues sessions and opens what it issued.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::keys::{Kept, KeyRing, KeyRingError, NamedKey, StateKey};
use super::keystone_token::{KeystoneClaims, KeystoneTokenError, SealedKeystoneToken};
use super::token::{SealedClaims, SealedToken, SessionClaims, SessionOf, TokenError};
use crate::clock::Clock;
use crate::secret::{ExposeSecret, Seal, SecretBox, SecretString, random};
use crate::types::{AccessKeyId, RoleRef, SessionName};

/// Bytes of the random part of an access key id: sixteen characters.
const ACCESS_KEY_BYTES: usize = 10;
/// Bytes of a secret access key: forty characters.
const SECRET_BYTES: usize = 30;

/// The built-in issuer and opener of sessions.
#[derive(Debug)]
pub struct Authority {
    clock: Clock,
    keys: ArcSwap<Keys>,
    state_key: Option<StateKey>,
    not_before: ArcSwap<BTreeMap<RoleRef, SystemTime>>,
}

#[derive(Debug)]
struct Keys {
    ring: KeyRing,
    current: IssuingKey,
    previous: Option<IssuingKey>,
}

/// The keys derived from one key of the ring, each for one purpose.
struct IssuingKey {
    seal: Seal,
    secrets: hmac::Key,
    keystone: Seal,
}

/// What a session is issued for.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// Who proved a name to get it, where somebody did.
    pub principal: Option<String>,
    /// What it is a session of.
    pub of: SessionOf,
    /// The role session name, or the name of the user or of who is vouched for.
    pub session_name: SessionName,
    /// How long it lives.
    pub duration: Duration,
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

impl IssueRequest {
    /// A session of which nothing else is said.
    pub const fn plain(of: SessionOf, session_name: SessionName, duration: Duration) -> Self {
        Self {
            principal: None,
            of,
            session_name,
            duration,
            chain_depth: 0,
            tags: Vec::new(),
            transitive_keys: Vec::new(),
            source_identity: None,
            policy: None,
            policy_arns: Vec::new(),
            mfa: false,
        }
    }
}

/// An issued session.
#[derive(Debug)]
pub struct Issued {
    /// `ASIA` and sixteen characters of base32.
    pub access_key_id: AccessKeyId,
    /// Forty characters.
    pub secret_access_key: SecretString,
    /// The session token.
    pub session_token: SecretString,
    /// When it ends, in whole seconds.
    pub expires_at: SystemTime,
}

/// No session could be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The operating system gave no random bytes, or sealing failed.
    #[error("no session could be sealed")]
    Seal,
    /// The clock stands before 1970, or the duration is beyond measure.
    #[error("the time of the session cannot be written down")]
    Time,
}

impl Authority {
    /// An authority with these keys. `state_key` must be the one that the ring was opened with.
    pub fn new(
        ring: KeyRing,
        state_key: Option<StateKey>,
        clock: Clock,
    ) -> Result<Self, KeyRingError> {
        Ok(Self {
            clock,
            keys: ArcSwap::from_pointee(Keys::derived(ring)?),
            state_key,
            not_before: ArcSwap::default(),
        })
    }

    /// Where its keys are kept.
    pub fn kept(&self) -> Kept {
        self.keys.load().ring.kept().clone()
    }

    /// Makes a fresh key; what the one before issued is still accepted, what was issued before
    /// that is not.
    pub fn rotate(&self) -> Result<(), KeyRingError> {
        let ring = self.keys.load().ring.rotated(self.state_key.as_ref())?;
        self.keys.store(Arc::new(Keys::derived(ring)?));
        Ok(())
    }

    /// Replaces the times before which roles' sessions are no longer accepted.
    pub fn set_not_before(&self, not_before: BTreeMap<RoleRef, SystemTime>) {
        self.not_before.store(Arc::new(not_before));
    }

    /// Issues a session.
    pub fn issue(&self, request: &IssueRequest) -> Result<Issued, IssueError> {
        let keys = self.keys.load();
        let access_key = random::<ACCESS_KEY_BYTES>().ok().ok_or(IssueError::Seal)?;
        let issued = self
            .clock
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()
            .ok_or(IssueError::Time)?
            .as_secs();
        let life = u32::try_from(request.duration.as_secs())
            .ok()
            .ok_or(IssueError::Time)?;
        let pairs = request.tags.iter();
        let claims = SealedClaims {
            access_key,
            principal: request.principal.as_deref(),
            of: (&request.of).into(),
            session_name: request.session_name.as_str(),
            issued,
            life,
            chain_depth: request.chain_depth,
            tags: pairs
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
            transitive_keys: request.transitive_keys.iter().map(String::as_str).collect(),
            source_identity: request.source_identity.as_deref(),
            policy: request.policy.as_deref(),
            policy_arns: request.policy_arns.iter().map(String::as_str).collect(),
            mfa: request.mfa,
        };
        let token = claims
            .seal(keys.ring.current.id, &keys.current.seal)
            .ok_or(IssueError::Seal)?;
        let expires_at = issued
            .checked_add(u64::from(life))
            .ok_or(IssueError::Time)?;
        Ok(Issued {
            access_key_id: access_key_id(access_key).ok_or(IssueError::Seal)?,
            secret_access_key: keys.current.secret_of(access_key),
            session_token: SecretString::from(token),
            expires_at: SystemTime::UNIX_EPOCH
                .checked_add(Duration::from_secs(expires_at))
                .ok_or(IssueError::Time)?,
        })
    }

    /// What a session token says, if it was issued here and still counts.
    pub fn open(&self, token: &str) -> Result<SessionClaims, TokenError> {
        let keys = self.keys.load();
        let mut token = SealedToken::parse(token)?;
        let key = keys.named(token.key_id).ok_or(TokenError::UnknownKey)?;
        let sealed = token.open(&key.seal)?;
        let access_key_id = access_key_id(sealed.access_key).ok_or(TokenError::Malformed)?;
        let claims = sealed.claims(access_key_id, key.secret_of(sealed.access_key))?;
        if claims.expires_at <= self.clock.now() {
            return Err(TokenError::Expired);
        }
        match claims.of.role() {
            Some(role) if !self.accepts(role, claims.issued_at) => Err(TokenError::Revoked),
            Some(_) | None => Ok(claims),
        }
    }

    /// Whether what was issued for this role then still counts.
    pub fn accepts(&self, role: &RoleRef, issued_at: SystemTime) -> bool {
        let not_before = self.not_before.load();
        let moment = not_before.get(role);
        moment.is_none_or(|moment| issued_at >= *moment)
    }

    /// The KeystoneToken that says this.
    pub fn seal_keystone(&self, claims: &KeystoneClaims) -> Result<String, IssueError> {
        let keys = self.keys.load();
        let token = claims.seal(keys.ring.current.id, &keys.current.keystone);
        token.ok_or(IssueError::Seal)
    }

    /// What a KeystoneToken says, if it was made here and its time is not over. Whether what proved
    /// its name still holds, and whether it was revoked, is known elsewhere.
    pub fn open_keystone(&self, token: &str) -> Result<KeystoneClaims, KeystoneTokenError> {
        let keys = self.keys.load();
        let sealed = SealedKeystoneToken::parse(token).ok_or(KeystoneTokenError::NotOurs)?;
        let key = keys.named(sealed.key_id);
        let key = key.ok_or(KeystoneTokenError::NotOurs)?;
        let claims = sealed.open(&key.keystone);
        let claims = claims.ok_or(KeystoneTokenError::NotOurs)?;
        if claims.expires_at <= self.clock.now() {
            return Err(KeystoneTokenError::Expired);
        }
        Ok(claims)
    }
}

impl Keys {
    fn derived(ring: KeyRing) -> Result<Self, KeyRingError> {
        Ok(Self {
            current: IssuingKey::derived(&ring.current)?,
            previous: ring
                .previous
                .as_ref()
                .map(IssuingKey::derived)
                .transpose()?,
            ring,
        })
    }

    fn named(&self, id: super::keys::KeyId) -> Option<&IssuingKey> {
        if self.ring.current.id == id {
            return Some(&self.current);
        }
        let previous = self.ring.previous.as_ref()?;
        if previous.id == id {
            self.previous.as_ref()
        } else {
            None
        }
    }
}

impl IssuingKey {
    fn derived(key: &NamedKey) -> Result<Self, KeyRingError> {
        let master = hmac::Key::new(hmac::HMAC_SHA256, key.key.expose_secret());
        let secrets = hmac::sign(&master, b"rolecall session secrets 1");
        Ok(Self {
            seal: seal_for(&master, b"rolecall session token seal 1")?,
            secrets: hmac::Key::new(hmac::HMAC_SHA256, secrets.as_ref()),
            keystone: seal_for(&master, b"rolecall keystone token seal 1")?,
        })
    }

    /// The secret access key of an access key.
    fn secret_of(&self, access_key: [u8; ACCESS_KEY_BYTES]) -> SecretString {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        fill(&mut *bytes, hmac::sign(&self.secrets, &access_key).as_ref());
        SecretString::from(STANDARD.encode(*bytes))
    }
}

impl std::fmt::Debug for IssuingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IssuingKey(..)")
    }
}

/// The seal of a key of its own for this purpose.
fn seal_for(master: &hmac::Key, purpose: &[u8]) -> Result<Seal, KeyRingError> {
    let mut key = Zeroizing::new([0; 32]);
    fill(&mut *key, hmac::sign(master, purpose).as_ref());
    let key = SecretBox::new(Box::new(*key));
    Seal::new(&key).ok().ok_or(KeyRingError::Random)
}

fn fill(buffer: &mut [u8], bytes: &[u8]) {
    for (to, from) in buffer.iter_mut().zip(bytes) {
        *to = *from;
    }
}

/// `ASIA`, as AWS's own ids of sessions begin, and the bytes in base32.
fn access_key_id(bytes: [u8; ACCESS_KEY_BYTES]) -> Option<AccessKeyId> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = bytes
        .iter()
        .fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let mut text = String::from("ASIA");
    for place in (0..16).rev() {
        let digit = usize::try_from((bits >> (place * 5)) & 31).ok()?;
        text.push(char::from(*ALPHABET.get(digit)?));
    }
    AccessKeyId::new(&text).ok()
}
