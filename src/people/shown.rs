//! What a request shows as `Authorization` (RFC 9110, 11.6.2).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::directory::is_name;
use crate::secret::SecretString;

/// The longest header that is looked at: a directory's tokens with many groups are long.
const LONGEST: usize = 16 * 1024;

/// What a request shows.
#[derive(Debug)]
pub(super) enum Shown<'a> {
    /// Nothing.
    Nothing,
    /// A name with a password.
    Password {
        name: Arc<str>,
        password: SecretString,
        /// The header as it came.
        whole: &'a [u8],
    },
    /// A bearer token.
    Bearer(&'a str),
    /// What cannot be read, or is of another scheme.
    Other,
}

impl<'a> Shown<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Self::Nothing;
        };
        // Two of them could be two people.
        if values.next().is_some() || value.len() > LONGEST {
            return Self::Other;
        }
        let Some((scheme, rest)) = value.to_str().ok().and_then(|text| text.split_once(' ')) else {
            return Self::Other;
        };
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            return password(rest, value.as_bytes()).unwrap_or(Self::Other);
        }
        if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
            return Self::Bearer(rest);
        }
        Self::Other
    }
}

/// `name:password`, of which the password may hold colons (RFC 7617).
fn password<'a>(encoded: &str, whole: &'a [u8]) -> Option<Shown<'a>> {
    let plain = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let (name, password) = std::str::from_utf8(&plain).ok()?.split_once(':')?;
    is_name(name).then(|| Shown::Password {
        name: Arc::from(name),
        password: SecretString::from(password),
        whole,
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::secret::ExposeSecret as _;

    fn headers(values: &[&str]) -> HeaderMap {
        let pairs = values.iter().map(|value| {
            let value = HeaderValue::from_str(value).unwrap();
            (AUTHORIZATION, value)
        });
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        headers
    }

    fn basic(plain: &[u8]) -> String {
        format!("Basic {}", STANDARD.encode(plain))
    }

    #[test]
    fn names_come_with_passwords() {
        for (plain, name, secret) in [
            ("ann:secret", "ann", "secret"),
            ("ann:", "ann", ""),
            ("ann:a:b", "ann", "a:b"),
            ("зоя:пароль", "зоя", "пароль"),
        ] {
            let headers = headers(&[&basic(plain.as_bytes()).replace("Basic", "bASIC")]);
            let shown = Shown::of(&headers);
            assert!(!format!("{shown:?}").contains("secret\""));
            let Shown::Password {
                name: is, password, ..
            } = shown
            else {
                panic!("{plain}");
            };
            assert_eq!((&*is, password.expose_secret()), (name, secret));
        }
    }

    #[test]
    fn tokens_are_shown_as_they_are() {
        assert!(matches!(
            Shown::of(&headers(&["bearer a.b"])),
            Shown::Bearer("a.b")
        ));
        assert!(matches!(Shown::of(&HeaderMap::new()), Shown::Nothing));
    }

    #[test]
    fn what_cannot_be_read_is_not_nothing() {
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic !!!",
            "Bearer ",
            "Negotiate YII=",
            &basic(b"ann"),
            &basic(b":secret"),
            &basic(b"an\nn:secret"),
            &basic("an\u{200b}n:secret".as_bytes()),
            &basic(b"\xff:secret"),
            &format!("Bearer {}", "x".repeat(LONGEST)),
        ] {
            assert!(
                matches!(Shown::of(&headers(&[value])), Shown::Other),
                "{value}"
            );
        }
        let twice = [basic(b"ann:a"), basic(b"bob:b")];
        let twice: Vec<&str> = twice.iter().map(String::as_str).collect();
        assert!(matches!(Shown::of(&headers(&twice)), Shown::Other));
    }
}
