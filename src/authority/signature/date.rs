//! The dates that signatures carry.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDateTime};

/// `X-Amz-Date`: the basic form of ISO 8601, to the second.
const BASIC: &str = "%Y%m%dT%H%M%SZ";

/// Other forms of ISO 8601 that name no offset, or UTC's.
const FORMS: [&str; 5] = [
    "%Y-%m-%dT%H:%M:%S%.fZ",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    BASIC,
    "%Y%m%dT%H%M%S",
];

/// Reads the date of version 4.
pub(super) fn basic(text: &str) -> Option<SystemTime> {
    // chrono would take a sign, or fewer digits.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let parsed =
        (text.len() == 16 && digits == 14).then(|| NaiveDateTime::parse_from_str(text, BASIC).ok());
    time(&parsed.flatten()?)
}

/// Reads the `Timestamp` of older versions; without an offset it is UTC.
pub(super) fn timestamp(text: &str) -> Option<SystemTime> {
    let named = DateTime::parse_from_rfc3339(text).ok();
    let naive = named.map(|date| date.naive_utc());
    let parsed = naive.or_else(|| {
        let mut forms = FORMS.iter();
        forms.find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
    });
    time(&parsed?)
}

/// Reads the `Date` header and writes it as version 4 does: HTTP's form, or the basic one.
pub(super) fn of_header(text: &str) -> Option<String> {
    if basic(text).is_some() {
        return Some(text.to_owned());
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some(date.naive_utc().format(BASIC).to_string())
}

fn time(date: &NaiveDateTime) -> Option<SystemTime> {
    let seconds = u64::try_from(date.and_utc().timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
