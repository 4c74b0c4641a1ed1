//! A JSON web token in its compact form, taken apart. Nothing of it is believed here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// The longest token that is looked at: a service account's has about a thousand bytes.
pub(super) const LONGEST: usize = 16 * 1024;

/// The types of tokens that stand for an identity. Others of the same issuer (`logout+jwt`,
/// `dpop+jwt` …) have its signature too (RFC 8725, 3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// The text is no token that could be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What the header says.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    /// The algorithm, as its sender calls it.
    pub(super) alg: String,
    /// Which key.
    pub(super) kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<IgnoredAny>,
}

/// A token's parts.
#[derive(Debug)]
pub(super) struct Jwt<'a> {
    pub(super) header: Header,
    pub(super) claims: Map<String, Value>,
    /// What is signed.
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

/// Whether a text has the shape of a token: three parts, of which none is empty.
pub(super) fn is_jwt(text: &str) -> bool {
    let mut parts = text.split('.');
    let three = [parts.next(), parts.next(), parts.next()];
    parts.next().is_none()
        && three
            .iter()
            .all(|part| part.is_some_and(|part| !part.is_empty()))
}

impl<'a> Jwt<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        if text.len() > LONGEST || !is_jwt(text) {
            return Err(Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Malformed)?;
        let header: Header = json(header)?;
        let fit = header.crit.is_none() && header.typ.as_deref().is_none_or(is_identity);
        if !fit {
            return Err(Malformed);
        }
        Ok(Self {
            header,
            claims: json(claims)?,
            signed,
            signature: decoded(signature)?,
        })
    }

    /// A claim that is a text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }
}

fn is_identity(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    TYPES.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Malformed> {
    serde_json::from_slice(&decoded(part)?).map_err(|_invalid| Malformed)
}

fn decoded(part: &str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_invalid| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{header}.{claims}.AAAA")
    }

    #[test]
    fn three_parts_make_a_token() {
        for text in ["a.b.c", "e30.e30.AA"] {
            assert!(is_jwt(text), "{text}");
        }
        for text in ["", "a", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c."] {
            assert!(!is_jwt(text), "{text}");
            assert_eq!(Jwt::parse(text).unwrap_err(), Malformed, "{text}");
        }
    }

    #[test]
    fn what_is_said_twice_or_must_be_understood_is_refused() {
        let fine = token(r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#, r#"{"sub":"a"}"#);
        let jwt = Jwt::parse(&fine).unwrap();
        assert_eq!(jwt.header.kid.as_deref(), Some("1"));
        assert_eq!(jwt.text("sub"), Some("a"));
        for header in [
            r#"{"alg":"RS256","alg":"none"}"#,
            r#"{"alg":"RS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"RS256","typ":"logout+jwt"}"#,
            r#"{"alg":7}"#,
            r#"{"kid":"1"}"#,
            r#"["RS256"]"#,
            "RS256",
        ] {
            assert!(Jwt::parse(&token(header, "{}")).is_err(), "{header}");
        }
        for claims in ["", "[]", "{", "\"sub\""] {
            assert!(Jwt::parse(&token(r#"{"alg":"RS256"}"#, claims)).is_err());
        }
    }

    #[test]
    fn other_encodings_and_endless_texts_are_refused() {
        let fine = token(r#"{"alg":"RS256"}"#, "{}");
        for wrong in [
            fine.replace(".AAAA", ".AAA="),
            fine.replace(".AAAA", ".AA+/"),
            fine.replace(".AAAA", ".AB"),
            format!("{fine}\n"),
            format!(" {fine}"),
            fine.replace(".AAAA", &format!(".{}", "AAAA".repeat(5000))),
        ] {
            assert!(Jwt::parse(&wrong).is_err(), "{wrong}");
        }
        assert!(Jwt::parse(&fine).is_ok());
    }
}
