//! Holds parameters against what AWS says of them, and tells all that is wrong at once, in AWS's
//! words.
//!
//! Source: botocore's model of STS; the words are those of AWS's services, which tell the pattern
//! before the length.

use std::fmt::{Display, Write as _};

use super::fault::Fault;
use crate::types::TagValue;

/// A pattern as AWS writes it, and which characters it takes.
type Pattern = (&'static str, fn(char) -> bool);

/// What a text must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    least: usize,
    most: usize,
    pattern: Option<Pattern>,
    /// Whether the value is not repeated.
    secret: bool,
}

const fn rule(least: usize, most: usize, pattern: &'static str, takes: fn(char) -> bool) -> Rule {
    Rule {
        least,
        most,
        pattern: Some((pattern, takes)),
        secret: false,
    }
}

/// `\w` and what stands in names.
const fn of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-')
}

const fn of_id(c: char) -> bool {
    of_name(c) || matches!(c, ':' | '/')
}

const fn of_policy(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')
}

const fn of_arn(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

const fn of_code(c: char) -> bool {
    c.is_ascii_digit()
}

/// Of letters in the scripts of the world those that are surely in AWS's pattern: others would be
/// refused, or changed, on the way up.
fn of_tag(c: char) -> bool {
    TagValue::new(c.encode_utf8(&mut [0; 4])).is_ok()
}

const ARN_PATTERN: &str =
    r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+";
const TAG_KEY_PATTERN: &str = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+";

pub(super) const ARN: Rule = rule(20, 2048, ARN_PATTERN, of_arn);
pub(super) const SESSION_NAME: Rule = rule(2, 64, r"[\w+=,.@-]*", of_name);
pub(super) const USER_NAME: Rule = rule(2, 32, r"[\w+=,.@-]*", of_name);
pub(super) const POLICY: Rule = rule(1, 2048, r"[\u0009\u000A\u000D\u0020-\u00FF]+", of_policy);
pub(super) const EXTERNAL_ID: Rule = rule(2, 1224, r"[\w+=,.@:\/-]*", of_id);
pub(super) const SERIAL_NUMBER: Rule = rule(9, 256, r"[\w+=/:,.@-]*", of_id);
pub(super) const TOKEN_CODE: Rule = rule(6, 6, r"[\d]*", of_code);
pub(super) const TAG_KEY: Rule = rule(1, 128, TAG_KEY_PATTERN, of_tag);
pub(super) const TAG_VALUE: Rule = rule(0, 256, r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", of_tag);
pub(super) const PROVIDER_ID: Rule = Rule {
    least: 4,
    most: 2048,
    pattern: None,
    secret: false,
};
pub(super) const CONTEXT: Rule = Rule {
    secret: true,
    ..PROVIDER_ID
};
pub(super) const IDENTITY_TOKEN: Rule = Rule {
    least: 4,
    most: 20_000,
    pattern: None,
    secret: true,
};

/// What is wrong with the parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<String>);

/// As a reader is told it.
impl Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { least, most, .. } = self;
        write!(f, "{least} to {most} characters")?;
        match self.pattern {
            Some((pattern, _)) => write!(f, " of `{pattern}`"),
            None => Ok(()),
        }
    }
}

impl Rule {
    /// Each constraint that this value breaks.
    fn broken_by(&self, value: &str) -> Vec<String> {
        let mut broken = Vec::new();
        if let Some((pattern, takes)) = self.pattern
            && !(value.chars().all(takes) && (!value.is_empty() || pattern.ends_with('*')))
        {
            broken.push(format!(
                "Member must satisfy regular expression pattern: {pattern}"
            ));
        }
        broken.extend(outside(
            "length",
            self.least,
            self.most,
            value.chars().count(),
        ));
        broken
    }

    /// All constraints, as a list's members are told of them.
    fn all(&self) -> String {
        let Self { least, most, .. } = self;
        let mut all = format!(
            "Member must satisfy constraint: [Member must have length less than or equal to \
             {most}, Member must have length greater than or equal to {least}"
        );
        if let Some((pattern, _)) = self.pattern {
            let told = write!(
                all,
                ", Member must satisfy regular expression pattern: {pattern}"
            );
            debug_assert!(told.is_ok(), "a text takes everything");
        }
        all.push(']');
        all
    }
}

fn outside(what: &str, least: usize, most: usize, is: usize) -> Option<String> {
    if is < least {
        Some(format!(
            "Member must have {what} greater than or equal to {least}"
        ))
    } else if is > most {
        Some(format!(
            "Member must have {what} less than or equal to {most}"
        ))
    } else {
        None
    }
}

impl Violations {
    /// Holds a text against its rule.
    pub(super) fn text(&mut self, value: Option<&str>, at: impl Display, rule: Rule) {
        let Some(value) = value else {
            return;
        };
        for broken in rule.broken_by(value) {
            if rule.secret {
                self.0.push(format!(
                    "Value at '{at}' failed to satisfy constraint: {broken}"
                ));
            } else {
                self.say(format_args!("'{value}'"), &at, &broken);
            }
        }
    }

    /// The same of a text that must be there.
    pub(super) fn needed(&mut self, value: Option<&str>, at: impl Display, rule: Rule) {
        if value.is_none() {
            self.say("null", &at, "Member must not be null");
        }
        self.text(value, at, rule);
    }

    /// Holds a number against its bounds.
    pub(super) fn number(
        &mut self,
        value: Option<&str>,
        at: &str,
        least: usize,
        most: usize,
    ) -> Option<u64> {
        let text = value?;
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
            self.say(format_args!("'{text}'"), at, "Member must be an integer");
            return None;
        }
        let number = if text.starts_with('-') {
            0
        } else {
            digits.parse().unwrap_or(usize::MAX)
        };
        if let Some(broken) = outside("value", least, most, number) {
            self.say(format_args!("'{text}'"), at, &broken);
        }
        u64::try_from(number).ok()
    }

    /// Holds the number of a list's members against its bound, and says whether they are to be
    /// looked at.
    pub(super) fn list(&mut self, values: &[&str], at: &str, most: usize) -> bool {
        let broken = outside("length", 0, most, values.len());
        if let Some(broken) = &broken {
            self.say(Listed(values), at, broken);
        }
        broken.is_none()
    }

    /// Holds each text of a list against a rule; AWS tells of the list as a whole.
    pub(super) fn texts(&mut self, values: &[&str], at: &str, rule: Rule) {
        let mut all = values.iter();
        if all.any(|value| !rule.broken_by(value).is_empty()) {
            self.say(Listed(values), at, &rule.all());
        }
    }

    fn say(&mut self, value: impl Display, at: impl Display, broken: &str) {
        self.0.push(format!(
            "Value {value} at '{at}' failed to satisfy constraint: {broken}"
        ));
    }

    /// Nothing is wrong, or this is.
    pub(super) fn end(self) -> Result<(), Fault> {
        let Self(all) = self;
        let count = match all.len() {
            0 => return Ok(()),
            1 => "1 validation error".to_owned(),
            many => format!("{many} validation errors"),
        };
        let all = all.join("; ");
        Err(Fault::Validation(format!("{count} detected: {all}")))
    }
}

/// A list's members, as they are told.
struct Listed<'a>(&'a [&'a str]);

impl Display for Listed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'[{}]'", self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(check: impl FnOnce(&mut Violations)) -> String {
        let mut violations = Violations::default();
        check(&mut violations);
        match violations.end() {
            Ok(()) => String::new(),
            Err(fault) => fault.message().into_owned(),
        }
    }

    fn text(value: &str, rule: Rule) -> String {
        told(|violations| violations.text(Some(value), "it", rule))
    }

    #[test]
    fn each_constraint_is_told_in_the_words_of_aws() {
        assert_eq!(
            text("arn:aws:iam::x", ARN),
            "1 validation error detected: Value 'arn:aws:iam::x' at 'it' failed to satisfy \
             constraint: Member must have length greater than or equal to 20"
        );
        let long = "x".repeat(65);
        assert_eq!(
            text(&long, SESSION_NAME),
            format!(
                "1 validation error detected: Value '{long}' at 'it' failed to satisfy \
                 constraint: Member must have length less than or equal to 64"
            )
        );
        assert_eq!(
            text("!", SESSION_NAME),
            r"2 validation errors detected: Value '!' at 'it' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*; Value '!' at 'it' failed to satisfy constraint: Member must have length greater than or equal to 2"
        );
        assert_eq!(
            told(|violations| violations.needed(None, "roleArn", ARN)),
            "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: \
             Member must not be null"
        );
    }

    #[test]
    fn a_token_is_not_repeated() {
        assert_eq!(
            text("abc", IDENTITY_TOKEN),
            "1 validation error detected: Value at 'it' failed to satisfy constraint: Member \
             must have length greater than or equal to 4"
        );
        assert!(!text(&"secret".repeat(4000), IDENTITY_TOKEN).contains("secret"));
    }

    #[test]
    fn numbers_have_bounds() {
        let number = |text: &str| {
            told(|violations| {
                let _read = violations.number(Some(text), "durationSeconds", 900, 43200);
            })
        };
        for right in ["900", "43200", "3600", "+3600", "0900"] {
            assert_eq!(number(right), "", "{right}");
        }
        for (wrong, says) in [
            (
                "899",
                "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
            ),
            (
                "-7",
                "Value '-7' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
            ),
            (
                "43201",
                "Member must have value less than or equal to 43200",
            ),
            (
                "99999999999999999999999999",
                "Member must have value less than or equal to 43200",
            ),
            (
                "",
                "Value '' at 'durationSeconds' failed to satisfy constraint: Member must be an integer",
            ),
            ("1h", "Member must be an integer"),
            ("-", "Member must be an integer"),
            ("9e2", "Member must be an integer"),
        ] {
            let told = number(wrong);
            assert!(told.ends_with(says), "{told}");
        }
    }

    #[test]
    fn lists_are_told_whole() {
        let keys =
            |keys: &[&str]| told(|violations| violations.texts(keys, "transitiveTagKeys", TAG_KEY));
        assert_eq!(keys(&["a", "größe 5"]), "");
        assert_eq!(
            keys(&["a", "b!"]),
            r"1 validation error detected: Value '[a, b!]' at 'transitiveTagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+]"
        );
        let many = told(|violations| {
            assert!(violations.list(&["x"; 2], "tags", 2));
            assert!(!violations.list(&["x"; 3], "tags", 2));
        });
        assert_eq!(
            many,
            "1 validation error detected: Value '[x, x, x]' at 'tags' failed to satisfy \
             constraint: Member must have length less than or equal to 2"
        );
    }

    #[test]
    fn patterns_take_what_they_say() {
        for (rule, right, wrong) in [
            (SESSION_NAME, "Az09_+=,.@-", " :/é\n"),
            (EXTERNAL_ID, "Az09_+=,.@-:/", " é!"),
            (SERIAL_NUMBER, "arn:aws:iam::1:mfa/x", " é!"),
            (TOKEN_CODE, "012345", "a ٣"),
            (POLICY, "{\"\t\r\n ÿ}", "\0\u{100}"),
            (ARN, "arn:aws:iam::1:role/ü€\u{10000}", "\0\u{84}\u{fffe}"),
            (TAG_VALUE, "a B9_.:/=+-@é", "!\n#\u{301}"),
        ] {
            let pattern = |text: &str| rule.broken_by(text).iter().any(|it| it.contains("pattern"));
            assert!(!pattern(right), "{right}");
            for c in wrong.chars() {
                assert!(pattern(&c.to_string()), "{c:?} in {rule:?}");
            }
        }
        assert!(TAG_KEY.broken_by("").len() == 2 && TAG_VALUE.broken_by("").is_empty());
    }
}
