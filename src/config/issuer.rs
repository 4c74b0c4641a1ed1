//! Issuers of web identities.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::secret::same_secret;

/// One `[[issuer]]`: of whose web identities callers' tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What its tokens name as `iss`, to the letter.
    pub url: Arc<str>,
    /// For whom a token must be meant: one of these.
    pub audiences: Vec<Arc<str>>,
    /// Where its keys are.
    pub keys: IssuerKeys,
    /// What its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// Whether a token's session tags are asked for upstream.
    pub tags: bool,
    /// Where it is asked about access tokens that only it can read.
    pub introspection: Option<Introspection>,
}

/// Where an issuer is asked about access tokens (RFC 7662), and who asks.
#[derive(Clone, Debug)]
pub struct Introspection {
    /// The endpoint.
    pub url: String,
    /// Who asks.
    pub client_id: String,
    /// What proves it.
    pub client_secret: SecretString,
}

impl PartialEq for Introspection {
    fn eq(&self, other: &Self) -> bool {
        let (own, others) = (&self.client_secret, &other.client_secret);
        let same = same_secret(
            own.expose_secret().as_bytes(),
            others.expose_secret().as_bytes(),
        );
        same && self.url == other.url && self.client_id == other.client_id
    }
}

impl Eq for Introspection {}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKeys {
    /// Where its discovery document says, below its URL.
    Discovery {
        /// The authorities of its certificate, where the system's do not do.
        ca_file: Option<PathBuf>,
    },
    /// In this file, a JSON Web Key Set.
    File(PathBuf),
}

/// What a token is signed with. `none` and shared secrets are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with PKCS #1 padding and SHA-256.
    Rs256,
    /// The same with SHA-384.
    Rs384,
    /// The same with SHA-512.
    Rs512,
    /// RSA with PSS padding and SHA-256.
    Ps256,
    /// The same with SHA-384.
    Ps384,
    /// The same with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    const NAMES: [(&'static str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// The algorithm of this name in tokens and keys (RFC 7518, RFC 8037).
    pub fn parse(name: &str) -> Option<Self> {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, algorithm)| *algorithm)
    }
}
