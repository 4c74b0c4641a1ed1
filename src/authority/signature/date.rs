//! The dates that signatures carry.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, NaiveDateTime};

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
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let [century, of_century, month, day] = numbers(date)?;
    let [hour, minute, second] = numbers(clock)?;
    let year = i32::try_from(century * 100 + of_century).ok()?;
    let midnight = NaiveDate::from_ymd_opt(year, month, day)?;
    // A leap second counts as the one before it.
    let second = second - u32::from(second == 60);
    time(&midnight.and_hms_opt(hour, minute, second)?)
}

/// Numbers of two digits.
fn numbers<const COUNT: usize>(text: &str) -> Option<[u32; COUNT]> {
    let mut numbers = [0; COUNT];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != COUNT || !rest.is_empty() {
        return None;
    }
    for (number, digits) in numbers.iter_mut().zip(pairs) {
        let [tens, ones] = digits.map(|digit| char::from(digit).to_digit(10));
        *number = tens? * 10 + ones?;
    }
    Some(numbers)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_version_4_are_read_as_their_form_says() {
        for text in [
            "20150830T123600Z",
            "19700101T000000Z",
            "20240229T235959Z",
            "20161231T235960Z",
            "99991231T000000Z",
        ] {
            let form = NaiveDateTime::parse_from_str(text, BASIC).unwrap();
            assert_eq!(basic(text), time(&form), "{text}");
            assert!(basic(text).is_some(), "{text}");
        }
        for text in [
            "",
            "20150830T123600",
            "20150830T123600Z ",
            "2015083OT123600Z",
            "20150830 123600Z",
            "20150830T123600z",
            "+0150830T123600Z",
            "20150230T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "20150830T123661Z",
            "19691231T235959Z",
        ] {
            assert_eq!(basic(text), None, "{text}");
        }
    }
}
