//! Writes TOML for people: tables with comments.

/// A text under way.
#[derive(Debug, Default)]
pub(super) struct Toml(String);

impl Toml {
    /// A comment, wrapped.
    pub(super) fn comment(&mut self, text: &str) {
        const WIDTH: usize = 98;
        let mut line = String::from("#");
        for word in text.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 1 {
                self.line(&line);
                line.truncate(1);
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    /// An empty line.
    pub(super) fn blank(&mut self) {
        self.line("");
    }

    /// `[name]` or `[[name]]`, after an empty line.
    pub(super) fn table(&mut self, header: &str) {
        self.blank();
        self.line(header);
    }

    /// `key = value`; the value is TOML already.
    pub(super) fn pair(&mut self, key: &str, value: &str) {
        self.line(&format!("{key} = {value}"));
    }

    /// A line as it is.
    pub(super) fn line(&mut self, line: &str) {
        self.0.extend([line, "\n"]);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A text as TOML's string: a literal one where backslashes would be doubled otherwise.
pub(super) fn text(text: &str) -> String {
    if text.contains('\\') && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                quoted.push_str("\\u");
                let digits = [12, 8, 4, 0].map(|shift| u32::from(c) >> shift & 15);
                let digits = digits.into_iter();
                quoted.extend(digits.filter_map(|digit| char::from_digit(digit, 16)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key: bare where that is enough.
pub(super) fn key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        text(key)
    }
}

#[cfg(test)]
mod tests {
    use ::toml::de::DeTable;

    use super::*;

    #[test]
    fn texts_and_keys_are_read_back_as_they_were() {
        for original in [
            "plain",
            "a\\.b",
            "it's \\",
            "\"q\"",
            "tab\t\u{1}\nend",
            "größe",
        ] {
            let document = format!("{} = {}", key(original), text(original));
            let table = DeTable::parse(&document).unwrap();
            let read = table.get_ref().get(original).unwrap().get_ref();
            assert_eq!(read.as_str(), Some(original), "{document}");
        }
    }

    #[test]
    fn comments_are_wrapped_and_stay_comments() {
        let mut toml = Toml::default();
        toml.comment(&"word\n".repeat(60));
        let text = toml.finish();
        assert!(text.lines().count() > 2);
        for line in text.lines() {
            assert!(line.starts_with("# ") && line.len() <= 98, "{line}");
        }
    }
}
