//! Every algorithm: by the standards' own examples, and signed here.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::key_set::NoSignature;
use super::signer::encoded;
use super::*;

const ALL: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// Whether this key verifies this token, whatever the token says.
fn verify(key: &Value, token: &str, algorithm: &str) -> Result<(), NoSignature> {
    let set = KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let header = URL_SAFE_NO_PAD.decode(signed.split('.').next().unwrap());
    let jwt = Jwt {
        header: serde_json::from_slice(&header.unwrap()).unwrap(),
        claims: serde_json::Map::new(),
        signed,
        signature: URL_SAFE_NO_PAD.decode(signature).unwrap(),
    };
    set.verify(&jwt, Algorithm::parse(algorithm).unwrap())
}

/// RFC 7515, A.2 and A.3; RFC 8037, A.4.
#[test]
fn the_standards_examples_verify() {
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let rsa = json!({
        "kty": "RSA", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    });
    let p256 = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let ed25519 = json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let rs256 = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let es256 =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let eddsa =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    for (key, token, algorithm) in [
        (
            rsa,
            format!("eyJhbGciOiJSUzI1NiJ9.{claims}.{rs256}"),
            "RS256",
        ),
        (
            p256,
            format!("eyJhbGciOiJFUzI1NiJ9.{claims}.{es256}"),
            "ES256",
        ),
        (
            ed25519,
            format!("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.{eddsa}"),
            "EdDSA",
        ),
    ] {
        assert_eq!(verify(&key, &token, algorithm), Ok(()), "{algorithm}");
        let other = token.replacen(".e", ".f", 1).replacen(".R", ".S", 1);
        assert_eq!(
            verify(&key, &other, algorithm),
            Err(NoSignature::UnknownKey),
            "without an id, a newer key may be meant"
        );
    }
}

#[test]
fn each_algorithm_is_told_from_all_others() {
    let random = SystemRandom::new();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = rsa.public_key().as_ref();
    let rsa_key = json!({"kty": "RSA", "kid": "1",
        "n": encoded([&[0], &public[9..265]].concat()), "e": encoded(&public[267..])});
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let (x, y) = p384.public_key().as_ref()[1..].split_at(48);
    let p384_key =
        json!({"kty": "EC", "crv": "P-384", "kid": "1", "x": encoded(x), "y": encoded(y)});
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let ed25519_key =
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": encoded(ed25519.public_key())});
    let signed = format!(
        "{}.{}",
        encoded(r#"{"alg":"any","kid":"1"}"#),
        encoded("{}")
    );
    let by_rsa = |padding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(padding, &random, signed.as_bytes(), &mut signature)
            .unwrap();
        (rsa_key.clone(), signature)
    };
    let by_p384 = p384.sign(&random, signed.as_bytes()).unwrap();
    for (algorithm, (key, signature)) in [
        ("RS256", by_rsa(&signature::RSA_PKCS1_SHA256)),
        ("RS384", by_rsa(&signature::RSA_PKCS1_SHA384)),
        ("RS512", by_rsa(&signature::RSA_PKCS1_SHA512)),
        ("PS256", by_rsa(&signature::RSA_PSS_SHA256)),
        ("PS384", by_rsa(&signature::RSA_PSS_SHA384)),
        ("PS512", by_rsa(&signature::RSA_PSS_SHA512)),
        ("ES384", (p384_key, by_p384.as_ref().to_vec())),
        (
            "EdDSA",
            (
                ed25519_key,
                ed25519.sign(signed.as_bytes()).as_ref().to_vec(),
            ),
        ),
    ] {
        let token = format!("{signed}.{}", encoded(signature));
        for other in ALL {
            let verified = verify(&key, &token, other);
            assert_eq!(
                verified.is_ok(),
                other == algorithm,
                "{algorithm} as {other}"
            );
        }
    }
}
