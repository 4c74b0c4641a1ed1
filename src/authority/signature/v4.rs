//! Version 4: what it signs, and where the parts of the signature stand.

use std::borrow::Cow;
use std::sync::Arc;

use super::canonical::{
    Headers, HostSpelling, Parts, PathSpelling, Query, QuerySpelling, Spaces, Spelling,
};
use super::mac::{self, TERMINATOR};
use super::{Malformed, Payload, Scope, Text};

/// The algorithm's name, and how an `Authorization` header begins.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// More than any signer lists.
const MOST_HEADERS: usize = 100;

/// A request signed by version 4.
pub(super) struct V4 {
    pub(super) scope: Arc<Scope>,
    /// `X-Amz-Date` as it stands there.
    pub(super) date: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) headers: Headers,
    pub(super) signed_headers: String,
    pub(super) payload: PayloadHash,
    pub(super) spellings: Vec<Spelling>,
}

/// The last line of the canonical request, and what it says of the body.
pub(super) enum PayloadHash {
    /// The hash of the body.
    Computed(String),
    /// A hash that the signer states; whether it is the body's.
    Claimed {
        /// In hex.
        hash: String,
        /// Whether the body has it.
        true_of_body: bool,
    },
    /// What the asking service states.
    Stated(String),
    /// A marker in place of a hash.
    Marker(&'static str, Payload),
}

/// Where a version 4 signature says what it is.
pub(super) struct Parameters<'a> {
    pub(super) credential: &'a str,
    pub(super) signed_headers: &'a str,
    pub(super) signature: Option<&'a str>,
}

const MARKERS: [(&str, Payload); 4] = [
    ("UNSIGNED-PAYLOAD", Payload::Unsigned),
    ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Payload::Unsigned),
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Payload::Streaming),
    (
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        Payload::Streaming,
    ),
];

impl PayloadHash {
    /// No hash at all.
    pub(super) const UNSIGNED: Self = Self::Marker("UNSIGNED-PAYLOAD", Payload::Unsigned);

    /// A marker, where the text is one.
    pub(super) fn marker(text: &str) -> Option<Self> {
        let mut markers = MARKERS.into_iter();
        let (name, payload) = markers.find(|(name, _)| *name == text)?;
        Some(Self::Marker(name, payload))
    }

    /// What the asking service states: a hash or a marker.
    pub(super) fn stated(text: &str) -> Result<Self, Malformed> {
        let marker = || Self::marker(text).ok_or(Malformed::BodyHash);
        if is_hash(text) {
            Ok(Self::Stated(text.to_owned()))
        } else {
            marker()
        }
    }

    /// What the signer states in `X-Amz-Content-Sha256`, beside the body that came.
    pub(super) fn claimed(text: &str, body: &[u8]) -> Result<Self, Malformed> {
        let marker = || Self::marker(text).ok_or(Malformed::BodyHash);
        if is_hash(text) {
            Ok(Self::Claimed {
                hash: text.to_owned(),
                true_of_body: mac::hash(body) == text,
            })
        } else {
            marker()
        }
    }

    /// The last line of the canonical request.
    pub(super) fn line(&self) -> &str {
        match self {
            Self::Computed(hash) | Self::Claimed { hash, .. } | Self::Stated(hash) => hash,
            Self::Marker(name, _) => name,
        }
    }

    /// What is known of the body; none where it is not the one that was signed.
    pub(super) const fn seen(&self) -> Option<Payload> {
        match self {
            Self::Computed(_)
            | Self::Claimed {
                true_of_body: true, ..
            } => Some(Payload::Signed),
            Self::Claimed { .. } => None,
            Self::Stated(_) => Some(Payload::Stated),
            Self::Marker(_, payload) => Some(*payload),
        }
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl V4 {
    /// What may have been signed, in the order in which it is tried.
    pub(super) fn texts(&self) -> impl Iterator<Item = Text> {
        let spellings = self.spellings.iter();
        spellings.map(|spelling| self.text(*spelling, self.payload.line()))
    }

    /// What is signed in this spelling, with this last line.
    pub(super) fn text(&self, spelling: Spelling, payload: &str) -> Text {
        let parts = Parts {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            signed_headers: &self.signed_headers,
            payload,
        };
        let canonical_request = parts.spelled(spelling);
        let mut string_to_sign = Vec::with_capacity(192);
        for part in [ALGORITHM, "\n", &self.date, "\n"] {
            string_to_sign.extend_from_slice(part.as_bytes());
        }
        self.scope.spelled(&mut string_to_sign);
        string_to_sign.push(b'\n');
        string_to_sign.extend_from_slice(mac::hash(&canonical_request).as_bytes());
        Text {
            string_to_sign,
            canonical_request: Some(canonical_request),
        }
    }
}

impl Scope {
    /// Reads `KEY/DATE/REGION/SERVICE/aws4_request`: the scope, and the key.
    pub(super) fn with_key(credential: &str) -> Result<(Self, &str), Malformed> {
        // From its end: a key's id may have slashes.
        let mut parts = credential.rsplitn(5, '/');
        let scope = [parts.next(), parts.next(), parts.next(), parts.next()];
        let [Some(TERMINATOR), Some(service), Some(region), Some(date)] = scope else {
            return Err(Malformed::Scope);
        };
        let key = parts.next().filter(|key| !key.is_empty());
        let key = key.ok_or(Malformed::Scope)?;
        Ok((Self::of(date, region, service)?, key))
    }

    /// Reads `DATE/REGION/SERVICE/aws4_request`.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.split('/');
        let scope = [parts.next(), parts.next(), parts.next(), parts.next()];
        let ([Some(date), Some(region), Some(service), Some(TERMINATOR)], None) =
            (scope, parts.next())
        else {
            return Err(Malformed::Scope);
        };
        Self::of(date, region, service)
    }

    fn of(date: &str, region: &str, service: &str) -> Result<Self, Malformed> {
        let day = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        if !day || service.is_empty() {
            return Err(Malformed::Scope);
        }
        Ok(Self {
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }

    /// `DATE/REGION/SERVICE/aws4_request`.
    fn spelled(&self, text: &mut Vec<u8>) {
        for part in [
            &*self.date,
            "/",
            &self.region,
            "/",
            &self.service,
            "/",
            TERMINATOR,
        ] {
            text.extend_from_slice(part.as_bytes());
        }
    }

    /// That it is of the day of `date`.
    pub(super) fn of_day(&self, date: &str) -> Result<(), Malformed> {
        if date.starts_with(&self.date) {
            return Ok(());
        }
        Err(Malformed::OtherDay {
            scope: self.date.clone(),
            date: date.to_owned(),
        })
    }
}

impl<'a> Parameters<'a> {
    /// Reads an `Authorization` header. A comma at the end is let pass.
    pub(super) fn of_header(text: &'a str) -> Result<Self, Malformed> {
        let rest = text.trim().strip_prefix(ALGORITHM);
        let rest = rest.filter(|rest| rest.starts_with([' ', '\t']));
        let rest = rest.ok_or(Malformed::Authorization)?.trim();
        let rest = rest.strip_suffix(',').unwrap_or(rest);
        let [mut credential, mut signed_headers, mut signature] = [None; 3];
        for part in rest.split(',') {
            let (name, value) = part
                .trim()
                .split_once('=')
                .ok_or(Malformed::Authorization)?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(Malformed::Authorization),
            };
            if place.replace(value).is_some() {
                return Err(Malformed::Twice(name.to_owned()));
            }
        }
        Ok(Self {
            credential: credential.ok_or(Malformed::Missing("Credential"))?,
            signed_headers: signed_headers.ok_or(Malformed::Missing("SignedHeaders"))?,
            signature,
        })
    }
}

/// The headers that are listed as signed, each with the values that `add` adds for its name in lower
/// case, if there are any.
pub(super) fn signed_headers(
    list: &str,
    mut add: impl FnMut(&str, &mut Headers) -> Result<bool, Malformed>,
) -> Result<Headers, Malformed> {
    let mut headers = Headers::default();
    for name in list.split(';') {
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        if headers.names().any(|known| *known == *name.as_bytes()) {
            return Err(Malformed::Twice(name.into_owned()));
        }
        if headers.names().count() == MOST_HEADERS {
            return Err(Malformed::TooManyHeaders);
        }
        if !add(&name, &mut headers)? {
            return Err(Malformed::HeaderMissing(name.into_owned()));
        }
    }
    if headers.names().any(|name| *name == *b"host") {
        Ok(headers)
    } else {
        Err(Malformed::HostNotSigned)
    }
}

/// The `User-Agent` of a Boto that signs its host without the port: before 2.9.3.
pub(super) fn signs_without_port(agent: &[u8]) -> bool {
    matches!(
        agent.strip_prefix(b"Boto/2."),
        Some([b'0'..=b'9', b'.', b'0'..=b'2', ..])
    )
}

impl Spelling {
    /// As the specification has it, for this service.
    pub(super) fn of_service(service: &str) -> Self {
        Self {
            path: if service == "s3" {
                PathSpelling::Recoded
            } else {
                PathSpelling::Normal
            },
            query: QuerySpelling::Normal,
            host: HostSpelling::AsSent,
            spaces: Spaces::Collapsed,
        }
    }
}
