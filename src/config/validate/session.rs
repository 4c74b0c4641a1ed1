//! What STS takes of a session, for roles and for the grants that narrow them: lives, names,
//! managed policies and tags.

use std::collections::BTreeSet;
use std::time::Duration;

use super::reader::{Reader, Spot};
use crate::config::duration;
use crate::config::problem::At;
use crate::grants::{Template, TemplateError};
use crate::sessions;
use crate::types::SessionName;

const SHORTEST: Duration = Duration::from_mins(15);

const MOST_POLICY_ARNS: usize = 10;
const MOST_TAGS: usize = 50;
const LONGEST_TAG_KEY: usize = 128;
const LONGEST_TAG_VALUE: usize = 256;

/// Whether STS takes this life, and SDKs can do with it.
pub(super) fn check_life(reader: &Reader<'_>, at: &At, life: Duration, longest: Duration) {
    if life < SHORTEST || life > longest {
        let (least, most) = (duration::text(SHORTEST), duration::text(longest));
        reader
            .problems()
            .error(
                at,
                format!("STS takes no duration of {}", duration::text(life)),
            )
            .hint(format!("between {least} and {most}"));
    } else if life.subsec_millis() != 0 {
        reader
            .problems()
            .error(at, "STS counts durations in whole seconds");
    } else if let Some(why) = sessions::warning(life) {
        reader
            .problems()
            .warning(at, why)
            .hint("an hour, or two and more, suit all SDKs");
    }
}

/// A template that makes a name of STS's alphabet.
pub(super) fn name_template(
    reader: &Reader<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<Template, TemplateError>,
) -> Option<Template> {
    let spot = reader.text(key)?;
    let template = spot.parse(reader.problems(), parse)?;
    if template.is_fixed() && SessionName::new(spot.value).is_err() {
        let made = SessionName::from_any(spot.value, SessionName::MAX);
        reader.problems().warning(
            &spot.at,
            format!("STS does not take `{}`; it will see `{made}`", spot.value),
        );
    }
    Some(template)
}

pub(super) fn policy_arns(reader: &Reader<'_>) -> Vec<String> {
    let spots = reader.texts("policy-arns");
    if spots.len() > MOST_POLICY_ARNS {
        reader.problems().error(
            &reader.place("policy-arns"),
            "STS takes ten managed policies at most",
        );
    }
    let arn = |spot: &Spot<&str>| {
        spot.parse(reader.problems(), |text| {
            let shape = text.starts_with("arn:") && text.contains(":policy/");
            if shape && (20..=2048).contains(&text.len()) {
                Ok(text.to_owned())
            } else {
                Err("a managed policy's ARN is of the form arn:aws:iam::ACCOUNT:policy/NAME")
            }
        })
    };
    spots.iter().filter_map(arn).collect()
}

pub(super) fn tags(
    reader: &Reader<'_>,
    parse: impl Fn(&str) -> Result<Template, TemplateError>,
) -> Option<Vec<(String, Template)>> {
    let named = reader.named_texts("tags");
    if named.len() > MOST_TAGS {
        reader.problems().error(
            &reader.place("tags"),
            "STS takes fifty session tags at most",
        );
    }
    let mut seen = BTreeSet::new();
    let mut ok = true;
    let mut tags = Vec::new();
    for (key, spot) in named {
        if !is_tag_text(key, 1..=LONGEST_TAG_KEY) || key.to_ascii_lowercase().starts_with("aws:") {
            let rule = "1 to 128 letters, digits, spaces or characters of `_.:/=+-@`, not `aws:…`";
            reader
                .problems()
                .error(&spot.at, format!("a tag's key is {rule}"));
            ok = false;
        }
        if !seen.insert(key.to_lowercase()) {
            reader
                .problems()
                .error(&spot.at, "STS takes tags that differ in case only for one");
            ok = false;
        }
        match spot.parse(reader.problems(), &parse) {
            Some(value) => {
                let literal = value.is_fixed();
                if literal && !is_tag_text(spot.value, 0..=LONGEST_TAG_VALUE) {
                    let rule = "at most 256 letters, digits, spaces or characters of `_.:/=+-@`";
                    reader
                        .problems()
                        .error(&spot.at, format!("a tag's value is {rule}"));
                    ok = false;
                }
                tags.push((key.to_owned(), value));
            }
            None => ok = false,
        }
    }
    ok.then_some(tags)
}

fn is_tag_text(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    let valid = |c: char| {
        c.is_alphanumeric()
            || c == ' '
            || matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
    };
    lengths.contains(&text.chars().count()) && text.chars().all(valid)
}
