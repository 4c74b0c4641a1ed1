//! What was signed, for a person to compare, and what else it may have been.

use super::canonical::{self, HostSpelling, PathSpelling, QuerySpelling, Spaces, Spelling};
use super::mac::{self, Digest, Mac};
use super::v4::V4;
use super::{Scheme, SignedRequest, Text};
use crate::secret::{ExposeSecret as _, SecretString};

/// What stands in place of a session token.
const HIDDEN: &str = "(session token)";

/// What is signed as it is understood here, without any secret: a session token is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The canonical request of version 4.
    pub canonical_request: Option<String>,
    /// The string to sign.
    pub string_to_sign: String,
}

/// What would make a signature right that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing: it is right.
    None,
    /// The secret with the spaces around it gone.
    SpacesAroundSecret,
    /// The host without its port.
    HostWithoutPort,
    /// The path as it was sent, not encoded again.
    PathNotEncoded,
    /// The path encoded again.
    PathEncodedTwice,
    /// The path with its dots and double slashes.
    PathNotNormalised,
    /// `+` in the query as a plus sign, where here it is a space.
    PlusSigns,
    /// The query as it was sent, without one spelling for each character.
    QueryNotEncoded,
    /// The query sorted by the names before they are encoded.
    QuerySortedFirst,
    /// The query without the session token.
    TokenNotSigned,
    /// The query left out.
    QueryLeftOut,
    /// The query, where here it is left out.
    QuerySigned,
    /// Headers with several spaces in a row.
    SpacesKept,
    /// The hash of an empty body.
    EmptyBody,
    /// `UNSIGNED-PAYLOAD` in place of the body's hash.
    UnsignedPayload,
    /// HMAC-SHA1 where HMAC-SHA256 is named.
    Sha1,
}

impl SignedRequest {
    /// What is signed: as whoever has this secret signed it, else as it is tried first.
    pub fn explain(&self, secret: Option<&SecretString>) -> Explanation {
        let mut texts: Vec<Text> = match &self.scheme {
            Scheme::Query(signed) => signed.texts().collect(),
            Scheme::V4(signed) => signed.texts().collect(),
            Scheme::Stated(stated) => vec![stated.text()],
        };
        let mac = secret.map(|secret| self.mac(secret));
        let right = |text: &Text| {
            let mac = mac.as_ref();
            mac.is_some_and(|mac| mac.is_of(&self.signature, &text.string_to_sign))
        };
        let at = texts.iter().position(right).unwrap_or_default();
        let explained = (at < texts.len()).then(|| texts.swap_remove(at));
        let shown = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            self.without_token(&text)
        };
        let (canonical_request, string_to_sign) = explained
            .map(|text| (text.canonical_request, text.string_to_sign))
            .unwrap_or_default();
        Explanation {
            canonical_request: canonical_request.map(|text| shown(&text)),
            string_to_sign: shown(&string_to_sign),
        }
    }

    fn without_token(&self, text: &str) -> String {
        let token = self.session_token.as_ref().map(SecretString::expose_secret);
        let Some(token) = token.filter(|token| !token.trim().is_empty()) else {
            return text.to_owned();
        };
        // As it stands in a string of version 1, in a header, in a query.
        let spellings = [
            token.to_owned(),
            canonical::one_spaced(token),
            canonical::encoded(token),
        ];
        let mut hidden = text.to_owned();
        for spelling in spellings {
            hidden = hidden.replace(&spelling, HIDDEN);
        }
        hidden
    }

    /// What alone would make the signature right, tried with this secret.
    pub fn cause(&self, secret: &SecretString) -> Option<Cause> {
        let mac = self.mac(secret);
        if self.matches(&mac) {
            return Some(Cause::None);
        }
        let trimmed = SecretString::from(secret.expose_secret().trim());
        if self.matches(&self.mac(&trimmed)) {
            return Some(Cause::SpacesAroundSecret);
        }
        if let Scheme::Query(signed) = &self.scheme
            && signed.digest == Digest::Sha256
        {
            let sha1 = Mac::plain(Digest::Sha1, secret.expose_secret().as_bytes());
            return self.matches(&sha1).then_some(Cause::Sha1);
        }
        let mut others = match &self.scheme {
            Scheme::V4(signed) => signed.others(),
            Scheme::Query(_) | Scheme::Stated(_) => Vec::new(),
        }
        .into_iter();
        let right = others.find(|(_, text)| mac.is_of(&self.signature, &text.string_to_sign));
        right.map(|(cause, _)| cause)
    }
}

impl V4 {
    /// What else may have been signed, and why.
    fn others(&self) -> Vec<(Cause, Text)> {
        let Some(&first) = self.spellings.first() else {
            return Vec::new();
        };
        let path = |path| Spelling { path, ..first };
        let query = |query| Spelling { query, ..first };
        let host = Spelling {
            host: HostSpelling::WithoutPort,
            ..first
        };
        let spaces = Spelling {
            spaces: Spaces::Kept,
            ..first
        };
        let whole_query = if first.query == QuerySpelling::Empty {
            (Cause::QuerySigned, query(QuerySpelling::Normal))
        } else {
            (Cause::QueryLeftOut, query(QuerySpelling::Empty))
        };
        let spellings = [
            (Cause::HostWithoutPort, host),
            (Cause::PathNotEncoded, path(PathSpelling::AsSent)),
            (Cause::PathEncodedTwice, path(PathSpelling::Normal)),
            (Cause::PathNotNormalised, path(PathSpelling::Encoded)),
            (Cause::PlusSigns, query(QuerySpelling::PlusKept)),
            (Cause::QueryNotEncoded, query(QuerySpelling::AsSent)),
            (Cause::QuerySortedFirst, query(QuerySpelling::ByName)),
            (Cause::TokenNotSigned, query(QuerySpelling::WithoutToken)),
            whole_query,
            (Cause::SpacesKept, spaces),
        ];
        let spelled = spellings.into_iter();
        let spelled = spelled.map(|(cause, other)| (cause, self.text(other, self.payload.line())));
        let bodies = [
            (Cause::EmptyBody, mac::hash(b"")),
            (Cause::UnsignedPayload, "UNSIGNED-PAYLOAD".to_owned()),
        ];
        let bodies = bodies.into_iter();
        let bodies = bodies.map(|(cause, line)| (cause, self.text(first, &line)));
        spelled.chain(bodies).collect()
    }
}
