//! An issuer's keys, made in the process, and the tokens that it signs with them.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// One key and its id.
pub(crate) struct Signer {
    id: String,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The public halves of these keys, as an issuer publishes them.
pub(crate) fn key_set(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// The claims of a projected service account's token as a kubelet asks for it, for ten minutes.
pub(crate) fn pod_claims(issuer: &str, audience: &str, now: u64) -> Value {
    json!({
        "aud": [audience],
        "exp": now + 600,
        "iat": now,
        "iss": issuer,
        "jti": "5f3c9d0e-0f5e-4c0f-9a34-6d7ef0e2a1c5",
        "kubernetes.io": {
            "namespace": "shop",
            "node": {"name": "node-1", "uid": "0b0b"},
            "pod": {"name": "till-0", "uid": "0d0d"},
            "serviceaccount": {"name": "till", "uid": "0e0e"},
            "warnafter": now + 300,
        },
        "nbf": now,
        "sub": "system:serviceaccount:shop:till",
    })
}

impl Signer {
    pub(crate) fn rsa(id: &str) -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        Self {
            id: id.to_owned(),
            key: Key::Rsa(key),
        }
    }

    pub(crate) fn p256(id: &str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            id: id.to_owned(),
            key: Key::P256(key),
        }
    }

    /// The public half.
    pub(crate) fn jwk(&self) -> Value {
        let id = &self.id;
        match &self.key {
            Key::Rsa(key) => {
                // PKCS #1: both numbers of a 2048 bit key stand at the same places always.
                let public = key.public_key().as_ref();
                let (modulus, exponent) = (&public[9..265], &public[267..]);
                json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id,
                    "n": encoded(modulus), "e": encoded(exponent)})
            }
            Key::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": encoded(x), "y": encoded(y)})
            }
        }
    }

    /// The public half as others write it down (SubjectPublicKeyInfo).
    pub(crate) fn public_der(&self) -> Vec<u8> {
        match &self.key {
            Key::Rsa(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
            Key::P256(key) => key.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    /// A token with the usual header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let algorithm = match &self.key {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
        };
        self.sign(&json!({"alg": algorithm, "kid": self.id}), claims)
    }

    /// A token with this header, whatever it says.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!(
            "{}.{}",
            encoded(header.to_string()),
            encoded(claims.to_string())
        );
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    signed.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
            Key::P256(key) => key
                .sign(&random, signed.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
        };
        format!("{signed}.{}", encoded(signature))
    }
}
