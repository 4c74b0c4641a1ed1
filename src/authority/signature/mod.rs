//! Whether a request was signed with an access key's secret.
//!
//! A request is read into a [`SignedRequest`] before anybody knows its key: that tells the access
//! key id, and the session token where the key is a session's. Whoever has looked the secret up has
//! it verified, and holds a [`Verified`] that nothing else makes. Nothing here asks the time, reads
//! a file or remembers anything, but for [`Replays`] and [`DerivedKeys`] which their owner keeps.
//!
//! Requests come in three forms: told by a service that was asked (Keystone's `ec2tokens`,
//! [`Ec2Credentials`]), as no more than the text that was signed (`s3tokens`, [`S3Credentials`]), and
//! as the HTTP request itself ([`HttpRequest`]).

mod canonical;
mod date;
mod derived;
mod explain;
mod http;
mod keystone;
mod mac;
mod query;
mod replay;
mod text;
mod v4;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use derived::DerivedKeys;
pub use explain::{Cause, Explanation};
pub use http::HttpRequest;
pub use keystone::{Ec2Credentials, S3Credentials};
pub use replay::{Replayed, Replays};
pub use text::{RequestText, TextError};

#[cfg(fuzzing)]
pub(in crate::authority) use canonical::decoded_pairs;

use crate::secret::{ExposeSecret as _, SecretString};
use mac::{Digest, Mac};
use query::QuerySigned;
use v4::V4;

/// How requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// EC2 signature version 0: `Action` and `Timestamp` alone.
    V0,
    /// EC2 signature version 1: the parameters, without anything between them.
    V1,
    /// EC2 signature version 2: verb, host, path and parameters.
    V2,
    /// AWS signature version 4.
    V4,
    /// S3's own of before version 4: HMAC-SHA1 over a text that the service made.
    S3,
}

/// For what a key of signature version 4 was derived.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The day, `YYYYMMDD`.
    pub date: String,
    /// The region that the signer thought of.
    pub region: String,
    /// The service, such as `sts`.
    pub service: String,
}

/// What the signature says of the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// It is this body: the hash was computed here.
    Signed,
    /// It is a body of the hash (or a request of the text) that the asking service stated. That
    /// service must have computed it from what it received.
    Stated,
    /// Nothing: `UNSIGNED-PAYLOAD`, or a version that signs no body.
    Unsigned,
    /// Nothing yet: each chunk has a signature of its own, which is not looked at here.
    Streaming,
}

/// How far from now a signature may be dated, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Any date, or none.
    Any,
    /// At most so far.
    Within(Duration),
}

impl Age {
    /// Zero stands for any date.
    pub const fn of(age: Duration) -> Self {
        if age.is_zero() {
            Self::Any
        } else {
            Self::Within(age)
        }
    }
}

/// Why a request is not one that is signed by a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is no access key id, or no signature.
    #[error("there is no access key id or no signature")]
    NotSupplied,
    /// It is not signed by any version that is known, or by none of those allowed here.
    #[error("{0:?} is no signature version or algorithm that is accepted here")]
    Version(String),
    /// It has a signature but nothing that says of which version.
    #[error("nothing says of which version the signature is")]
    NoVersion,
    /// The `Authorization` header cannot be read.
    #[error("the Authorization header is none of AWS4-HMAC-SHA256")]
    Authorization,
    /// Something that is needed is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Something stands there twice.
    #[error("{0} stands there twice")]
    Twice(String),
    /// It is signed in the header and in the query.
    #[error("it is signed twice, in the header and in the query")]
    SignedTwice,
    /// The credential scope is none.
    #[error("the credential must be KEY/DATE/REGION/SERVICE/aws4_request")]
    Scope,
    /// The credential scope is another key's.
    #[error("the credential's key is not the access key that is given")]
    OtherKey,
    /// The credential scope is another day's.
    #[error("the credential's date {scope} is not the day of {date}")]
    OtherDay {
        /// The scope's date.
        scope: String,
        /// The request's.
        date: String,
    },
    /// The credential scope is of a service that is not accepted here.
    #[error("the credential is for the service {0:?}")]
    Service(String),
    /// `host` is not signed.
    #[error("host is not among the signed headers")]
    HostNotSigned,
    /// A header is listed as signed and is not there.
    #[error("the signed header {0} is not there")]
    HeaderMissing(String),
    /// Too many headers are signed.
    #[error("too many headers are signed")]
    TooManyHeaders,
    /// The date is none.
    #[error("{0:?} is no date")]
    Timestamp(String),
    /// `X-Amz-Expires` is no number of seconds up to a week.
    #[error("X-Amz-Expires must be 1 to 604800")]
    Expires,
    /// The hash of the body is none.
    #[error("the hash of the body is no SHA-256 in hex and no marker that is known")]
    BodyHash,
    /// The string to sign of `s3tokens` cannot be read.
    #[error("the string to sign is not readable")]
    StringToSign,
}

/// Why a signed request does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The secret, or what was signed, is another.
    #[error("the signature is another")]
    Signature,
    /// It has no date.
    #[error("it has no date")]
    NoTimestamp,
    /// Its time is over.
    #[error("its time is over")]
    Expired {
        /// When it was signed.
        signed_at: SystemTime,
        /// Until when it counted.
        until: SystemTime,
    },
    /// Its time has not come.
    #[error("its date lies in the future")]
    NotYet {
        /// When it was signed, as it says.
        signed_at: SystemTime,
        /// From when on it counts.
        from: SystemTime,
    },
    /// The signature is right, the body is another than the signed hash says.
    #[error("the body is not the one whose hash was signed")]
    Body,
}

/// A request that says that it was signed, by whom and how. Nothing of it is verified.
pub struct SignedRequest {
    access_key_id: String,
    session_token: Option<SecretString>,
    signature: String,
    date: Option<SystemTime>,
    limit: Limit,
    scheme: Scheme,
}

/// What ends a signature's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// The age that is allowed.
    Age,
    /// What the signer says.
    Expires(Duration),
    /// Whichever is shorter.
    Both(Duration),
    /// Nothing: whoever asks has looked at the date.
    None,
}

enum Scheme {
    Query(QuerySigned),
    V4(V4),
    Stated(Stated),
}

/// What `s3tokens` states: the text that was signed.
struct Stated {
    /// Of version 4; of S3's own before it there is none.
    scope: Option<Arc<Scope>>,
    string_to_sign: Vec<u8>,
}

/// A text that is signed, and where it has one, the canonical request whose hash it names.
struct Text {
    canonical_request: Option<Vec<u8>>,
    string_to_sign: Vec<u8>,
}

/// That a request was signed by the holder of the secret, in time. Only [`SignedRequest::verify`]
/// makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    version: Version,
    scope: Option<Arc<Scope>>,
    signed_at: Option<SystemTime>,
    until: Option<SystemTime>,
    payload: Payload,
    /// The access key id, a line's end, the signature: a key's signature is no other's.
    which: Box<str>,
}

impl SignedRequest {
    /// The access key id that it names, whatever it looks like.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The session token that came with it: `SecurityToken` of versions 0 to 2,
    /// `X-Amz-Security-Token` in a header or in the query of version 4.
    pub const fn session_token(&self) -> Option<&SecretString> {
        self.session_token.as_ref()
    }

    /// How it says that it is signed.
    pub const fn version(&self) -> Version {
        match &self.scheme {
            Scheme::Query(signed) => signed.version,
            Scheme::V4(_) => Version::V4,
            Scheme::Stated(stated) => match stated.scope {
                Some(_) => Version::V4,
                None => Version::S3,
            },
        }
    }

    /// For what its key is derived, where it is of version 4.
    pub fn scope(&self) -> Option<&Scope> {
        self.own_scope().map(AsRef::as_ref)
    }

    const fn own_scope(&self) -> Option<&Arc<Scope>> {
        match &self.scheme {
            Scheme::V4(signed) => Some(&signed.scope),
            Scheme::Stated(stated) => stated.scope.as_ref(),
            Scheme::Query(_) => None,
        }
    }

    /// When it says that it was signed.
    pub const fn signed_at(&self) -> Option<SystemTime> {
        self.date
    }

    /// Whether it was signed with this secret, at a time that lies within `age` of `now`.
    ///
    /// What is told of time is told to those only who have the secret.
    pub fn verify(
        &self,
        secret: &SecretString,
        now: SystemTime,
        age: Age,
    ) -> Result<Verified, Mismatch> {
        self.verified(&self.mac(secret), now, age)
    }

    /// The same, with what was derived from the secret for a request before.
    pub fn verify_by(
        &self,
        derived: &DerivedKeys,
        secret: &SecretString,
        now: SystemTime,
        age: Age,
    ) -> Result<Verified, Mismatch> {
        let Some(scope) = self.own_scope() else {
            return self.verify(secret, now, age);
        };
        let id = &self.access_key_id;
        if let Some(known) = derived.recall(id, scope, secret) {
            return self.verified(&known, now, age);
        }
        let mac = Arc::new(self.mac(secret));
        let verified = self.verified(&mac, now, age)?;
        derived.remember(id, scope, secret, &mac);
        Ok(verified)
    }

    fn verified(&self, mac: &Mac, now: SystemTime, age: Age) -> Result<Verified, Mismatch> {
        if !self.matches(mac) {
            return Err(Mismatch::Signature);
        }
        let until = self.in_time(now, age)?;
        let payload = match &self.scheme {
            Scheme::Query(signed) => signed.payload,
            Scheme::Stated(_) => Payload::Stated,
            Scheme::V4(signed) => signed.payload.seen().ok_or(Mismatch::Body)?,
        };
        Ok(Verified {
            version: self.version(),
            scope: self.own_scope().cloned(),
            signed_at: self.date,
            until,
            payload,
            which: [&*self.access_key_id, "\n", &self.signature]
                .concat()
                .into(),
        })
    }

    /// What it is signed with by whoever has this secret.
    fn mac(&self, secret: &SecretString) -> Mac {
        let secret = secret.expose_secret().as_bytes();
        match &self.scheme {
            Scheme::Query(signed) => Mac::plain(signed.digest, secret),
            Scheme::V4(signed) => Mac::derived(secret, &signed.scope),
            Scheme::Stated(stated) => match &stated.scope {
                Some(scope) => Mac::derived(secret, scope),
                None => Mac::plain(Digest::Sha1, secret),
            },
        }
    }

    /// Whether any of the texts that may have been signed gives the signature.
    fn matches(&self, mac: &Mac) -> bool {
        let mut last = Vec::new();
        let mut same = |text: Text| {
            if text.string_to_sign == last {
                return false;
            }
            let right = mac.is_of(&self.signature, &text.string_to_sign);
            last = text.string_to_sign;
            right
        };
        match &self.scheme {
            Scheme::Query(signed) => signed.texts().any(&mut same),
            Scheme::V4(signed) => signed.texts().any(&mut same),
            Scheme::Stated(stated) => mac.is_of(&self.signature, &stated.string_to_sign),
        }
    }

    /// Until when it counts; none where its date does not matter.
    fn in_time(&self, now: SystemTime, age: Age) -> Result<Option<SystemTime>, Mismatch> {
        let Age::Within(age) = age else {
            return Ok(None);
        };
        let lasts = match self.limit {
            Limit::None => return Ok(None),
            Limit::Age => age,
            Limit::Expires(expires) => expires,
            Limit::Both(expires) => age.min(expires),
        };
        let signed_at = self.date.ok_or(Mismatch::NoTimestamp)?;
        let until = signed_at.checked_add(lasts).ok_or(Mismatch::NoTimestamp)?;
        if now > until {
            return Err(Mismatch::Expired { signed_at, until });
        }
        let from = signed_at.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        if now < from {
            return Err(Mismatch::NotYet { signed_at, from });
        }
        Ok(Some(until))
    }
}

impl std::fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedRequest")
            .field("access_key_id", &self.access_key_id)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

impl Stated {
    fn text(&self) -> Text {
        Text {
            canonical_request: None,
            string_to_sign: self.string_to_sign.clone(),
        }
    }
}

impl Verified {
    /// By which version.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// For what the key was derived, where it is of version 4. Which services are accepted is the
    /// caller's to say.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_deref()
    }

    /// When it was signed, where it says so.
    pub const fn signed_at(&self) -> Option<SystemTime> {
        self.signed_at
    }

    /// What was signed of the body.
    pub const fn payload(&self) -> Payload {
        self.payload
    }
}
