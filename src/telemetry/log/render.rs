//! An event as one line: JSON for programs, text for people.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::{Serialize, SerializeMap, Serializer};
use tracing::Level;

use super::record::{Record, Value};

/// RFC 3339 in UTC.
pub(super) fn timestamp(time: SystemTime, precision: SecondsFormat) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(precision, true)
}

/// One JSON object and a newline; the event's fields stand beside `timestamp`, `level`, `target`
/// and `message`.
pub(super) fn json(record: &Record) -> Vec<u8> {
    // A map of strings, numbers and booleans always serialises.
    let mut line = serde_json::to_vec(record).unwrap_or_default();
    line.push(b'\n');
    line
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &timestamp(self.time, SecondsFormat::Micros))?;
        map.serialize_entry("level", self.level().as_str())?;
        map.serialize_entry("target", self.target())?;
        map.serialize_entry("message", self.message())?;
        for (name, value) in self.fields() {
            match value {
                Value::Text(text) => map.serialize_entry(name, text)?,
                Value::Unsigned(number) => map.serialize_entry(name, number)?,
                Value::Signed(number) => map.serialize_entry(name, number)?,
                Value::Float(number) => map.serialize_entry(name, number)?,
                Value::Bool(truth) => map.serialize_entry(name, truth)?,
            }
        }
        map.end()
    }
}

/// A readable line and a newline.
pub(super) fn text(record: &Record, colour: bool) -> String {
    let mut line = String::with_capacity(160);
    // Writing to a String cannot fail.
    let _: fmt::Result = write_text(&mut line, record, colour);
    line.push('\n');
    line
}

fn write_text(line: &mut String, record: &Record, colour: bool) -> fmt::Result {
    let (on, off) = if colour {
        (level_colour(record.level()), "\x1b[0m")
    } else {
        ("", "")
    };
    let time = timestamp(record.time, SecondsFormat::Secs);
    let level = record.level();
    write!(line, "{time} {on}{level:>5}{off} ")?;
    let message = Plain(record.message());
    write!(line, "{}: {message}{}", record.target(), Beside(record))
}

/// The fields beside the message, each as ` name=value`.
pub(super) struct Beside<'a>(pub(super) &'a Record);

impl fmt::Display for Beside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.0.fields() {
            match value {
                Value::Text(text) => write!(f, " {name}={}", Quoted(text))?,
                Value::Unsigned(_) | Value::Signed(_) | Value::Float(_) | Value::Bool(_) => {
                    write!(f, " {name}={value}")?;
                }
            }
        }
        Ok(())
    }
}

const fn level_colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// Text on one line: control characters are escaped, so that nobody's input forges a line.
pub(super) struct Plain<'a>(pub(super) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// A value: bare where it is one plain word, else quoted and escaped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = !self.0.is_empty()
            && self
                .0
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'=' | b'\\'));
        if bare {
            f.write_str(self.0)
        } else {
            fmt::Debug::fmt(self.0, f)
        }
    }
}
