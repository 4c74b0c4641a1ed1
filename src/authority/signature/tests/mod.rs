//! Signatures that others made, and what must not count.

mod suite;
mod vectors;

use std::time::{Duration, SystemTime};

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const QUARTER: Age = Age::Within(Duration::from_mins(15));

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
