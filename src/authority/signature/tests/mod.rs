//! Signatures that others made, and what must not count.
#![expect(
    clippy::shadow_unrelated,
    reason = "a test asks again under the same name"
)]

mod causes;
mod derived_keys;
mod properties;
mod rules;
mod suite;
mod told;
mod vectors;

use std::time::{Duration, SystemTime};

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const QUARTER: Age = Age::Within(Duration::from_mins(15));

/// What stands in place of a signature that is still to be made.
const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The time that a date of version 4 names.
fn at(text: &str) -> SystemTime {
    date::basic(text).unwrap()
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn told(credentials: serde_json::Value) -> Result<SignedRequest, Malformed> {
    let credentials: Ec2Credentials = serde_json::from_value(credentials).unwrap();
    credentials.signed()
}

fn sent(text: &str) -> Result<Option<SignedRequest>, Malformed> {
    RequestText::read(text.as_bytes()).unwrap().signed(None)
}

fn query_of(signed: &mut SignedRequest) -> &mut V4 {
    match &mut signed.scheme {
        Scheme::V4(signed) => signed,
        Scheme::Query(_) | Scheme::Stated(_) => panic!("not version 4"),
    }
}

/// What is signed, as it is tried first.
fn first(signed: &SignedRequest) -> Text {
    match &signed.scheme {
        Scheme::V4(signed) => signed.texts().next().unwrap(),
        Scheme::Query(signed) => signed.texts().next().unwrap(),
        Scheme::Stated(stated) => stated.text(),
    }
}

/// The signature of what is signed, as it is tried first.
fn signature(signed: &SignedRequest) -> String {
    signed
        .mac(&secret(SECRET))
        .signature(&first(signed).string_to_sign)
}

/// The request with its signature.
fn completed(text: &str) -> String {
    let signature = signature(&sent(text).unwrap().unwrap());
    text.replace(BLANK, &canonical::encoded(&signature))
}
