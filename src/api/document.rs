//! Writes the flat JSON documents that credential clients read: strings only, in a fixed order.

use std::time::SystemTime;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};

/// A date as every client's parser takes it: whole seconds, `Z`, nothing else.
pub fn date(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// How a document is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// A pair a line, as the EC2 metadata service writes it.
    Lines,
    /// Without any space.
    Compact,
}

/// A document under way.
#[derive(Debug)]
pub(super) struct Document {
    text: String,
    layout: Layout,
}

impl Document {
    pub(super) fn new(layout: Layout) -> Self {
        let mut text = String::with_capacity(1024);
        text.push('{');
        Self { text, layout }
    }

    /// Adds a pair. A value of key material needs no escapes; one that would is escaped all the
    /// same, so that whatever upstream sends the document stays one.
    pub(super) fn pair(&mut self, key: &str, value: &str) {
        let (separator, colon) = match self.layout {
            Layout::Lines => (",\n  ", " : "),
            Layout::Compact => (",", ":"),
        };
        match (self.text.len(), self.layout) {
            (1, Layout::Lines) => self.text.push_str("\n  "),
            (1, Layout::Compact) => {}
            _ => self.text.push_str(separator),
        }
        self.string(key);
        self.text.push_str(colon);
        self.string(value);
    }

    pub(super) fn finish(mut self) -> Bytes {
        self.text.push_str(match self.layout {
            Layout::Lines => "\n}",
            Layout::Compact => "}",
        });
        Bytes::from(self.text)
    }

    fn string(&mut self, value: &str) {
        self.text.push('"');
        for c in value.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                c if c.is_control() => {
                    self.text.push_str("\\u");
                    for shift in [12, 8, 4, 0] {
                        let digit = u32::from(c) >> shift & 15;
                        self.text.extend(char::from_digit(digit, 16));
                    }
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_json_whatever_the_values() {
        for layout in [Layout::Lines, Layout::Compact] {
            let mut document = Document::new(layout);
            document.pair("Code", "Success");
            document.pair("Token", "a\"b\\c\nd\u{1}é/+=");
            let bytes = document.finish();
            let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(read["Code"], "Success");
            assert_eq!(read["Token"], "a\"b\\c\nd\u{1}é/+=");
        }
    }

    #[test]
    fn dates_have_whole_seconds_and_a_z() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_999);
        assert_eq!(date(time), "2023-11-14T22:13:20Z");
    }
}
