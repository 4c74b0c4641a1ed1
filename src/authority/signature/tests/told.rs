//! What a service tells of a request: what is refused, and what makes no difference.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;
use crate::secret::ExposeSecret as _;

const NOW: &str = "20261122T120000Z";
const SCOPE: &str = "20261122/eu-central-1/ec2/aws4_request";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A request as Keystone is told of it, unsigned.
fn request_told() -> serde_json::Value {
    json!({
        "access": "AKIDEXAMPLE", "signature": BLANK, "host": "cloud.local:8773", "verb": "GET",
        "path": "/services/Cloud/", "params": {"Action": "DescribeInstances", "Version": "2010-08-31"},
        "headers": {
            "host": "cloud.local:8773",
            "x-amz-date": NOW,
            "authorization": format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{SCOPE}, SignedHeaders=host;x-amz-date, \
                 Signature=0"
            ),
        },
        "body_hash": EMPTY
    })
}

fn told_and_signed(mut request: serde_json::Value) -> SignedRequest {
    let mut signed = told(request.clone()).unwrap();
    signed.signature = signature(&signed);
    request["signature"] = signed.signature.clone().into();
    told(request).unwrap()
}

#[test]
fn keystones_headers_have_any_case_and_the_key_is_the_scopes() {
    let signed = told_and_signed(request_told());
    let verified = signed.verify(&secret(SECRET), at(NOW), QUARTER).unwrap();
    assert_eq!(verified.payload(), Payload::Stated);
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut request = request_told();
        change(&mut request);
        told(request).unwrap_err()
    };
    assert_eq!(with(&|r| r["access"] = "OTHER".into()), Malformed::OtherKey);
    assert_eq!(with(&|r| r["access"] = json!(null)), Malformed::NotSupplied);
    assert_eq!(
        with(&|r| r["signature"] = "".into()),
        Malformed::NotSupplied
    );
    assert_eq!(with(&|r| r["headers"] = json!(null)), Malformed::NoVersion);
    assert_eq!(
        with(&|r| r["body_hash"] = json!(null)),
        Malformed::Missing("body_hash")
    );
    assert_eq!(with(&|r| r["body_hash"] = "x".into()), Malformed::BodyHash);
    let date = |r: &mut serde_json::Value| r["headers"]["x-amz-date"] = "20261123T000000Z".into();
    assert!(matches!(with(&date), Malformed::OtherDay { .. }));
    let twice = |r: &mut serde_json::Value| r["headers"]["Host"] = "other".into();
    assert_eq!(with(&twice), Malformed::Twice("host".to_owned()));
    for (list, wrong) in [
        ("x-amz-date", Malformed::HostNotSigned),
        ("host;x-gone", Malformed::HeaderMissing("x-gone".to_owned())),
    ] {
        let header =
            format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{SCOPE}, SignedHeaders={list}");
        assert_eq!(
            with(&|r| r["headers"]["authorization"] = header.clone().into()),
            wrong
        );
    }
}

#[test]
fn keystone_is_told_of_links_too_and_they_last_no_longer_than_any() {
    for (expires, lasts) in [("60", 60), ("604800", 900)] {
        let signed = told_and_signed(json!({
            "access": "AKIDEXAMPLE", "signature": BLANK, "host": "h", "verb": "get", "path": "/",
            "params": {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": NOW,
                "X-Amz-Credential": format!("AKIDEXAMPLE/{SCOPE}"), "X-Amz-Expires": expires,
                "X-Amz-SignedHeaders": "host", "X-Amz-Security-Token": "tok",
                "X-Amz-Signature": BLANK},
            "headers": {"Host": "h"}, "body_hash": EMPTY
        }));
        assert_eq!(signed.session_token().unwrap().expose_secret(), "tok");
        let last = at(NOW) + Duration::from_secs(lasts);
        signed.verify(&secret(SECRET), last, QUARTER).unwrap();
        let late = signed.verify(&secret(SECRET), last + Duration::from_secs(1), QUARTER);
        assert!(matches!(late, Err(Mismatch::Expired { .. })));
    }
}

/// In a POST of version 4 parameters are not signed: they must not make an old signature young.
#[test]
fn an_unsigned_timestamp_proves_nothing() {
    let mut request = request_told();
    request["verb"] = "POST".into();
    let signed = told_and_signed(request.clone());
    let late = at("20261122T130000Z");
    request["signature"] = signed.signature.into();
    request["params"]["Timestamp"] = "2026-11-22T13:00:00Z".into();
    let verified = told(request)
        .unwrap()
        .verify(&secret(SECRET), late, QUARTER);
    assert!(matches!(verified, Err(Mismatch::Expired { .. })));
    let older = told_and_signed(json!({
        "access": "AK", "signature": "x", "host": "h", "verb": "GET", "path": "/",
        "params": {"SignatureVersion": "2"}, "headers": {"X-Amz-Date": NOW}
    }));
    let undated = older.verify(&secret(SECRET), at(NOW), QUARTER);
    assert_eq!(undated.unwrap_err(), Mismatch::NoTimestamp);
}

#[test]
fn keystones_hosts_are_tried_without_their_ports() {
    let request = |host: &str| {
        json!({
            "access": "AK", "signature": "x", "host": host, "verb": "GET", "path": "/",
            "params": {"SignatureVersion": "2", "Timestamp": "2026-11-22T12:00:00.123+00:00"}
        })
    };
    for (signed_host, told_host, right) in [
        ("h", "h:80", true),
        ("h", "H:80", true),
        ("h:80", "h:80", true),
        ("h:81", "h:80", false),
        ("h:80", "h", false),
        ("[::1]", "[::1]:80", true),
        ("::1", "[::1]:80", true),
        ("::1", "[::1]", true),
        ("::", "::1", false),
    ] {
        let signature = told_and_signed(request(signed_host)).signature;
        let mut other = request(told_host);
        other["signature"] = signature.into();
        let verified = told(other)
            .unwrap()
            .verify(&secret(SECRET), at(NOW), QUARTER);
        assert_eq!(verified.is_ok(), right, "{signed_host} {told_host}");
    }
}

#[test]
fn what_keystone_is_told_of_no_version_is_malformed() {
    let request = |params: serde_json::Value| {
        told(json!({
            "access": "AK", "signature": "x", "host": "h", "verb": "GET", "path": "/",
            "params": params
        }))
    };
    let wrong = |params| request(params).unwrap_err();
    assert_eq!(wrong(json!({})), Malformed::NoVersion);
    assert_eq!(
        wrong(json!({"SignatureVersion": "3"})),
        Malformed::Version("3".to_owned())
    );
    assert_eq!(
        wrong(json!({"SignatureVersion": 4})),
        Malformed::Version("4".to_owned())
    );
    assert_eq!(
        wrong(json!({"SignatureVersion": "0"})),
        Malformed::Missing("Action")
    );
    let no_time = json!({"SignatureVersion": "0", "Action": "x"});
    assert_eq!(wrong(no_time), Malformed::Missing("Timestamp"));
    let no_date = json!({"SignatureVersion": "2", "Timestamp": "yesterday"});
    assert_eq!(wrong(no_date), Malformed::Timestamp("yesterday".to_owned()));
    assert_eq!(
        request(json!({"SignatureVersion": 1})).unwrap().version(),
        Version::V1
    );
    let twice = r#"{"access": "AK", "signature": "x", "params": {"a": "1", "a": "2"}}"#;
    let twice: Ec2Credentials = serde_json::from_str(twice).unwrap();
    assert_eq!(
        twice.signed().unwrap_err(),
        Malformed::Twice("a".to_owned())
    );
    for wrong in [
        json!({"params": []}),
        json!({"params": {"a": [1]}}),
        json!({"access": 1}),
    ] {
        assert!(serde_json::from_value::<Ec2Credentials>(wrong).is_err());
    }
}

fn s3(token: &str, signature: &str) -> Result<SignedRequest, Malformed> {
    let credentials: S3Credentials = serde_json::from_value(json!({
        "access": "AK", "token": token, "signature": signature, "secret": "ignored"
    }))
    .unwrap();
    credentials.signed()
}

#[test]
fn s3tokens_are_read_in_both_alphabets() {
    let texts = [
        (
            "GET\n\n\nSun, 22 Nov 2026 12:00:00 GMT\n/bücket/???>>>".to_owned(),
            Version::S3,
        ),
        (
            format!("AWS4-HMAC-SHA256\n{NOW}\n20261122/r/s3/aws4_request\n{EMPTY}"),
            Version::V4,
        ),
    ];
    for (text, version) in texts {
        let unsigned = s3(&STANDARD.encode(&text), "x").unwrap();
        assert_eq!(unsigned.version(), version);
        let signature = signature(&unsigned);
        for token in [
            STANDARD.encode(&text),
            URL_SAFE.encode(&text),
            URL_SAFE_NO_PAD.encode(&text),
        ] {
            let signed = s3(&token, &signature).unwrap();
            // Whoever asks has looked at the date.
            let verified = signed
                .verify(&secret(SECRET), at("20300101T000000Z"), QUARTER)
                .unwrap();
            assert_eq!(verified.payload(), Payload::Stated);
            let other = signed.verify(&secret("x"), at(NOW), QUARTER);
            assert_eq!(other.unwrap_err(), Mismatch::Signature);
        }
    }
}

#[test]
fn a_string_to_sign_of_version_4_has_four_lines_and_a_service_that_is_known() {
    let refused = |text: &str| {
        let token = STANDARD.encode(text);
        s3(&token, "x").unwrap_err()
    };
    let scoped = |scope: &str| format!("AWS4-HMAC-SHA256\n{NOW}\n{scope}\n{EMPTY}");
    for text in [
        "AWS4",
        "AWS4-HMAC-SHA256\n1\n2",
        &(scoped("20261122/r/s3/aws4_request") + "\n"),
    ] {
        assert_eq!(refused(text), Malformed::StringToSign);
    }
    assert_eq!(refused(&scoped("20261122/r/s3/aws4")), Malformed::Scope);
    assert_eq!(
        refused(&scoped("20261122/r/s3/x/aws4_request")),
        Malformed::Scope
    );
    let service = Malformed::Service("ec2".to_owned());
    assert_eq!(refused(&scoped("20261122/r/ec2/aws4_request")), service);
    assert_eq!(s3("%%%", "x").unwrap_err(), Malformed::StringToSign);
    assert_eq!(s3("QQ==", "").unwrap_err(), Malformed::NotSupplied);
    assert!(matches!(
        serde_json::from_value::<S3Credentials>(json!({"access": "a", "signature": "b"}))
            .unwrap()
            .signed(),
        Err(Malformed::Missing("token"))
    ));
}
