//! Keys that were derived are used for the secret and the scope that they were derived from.

use super::*;

const NOW: &str = "20261122T120000Z";
const DAY: &str = "20261122";
const REGION: &str = "eu-central-1";

/// A request of this key on this day in this region, signed with this secret.
fn request(id: &str, with: &str, day: &str, region: &str) -> SignedRequest {
    let text = format!(
        "POST / HTTP/1.1\nHost: sts.local\nX-Amz-Date: {day}T120000Z\nAuthorization: \
         AWS4-HMAC-SHA256 Credential={id}/{day}/{region}/sts/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={BLANK}\n\n"
    );
    let mut signed = sent(&text).unwrap().unwrap();
    signed.signature = signed
        .mac(&secret(with))
        .signature(&first(&signed).string_to_sign);
    signed
}

fn recall(keys: &DerivedKeys, signed: &SignedRequest, with: &str) -> Option<Arc<Mac>> {
    keys.recall(
        &signed.access_key_id,
        signed.scope().unwrap(),
        &secret(with),
    )
}

fn verify(keys: &DerivedKeys, signed: &SignedRequest, with: &str) -> Result<(), Mismatch> {
    let verified = signed.verify_by(keys, &secret(with), at(NOW), QUARTER);
    verified.map(drop)
}

#[test]
fn what_was_derived_is_used_again() {
    let keys = DerivedKeys::default();
    let signed = request("AKIDEXAMPLE", SECRET, DAY, REGION);
    assert!(recall(&keys, &signed, SECRET).is_none());
    verify(&keys, &signed, SECRET).unwrap();
    let derived = recall(&keys, &signed, SECRET).unwrap();
    for body in ["a", "b"] {
        let text = completed(&format!(
            "POST / HTTP/1.1\nHost: sts.local\nX-Amz-Date: {NOW}\nAuthorization: \
             AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{DAY}/{REGION}/sts/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={BLANK}\n\n{body}"
        ));
        verify(&keys, &sent(&text).unwrap().unwrap(), SECRET).unwrap();
        let other = sent(&text.replace(&format!("\n\n{body}"), "\n\nother"));
        let other = verify(&keys, &other.unwrap().unwrap(), SECRET);
        assert_eq!(other, Err(Mismatch::Signature));
    }
    assert!(Arc::ptr_eq(
        &derived,
        &recall(&keys, &signed, SECRET).unwrap()
    ));
    assert_eq!(keys.len(), 1);
}

#[test]
fn another_secret_under_the_same_id_has_nothing_of_the_old_ones() {
    let keys = DerivedKeys::default();
    let old = request("AKIDEXAMPLE", SECRET, DAY, REGION);
    verify(&keys, &old, SECRET).unwrap();
    assert!(recall(&keys, &old, "another").is_none());
    assert_eq!(verify(&keys, &old, "another"), Err(Mismatch::Signature));
    let new = request("AKIDEXAMPLE", "another", DAY, REGION);
    verify(&keys, &new, "another").unwrap();
    assert!(recall(&keys, &old, SECRET).is_none());
    assert_eq!(verify(&keys, &old, "another"), Err(Mismatch::Signature));
    assert_eq!(keys.len(), 1);
}

#[test]
fn another_day_region_service_or_key_has_nothing() {
    let keys = DerivedKeys::default();
    let signed = request("AKIDEXAMPLE", SECRET, DAY, REGION);
    verify(&keys, &signed, SECRET).unwrap();
    for other in [
        request("AKIDEXAMPLE", SECRET, "20261123", REGION),
        request("AKIDEXAMPLE", SECRET, DAY, "us-east-1"),
        request("AKIDOTHER", SECRET, DAY, REGION),
    ] {
        assert!(recall(&keys, &other, SECRET).is_none(), "{other:?}");
    }
    let of_s3 = Scope {
        service: "s3".to_owned(),
        ..signed.scope().unwrap().clone()
    };
    assert!(
        keys.recall("AKIDEXAMPLE", &of_s3, &secret(SECRET))
            .is_none()
    );
    // Signed for yesterday, but called today's.
    let mut moved = request("AKIDEXAMPLE", SECRET, "20261121", REGION);
    let today = request("AKIDEXAMPLE", SECRET, DAY, REGION);
    let yesterdays = std::mem::take(&mut moved.signature);
    let moved = SignedRequest {
        signature: yesterdays,
        ..today
    };
    assert_eq!(verify(&keys, &moved, SECRET), Err(Mismatch::Signature));
}

#[test]
fn what_is_known_weakens_no_other_check() {
    let keys = DerivedKeys::default();
    let signed = request("AKIDEXAMPLE", SECRET, DAY, REGION);
    verify(&keys, &signed, SECRET).unwrap();
    let at = |now: &str| signed.verify_by(&keys, &secret(SECRET), at(now), QUARTER);
    at("20261122T121500Z").unwrap();
    assert!(matches!(
        at("20261122T121501Z"),
        Err(Mismatch::Expired { .. })
    ));
    assert!(matches!(
        at("20261122T114459Z"),
        Err(Mismatch::NotYet { .. })
    ));
}

#[test]
fn who_has_not_signed_rightly_is_not_remembered() {
    let keys = DerivedKeys::default();
    let wrong = request("AKIDEXAMPLE", "guess", DAY, REGION);
    assert_eq!(verify(&keys, &wrong, SECRET), Err(Mismatch::Signature));
    let late = request("AKIDEXAMPLE", SECRET, "20261121", REGION);
    assert!(verify(&keys, &late, SECRET).is_err());
    assert!(keys.is_empty());
}

#[test]
fn few_are_remembered_and_not_for_long() {
    let keys = DerivedKeys::default();
    for number in 0..2000 {
        let id = format!("AKIDEXAMPLE{number}");
        verify(&keys, &request(&id, SECRET, DAY, REGION), SECRET).unwrap();
        assert!(keys.len() <= derived::MOST);
    }
    let last = request("AKIDEXAMPLE1999", SECRET, DAY, REGION);
    keys.forget_unused();
    verify(&keys, &last, SECRET).unwrap();
    keys.forget_unused();
    assert_eq!(keys.len(), 1);
    keys.forget_unused();
    assert!(keys.is_empty());
    verify(&keys, &last, SECRET).unwrap();
    keys.clear();
    assert!(recall(&keys, &last, SECRET).is_none());
    let secretive = format!("{keys:?}");
    assert!(!secretive.contains(SECRET), "{secretive}");
}
