//! An issuer's public keys (RFC 7517), and what they verify.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::jwt::Jwt;
use crate::config::Algorithm;

/// The most keys that are kept of one set; issuers publish two or three.
const MOST: usize = 64;

/// The most keys that one signature is tried with: ids are meant to be unique.
const TRIED: usize = 2;

/// A text that is no set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoKeySet {
    #[error("it is no JSON object with `keys`")]
    Malformed,
    #[error("no key in it can verify a signature")]
    Empty,
}

/// Why a token's signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSignature {
    /// No key of the set is meant: perhaps a newer set has it.
    UnknownKey,
    /// It is not that key's signature.
    Wrong,
}

/// The keys that can verify signatures.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// Tells one set from another.
    digest: Vec<u8>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The only algorithm that it is for, where it says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. Keys of other kinds and for other purposes are left out, as the standard asks.
    pub(super) fn parse(json: &[u8]) -> Result<Self, NoKeySet> {
        let set: RawSet = serde_json::from_slice(json).map_err(|_invalid| NoKeySet::Malformed)?;
        let keys = set.keys.into_iter().filter_map(key).take(MOST);
        let keys: Vec<Key> = keys.collect();
        if keys.is_empty() {
            return Err(NoKeySet::Empty);
        }
        Ok(Self {
            keys,
            digest: digest(&SHA256, json).as_ref().to_vec(),
        })
    }

    /// How many keys.
    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether both were read from the same text.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// Whether the token's signature is by the key that it names. A token that names none must
    /// leave no choice.
    pub(super) fn verify(&self, jwt: &Jwt<'_>, algorithm: Algorithm) -> Result<(), NoSignature> {
        let fitting = self.keys.iter().filter(|key| key.fits(algorithm));
        let verifies = |key: &Key| key.verifies(algorithm, jwt.signed.as_bytes(), &jwt.signature);
        let Some(id) = &jwt.header.kid else {
            let keys: Vec<&Key> = fitting.take(2).collect();
            // What does not verify may be signed with the key that replaced this one.
            return match keys.as_slice() {
                [only] if verifies(only) => Ok(()),
                _ => Err(NoSignature::UnknownKey),
            };
        };
        let named = fitting.filter(|key| key.id.as_ref() == Some(id));
        let named: Vec<&Key> = named.take(TRIED).collect();
        if named.is_empty() {
            Err(NoSignature::UnknownKey)
        } else if named.into_iter().any(verifies) {
            Ok(())
        } else {
            Err(NoSignature::Wrong)
        }
    }
}

/// The key, where it is one that verifies signatures.
fn key(raw: Value) -> Option<Key> {
    let raw: RawKey = serde_json::from_value(raw).ok()?;
    let signs = raw
        .purpose
        .as_deref()
        .is_none_or(|purpose| purpose == "sig");
    let verifies = raw
        .key_ops
        .as_ref()
        .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !signs || !verifies {
        return None;
    }
    let material = match (raw.kty.as_str(), raw.crv.as_deref()) {
        ("RSA", _) => Material::Rsa {
            modulus: number(raw.n.as_deref()?)?,
            exponent: number(raw.e.as_deref()?)?,
        },
        ("EC", Some("P-256")) => Material::P256(point(raw.x.as_deref()?, raw.y.as_deref()?, 32)?),
        ("EC", Some("P-384")) => Material::P384(point(raw.x.as_deref()?, raw.y.as_deref()?, 48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(raw.x.as_deref()?, 32)?),
        _ => return None,
    };
    Some(Key {
        id: raw.kid,
        algorithm: raw.alg,
        material,
    })
}

/// A number without leading zeros, which some issuers write.
fn number(text: &str) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes.split_off(first))
}

fn bytes(text: &str, length: usize) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    (bytes.len() == length).then_some(bytes)
}

/// A point as SEC 1 writes it, uncompressed.
fn point(x: &str, y: &str, length: usize) -> Option<Vec<u8>> {
    let mut point = vec![4];
    point.append(&mut bytes(x, length)?);
    point.append(&mut bytes(y, length)?);
    Some(point)
}

impl Key {
    /// Whether the key is of the algorithm's kind, and not meant for another one.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => matches!(self.material, Material::Rsa { .. }),
            Algorithm::Es256 => matches!(self.material, Material::P256(_)),
            Algorithm::Es384 => matches!(self.material, Material::P384(_)),
            Algorithm::EdDsa => matches!(self.material, Material::Ed25519(_)),
        };
        let meant = self.algorithm.as_deref();
        kind && meant.is_none_or(|meant| Algorithm::parse(meant) == Some(algorithm))
    }

    fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Rsa { modulus, exponent } => {
                let Some(parameters) = rsa(algorithm) else {
                    return false;
                };
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(parameters, signed, signature)
            }
            Material::P256(point) => {
                ecdsa(&signature::ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            Material::P384(point) => {
                ecdsa(&signature::ECDSA_P384_SHA384_FIXED, point).verify(signed, signature)
            }
            Material::Ed25519(key) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(signed, signature)
            }
        };
        verified.is_ok()
    }
}

fn ecdsa<'a>(
    algorithm: &'static EcdsaVerificationAlgorithm,
    point: &'a [u8],
) -> UnparsedPublicKey<&'a [u8]> {
    UnparsedPublicKey::new(algorithm, point)
}

/// Keys of less than 2048 bits verify nothing.
const fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
    })
}
