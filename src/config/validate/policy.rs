//! Session policies: JSON documents, made compact.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::reader::Reader;
use crate::config::secret_source::Mode;
use crate::config::surroundings::Surroundings;

/// The longest session policy that STS takes for certain, in characters.
const LONGEST: usize = 2048;

/// More than this is no policy at all.
const READ_AT_MOST: u64 = 256 * 1024;

/// The policy of `policy-file`.
pub(super) fn policy(reader: &Reader<'_>) -> Option<Arc<str>> {
    let spot = reader.path("policy-file")?;
    let file = reader.context().surroundings.path(&spot.value);
    match read(&file, reader.context().surroundings) {
        Ok(policy) => {
            if policy.chars().count() > LONGEST {
                reader.problems().warning(
                    &spot.at,
                    format!("this policy has over {LONGEST} characters without its spaces: AWS may refuse it as too large"),
                );
            }
            Some(Arc::from(policy))
        }
        Err(why) => {
            reader
                .problems()
                .error(&spot.at, format!("{}: {why}", spot.value.display()));
            None
        }
    }
}

fn read(path: &Path, surroundings: &Surroundings) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| format!("cannot read it: {error}"))?;
    let data = file
        .metadata()
        .map_err(|error| format!("cannot read it: {error}"))?;
    Mode::of(&data).is_ours(surroundings)?;
    let mut text = String::new();
    file.take(READ_AT_MOST)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot read it: {error}"))?;
    compact(&text)
}

/// The policy without the spaces between its parts: Ceph's gateway does not decode the `+` that
/// some clients make of them.
pub fn compact(text: &str) -> Result<String, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))?;
    let Value::Object(policy) = value else {
        return Err("a policy is a JSON object".to_owned());
    };
    if !policy.contains_key("Statement") {
        return Err("a policy has a `Statement`".to_owned());
    }
    let mut compact = String::with_capacity(text.len());
    let (mut in_text, mut escaped) = (false, false);
    for c in text.chars() {
        if !in_text && c.is_ascii_whitespace() {
            continue;
        }
        compact.push(c);
        match c {
            '"' if !escaped => in_text = !in_text,
            _ => {}
        }
        escaped = in_text && c == '\\' && !escaped;
    }
    Ok(compact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_spaces_between_parts_go() {
        let text =
            "{ \"Version\" : \"2012-10-17\",\n  \"Statement\": [ { \"Sid\": \"a \\\" b\" } ] }\n";
        let policy = compact(text).unwrap();
        assert_eq!(
            policy,
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"a \" b"}]}"#
        );
        assert_eq!(compact(&policy).unwrap(), policy);
        assert!(
            compact(r#"{"a": "\\", "Statement" : []}"#)
                .unwrap()
                .ends_with(r#""Statement":[]}"#)
        );
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in ["", "{", "[]", "{\"Statemen\": []}"] {
            assert!(compact(text).is_err(), "{text}");
        }
    }
}
