//! Who signed a request: the holder of an access key, or of a session that was issued here.

use std::sync::{Arc, PoisonError};

use hyper::header::HOST;

use super::fault::Fault;
use crate::api::{Prover, date};
use crate::authority::signature::{
    Age, HttpRequest, Malformed, Mismatch, Payload, SignedRequest, Verified,
};
use crate::authority::{SessionClaims, SessionOf, TokenError};
use crate::grants::{Person, Way};
use crate::http::Request;
use crate::people::Unproven;
use crate::secret::{ExposeSecret as _, SecretString};
use crate::sessions::CallerIdentity;
use crate::store::AccessKey;
use crate::types::{AccessKeyId, AccountAlias};
use crate::vending::Policy;

/// The service that signatures must be for.
const SERVICE: &str = "sts";

/// Who signed a request.
#[derive(Debug)]
pub(super) enum Signer {
    /// The holder of a long-term key.
    Key(Arc<AccessKey>),
    /// The holder of a session.
    Session(Box<SessionClaims>),
}

impl Signer {
    /// Who signed this request, verified.
    pub(super) fn of(prover: &Prover<'_>, request: &Request) -> Result<Self, Fault> {
        let claim = read(request)?.ok_or(Fault::MissingAuthenticationToken)?;
        if claim.scope().is_some_and(|scope| scope.service != SERVICE) {
            return Err(Fault::OtherService);
        }
        let id: Arc<str> = Arc::from(claim.access_key_id());
        let attempt = prover
            .attempt(request, &id)
            .map_err(|_wait| Fault::Throttling)?;
        let signer = Self::proved(prover, request, &claim);
        match &signer {
            Ok(_) => attempt.succeeded(),
            Err(fault @ (Fault::InvalidClientTokenId | Fault::SignatureDoesNotMatch)) => {
                let id = AccessKeyId::new(&id).ok();
                let access_key_id = id.as_ref().map_or("none", AccessKeyId::as_str);
                let caller = prover.guest.connection.caller.name();
                let (_, why) = fault.code();
                tracing::info!(access_key_id, %caller, why, "a signature was refused");
                attempt.failed();
            }
            Err(_) => {}
        }
        signer
    }

    fn proved(
        prover: &Prover<'_>,
        request: &Request,
        signed: &SignedRequest,
    ) -> Result<Self, Fault> {
        let id = AccessKeyId::new(signed.access_key_id());
        let id = id.map_err(|_invalid| Fault::InvalidClientTokenId)?;
        let objects = || {
            let objects = prover.deps.store.objects();
            objects.map_err(|error| {
                tracing::warn!(%error, "an access key cannot be looked up");
                Fault::ServiceUnavailable
            })
        };
        let verify = |secret| verified(prover, request, signed, secret);
        let Some(token) = signed.session_token() else {
            let objects = objects()?;
            let key = objects.keys.get(&id).ok_or(Fault::InvalidClientTokenId)?;
            verify(&key.draft.secret)?;
            return Ok(Self::Key(Arc::clone(key)));
        };
        let claims = prover.deps.authority.open(token.expose_secret());
        let claims = claims.map_err(|error| match error {
            TokenError::Expired | TokenError::Revoked => Fault::ExpiredToken,
            TokenError::Malformed
            | TokenError::OtherVersion
            | TokenError::UnknownKey
            | TokenError::NotOurs => Fault::InvalidClientTokenId,
        })?;
        if claims.access_key_id != id {
            return Err(Fault::InvalidClientTokenId);
        }
        verify(&claims.secret_access_key)?;
        if claims.of.role().is_none() && !objects()?.stands_behind(&claims) {
            return Err(Fault::InvalidClientTokenId);
        }
        Ok(Self::Session(Box::new(claims)))
    }

    /// The account that it belongs to.
    pub(super) fn account(&self) -> &AccountAlias {
        match self {
            Self::Key(key) => &key.draft.account,
            Self::Session(claims) => claims.of.account(),
        }
    }

    /// The user for whom it stands; who is only vouched for is nobody's.
    pub(super) fn user(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(&key.draft.user),
            Self::Session(claims) => match claims.of {
                SessionOf::Role(_) | SessionOf::User { .. } => claims.principal.as_deref(),
                SessionOf::Federated { .. } => None,
            },
        }
    }

    /// The user itself, with a key or a session of its own: a role's session is less, and has none of
    /// its user's devices.
    pub(super) fn holder(&self) -> Option<&str> {
        match self {
            Self::Session(claims) if claims.of.role().is_some() => None,
            Self::Key(_) | Self::Session(_) => self.user(),
        }
    }

    /// Whether a second factor was shown when its session was made.
    pub(super) fn showed_mfa(&self) -> bool {
        match self {
            Self::Key(_) => false,
            Self::Session(claims) => claims.mfa,
        }
    }

    const fn way(&self) -> Way {
        match self {
            Self::Key(_) => Way::AccessKey,
            Self::Session(_) => Way::Session,
        }
    }

    /// Who it is before grants; nobody where its session stands for none.
    pub(super) async fn person(&self, prover: &Prover<'_>) -> Result<Option<Arc<Person>>, Fault> {
        let Some(user) = self.user() else {
            return Ok(None);
        };
        let person = prover.person(self.way(), &Arc::from(user)).await;
        let person = match person {
            Ok(person) => person,
            Err(Unproven::NotReady | Unproven::Throttled(_)) => {
                return Err(Fault::ServiceUnavailable);
            }
            Err(
                Unproven::Missing
                | Unproven::Wrong
                | Unproven::ForeignProxy
                | Unproven::CrossSite(_)
                | Unproven::NotMember(_),
            ) => return Ok(None),
        };
        let needed = &prover.mount.require_group;
        let mut groups = person.groups.iter();
        let may_come = needed.is_empty() || groups.any(|group| needed.contains(group));
        Ok(may_come.then_some(person))
    }

    /// Who it is, as AWS tells it.
    pub(super) fn identity(&self, policy: &Policy) -> CallerIdentity {
        let account = policy.account(self.account());
        let (id, partition) = (account.id.as_ref(), account.partition.as_ref());
        match self {
            Self::Key(key) => CallerIdentity::user(partition, id, &key.draft.user),
            Self::Session(claims) => match &claims.of {
                SessionOf::User { .. } => {
                    let name = claims.principal.as_deref().unwrap_or_default();
                    CallerIdentity::user(partition, id, name)
                }
                SessionOf::Federated { .. } => {
                    CallerIdentity::federated(partition, id, &claims.session_name)
                }
                SessionOf::Role(role) => {
                    let arn = policy.arn_of(role);
                    match arn {
                        Some(arn) => CallerIdentity::assumed(&arn, &claims.session_name),
                        // The role is no longer there; its session is, for a while.
                        None => CallerIdentity::federated(partition, id, &claims.session_name),
                    }
                }
            },
        }
    }
}

fn read(request: &Request) -> Result<Option<SignedRequest>, Fault> {
    let uri = request.uri();
    let mut headers: Vec<(&str, &[u8])> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    // HTTP/2 has the host elsewhere.
    if let Some(authority) = uri.authority()
        && !request.headers().contains_key(HOST)
    {
        headers.push(("host", authority.as_str().as_bytes()));
    }
    let read = HttpRequest {
        method: request.method().as_str(),
        path: uri.path(),
        query: uri.query(),
        headers: &headers,
        body: request.body(),
    };
    read.signed().map_err(|malformed| {
        let missing = |what: &str| {
            Fault::MissingParameter(format!("The request must contain the parameter {what}."))
        };
        if malformed == Malformed::NotSupplied {
            missing("AWSAccessKeyId and Signature")
        } else if malformed == Malformed::NoVersion {
            missing("SignatureVersion")
        } else if malformed == Malformed::Missing("SignatureMethod") {
            missing("SignatureMethod")
        } else {
            Fault::IncompleteSignature(malformed.to_string())
        }
    })
}

fn verified(
    prover: &Prover<'_>,
    request: &Request,
    signed: &SignedRequest,
    secret: &SecretString,
) -> Result<Verified, Fault> {
    let now = prover.deps.clock.now();
    let age = Age::of(prover.deps.rules.signature_age);
    let verified = signed.verify_by(&prover.deps.derived, secret, now, age);
    let verified = verified.map_err(|mismatch| match mismatch {
        Mismatch::Signature | Mismatch::Body => Fault::SignatureDoesNotMatch,
        Mismatch::NoTimestamp => {
            Fault::MissingParameter("The request must contain the parameter Timestamp.".to_owned())
        }
        Mismatch::Expired { signed_at, until } => Fault::RequestExpired(format!(
            "Signature expired: it was signed at {} and counted until {}, which is now earlier \
             than {}.",
            date(signed_at),
            date(until),
            date(now)
        )),
        Mismatch::NotYet { signed_at, from } => Fault::RequestExpired(format!(
            "Signature not yet current: it was signed at {} and counts from {}, which is still \
             later than {}.",
            date(signed_at),
            date(from),
            date(now)
        )),
    })?;
    let mut replays = prover
        .deps
        .replays
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let first = replays.first(&verified, now);
    drop(replays);
    first.map_err(|replayed| Fault::RequestExpired(format!("{replayed}.")))?;
    // What nobody signed could be anything.
    match verified.payload() {
        Payload::Signed => Ok(verified),
        Payload::Unsigned | Payload::Stated | Payload::Streaming if request.body().is_empty() => {
            Ok(verified)
        }
        Payload::Unsigned | Payload::Stated | Payload::Streaming => {
            Err(Fault::SignatureDoesNotMatch)
        }
    }
}
