//! Signed requests as Keystone is told of them: the objects of `ec2tokens` and `s3tokens`.
//!
//! Here is done what Keystone and `Ec2Signer` of python-keystoneclient do, and more is refused: a
//! header's name has any case, `host` must be signed, a header that is listed must be there, and the
//! credential's key must be the access key.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::canonical::{HostSpelling, Pair, PathSpelling, Query, QuerySpelling, Spaces, Spelling};
use super::mac::Digest;
use super::query::{QuerySigned, hosts, value};
use super::v4::{self, ALGORITHM, Parameters, PayloadHash, V4};
use super::{Limit, Malformed, Payload, Scheme, Scope, SignedRequest, Stated, Version, date, http};
use crate::secret::SecretString;

/// As clients send the token of a session, as a header or a parameter.
const SESSION_TOKEN: &str = "X-Amz-Security-Token";

/// For which services `s3tokens` verifies.
const SERVICES: [&str; 3] = ["s3", "iam", "sts"];

/// Base64 whose padding may be left out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What `ec2tokens` is asked about: a request that somebody else received. A `secret` in it is
/// ignored.
#[derive(Deserialize)]
pub struct Ec2Credentials {
    #[serde(default)]
    access: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    verb: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    params: Pairs,
    #[serde(default)]
    headers: Pairs,
    #[serde(default)]
    body_hash: Option<String>,
}

/// What `s3tokens` is asked about: the text that was signed, in base64, and its signature. A
/// `secret` in it is ignored. Of parameters and headers only a session's token is read.
#[derive(Deserialize)]
pub struct S3Credentials {
    #[serde(default)]
    access: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    params: Pairs,
    #[serde(default)]
    headers: Pairs,
}

/// The members of a JSON object, in their order.
#[derive(Default)]
struct Pairs(Vec<Pair>);

impl Pairs {
    /// The first of this name, as headers are called.
    fn of_any_case(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let found = pairs.find(|(known, _)| known.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }
}

/// A text, or a number whose text is meant.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
                Ok(Scalar(text))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, Scalar(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(Pairs(pairs))
            }

            fn visit_unit<E>(self) -> Result<Pairs, E> {
                Ok(Pairs::default())
            }
        }
        deserializer.deserialize_any(Members)
    }
}

impl Ec2Credentials {
    /// Reads how the request was signed.
    pub fn signed(&self) -> Result<SignedRequest, Malformed> {
        let (access, signature) = supplied(self.access.as_ref(), self.signature.as_ref())?;
        let mut names = HashSet::new();
        if let Some((name, _)) = self.params.0.iter().find(|(name, _)| !names.insert(name)) {
            return Err(Malformed::Twice(name.clone()));
        }
        let version = match self.param("SignatureVersion") {
            Some("0") => Version::V0,
            Some("1") => Version::V1,
            Some("2") => Version::V2,
            other => {
                let unknown = match other {
                    Some(other) => Malformed::Version(other.to_owned()),
                    None => Malformed::NoVersion,
                };
                return self.version_4(access, signature, unknown);
            }
        };
        self.older(version, access, signature)
    }

    fn param(&self, name: &str) -> Option<&str> {
        value(&self.params.0, name)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.of_any_case(name)
    }

    fn older(
        &self,
        version: Version,
        access: &str,
        signature: &str,
    ) -> Result<SignedRequest, Malformed> {
        let mut params = self.params.0.clone();
        if version == Version::V0 {
            for name in ["Action", "Timestamp"] {
                self.param(name).ok_or(Malformed::Missing(name))?;
            }
        }
        if version == Version::V2 {
            // Whatever method the client names, Keystone signs with this one and says so in the text.
            params.retain(|(name, _)| name != "SignatureMethod");
            params.push(("SignatureMethod".to_owned(), "HmacSHA256".to_owned()));
        }
        // A header's date is not signed here, so it proves nothing.
        let stated = self.param("Timestamp");
        let date = match stated.or_else(|| self.param("X-Amz-Date")) {
            None => None,
            Some(text) => {
                let date = date::timestamp(text.trim());
                Some(date.ok_or_else(|| Malformed::Timestamp(text.to_owned()))?)
            }
        };
        Ok(SignedRequest {
            access_key_id: access.to_owned(),
            session_token: self.param("SecurityToken").map(SecretString::from),
            signature: signature.to_owned(),
            date,
            limit: Limit::Age,
            scheme: Scheme::Query(QuerySigned {
                version,
                digest: match version {
                    Version::V2 => Digest::Sha256,
                    Version::V0 | Version::V1 | Version::V4 | Version::S3 => Digest::Sha1,
                },
                verb: self.verb.clone().unwrap_or_default(),
                hosts: hosts(self.host.as_deref().unwrap_or_default()),
                path: self.path.clone().unwrap_or_default(),
                params,
                payload: Payload::Unsigned,
            }),
        })
    }

    /// `unknown`: what is wrong where this is not version 4 either.
    fn version_4(
        &self,
        access: &str,
        signature: &str,
        unknown: Malformed,
    ) -> Result<SignedRequest, Malformed> {
        let header = self.header("Authorization");
        let header = header.filter(|text| text.trim_start().starts_with(ALGORITHM));
        let (parameters, in_query) = match header {
            Some(text) => (Parameters::of_header(text)?, false),
            None if self.param("X-Amz-Algorithm") == Some(ALGORITHM) => (self.in_query()?, true),
            None => return Err(unknown),
        };
        let (scope, key) = Scope::with_key(parameters.credential)?;
        if key != access {
            return Err(Malformed::OtherKey);
        }
        let sent = self.header("X-Amz-Date").map(str::trim);
        let sent = sent.or_else(|| self.param("X-Amz-Date"));
        let sent = sent.ok_or(Malformed::Missing("X-Amz-Date"))?;
        scope.of_day(sent)?;
        let date = date::basic(sent).ok_or_else(|| Malformed::Timestamp(sent.to_owned()))?;
        let headers = v4::signed_headers(parameters.signed_headers, |name, headers| {
            Ok(headers.add(name, self.only(name)?.into_iter()))
        })?;
        let limit = match self.param("X-Amz-Expires").filter(|_| in_query) {
            None => Limit::Age,
            Some(text) => Limit::Both(http::expires(text)?),
        };
        let token = self.header(SESSION_TOKEN);
        let token = token.or_else(|| self.param(SESSION_TOKEN));
        let body_hash = self.body_hash.as_deref();
        let method = self.verb.as_deref().unwrap_or_default().to_uppercase();
        Ok(SignedRequest {
            access_key_id: access.to_owned(),
            session_token: token.map(SecretString::from),
            signature: signature.to_owned(),
            date: Some(date),
            limit,
            scheme: Scheme::V4(V4 {
                date: sent.to_owned(),
                path: self.path.clone().unwrap_or_default(),
                query: Query::Told(self.params.0.clone()),
                headers,
                signed_headers: parameters.signed_headers.to_owned(),
                payload: PayloadHash::stated(body_hash.ok_or(Malformed::Missing("body_hash"))?)?,
                spellings: self.spellings(&method),
                scope: Arc::new(scope),
                method,
            }),
        })
    }

    fn in_query(&self) -> Result<Parameters<'_>, Malformed> {
        let param = |name| self.param(name).ok_or(Malformed::Missing(name));
        Ok(Parameters {
            credential: param("X-Amz-Credential")?,
            signed_headers: param("X-Amz-SignedHeaders")?,
            signature: None,
        })
    }

    /// The one value of a header. Two spellings of its name would leave open which one is meant.
    fn only(&self, name: &str) -> Result<Option<&[u8]>, Malformed> {
        let headers = self.headers.0.iter();
        let mut named = headers.filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
        let value = named.next();
        if named.next().is_some() {
            return Err(Malformed::Twice(name.to_owned()));
        }
        Ok(value.map(|(_, value)| value.as_bytes()))
    }

    /// AWS's spelling, then `Ec2Signer`'s; with the host as it is, then without its port.
    fn spellings(&self, method: &str) -> Vec<Spelling> {
        let agent = self.header("User-Agent").unwrap_or_default();
        let hosts: &[HostSpelling] = if v4::signs_without_port(agent.trim().as_bytes()) {
            &[HostSpelling::WithoutPort]
        } else {
            &[HostSpelling::AsSent, HostSpelling::WithoutPort]
        };
        let mut spellings = Vec::with_capacity(4);
        for &host in hosts {
            for (query, spaces) in [
                (QuerySpelling::Normal, Spaces::Collapsed),
                (QuerySpelling::ByName, Spaces::Kept),
            ] {
                spellings.push(Spelling {
                    path: PathSpelling::AsSent,
                    // A POST's parameters are taken to stand in its body.
                    query: if method == "POST" {
                        QuerySpelling::Empty
                    } else {
                        query
                    },
                    host,
                    spaces,
                });
            }
        }
        spellings
    }
}

impl S3Credentials {
    /// Reads what was signed. Its date is not looked at: the service that asks has done that, and it
    /// alone knows when a link that it handed out ends.
    pub fn signed(&self) -> Result<SignedRequest, Malformed> {
        let (access, signature) = supplied(self.access.as_ref(), self.signature.as_ref())?;
        let token = self.token.as_deref().ok_or(Malformed::Missing("token"))?;
        let string_to_sign = decoded(token).ok_or(Malformed::StringToSign)?;
        let (scope, date) = if string_to_sign.starts_with(b"AWS4") {
            let (scope, date) = scope_of(&string_to_sign)?;
            (Some(Arc::new(scope)), date::basic(&date))
        } else {
            (None, None)
        };
        Ok(SignedRequest {
            access_key_id: access.to_owned(),
            session_token: self.session_token(&string_to_sign).map(SecretString::from),
            signature: signature.to_owned(),
            date,
            limit: Limit::None,
            scheme: Scheme::Stated(Stated {
                scope,
                string_to_sign,
            }),
        })
    }
}

impl S3Credentials {
    /// The token of the session that signed: what was signed names it only in S3's old form, as one of
    /// its headers, so services may say it beside.
    fn session_token(&self, string_to_sign: &[u8]) -> Option<String> {
        let beside = self.headers.of_any_case(SESSION_TOKEN);
        let beside = beside.or_else(|| self.params.of_any_case(SESSION_TOKEN));
        let text = std::str::from_utf8(string_to_sign).unwrap_or_default();
        // The verb, a digest, a type and a date; then the headers of Amazon's.
        let mut headers = text.split('\n').skip(4);
        let signed = headers.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(SESSION_TOKEN).then_some(value)
        });
        signed.or(beside).map(str::to_owned)
    }
}

/// Standard base64 as radosgw writes it, or that of the URL's alphabet as Swift does.
fn decoded(token: &str) -> Option<Vec<u8>> {
    let text: String = token
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .map(|character| match character {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    LENIENT.decode(text).ok()
}

/// The scope and the date of a string to sign of version 4: four lines.
fn scope_of(text: &[u8]) -> Result<(Scope, String), Malformed> {
    let text = std::str::from_utf8(text)
        .ok()
        .ok_or(Malformed::StringToSign)?;
    let lines: Vec<&str> = text.split('\n').collect();
    let [ALGORITHM, date, scope, _hash] = lines.as_slice() else {
        return Err(Malformed::StringToSign);
    };
    let scope = Scope::parse(scope)?;
    if !SERVICES.contains(&&*scope.service) {
        return Err(Malformed::Service(scope.service));
    }
    Ok((scope, (*date).to_owned()))
}

fn supplied<'a>(
    access: Option<&'a String>,
    signature: Option<&'a String>,
) -> Result<(&'a str, &'a str), Malformed> {
    let given = |text: Option<&'a String>| {
        let text = text.filter(|text| !text.is_empty());
        text.map(|text| &**text).ok_or(Malformed::NotSupplied)
    };
    Ok((given(access)?, given(signature)?))
}

impl fmt::Debug for Ec2Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2Credentials")
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Credentials")
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
