//! `rolecall verify`, by the real binary.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::process::rolecall;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The GET of Amazon's documentation of version 4 for S3.
const GET: &str = "GET /test.txt HTTP/1.1\r\n\
    Host: examplebucket.s3.amazonaws.com\r\n\
    Range: bytes=0-9\r\n\
    x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n\
    x-amz-date: 20130524T000000Z\r\n\
    Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
    SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
    Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\r\n\r\n";

/// The link of the same documentation.
const LINK: &str = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
    &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
    aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404\n";

/// The example of Keystone's document.
const EC2: &str = r#"{"credentials": {
    "access": "8cff51dc66594df4a2ae121f796df36c", "host": "localhost", "path": "/", "verb": "GET",
    "params": {"Action": "Test", "SignatureMethod": "HmacSHA256", "SignatureVersion": "2",
               "Timestamp": "2007-01-31T23:59:59Z"},
    "secret": "df8daeaa981b40cea1217fead123bc64",
    "signature": "Fra2UBKKtqy3GQ0mj+JqzR8GTGsbWQW+yN5Nih9ThfI="}}"#;

/// Asks about a request, with a secret in a file.
fn verify(request: &str, secret: &str, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, format!("{secret}\n")).unwrap();
    let output = piped(request, &file, arguments);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(secret), "{text}");
    (output.status.code().unwrap(), text)
}

fn piped(request: &str, secret_file: &Path, arguments: &[&str]) -> Output {
    let mut child = rolecall(&["verify", "--secret-file", secret_file.to_str().unwrap()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that knows enough has closed its end.
    drop(child.stdin.take().unwrap().write_all(request.as_bytes()));
    child.wait_with_output().unwrap()
}

#[test]
fn a_right_signature_is_told_with_what_was_signed() {
    let at = ["--at", "2013-05-24T00:10:00Z"];
    let (code, text) = verify(GET, SECRET, &at);
    assert_eq!(code, 0, "{text}");
    for line in [
        "  access key id  AKIAIOSFODNN7EXAMPLE\n",
        "  signed by      AWS signature version 4, for s3 in us-east-1\n",
        "  signed at      2013-05-24T00:00:00Z, 10m 0s ago\n",
        "  session token  none\n",
        "  body           is the one that was signed\n",
        "  signature      right\n",
        "canonical request:\nGET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\n",
        "string to sign:\nAWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
         7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let (code, text) = verify(LINK, SECRET, &["--at", "2013-05-24T23:00:00Z"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = verify(EC2, "df8daeaa981b40cea1217fead123bc64", &["--age", "0s"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("signed by      signature version 2\n"),
        "{text}"
    );
    let auth = EC2.replace("\"credentials\"", "\"auth\": {\"OS-KSEC2:ec2Credentials\"") + "}";
    let (code, text) = verify(&auth, "df8daeaa981b40cea1217fead123bc64", &["--age", "0s"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn what_is_wrong_is_told_with_what_is_likely() {
    let told = |request: &str, secret: &str, arguments: &[&str]| {
        let (code, text) = verify(request, secret, &[&["--json"], arguments].concat());
        assert_eq!(code, 1, "{text}");
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["right"], false);
        let part = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        (part("wrong"), part("likely"))
    };
    let at = ["--at", "2013-05-24T00:00:00Z"];
    let (wrong, likely) = told(GET, "not-the-secret", &at);
    assert_eq!(wrong, "the signature is not this secret's");
    assert!(likely.starts_with("another secret; or"), "{likely}");
    let (_, likely) = told(GET, &format!(" {SECRET}"), &at);
    assert_eq!(likely, "the secret, but without the spaces around it");
    let (wrong, likely) = told(GET, SECRET, &["--at", "2013-05-24T00:15:01Z"]);
    assert_eq!(wrong, "it counted until 2013-05-24T00:15:00Z only");
    assert_eq!(likely, "");
    let (wrong, _) = told(GET, SECRET, &["--at", "2013-05-23T00:00:00Z"]);
    assert!(wrong.ends_with("one of the clocks is wrong"), "{wrong}");
    let (wrong, _) = told(&(GET.to_owned() + "body"), SECRET, &at);
    assert_eq!(wrong, "the body is not the one whose hash was signed");
    let with_port = GET.replace("amazonaws.com\r\n", "amazonaws.com:443\r\n");
    let (_, likely) = told(&with_port, SECRET, &at);
    assert_eq!(likely, "the client signed the host without its port");
}

#[test]
fn a_line_end_after_the_body_is_an_editors() {
    for end in ["", "\n", "\r\n"] {
        let (code, text) = verify(
            &format!("{GET}{end}"),
            SECRET,
            &["--at", "2013-05-24T00:00:00Z"],
        );
        assert_eq!(code, 0, "{text}");
    }
}

#[test]
fn a_session_token_is_not_shown() {
    let request = GET
        .replace("Range: bytes=0-9", "X-Amz-Security-Token: canary-token")
        .replace("range;", "x-amz-security-token;");
    let (_, text) = verify(&request, SECRET, &["--json"]);
    assert!(
        text.contains("x-amz-security-token:(session token)"),
        "{text}"
    );
    assert!(!text.contains("canary-token"), "{text}");
}

#[test]
fn what_is_no_signed_request_is_told_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, SECRET).unwrap();
    for (request, code, text) in [
        (
            "GET / HTTP/1.1\nHost: h\n\n",
            1,
            "the request is not signed",
        ),
        ("hello", 64, "this is no request"),
        ("GET /\nno header\n\n", 64, "line 2 is no header"),
        (
            "{\"credentials\": 1}",
            64,
            "this is nothing that Keystone is asked",
        ),
        (
            "{\"credentials\": {}}",
            1,
            "there is no access key id or no signature",
        ),
        (
            &GET.replace("host;", ""),
            1,
            "host is not among the signed headers",
        ),
    ] {
        let output = piped(request, &file, &[]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(text), "{told}");
    }
    let output = piped("", Path::new("-"), &[]);
    assert_eq!(output.status.code(), Some(64));
    let output = piped("", &folder.path().join("gone"), &["--at", "yesterday"]);
    assert_eq!(output.status.code(), Some(64));
}
