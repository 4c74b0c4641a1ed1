//! Lengths of time as the file writes them: `"15m"`, `"1h30m"`, `"200ms"`.

use std::time::Duration;

/// The text is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a length of time is a number and a unit: ms, s, m, h or d, such as \"15m\"")]
pub struct NotADuration;

/// The longest that is taken: a hundred years.
const LONGEST_MS: u64 = 100 * 365 * 86_400_000;

/// Parses the text.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let mut total: u64 = 0;
    let mut rest = text;
    loop {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or(NotADuration)?;
        let (number, tail) = rest.split_at_checked(digits).ok_or(NotADuration)?;
        let number: u64 = number.parse().map_err(|_not_a_number| NotADuration)?;
        let end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, after) = tail.split_at_checked(end).ok_or(NotADuration)?;
        let unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(NotADuration),
        };
        total = number
            .checked_mul(unit)
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LONGEST_MS)
            .ok_or(NotADuration)?;
        if after.is_empty() {
            return Ok(Duration::from_millis(total));
        }
        rest = after;
    }
}

/// The text of a length of time.
pub(super) fn text(duration: Duration) -> String {
    let mut left = duration.as_millis();
    let mut text = String::new();
    for (unit, name) in [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
        (1, "ms"),
    ] {
        if left >= unit {
            text.push_str(&(left / unit).to_string());
            text.push_str(name);
            left %= unit;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        for text in [
            "",
            "15",
            "m",
            "15 m",
            "1h30",
            "-1h",
            "1.5h",
            "1H",
            "99999999999999999999s",
            "1h m",
        ] {
            assert_eq!(parse(text), Err(NotADuration), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ms in 0..LONGEST_MS) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&text(duration)), Ok(duration));
        }
    }
}
