//! HTTP requests: what is refused, and what makes no difference.

use super::*;
use crate::secret::ExposeSecret as _;

const NOW: &str = "20261122T120000Z";
const SCOPE: &str = "20261122/eu-central-1/sts/aws4_request";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A POST signed in its header, with these lines beside `Host` and the date.
fn header_signed(list: &str, lines: &str, body: &str) -> String {
    completed(&format!(
        "POST / HTTP/1.1\nHost: sts.local:8443\nX-Amz-Date: {NOW}\n{lines}\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{SCOPE}, SignedHeaders={list}, \
         Signature={BLANK}\n\n{body}"
    ))
}

/// A GET signed in its query, with these parameters beside.
fn query_signed(path: &str, expires: &str, more: &str) -> String {
    let credential = format!("AKIDEXAMPLE%2F{}", SCOPE.replace('/', "%2F"));
    completed(&format!(
        "GET {path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}\
         &X-Amz-Date={NOW}&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host{more}\
         &X-Amz-Signature={BLANK} HTTP/1.1\nHost: sts.local\n\n"
    ))
}

fn verified(text: &str) -> Result<Verified, Mismatch> {
    let signed = sent(text).unwrap().unwrap();
    signed.verify(&secret(SECRET), at(NOW), QUARTER)
}

fn refused(text: &str) -> Malformed {
    sent(text).unwrap_err()
}

#[test]
fn the_order_and_the_case_of_headers_and_the_order_of_parameters_do_not_matter() {
    let text = header_signed("host;x-amz-date;x-one", "X-One: a  b \n", "Action=x");
    verified(&text).unwrap();
    let other = text
        .replace("Host: sts.local:8443\n", "")
        .replace("X-One: a  b \n", "x-ONE:   a b\nhOST:sts.local:8443\n");
    assert_ne!(text, other);
    verified(&other).unwrap();
    let text = query_signed("/", "60", "&Action=GetCallerIdentity&Version=2011-06-15");
    verified(&text).unwrap();
    let turned = "&Version=2011-06-15&Action=GetCallerIdentity";
    verified(&text.replace("&Action=GetCallerIdentity&Version=2011-06-15", turned)).unwrap();
}

#[test]
fn headers_of_one_name_are_signed_in_their_order() {
    let text = header_signed("host;x-amz-date;x-one", "X-One: a\nX-One: b\n", "");
    verified(&text).unwrap();
    verified(&text.replace("X-One: a\nX-One: b\n", "X-One: a,b\n")).unwrap();
    for other in [
        "X-One: b\nX-One: a\n",
        "X-One: a\n",
        "X-One: a\nX-One: b\nX-One: b\n",
    ] {
        let text = text.replace("X-One: a\nX-One: b\n", other);
        assert_eq!(verified(&text).unwrap_err(), Mismatch::Signature);
    }
}

#[test]
fn parameters_of_one_name_are_signed_all() {
    let text = query_signed("/", "60", "&a=2&a=1&b");
    verified(&text).unwrap();
    verified(&text.replace("&b", "&b=")).unwrap();
    for other in ["&a=2&b", "&a=2&a=1&a=1&b", "&a=2&a=1"] {
        let text = text.replace("&a=2&a=1&b", other);
        assert_eq!(verified(&text).unwrap_err(), Mismatch::Signature);
    }
}

#[test]
fn a_plus_is_a_space() {
    let text = query_signed("/", "60", "&Name=a%20b%2Bc&Eq%3D=%2f%7e");
    verified(&text).unwrap();
    verified(&text.replace("a%20b%2Bc", "a+b%2bc")).unwrap();
    verified(&text.replace("%2f%7e", "/~")).unwrap();
    let plus = text.replace("a%20b%2Bc", "a%20b+c");
    assert_eq!(verified(&plus).unwrap_err(), Mismatch::Signature);
}

#[test]
fn a_path_is_encoded_again_but_for_s3() {
    let text = query_signed("/a%20b/c", "60", "");
    let twice = text.replace("/a%20b/c", "/a%2520b/c");
    verified(&text).unwrap();
    assert_eq!(verified(&twice).unwrap_err(), Mismatch::Signature);
    let canonical = sent(&text)
        .unwrap()
        .unwrap()
        .explain(None)
        .canonical_request;
    assert!(canonical.unwrap().contains("\n/a%2520b/c\n"));
    verified(&text.replace("/a%20b/c", "//a%20b/./x/../c")).unwrap();
    let s3 = text.replace("%2Fsts%2F", "%2Fs3%2F");
    let canonical = sent(&s3).unwrap().unwrap().explain(None).canonical_request;
    assert!(canonical.unwrap().contains("\n/a%20b/c\n"));
}

#[test]
fn the_host_must_be_signed_and_be_that_one() {
    let unsigned =
        header_signed("host;x-amz-date", "", "").replace("host;x-amz-date", "x-amz-date");
    assert_eq!(refused(&unsigned), Malformed::HostNotSigned);
    let text = header_signed("host;x-amz-date", "", "");
    for other in [
        "sts.local",
        "sts.local:8444",
        "STS.local:8443",
        "[::1]:8443",
    ] {
        let text = text.replace("sts.local:8443", other);
        assert_eq!(verified(&text).unwrap_err(), Mismatch::Signature);
    }
    for host in ["[::1]:8443", "[2001:db8::1]", "10.0.0.1:80"] {
        let unfinished = text.replace("sts.local:8443", host);
        let signature = unfinished
            .rsplit_once("Signature=")
            .unwrap()
            .1
            .trim()
            .to_owned();
        verified(&completed(&unfinished.replace(&signature, BLANK))).unwrap();
    }
}

#[test]
fn a_header_that_is_listed_is_there_once_in_the_list() {
    let text = header_signed("host;x-amz-date", "", "");
    let with = |list: &str| text.replace("host;x-amz-date", list);
    let missing = Malformed::HeaderMissing("x-gone".to_owned());
    assert_eq!(refused(&with("host;x-amz-date;x-gone")), missing);
    let twice = Malformed::Twice("host".to_owned());
    assert_eq!(refused(&with("host;Host;x-amz-date")), twice);
    let empty = Malformed::HeaderMissing(String::new());
    assert_eq!(refused(&with("host;;x-amz-date")), empty);
    // The order of the list is signed.
    assert_eq!(
        verified(&with("x-amz-date;host")).unwrap_err(),
        Mismatch::Signature
    );
}

#[test]
fn more_headers_than_anybody_signs_are_refused() {
    let names: Vec<String> = (0..101).map(|number| format!("x-{number}")).collect();
    let lines: Vec<String> = names.iter().map(|name| format!("{name}: 1\n")).collect();
    let text = header_signed("host", "", "");
    let list = format!("SignedHeaders={},", names.join(";"));
    let text = text.replace("SignedHeaders=host,", &list);
    let text = text.replace("Host:", &(lines.concat() + "Host:"));
    assert_eq!(refused(&text), Malformed::TooManyHeaders);
}

#[test]
fn an_authorization_is_read_as_a_whole() {
    let text = header_signed("host;x-amz-date", "", "");
    let signature = sent(&text).unwrap().unwrap().signature;
    let with = |other: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with("Authorization"))
            .unwrap();
        text.replace(line, &format!("Authorization: {other}"))
    };
    let credential = format!("Credential=AKIDEXAMPLE/{SCOPE}");
    let list = "SignedHeaders=host;x-amz-date";
    let signed = format!("Signature={signature}");
    let whole = format!("AWS4-HMAC-SHA256\t{credential},{list} , {signed},");
    verified(&with(&whole)).unwrap();
    let cases = [
        (
            format!("AWS4-HMAC-SHA256 {list}, {signed}"),
            Malformed::Missing("Credential"),
        ),
        (
            format!("AWS4-HMAC-SHA256 {credential}, {signed}"),
            Malformed::Missing("SignedHeaders"),
        ),
        (
            format!("AWS4-HMAC-SHA256 {credential}, {list}"),
            Malformed::Missing("Signature"),
        ),
        (
            format!("AWS4-HMAC-SHA256 {credential}, {list}, {signed}, {signed}"),
            Malformed::Twice("Signature".to_owned()),
        ),
        (
            format!("AWS4-HMAC-SHA256 {credential}, {list}, {signed}, x=y"),
            Malformed::Authorization,
        ),
        (
            format!("AWS4-HMAC-SHA256 {credential} {list} {signed}"),
            Malformed::Missing("SignedHeaders"),
        ),
        ("AWS4-HMAC-SHA256".to_owned(), Malformed::Authorization),
        (
            format!("AWS4-ECDSA-P256-SHA256 {credential}, {list}, {signed}"),
            Malformed::Version("AWS4-ECDSA-P256-SHA256".to_owned()),
        ),
        (
            "AWS AKIDEXAMPLE:c2ln".to_owned(),
            Malformed::Version("AWS".to_owned()),
        ),
    ];
    for (header, wrong) in cases {
        assert_eq!(refused(&with(&header)), wrong, "{header}");
    }
    for (header, other) in [("Authorization: Bearer x\n", "Host: h"), ("", "Host: h")] {
        let text = format!("POST / HTTP/1.1\n{header}{other}\n\nAction=AssumeRoleWithWebIdentity");
        assert!(sent(&text).unwrap().is_none());
    }
    let twice = text.replace("Host:", "Authorization: Basic eDp5\nHost:");
    assert_eq!(
        refused(&twice),
        Malformed::Twice("Authorization".to_owned())
    );
    let both = text.replace("POST / ", "POST /?X-Amz-Signature=1 ");
    assert_eq!(refused(&both), Malformed::SignedTwice);
}

#[test]
fn a_scope_is_whole_and_of_the_requests_day() {
    let text = header_signed("host;x-amz-date", "", "");
    let with = |scope: &str| text.replace(SCOPE, scope);
    for scope in [
        "20261122/eu-central-1/sts",
        "20261122/eu-central-1/sts/aws4_reques",
        "20261122/eu-central-1/sts/aws4_request/",
        "2026112/eu-central-1/sts/aws4_request",
        "2026112x/eu-central-1/sts/aws4_request",
        "20261122/eu-central-1//aws4_request",
        "",
    ] {
        assert_eq!(refused(&with(scope)), Malformed::Scope, "{scope}");
    }
    let no_key = text.replace("Credential=AKIDEXAMPLE/", "Credential=/");
    assert_eq!(refused(&no_key), Malformed::Scope);
    let other_day = Malformed::OtherDay {
        scope: "20261121".to_owned(),
        date: NOW.to_owned(),
    };
    assert_eq!(
        refused(&with("20261121/eu-central-1/sts/aws4_request")),
        other_day
    );
    for scope in [
        "20261122/eu-central-2/sts/aws4_request",
        "20261122/eu-central-1/iam/aws4_request",
    ] {
        assert_eq!(verified(&with(scope)).unwrap_err(), Mismatch::Signature);
    }
    // A key's id may have slashes: the scope is counted from its end.
    let text = completed(
        &text
            .replace("AKIDEXAMPLE", "a/key")
            .replace(&sent(&text).unwrap().unwrap().signature, BLANK),
    );
    assert_eq!(sent(&text).unwrap().unwrap().access_key_id(), "a/key");
    verified(&text).unwrap();
}

#[test]
fn a_signature_counts_for_its_age_before_and_after() {
    let text = header_signed("host;x-amz-date", "", "");
    let signed = sent(&text).unwrap().unwrap();
    let counts = |now: &str, age| signed.verify(&secret(SECRET), at(now), age);
    counts("20261122T121500Z", QUARTER).unwrap();
    counts("20261122T114500Z", QUARTER).unwrap();
    let signed_at = at(NOW);
    let late = counts("20261122T121501Z", QUARTER).unwrap_err();
    let until = at("20261122T121500Z");
    assert_eq!(late, Mismatch::Expired { signed_at, until });
    let early = counts("20261122T114459Z", QUARTER).unwrap_err();
    let from = at("20261122T114500Z");
    assert_eq!(early, Mismatch::NotYet { signed_at, from });
    for now in ["20000101T000000Z", "20991231T000000Z"] {
        counts(now, Age::of(Duration::ZERO)).unwrap();
    }
    // Whoever does not have the secret is not told of time.
    let other = signed.verify(&secret("x"), at("20991231T000000Z"), QUARTER);
    assert_eq!(other.unwrap_err(), Mismatch::Signature);
}

#[test]
fn a_link_counts_as_long_as_it_says() {
    let signed = sent(&query_signed("/", "60", "")).unwrap().unwrap();
    let counts = |now: &str| signed.verify(&secret(SECRET), at(now), QUARTER);
    counts("20261122T120100Z").unwrap();
    assert!(matches!(
        counts("20261122T120101Z"),
        Err(Mismatch::Expired { .. })
    ));
    assert!(matches!(
        counts("20261122T114459Z"),
        Err(Mismatch::NotYet { .. })
    ));
    verified(&query_signed("/", "604800", "")).unwrap();
    let text = query_signed("/", "60", "");
    for wrong in [
        "0",
        "604801",
        "-1",
        "%2B60",
        "6e1",
        "",
        "99999999999999999999",
    ] {
        let text = text.replace("X-Amz-Expires=60", &format!("X-Amz-Expires={wrong}"));
        assert_eq!(refused(&text), Malformed::Expires, "{wrong}");
    }
    let without = text.replace("&X-Amz-Expires=60", "");
    assert_eq!(refused(&without), Malformed::Missing("X-Amz-Expires"));
    let longer = text.replace("X-Amz-Expires=60", "X-Amz-Expires=61");
    assert_eq!(verified(&longer).unwrap_err(), Mismatch::Signature);
    let twice = text.replace("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=61");
    assert_eq!(
        refused(&twice),
        Malformed::Twice("X-Amz-Expires".to_owned())
    );
}

#[test]
fn dates_are_read_strictly_in_version_4() {
    let text = header_signed("host;x-amz-date", "", "");
    for date in [
        "2026-11-22T12:00:00Z",
        "20261122T1200Z",
        "20261122T120000",
        "20261122T120000+",
        "20261122T250000Z",
        "20261122",
        "+0261122T120000Z",
    ] {
        let wrong = refused(&text.replace(NOW, date));
        assert_eq!(wrong, Malformed::Timestamp(date.to_owned()));
    }
    let without = text.replace("X-Amz-Date: 20261122T120000Z\n", "");
    assert_eq!(refused(&without), Malformed::Missing("X-Amz-Date"));
    let dated = without.replace("Host:", "Date: Sun, 22 Nov 2026 12:00:00 GMT\nHost:");
    let dated = dated.replace("host;x-amz-date", "date;host");
    let signature = sent(&dated).unwrap().unwrap().signature;
    verified(&completed(&dated.replace(&signature, BLANK))).unwrap();
    let undated = dated.replace("Sun, 22 Nov 2026", "Sun, 32 Nov 2026");
    assert!(matches!(refused(&undated), Malformed::Timestamp(_)));
}

#[test]
fn the_body_is_the_one_that_was_signed() {
    let text = header_signed("host;x-amz-date", "", "Action=GetCallerIdentity");
    assert_eq!(verified(&text).unwrap().payload(), Payload::Signed);
    assert_eq!(
        verified(&text.replace("Action=", "action=")).unwrap_err(),
        Mismatch::Signature
    );
    let list = "host;x-amz-content-sha256;x-amz-date";
    let hash = mac::hash(b"Action=GetCallerIdentity");
    let line = format!("X-Amz-Content-Sha256: {hash}\n");
    let text = header_signed(list, &line, "Action=GetCallerIdentity");
    assert_eq!(verified(&text).unwrap().payload(), Payload::Signed);
    let other = text.replace("Action=", "action=");
    assert_eq!(verified(&other).unwrap_err(), Mismatch::Body);
    for (marker, payload) in [
        ("UNSIGNED-PAYLOAD", Payload::Unsigned),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Payload::Unsigned),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Payload::Streaming),
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Payload::Streaming,
        ),
    ] {
        let text = header_signed(list, &format!("X-Amz-Content-Sha256: {marker}\n"), "x");
        assert_eq!(verified(&text).unwrap().payload(), payload);
        verified(&(text.clone() + "y")).unwrap();
        let other = text.replace(marker, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD");
        assert_eq!(refused(&other), Malformed::BodyHash);
    }
    for wrong in [&hash.repeat(2), &EMPTY.to_uppercase(), ""] {
        let text = text.replace(&hash, wrong);
        assert_eq!(refused(&text), Malformed::BodyHash);
    }
}

#[test]
fn the_session_token_is_known_before_the_key() {
    let token = |text: &str| {
        let signed = sent(text).unwrap().unwrap();
        signed
            .session_token()
            .map(|token| token.expose_secret().to_owned())
    };
    let lines = "X-Amz-Security-Token: a  token/+=\n";
    let text = header_signed("host;x-amz-date;x-amz-security-token", lines, "");
    assert_eq!(token(&text).unwrap(), "a  token/+=");
    verified(&text).unwrap();
    let explained = sent(&text).unwrap().unwrap().explain(None);
    let canonical = explained.canonical_request.unwrap();
    assert!(
        canonical.contains("x-amz-security-token:(session token)\n"),
        "{canonical}"
    );
    let text = query_signed("/", "60", "&X-Amz-Security-Token=a%2Ftoken%3D");
    assert_eq!(token(&text).unwrap(), "a/token=");
    verified(&text).unwrap();
    let canonical = sent(&text)
        .unwrap()
        .unwrap()
        .explain(None)
        .canonical_request;
    let canonical = canonical.unwrap();
    assert!(
        canonical.contains("X-Amz-Security-Token=(session token)&"),
        "{canonical}"
    );
    let version_2 = "GET /?AWSAccessKeyId=AK&SignatureVersion=2&SignatureMethod=HmacSHA256\
        &SecurityToken=tok&Signature=x HTTP/1.1\nHost: h\n\n";
    assert_eq!(token(version_2).unwrap(), "tok");
    assert_eq!(token(&header_signed("host;x-amz-date", "", "")), None);
}

#[test]
fn version_2_is_read_in_the_query_and_in_a_form() {
    let params = "Action=GetCallerIdentity&AWSAccessKeyId=AKIDEXAMPLE&SignatureMethod=HmacSHA256\
        &SignatureVersion=2&Timestamp=2026-11-22T12%3A00%3A00Z&Note=a+b*";
    let form = format!(
        "POST /path/ HTTP/1.1\nHost: STS.local\n\
         Content-Type: application/x-www-form-urlencoded; charset=utf-8\n\n{params}&Signature={BLANK}"
    );
    let form = completed(&form);
    let signed = verified(&form).unwrap();
    assert_eq!(
        (signed.version(), signed.payload()),
        (Version::V2, Payload::Signed)
    );
    assert_eq!(
        verified(&form.replace("a+b", "a+c")).unwrap_err(),
        Mismatch::Signature
    );
    verified(&form.replace("STS.local", "sts.LOCAL:8443")).unwrap();
    let signature = form.rsplit_once("&Signature=").unwrap().1;
    let get = format!("GET /path/?{params}&Signature={BLANK} HTTP/1.1\nHost: sts.local\n\n");
    verified(&completed(&get)).unwrap();
    assert_eq!(
        verified(&get.replace(BLANK, signature)).unwrap_err(),
        Mismatch::Signature
    );
    let sha1 = completed(&get.replace("HmacSHA256", "HmacSHA1"));
    verified(&sha1).unwrap();
    let unsigned = get.replace("GET", "POST") + "body";
    assert_eq!(
        verified(&completed(&unsigned)).unwrap().payload(),
        Payload::Unsigned
    );
    for (from, to, wrong) in [
        (
            "SignatureVersion=2",
            "SignatureVersion=3",
            Malformed::Version("3".to_owned()),
        ),
        (
            "SignatureVersion=2",
            "SignatureVersion=1",
            Malformed::Version("1".to_owned()),
        ),
        ("SignatureVersion=2", "x=2", Malformed::NoVersion),
        (
            "HmacSHA256",
            "HmacMD5",
            Malformed::Version("HmacMD5".to_owned()),
        ),
        (
            "SignatureMethod",
            "Method",
            Malformed::Missing("SignatureMethod"),
        ),
        ("AWSAccessKeyId", "AccessKeyId", Malformed::NotSupplied),
        ("&Signature=", "&Sign=", Malformed::NotSupplied),
        (
            "2026-11-22T",
            "2026-22-11T",
            Malformed::Timestamp("2026-22-11T12:00:00Z".to_owned()),
        ),
        (
            "Action=",
            "Timestamp=1&Action=",
            Malformed::Twice("Timestamp".to_owned()),
        ),
        ("Host: STS.local\n", "", Malformed::Missing("Host")),
    ] {
        assert_eq!(refused(&form.replace(from, to)), wrong, "{from} {to}");
    }
    let undated = completed(&get.replace("Timestamp", "Stamp"));
    assert_eq!(verified(&undated).unwrap_err(), Mismatch::NoTimestamp);
}

#[test]
fn a_signature_is_accepted_once_where_that_is_asked() {
    let once = verified(&header_signed("host;x-amz-date", "", "a")).unwrap();
    let other = verified(&header_signed("host;x-amz-date", "", "b")).unwrap();
    let mut replays = Replays::new(10);
    let now = at(NOW);
    replays.first(&once, now).unwrap();
    assert_eq!(replays.first(&once, now), Err(Replayed));
    replays.first(&other, now).unwrap();
    assert_eq!(replays.first(&once, at("20261122T121500Z")), Err(Replayed));
    assert_eq!(replays.len(), 2);
    // Whose time is over cannot be verified again.
    replays.first(&other, at("20261122T121501Z")).unwrap();
    assert_eq!(replays.len(), 1);
    let mut few = Replays::new(1);
    few.first(&once, now).unwrap();
    few.first(&other, now).unwrap();
    assert_eq!(few.len(), 1);
    Replays::new(0).first(&once, now).unwrap();
    let text = header_signed("host;x-amz-date", "", "a");
    let undated = sent(&text).unwrap().unwrap();
    let undated = undated.verify(&secret(SECRET), now, Age::Any).unwrap();
    replays.first(&undated, now).unwrap();
    replays.first(&undated, now).unwrap();
}
