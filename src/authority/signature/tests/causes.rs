//! What is said of a signature that is wrong.

use super::super::canonical::{PathSpelling, QuerySpelling, Spaces, Spelling};
use super::*;

/// How a signer spells otherwise.
type Change = fn(&mut Spelling);

const NOW: &str = "20261122T120000Z";

/// A request that is signed as the second one reads, and sent as the first.
fn sent_but_signed(as_sent: &str, as_signed: &str) -> SignedRequest {
    let signed = sent(as_signed).unwrap().unwrap();
    let signature = signature(&signed);
    sent(&as_sent.replace(BLANK, &signature)).unwrap().unwrap()
}

fn request(target: &str, host: &str, note: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\nHost: {host}\nX-Amz-Date: {NOW}\nX-Note: {note}\nAuthorization: \
         AWS4-HMAC-SHA256 Credential=AK/20261122/r/sts/aws4_request, \
         SignedHeaders=host;x-amz-date;x-note, Signature={BLANK}\n\n{body}"
    )
}

#[test]
fn a_request_that_was_changed_on_its_way_is_told() {
    let sent = request("/a%20b?q=1+2", "h:80", "n", "body");
    let cases = [
        (request("/a%20b?q=1+2", "h:80", "n", "body"), Cause::None),
        (
            request("/a%20b?q=1+2", "h", "n", "body"),
            Cause::HostWithoutPort,
        ),
        (
            request("/a%20b?q=1%2B2", "h:80", "n", "body"),
            Cause::PlusSigns,
        ),
        (
            request("/a b?q=1+2", "h:80", "n", "body"),
            Cause::PathNotEncoded,
        ),
        (request("/a%20b", "h:80", "n", "body"), Cause::QueryLeftOut),
        (request("/a%20b?q=1+2", "h:80", "n", ""), Cause::EmptyBody),
    ];
    for (signed, cause) in cases {
        let signed = sent_but_signed(&sent, &signed);
        assert_eq!(signed.cause(&secret(SECRET)), Some(cause));
        assert_eq!(signed.cause(&secret("another")), None);
    }
    let changed = request("/a%20b?q=1+2", "h:80", "n", "other");
    let changed = sent_but_signed(&sent, &changed);
    assert_eq!(changed.cause(&secret(SECRET)), None);
}

#[test]
fn other_spellings_of_a_request_are_told() {
    let text = request("/a//b%20c?q=%7E&%C3%A9=1&z=2", "h", "a  b", "body");
    let signed_with = |change: Change| {
        let mut signed = sent(&text).unwrap().unwrap();
        let version_4 = query_of(&mut signed);
        version_4.spellings.iter_mut().for_each(change);
        let signature = signature(&signed);
        let signed = sent(&text.replace(BLANK, &signature)).unwrap().unwrap();
        signed.cause(&secret(SECRET))
    };
    let cases: [(Change, Cause); 4] = [
        (|s| s.path = PathSpelling::AsSent, Cause::PathNotEncoded),
        (|s| s.path = PathSpelling::Encoded, Cause::PathNotNormalised),
        (|s| s.query = QuerySpelling::AsSent, Cause::QueryNotEncoded),
        (|s| s.spaces = Spaces::Kept, Cause::SpacesKept),
    ];
    for (change, cause) in cases {
        assert_eq!(signed_with(change), Some(cause));
    }
}

#[test]
fn spaces_around_a_secret_are_told() {
    let text = request("/", "h", "n", "");
    let signed = sent_but_signed(&text, &text);
    let cause = signed.cause(&secret(&format!("{SECRET}\n")));
    assert_eq!(cause, Some(Cause::SpacesAroundSecret));
}

#[test]
fn a_method_that_was_not_used_is_told() {
    let get = format!(
        "GET /?AWSAccessKeyId=AK&SignatureMethod=HmacSHA256&SignatureVersion=2&Signature={BLANK} \
         HTTP/1.1\nHost: h\n\n"
    );
    let text = first(&sent(&get).unwrap().unwrap()).string_to_sign;
    let sha1 = Mac::plain(Digest::Sha1, SECRET.as_bytes());
    let signature = canonical::encoded(&sha1.signature(&text));
    let signed = sent(&get.replace(BLANK, &signature)).unwrap().unwrap();
    assert_eq!(signed.cause(&secret(SECRET)), Some(Cause::Sha1));
}
