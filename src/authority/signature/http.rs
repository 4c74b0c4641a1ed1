//! A signed HTTP request, as a service that is signed for receives it: version 4 in the header or in
//! the query, version 2 in the parameters.

use std::sync::Arc;
use std::time::Duration;

use super::canonical::{HostSpelling, Pair, Query, Spelling, decoded_pairs};
use super::mac::{self, Digest};
use super::query::{QuerySigned, SIGNATURE, hosts, value};
use super::v4::{self, ALGORITHM, Parameters, PayloadHash, V4};
use super::{Limit, Malformed, Payload, Scheme, Scope, SignedRequest, Version, date};
use crate::secret::SecretString;

/// The longest life that a signer may give a request, in seconds: a week.
const LONGEST: u64 = 7 * 24 * 3600;

/// Parameters of which two would leave open which one is meant.
const ONCE: [&str; 13] = [
    "AWSAccessKeyId",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// An HTTP request as it was received.
///
/// `Host` must be among the headers: of HTTP/2, the authority.
#[derive(Clone, Copy)]
pub struct HttpRequest<'a> {
    /// The method, in its own case.
    pub method: &'a str,
    /// The path, still encoded, without the query.
    pub path: &'a str,
    /// The query, still encoded, without its question mark.
    pub query: Option<&'a str>,
    /// All headers, their names in any case, in their order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The whole body.
    pub body: &'a [u8],
}

impl<'a> HttpRequest<'a> {
    /// Reads how the request was signed; none where it is not.
    pub fn signed(&self) -> Result<Option<SignedRequest>, Malformed> {
        let query = decoded_pairs(self.query.unwrap_or_default().as_bytes());
        once(&query)?;
        let header = self.authorization()?;
        let in_query = query.iter().any(|(name, _)| {
            matches!(
                &**name,
                "X-Amz-Algorithm" | "X-Amz-Credential" | "X-Amz-Signature"
            )
        });
        match (header, in_query) {
            (Some(_), true) => Err(Malformed::SignedTwice),
            (Some(text), false) => self.version_4(&Place::of_header(text)?).map(Some),
            (None, true) => self.version_4(&Place::of_query(&query)?).map(Some),
            (None, false) => self.version_2(query),
        }
    }

    /// The `Authorization` header where it is a signature.
    fn authorization(&self) -> Result<Option<&'a str>, Malformed> {
        let mut headers = self.values("authorization");
        let Some(header) = headers.next() else {
            return Ok(None);
        };
        if headers.next().is_some() {
            return Err(Malformed::Twice("Authorization".to_owned()));
        }
        let text = std::str::from_utf8(header).ok();
        let text = text.ok_or(Malformed::Authorization)?.trim();
        let scheme = text.split([' ', '\t']).next().unwrap_or_default();
        if scheme == ALGORITHM {
            Ok(Some(text))
        } else if scheme.starts_with("AWS") {
            Err(Malformed::Version(scheme.to_owned()))
        } else {
            Ok(None)
        }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let headers = self.headers.iter();
        let named = headers.filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| *value)
    }

    /// The one value of a header that is text.
    fn only(&self, name: &'static str) -> Result<Option<&'a str>, Malformed> {
        let mut values = self.values(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Malformed::Twice(name.to_owned()));
        }
        Ok(value
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(str::trim))
    }

    fn version_4(&self, place: &Place<'_>) -> Result<SignedRequest, Malformed> {
        let (scope, key) = Scope::with_key(place.parameters.credential)?;
        let signature = place.parameters.signature;
        let signature = signature.ok_or(Malformed::Missing("Signature"))?;
        let date = match place.query {
            Some(query) => value(query, "X-Amz-Date").map(str::to_owned),
            None => self.date()?,
        };
        let date = date.ok_or(Malformed::Missing("X-Amz-Date"))?;
        let signed_at = date::basic(&date).ok_or_else(|| Malformed::Timestamp(date.clone()))?;
        scope.of_day(&date)?;
        let headers = v4::signed_headers(place.parameters.signed_headers, |name, headers| {
            Ok(headers.add(name, self.values(name)))
        })?;
        let limit = match place.query {
            Some(query) => {
                let text = value(query, "X-Amz-Expires");
                Limit::Expires(expires(text.ok_or(Malformed::Missing("X-Amz-Expires"))?)?)
            }
            None => Limit::Age,
        };
        let mut spelling = Spelling::of_service(&scope.service);
        if self.values("user-agent").any(v4::signs_without_port) {
            spelling.host = HostSpelling::WithoutPort;
        }
        Ok(SignedRequest {
            access_key_id: key.to_owned(),
            session_token: self.session_token(place)?,
            signature: signature.to_owned(),
            date: Some(signed_at),
            limit,
            scheme: Scheme::V4(V4 {
                payload: self.payload(place, &scope)?,
                date,
                method: self.method.to_owned(),
                path: self.path.to_owned(),
                query: Query::Sent(self.query.unwrap_or_default().to_owned()),
                headers,
                signed_headers: place.parameters.signed_headers.to_owned(),
                spellings: vec![spelling],
                scope: Arc::new(scope),
            }),
        })
    }

    /// `X-Amz-Date`, or `Date` in version 4's form.
    fn date(&self) -> Result<Option<String>, Malformed> {
        if let Some(date) = self.only("X-Amz-Date")? {
            return Ok(Some(date.to_owned()));
        }
        let Some(date) = self.only("Date")? else {
            return Ok(None);
        };
        let read = date::of_header(date);
        read.map(Some)
            .ok_or_else(|| Malformed::Timestamp(date.to_owned()))
    }

    fn session_token(&self, place: &Place<'_>) -> Result<Option<SecretString>, Malformed> {
        let header = self.only("X-Amz-Security-Token")?;
        let query = place
            .query
            .and_then(|query| value(query, "X-Amz-Security-Token"));
        Ok(query.or(header).map(SecretString::from))
    }

    /// The hash in the header or, of a query, in that; else the body's own. S3 signs no body in a
    /// query.
    fn payload(&self, place: &Place<'_>, scope: &Scope) -> Result<PayloadHash, Malformed> {
        let query = place
            .query
            .and_then(|query| value(query, "X-Amz-Content-Sha256"));
        let stated = match query {
            Some(stated) => Some(stated),
            None => self.only("X-Amz-Content-Sha256")?,
        };
        match stated {
            Some(stated) => PayloadHash::claimed(stated, self.body),
            None if place.query.is_some() && scope.service == "s3" => Ok(PayloadHash::UNSIGNED),
            None => Ok(PayloadHash::Computed(mac::hash(self.body))),
        }
    }

    /// The parameters of the query, then those of a form in the body.
    fn version_2(&self, query: Vec<Pair>) -> Result<Option<SignedRequest>, Malformed> {
        let mut params = query;
        let form = self.values("content-type").any(is_form);
        if form {
            params.extend(decoded_pairs(self.body));
        }
        let signs =
            |name: &str| matches!(name, "AWSAccessKeyId" | "Signature" | "SignatureVersion");
        if !params.iter().any(|(name, _)| signs(name)) {
            return Ok(None);
        }
        once(&params)?;
        let param = |name| value(&params, name).filter(|value| !value.is_empty());
        let access = param("AWSAccessKeyId")
            .ok_or(Malformed::NotSupplied)?
            .to_owned();
        let signature = param(SIGNATURE).ok_or(Malformed::NotSupplied)?.to_owned();
        match param("SignatureVersion") {
            Some("2") => {}
            Some(other) => return Err(Malformed::Version(other.to_owned())),
            None => return Err(Malformed::NoVersion),
        }
        let digest = match param("SignatureMethod") {
            Some("HmacSHA256") => Digest::Sha256,
            Some("HmacSHA1") => Digest::Sha1,
            Some(other) => return Err(Malformed::Version(other.to_owned())),
            None => return Err(Malformed::Missing("SignatureMethod")),
        };
        let date = match param("Timestamp") {
            None => None,
            Some(text) => {
                let date = date::timestamp(text.trim());
                Some(date.ok_or_else(|| Malformed::Timestamp(text.to_owned()))?)
            }
        };
        let host = self.only("Host")?.ok_or(Malformed::Missing("Host"))?;
        let covered = form || self.body.is_empty();
        Ok(Some(SignedRequest {
            access_key_id: access,
            session_token: param("SecurityToken").map(SecretString::from),
            signature,
            date,
            limit: Limit::Age,
            scheme: Scheme::Query(QuerySigned {
                version: Version::V2,
                digest,
                verb: self.method.to_owned(),
                hosts: hosts(&host.to_ascii_lowercase()),
                path: Some(self.path)
                    .filter(|path| !path.is_empty())
                    .unwrap_or("/")
                    .to_owned(),
                payload: if covered {
                    Payload::Signed
                } else {
                    Payload::Unsigned
                },
                params,
            }),
        }))
    }
}

impl std::fmt::Debug for HttpRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Where version 4 stands, with the query where it is that.
struct Place<'a> {
    parameters: Parameters<'a>,
    query: Option<&'a [Pair]>,
}

impl<'a> Place<'a> {
    fn of_header(text: &'a str) -> Result<Self, Malformed> {
        Ok(Self {
            parameters: Parameters::of_header(text)?,
            query: None,
        })
    }

    fn of_query(query: &'a [Pair]) -> Result<Self, Malformed> {
        let param = |name| value(query, name).ok_or(Malformed::Missing(name));
        let algorithm = param("X-Amz-Algorithm")?;
        if algorithm != ALGORITHM {
            return Err(Malformed::Version(algorithm.to_owned()));
        }
        Ok(Self {
            parameters: Parameters {
                credential: param("X-Amz-Credential")?,
                signed_headers: param("X-Amz-SignedHeaders")?,
                signature: Some(param("X-Amz-Signature")?),
            },
            query: Some(query),
        })
    }
}

fn once(params: &[Pair]) -> Result<(), Malformed> {
    for name in ONCE {
        if params.iter().filter(|(known, _)| known == name).count() > 1 {
            return Err(Malformed::Twice(name.to_owned()));
        }
    }
    Ok(())
}

fn is_form(content_type: &[u8]) -> bool {
    let kind = content_type.split(|byte| *byte == b';').next();
    let kind = kind.unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// Reads `X-Amz-Expires`.
pub(super) fn expires(text: &str) -> Result<Duration, Malformed> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| digits);
    let seconds = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
    seconds.map(Duration::from_secs).ok_or(Malformed::Expires)
}
