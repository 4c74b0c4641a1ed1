//! Hashes of passwords: argon2id as PHC strings, and bcrypt as `htpasswd -B` writes it.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, Params};

use crate::secret::{ExposeSecret as _, SecretString, random};

/// The longest password that is held against a hash, in bytes.
const LONGEST: usize = 1024;

/// What one verification may cost: a line that asks for more would stop everybody's.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 32;
const MOST_LANES: u32 = 16;
const MOST_ROUNDS: u32 = 16;

/// The hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Hash {
    Argon2id(Box<str>),
    Bcrypt(Box<str>),
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argon2id(_) => "Argon2id(..)",
            Self::Bcrypt(_) => "Bcrypt(..)",
        })
    }
}

/// A hash that no password is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHash {
    /// It can be broken, or is none.
    #[error("it is neither argon2id nor bcrypt; `rolecall password` and `htpasswd -B` make these")]
    Kind,
    /// It cannot be read.
    #[error("it is broken")]
    Malformed,
    /// It takes more memory or time than is given.
    #[error("it costs more than is given to one verification")]
    Costly,
}

/// A password of which no hash is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPassword {
    /// Nothing.
    #[error("a password is not empty")]
    Empty,
    /// Too much.
    #[error("a password has at most {LONGEST} bytes")]
    Long,
    /// A control character.
    #[error("a password holds no control characters")]
    Control,
    /// The machine did not do it.
    #[error("it could not be hashed")]
    Failed,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, NoHash> {
        if text.starts_with("$argon2id$") {
            let parsed = PasswordHash::new(text).map_err(|_malformed| NoHash::Malformed)?;
            let params = Params::try_from(&parsed).map_err(|_malformed| NoHash::Malformed)?;
            let fits = params.m_cost() <= MOST_MEMORY
                && params.t_cost() <= MOST_PASSES
                && params.p_cost() <= MOST_LANES;
            let complete = parsed.salt.is_some() && parsed.hash.is_some();
            return match (complete, fits) {
                (false, _) => Err(NoHash::Malformed),
                (true, false) => Err(NoHash::Costly),
                (true, true) => Ok(Self::Argon2id(text.into())),
            };
        }
        if !["$2y$", "$2b$", "$2a$"]
            .iter()
            .any(|kind| text.starts_with(kind))
        {
            return Err(NoHash::Kind);
        }
        let parts: bcrypt::HashParts = text.parse().map_err(|_malformed| NoHash::Malformed)?;
        match parts.get_cost() {
            4..=MOST_ROUNDS => Ok(Self::Bcrypt(text.into())),
            0..4 => Err(NoHash::Malformed),
            _ => Err(NoHash::Costly),
        }
    }

    /// Whether it is this password's. Takes a good while.
    pub(super) fn is_of(&self, password: &SecretString) -> bool {
        let password = password.expose_secret();
        if password.is_empty() || password.len() > LONGEST || password.contains('\0') {
            return false;
        }
        match self {
            Self::Argon2id(text) => PasswordHash::new(text).is_ok_and(|hash| {
                let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
                verified.is_ok()
            }),
            // bcrypt knows 72 bytes, and so does Apache.
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
        }
    }

    /// The hash, to tell whether it has changed.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Argon2id(text) | Self::Bcrypt(text) => text,
        }
    }
}

/// The hash of a password for the users file.
pub fn hashed(password: &SecretString) -> Result<String, NoPassword> {
    let text = password.expose_secret();
    match text.len() {
        0 => return Err(NoPassword::Empty),
        1..=LONGEST => {}
        _ => return Err(NoPassword::Long),
    }
    if text.chars().any(char::is_control) {
        return Err(NoPassword::Control);
    }
    let salt = random::<16>().map_err(|_no_entropy| NoPassword::Failed)?;
    let hash = Argon2::default().hash_password_with_salt(text.as_bytes(), &salt);
    let hash = hash.map_err(|_failed| NoPassword::Failed)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "canary-secret", by argon2(1) and htpasswd(1).
    const ARGON2ID: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$";

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    /// A cheap hash.
    fn argon2id(password: &str) -> String {
        let params = Params::new(64, 1, 1, None).unwrap();
        let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(password.as_bytes(), b"saltsaltsalt");
        hash.unwrap().to_string()
    }

    #[test]
    fn a_password_is_known_by_its_hash() {
        let made = argon2id("canary-secret");
        assert!(made.starts_with(ARGON2ID), "{made}");
        for text in [made, bcrypt::hash("canary-secret", 4).unwrap()] {
            let hash = Hash::parse(&text).unwrap();
            assert!(hash.is_of(&secret("canary-secret")));
            for other in [
                "canary-secre",
                "canary-secret ",
                "Canary-secret",
                "",
                "canary-secret\0",
            ] {
                assert!(!hash.is_of(&secret(other)), "{other:?}");
            }
            assert!(!hash.is_of(&secret(&"x".repeat(LONGEST + 1))));
            assert!(!format!("{hash:?}").contains('$'));
        }
    }

    #[test]
    fn hashes_of_htpasswd_are_read() {
        // htpasswd -nbB ann 'correct horse' of Apache 2.4.
        let made = bcrypt::hash_with_salt("correct horse", 5, [7; 16]).unwrap();
        let text = made.format_for_version(bcrypt::Version::TwoY);
        assert!(text.starts_with("$2y$05$"));
        assert!(Hash::parse(&text).unwrap().is_of(&secret("correct horse")));
    }

    #[test]
    fn what_can_be_broken_or_stops_everybody_is_no_hash() {
        for (text, why) in [
            ("plain", NoHash::Kind),
            ("", NoHash::Kind),
            ("$apr1$salt$hash", NoHash::Kind),
            ("{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=", NoHash::Kind),
            (
                "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo",
                NoHash::Kind,
            ),
            ("$6$salt$hash", NoHash::Kind),
            ("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ", NoHash::Malformed),
            ("$argon2id$nonsense", NoHash::Malformed),
            ("$2y$05$short", NoHash::Malformed),
        ] {
            assert_eq!(Hash::parse(text), Err(why), "{text}");
        }
        let costly = argon2id("x").replace("m=64", "m=1048576");
        assert_eq!(Hash::parse(&costly), Err(NoHash::Costly));
        let slow = bcrypt::hash("x", 4).unwrap().replace("$04$", "$31$");
        assert_eq!(Hash::parse(&slow), Err(NoHash::Costly));
    }

    #[test]
    fn a_line_for_the_users_file_holds_its_password() {
        let made = hashed(&secret("canary-secret")).unwrap();
        assert!(Hash::parse(&made).unwrap().is_of(&secret("canary-secret")));
        assert_ne!(made, hashed(&secret("canary-secret")).unwrap());
        assert_eq!(hashed(&secret("")), Err(NoPassword::Empty));
        assert_eq!(hashed(&secret("a\n")), Err(NoPassword::Control));
        assert_eq!(hashed(&secret(&"x".repeat(2000))), Err(NoPassword::Long));
    }
}
