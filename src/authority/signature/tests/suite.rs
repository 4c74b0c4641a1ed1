//! AWS's signing test suite, see `aws/README.md`.

use serde::Deserialize;

use super::super::canonical::{PathSpelling, QuerySpelling};
use super::*;
use crate::secret::ExposeSecret as _;

#[derive(Deserialize)]
struct Case {
    name: String,
    normalize: bool,
    token: Option<String>,
    header: Option<Form>,
    query: Option<Form>,
}

#[derive(Deserialize)]
struct Form {
    request: String,
    canonical: String,
    string: Option<String>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("aws/v4.json")).unwrap()
}

/// What stands in the two cases of an older suite.
fn key_of(case: &Case) -> &'static str {
    match &*case.name {
        "double-encode-path" => "notrealrnrELgWzOk3IfjzDKtFBhDby",
        _ => SECRET,
    }
}

fn check(case: &Case, form: &Form, in_query: bool) {
    let name = &case.name;
    let mut signed = sent(&form.request).unwrap().unwrap();
    let (mut path, mut query) = (PathSpelling::Normal, QuerySpelling::Normal);
    if !case.normalize {
        path = PathSpelling::Encoded;
    }
    if in_query && name == "post-sts-header-after" {
        query = QuerySpelling::WithoutToken;
    }
    let version_4 = query_of(&mut signed);
    for spelling in &mut version_4.spellings {
        spelling.path = path;
        spelling.query = query;
    }
    let text = version_4.texts().next().unwrap();
    let canonical = String::from_utf8(text.canonical_request.unwrap()).unwrap();
    if name == "double-encode-path" {
        // Its canonical request is another day's than the request.
        assert_eq!(
            canonical.replace("20150830T123600Z", "20210511T154045Z"),
            form.canonical
        );
    } else {
        assert_eq!(canonical, form.canonical, "{name}");
    }
    if let Some(string) = &form.string {
        let text = String::from_utf8(text.string_to_sign).unwrap();
        assert_eq!(text, *string, "{name}");
    }
    let signed_at = signed.signed_at().unwrap();
    let verified = signed.verify(&secret(key_of(case)), signed_at, QUARTER);
    let verified = verified.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(verified.payload(), Payload::Signed, "{name}");
    let token = signed.session_token().map(SecretString::expose_secret);
    assert_eq!(token, case.token.as_deref(), "{name}");
    let other = signed.verify(&secret("another"), signed_at, QUARTER);
    assert_eq!(other.unwrap_err(), Mismatch::Signature, "{name}");
}

#[test]
fn the_suite_is_verified() {
    let cases = cases();
    assert_eq!(cases.len(), 40);
    let mut forms = 0;
    for case in &cases {
        for (form, in_query) in [(&case.header, false), (&case.query, true)] {
            if let Some(form) = form {
                check(case, form, in_query);
                forms += 1;
            }
        }
    }
    assert_eq!(forms, 78);
}
