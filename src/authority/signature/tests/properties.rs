//! Laws of any request.

use proptest::prelude::*;

use super::super::canonical::{Query, Spelling};
use super::*;

const NOW: &str = "20261122T120000Z";

fn text(target: &str, headers: &[(String, String)], body: &str) -> String {
    let names = headers.iter().map(|(name, _)| &**name);
    let list: Vec<&str> = ["host", "x-amz-date"].into_iter().chain(names).collect();
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    completed(&format!(
        "POST {target} HTTP/1.1\nHost: h:80\nX-Amz-Date: {NOW}\n{}Authorization: AWS4-HMAC-SHA256 \
         Credential=AK/20261122/r/sts/aws4_request, SignedHeaders={}, Signature={BLANK}\n\n{body}",
        lines.concat(),
        list.join(";"),
    ))
}

fn target() -> impl Strategy<Value = String> {
    let piece = "[a-zA-Z0-9~._!*'()%+ é-]{0,12}";
    let query = prop::collection::vec((piece, piece), 0..5);
    (prop::collection::vec(piece, 0..4), query).prop_map(|(path, query)| {
        let query = query.iter().map(|(name, value)| format!("{name}={value}"));
        format!(
            "/{}?{}",
            path.join("/"),
            query.collect::<Vec<_>>().join("&")
        )
    })
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let values = prop::collection::vec("[!-~]{1,8}( {1,2}[!-~]{1,4}){0,2}", 0..4);
    values.prop_map(|values| {
        let named = values.into_iter().enumerate();
        named
            .map(|(number, value)| (format!("x-{number}"), value))
            .collect()
    })
}

fn verified(text: &[u8]) -> Option<(SignedRequest, Verified)> {
    let signed = RequestText::read(text).ok()?.signed(None).ok()??;
    let verified = signed.verify(&secret(SECRET), at(NOW), QUARTER).ok()?;
    Some((signed, verified))
}

proptest! {
    /// Whatever one bit is changed: it is refused, or what was signed is the same request.
    #[test]
    fn no_bit_of_a_signed_request_can_be_changed(
        target in target(),
        headers in headers(),
        body in "[ -~]{0,40}",
        at_bit in any::<prop::sample::Index>(),
    ) {
        let text = text(&target, &headers, &body);
        let (signed, _) = verified(text.as_bytes()).expect("what was signed verifies");
        let mut changed = text.into_bytes();
        let bit = at_bit.index(changed.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Some((other, _)) = verified(&changed) {
            prop_assert_eq!(signed.explain(None), other.explain(None));
        }
    }

    /// Neither of what is told to Keystone in a string to sign, nor of its signature or secret.
    #[test]
    fn no_bit_of_a_string_to_sign_can_be_changed(
        hash in "[0-9a-f]{64}",
        older in any::<bool>(),
        at_bit in any::<prop::sample::Index>(),
        in_signature in any::<prop::sample::Index>(),
    ) {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        let text = if older {
            format!("GET\n\n\n{NOW}\n/{hash}")
        } else {
            format!("AWS4-HMAC-SHA256\n{NOW}\n20261122/r/s3/aws4_request\n{hash}")
        };
        let read = |text: &[u8], signature: &str| {
            let credentials = serde_json::json!({
                "access": "AK", "signature": signature, "token": STANDARD.encode(text)
            });
            let credentials: S3Credentials = serde_json::from_value(credentials).unwrap();
            credentials.signed()
        };
        let signature = signature(&read(text.as_bytes(), "x").unwrap());
        let right = |text: &[u8], signature: &str, key: &str| {
            read(text, signature).is_ok_and(|signed| signed.verify(&secret(key), at(NOW), QUARTER).is_ok())
        };
        prop_assert!(right(text.as_bytes(), &signature, SECRET));
        let flipped = |bytes: &[u8], index: prop::sample::Index| {
            let mut changed = bytes.to_vec();
            let bit = index.index(changed.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            changed
        };
        prop_assert!(!right(&flipped(text.as_bytes(), at_bit), &signature, SECRET));
        let other = flipped(signature.as_bytes(), in_signature);
        let other = String::from_utf8_lossy(&other).into_owned();
        prop_assert!(!right(text.as_bytes(), &other, SECRET));
        let key = flipped(SECRET.as_bytes(), at_bit);
        let key = String::from_utf8_lossy(&key).into_owned();
        prop_assert!(!right(text.as_bytes(), &signature, &key));
    }

    /// A canonical query spelled again is itself: it has one spelling.
    #[test]
    fn a_canonical_request_is_canonical(target in target()) {
        let signed = sent(&text(&target, &[], "")).unwrap().unwrap();
        let canonical = signed.explain(None).canonical_request.unwrap();
        let query = canonical.lines().nth(2).unwrap().to_owned();
        let Scheme::V4(mut signed) = signed.scheme else { panic!("not version 4") };
        signed.query = Query::Sent(query);
        let again = signed.text(Spelling::of_service("sts"), signed.payload.line());
        prop_assert_eq!(canonical, String::from_utf8(again.canonical_request.unwrap()).unwrap());
    }

    /// No text whatever makes the reader panic, and none is signed by chance.
    #[test]
    fn any_text_is_read_or_refused(text in any::<Vec<u8>>()) {
        prop_assert!(verified(&text).is_none());
    }
}
