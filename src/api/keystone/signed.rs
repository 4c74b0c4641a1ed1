//! Signatures that services have verified: whose they are, as a token.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use hyper::StatusCode;
use serde::Deserialize as _;
use serde_json::Value;

use super::Call;
use super::answer::{Fault, Reply};
use super::bearer::Bearer;
use super::body::Body;
use super::route::{Route, Version, What};
use super::subject::{Accounts, Subject};
use super::token::{New, WithCatalog};
use crate::authority::signature::{
    Age, Ec2Credentials, Malformed, Mismatch, S3Credentials, SignedRequest,
};
use crate::authority::{SessionOf, TokenProof};
use crate::people::Unproven;
use crate::secret::{ExposeSecret as _, SecretString};
use crate::store::Objects;
use crate::types::{AccessKeyId, AccountAlias, RoleName, RoleRef};

/// What Heat and others look for.
const NOT_SUPPLIED: &str = "EC2 signature not supplied.";
const NOT_FOUND: &str = "EC2 access key not found.";
const INVALID: &str = "Invalid EC2 signature.";
const EXPIRED: &str = "Credential is expired";
const NO_TIMESTAMP: &str = "Credential timestamp is invalid: it has none";
const IN_FUTURE: &str = "Credential timestamp is invalid: it lies in the future";
const NO_DATE: &str = "Credential timestamp is invalid: it is no date";
const NOT_VALID: &str = "User not valid for tenant.";

/// Under which of these names the object stands: documents and clients differ.
const NAMES: [&str; 3] = ["credentials", "credential", "ec2Credentials"];

/// The same within `auth`.
const IN_AUTH: [&str; 2] = ["OS-KSEC2:ec2Credentials", "OS-KSEC2-ec2Credentials"];

/// A key that a request may be signed with, with whose it is.
struct Key {
    secret: SecretString,
    name: Arc<str>,
    project: AccountAlias,
    proof: TokenProof,
    holder: Holder,
    /// When it ends, where it does.
    until: Option<SystemTime>,
}

/// Who holds a key.
enum Holder {
    /// The person of its name.
    Person,
    /// A session, which has this role and nothing else.
    Session(RoleName),
    /// Somebody for whom this person vouches.
    Vouched(Arc<str>),
}

/// Whether version 2.0's `POST /tokens` is asked as `ec2tokens` is.
pub(super) fn is_in_auth(route: &Route<'_>, body: &Body) -> bool {
    let row = route.row;
    row.what == What::Login && row.version == Version::V2 && in_auth(body).is_some()
}

/// What stands under `auth` instead of a name and its password, where it does.
pub(super) fn in_auth(body: &Body) -> Option<&Value> {
    let auth = body.get("auth")?.as_object()?;
    let mut names = IN_AUTH.iter();
    names.find_map(|name| auth.get(*name))
}

impl Call<'_> {
    /// A token for whoever signed the request that a service received.
    pub(super) async fn ec2_tokens(&self, mut body: Body) -> Result<Reply, Fault> {
        let credentials = credentials(&mut body)?;
        self.ec2(&credentials).await
    }

    /// The same for what stood under one of the names.
    pub(super) async fn ec2(&self, credentials: &Value) -> Result<Reply, Fault> {
        let read = Ec2Credentials::deserialize(credentials);
        let read = read.map_err(|_unreadable| unreadable())?;
        self.verified(credentials, read.signed()).await
    }

    /// The same for a request to S3, of which there is the text that was signed.
    pub(super) async fn s3_tokens(&self, mut body: Body) -> Result<Reply, Fault> {
        let credentials = credentials(&mut body)?;
        let read = S3Credentials::deserialize(&credentials);
        let read = read.map_err(|_unreadable| unreadable())?;
        let reply = self.verified(&credentials, read.signed()).await?;
        Ok(reply.without_token())
    }

    /// A token for whoever signed this. Who has no key is told so before anything is said of what
    /// was signed.
    async fn verified(
        &self,
        credentials: &Value,
        signed: Result<SignedRequest, Malformed>,
    ) -> Result<Reply, Fault> {
        if matches!(signed, Err(Malformed::NotSupplied)) {
            return Err(Fault::unauthorized_as(NOT_SUPPLIED));
        }
        let deps = self.prover.deps;
        let objects = deps.store.objects()?;
        let access = credentials.get("access").and_then(Value::as_str);
        let access = access.unwrap_or_default();
        let key = self.key(access, signed.as_ref().ok(), &objects);
        let key = key.ok_or_else(|| self.unknown(access))?;
        let signed = signed.map_err(|malformed| Fault::from(&malformed))?;
        let age = Age::of(deps.rules.signature_age);
        let verified = signed.verify_by(&deps.derived, &key.secret, deps.clock.now(), age);
        let verified = verified.map_err(|mismatch| self.refused(access, told(mismatch)))?;
        let first = {
            let replays = deps.replays.lock();
            let mut replays = replays.unwrap_or_else(PoisonError::into_inner);
            replays.first(&verified, deps.clock.now())
        };
        first.map_err(|_replayed| self.refused(access, INVALID))?;
        self.token_for(key).await
    }

    /// The key of this id: that of the session whose token came with it, or one that was made. People
    /// choose ids of keys, and might choose a session's.
    fn key(&self, access: &str, signed: Option<&SignedRequest>, objects: &Objects) -> Option<Key> {
        let id = AccessKeyId::new(access).ok()?;
        let token = signed.and_then(SignedRequest::session_token);
        let Some(token) = token else {
            let key = objects.keys.get(&id)?;
            return Some(Key {
                secret: key.draft.secret.clone(),
                name: Arc::clone(&key.draft.user),
                project: key.draft.account.clone(),
                proof: TokenProof::AccessKey(id),
                holder: Holder::Person,
                until: None,
            });
        };
        let session = self.prover.deps.authority.open(token.expose_secret());
        let session = session.ok()?;
        if session.access_key_id != id {
            return None;
        }
        if !objects.stands_behind(&session) {
            return None;
        }
        let project = session.of.account().clone();
        let maker = |key: &AccessKeyId| Some(Arc::clone(&objects.keys.get(key)?.draft.user));
        let (name, proof, holder) = match session.of {
            SessionOf::Role(RoleRef { role, .. }) => {
                // Who was handed a session by a program proved no name: it has the session's own.
                let own = || format!("{role}/{}", session.session_name);
                let name = Arc::from(session.principal.unwrap_or_else(own));
                let proof = TokenProof::Session(role.clone());
                (name, proof, Holder::Session(role))
            }
            SessionOf::User { key, .. } => {
                (maker(&key)?, TokenProof::AccessKey(key), Holder::Person)
            }
            // No session, and nobody who logs in with a password, is called so.
            SessionOf::Federated { key, .. } => {
                let maker = maker(&key)?;
                let name = Arc::from(format!("{maker}:{}", session.session_name));
                let proof = TokenProof::Federated(key);
                (name, proof, Holder::Vouched(maker))
            }
        };
        Some(Key {
            secret: session.secret_access_key,
            name,
            project,
            proof,
            holder,
            until: Some(session.expires_at),
        })
    }

    /// There is no such key. Object stores have keys of their own too, and Ceph's looks among them only
    /// after this status: after 401 the signature is wrong to it.
    fn unknown(&self, access: &str) -> Fault {
        let refused = self.refused(access, NOT_FOUND);
        if self.route.row.what == What::S3Tokens {
            refused.with_status(StatusCode::NOT_FOUND)
        } else {
            refused
        }
    }

    /// A signature does not count. Guesses are told to the operator, not each of very many: who makes
    /// them is behind a service, and must not keep it from asking about the key's holder.
    fn refused(&self, access: &str, why: &'static str) -> Fault {
        if let Ok(attempt) = self.prover.guess(&Arc::from(access)) {
            let key = AccessKeyId::new(access);
            let key = key.as_ref().map_or("none", AccessKeyId::as_str);
            tracing::info!(key, why, "a signature that a service received was refused");
            attempt.failed();
        }
        Fault::unauthorized_as(why)
    }

    /// The token of whoever holds this key.
    async fn token_for(&self, key: Key) -> Result<Reply, Fault> {
        let subject = match &key.holder {
            Holder::Session(role) => {
                let (accounts, name) = (Accounts::now(self.prover)?, Arc::clone(&key.name));
                let subject = Subject::of_session(name, (&key.project, role.as_str()), &accounts);
                Arc::new(subject.ok_or_else(not_valid)?)
            }
            Holder::Person => self.subject_with_key(&key.name).await?,
            Holder::Vouched(maker) => {
                let maker = self.subject_with_key(maker).await?;
                let vouched = maker.vouches_for(Arc::clone(&key.name), &key.project);
                Arc::new(vouched.ok_or_else(not_valid)?)
            }
        };
        subject.membership(&key.project).ok_or_else(not_valid)?;
        self.keystone.names.see(&subject.id, &subject.name);
        let new = New {
            name: key.name,
            proof: key.proof,
            project: Some(key.project),
            of: None,
            until: key.until,
        };
        let bearer = Bearer {
            claims: new.claims(self)?,
            subject,
        };
        let catalog = match self.route.row.version {
            Version::V2 => WithCatalog::Empty,
            Version::V3 => WithCatalog::Yes,
        };
        self.made(&bearer, catalog)
    }

    /// What the holder of a key is here.
    async fn subject_with_key(&self, name: &Arc<str>) -> Result<Arc<Subject>, Fault> {
        let person = self.prover.holder(name).await;
        let person = person.map_err(|unproven| {
            if unproven == Unproven::NotReady {
                Fault::unavailable()
            } else {
                not_valid()
            }
        })?;
        self.keystone.subjects.of(self.prover, &person).await
    }
}

/// What there is to say of a user who is not there, or has nothing there.
fn not_valid() -> Fault {
    Fault::unauthorized_as(NOT_VALID)
}

/// The object that a body brings.
pub(super) fn credentials(body: &mut Body) -> Result<Value, Fault> {
    if body.is_empty() {
        return Err(Fault::new(
            StatusCode::BAD_REQUEST,
            "request must include a request body",
        ));
    }
    let mut named = NAMES.iter();
    if let Some(credentials) = named.find_map(|name| body.take(name)) {
        return Ok(credentials);
    }
    let in_auth = in_auth(body).cloned();
    in_auth.ok_or_else(|| Fault::unauthorized_as(NOT_SUPPLIED))
}

fn unreadable() -> Fault {
    Fault::bad("Expecting to find texts and objects of texts in credentials.")
}

const fn told(mismatch: Mismatch) -> &'static str {
    match mismatch {
        Mismatch::Signature | Mismatch::Body => INVALID,
        Mismatch::NoTimestamp => NO_TIMESTAMP,
        Mismatch::Expired { .. } => EXPIRED,
        Mismatch::NotYet { .. } => IN_FUTURE,
    }
}

impl From<&Malformed> for Fault {
    fn from(malformed: &Malformed) -> Self {
        match malformed {
            Malformed::NotSupplied => Self::unauthorized_as(NOT_SUPPLIED),
            // Keystone itself fails with 500 here.
            Malformed::Version(_) | Malformed::NoVersion => Self::bad("Unknown signature version."),
            Malformed::Missing(what @ ("token" | "body_hash")) => {
                Self::expected(what, "credentials")
            }
            Malformed::Timestamp(_) => Self::unauthorized_as(NO_DATE),
            Malformed::Missing("Timestamp" | "X-Amz-Date") => Self::unauthorized_as(NO_TIMESTAMP),
            Malformed::Missing(_)
            | Malformed::Authorization
            | Malformed::Twice(_)
            | Malformed::SignedTwice
            | Malformed::Scope
            | Malformed::OtherKey
            | Malformed::OtherDay { .. }
            | Malformed::Service(_)
            | Malformed::HostNotSigned
            | Malformed::HeaderMissing(_)
            | Malformed::TooManyHeaders
            | Malformed::Expires
            | Malformed::BodyHash
            | Malformed::StringToSign => Self::unauthorized_as(INVALID),
        }
    }
}
