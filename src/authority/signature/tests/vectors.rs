//! Signatures out of documents and out of other projects' tests.

use serde_json::json;

use super::*;

/// The example of Keystone's document, with the secret that it shows.
#[test]
fn keystones_document_shows_a_signature_that_is_right() {
    let signed = told(json!({
        "access": "8cff51dc66594df4a2ae121f796df36c",
        "host": "localhost",
        "params": {
            "Action": "Test",
            "SignatureMethod": "HmacSHA256",
            "SignatureVersion": "2",
            "Timestamp": "2007-01-31T23:59:59Z"
        },
        "path": "/",
        "secret": "df8daeaa981b40cea1217fead123bc64",
        "signature": "Fra2UBKKtqy3GQ0mj+JqzR8GTGsbWQW+yN5Nih9ThfI=",
        "verb": "GET"
    }))
    .unwrap();
    assert_eq!(signed.access_key_id(), "8cff51dc66594df4a2ae121f796df36c");
    let key = secret("df8daeaa981b40cea1217fead123bc64");
    let verified = signed
        .verify(&key, at("20260101T000000Z"), Age::Any)
        .unwrap();
    assert_eq!(verified.version(), Version::V2);
    assert_eq!(verified.signed_at(), Some(at("20070131T235959Z")));
    signed
        .verify(&key, at("20070201T000000Z"), QUARTER)
        .unwrap();
    let late = signed.verify(&key, at("20070201T001500Z"), QUARTER);
    assert!(matches!(late, Err(Mismatch::Expired { .. })));
    // The secret in the body is nobody's proof.
    let other = signed.verify(&secret("other"), at("20070201T000000Z"), QUARTER);
    assert_eq!(other.unwrap_err(), Mismatch::Signature);
}

/// The example of AWS's documentation of version 2, told and sent.
#[test]
fn aws_documents_version_2() {
    let signature = "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=";
    let key = secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let now = at("20111003T151930Z");
    let signed = told(json!({
        "access": "AKIAIOSFODNN7EXAMPLE",
        "host": "elasticmapreduce.amazonaws.com",
        "params": {
            "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "Action": "DescribeJobFlows",
            "SignatureMethod": "HmacSHA1",
            "SignatureVersion": "2",
            "Timestamp": "2011-10-03T15:19:30",
            "Version": "2009-03-31"
        },
        "path": "/",
        "signature": signature,
        "verb": "GET"
    }));
    signed.unwrap().verify(&key, now, QUARTER).unwrap();
    let query = "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Action=DescribeJobFlows&SignatureMethod=HmacSHA256\
                 &SignatureVersion=2&Timestamp=2011-10-03T15%3A19%3A30&Version=2009-03-31";
    let escaped = signature
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    let get = format!(
        "GET /?{query}&Signature={escaped} HTTP/1.1\nHost: ElasticMapReduce.amazonaws.com:443\n\n"
    );
    let get = sent(&get).unwrap().unwrap();
    assert_eq!(get.version(), Version::V2);
    let verified = get.verify(&key, now, QUARTER).unwrap();
    assert_eq!(verified.payload(), Payload::Signed);
}

const ACCESS: &str = "966afbde20b84200ae4e62e09acf46b2";
const KEY: &str = "89cdf9e94e2643cab35b8b8ac5a51f83";

/// python-keystoneclient's `test_ec2utils.py`, versions 0 to 2.
#[test]
fn keystoneclients_signatures_of_older_versions_are_right() {
    let cases = [
        (
            Version::V0,
            json!({"SignatureVersion": "0", "AWSAccessKeyId": ACCESS,
                   "Timestamp": "2012-11-27T11:47:02Z", "Action": "Foo"}),
            "SmXQEZAUdQw5glv5mX8mmixBtas=",
        ),
        (
            Version::V1,
            json!({"SignatureVersion": "1", "AWSAccessKeyId": ACCESS}),
            "VRnoQH/EhVTTLhwRLfuL7jmFW9c=",
        ),
        (
            Version::V2,
            json!({"SignatureVersion": "2", "AWSAccessKeyId": ACCESS}),
            "odsGmT811GffUO0Eu13Pq+xTzKNIjJ6NhgZU74tYX/w=",
        ),
    ];
    let now = at("20121127T114702Z");
    for (version, params, signature) in cases {
        let signed = told(json!({
            "access": ACCESS, "host": "127.0.0.1", "verb": "GET", "path": "/v1/",
            "params": params, "signature": signature
        }));
        let signed = signed.unwrap();
        assert_eq!(signed.version(), version);
        signed.verify(&secret(KEY), now, Age::Any).unwrap();
        let dated = signed.verify(&secret(KEY), now, QUARTER);
        if version == Version::V0 {
            dated.unwrap();
        } else {
            assert_eq!(dated.unwrap_err(), Mismatch::NoTimestamp);
        }
    }
}

/// The same file's version 4, with the headers it has in its tests of ports.
#[test]
fn keystoneclients_signatures_of_version_4_are_right() {
    const AS_SENT: &str = "26dd92ea79aaa49f533d13b1055acdcd7d7321460d64621f96cc79c4f4d4ab2b";
    const STRIPPED: &str = "9a4b2276a5039ada3b90f72ea8ec174514b92b909fb106b22ad910c5d75a54f4";
    const IAM: &str = "ced6826de92d2bdeed8f846f0bf508e8559e98e4b0199114b84c54174deb456c";
    let cases = [
        ("iam.amazonaws.com", None, IAM, true),
        ("foo:8000", None, AS_SENT, true),
        ("foo:8000", Some("Boto/2.9.2 (linux2)"), STRIPPED, true),
        ("foo:8000", Some("Boto/2.9.2 (linux2)"), AS_SENT, false),
        ("foo:8000", Some("Boto/2.9.3 (linux2)"), AS_SENT, true),
        ("foo:8000", Some("Boto/2.922 (linux2)"), AS_SENT, true),
        // Without the port at the second try, as older clients sign.
        ("foo:8000", None, STRIPPED, true),
    ];
    for (host, agent, signature, right) in cases {
        let mut headers = json!({
            "Content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "X-Amz-Date": "20110909T233600Z",
            "Host": host,
            "Authorization": "AWS4-HMAC-SHA256 \
                Credential=AKIAIOSFODNN7EXAMPLE/20110909/us-east-1/iam/aws4_request,\
                SignedHeaders=content-type;host;x-amz-date,"
        });
        if let Some(agent) = agent {
            headers["User-Agent"] = agent.into();
        }
        let signed = told(json!({
            "access": "AKIAIOSFODNN7EXAMPLE", "host": host, "verb": "POST", "path": "/",
            "params": {"Action": "CreateUser", "X-Amz-Date": "20140611T231318Z",
                       "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Signature": signature},
            "headers": headers, "signature": signature,
            "body_hash": "b6359072c78d70ebee1e81adcbab4f01bf2c23245fa365ef83fe8f1f955085e2"
        }));
        let verified = signed
            .unwrap()
            .verify(&secret(SECRET), at("20110909T234000Z"), QUARTER);
        assert_eq!(verified.is_ok(), right, "{host} {agent:?}");
        if let Ok(verified) = verified {
            assert_eq!(verified.payload(), Payload::Stated);
            assert_eq!(verified.scope().unwrap().service, "iam");
        }
    }
}

/// The GET of a part of an object in Amazon's documentation of version 4 for S3.
#[test]
fn amazon_s3_documents_version_4() {
    let text = "GET /test.txt HTTP/1.1\n\
        Host: examplebucket.s3.amazonaws.com\n\
        Range: bytes=0-9\n\
        x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
        x-amz-date: 20130524T000000Z\n\
        Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
        SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
        Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\n\n";
    let key = secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let signed = sent(text).unwrap().unwrap();
    signed
        .verify(&key, at("20130524T000000Z"), QUARTER)
        .unwrap();
    let link = "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=\
        AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
        &X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
        aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\n\
        Host: examplebucket.s3.amazonaws.com\n\n";
    let presigned = sent(link).unwrap().unwrap();
    let verified = presigned
        .verify(&key, at("20130525T000000Z"), QUARTER)
        .unwrap();
    assert_eq!(verified.payload(), Payload::Unsigned);
    let late = presigned.verify(&key, at("20130525T000001Z"), QUARTER);
    assert!(matches!(late, Err(Mismatch::Expired { .. })));
}
