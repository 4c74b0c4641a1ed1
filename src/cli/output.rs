//! Standard output.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::failure::{Exit, Failure};

/// Writes text as it is. A reader that has gone away ends the command.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes as they are.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            Err(Failure::silent(Exit::SeenEnough))
        }
        Err(error) => {
            let what = "standard output cannot be written";
            Err(Failure::new(Exit::Fault, what).because(&error))
        }
        Ok(()) => Ok(()),
    }
}

/// Writes a value as indented JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new(Exit::Fault, "the answer cannot be shown").because(&error))?;
    text.push('\n');
    print(&text)
}

/// What makes a terminal show a line in another order than it is written.
const TURNS: [char; 12] = [
    '\u{061c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// A text that somebody else chose, with nothing in it that a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || TURNS.contains(&character) {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Columns as wide as their widest cell, two spaces between. Cells may be others' words.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
    let rows = rows
        .iter()
        .map(|row| row.iter().map(|cell| plain(cell)).collect());
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = all.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &all {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str("  ");
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `3h 12m`, `4m 9s`, `12s`.
pub(super) fn span(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["a".to_owned(), "b".to_owned()],
            vec!["long".to_owned(), "c".to_owned()],
        ];
        assert_eq!(
            table(&["X", "Y"], &rows),
            "  X     Y\n  a     b\n  long  c\n"
        );
        let others = [vec!["\x1b[2J".to_owned()]];
        assert_eq!(table(&["X"], &others), "  X\n  \\u{1b}[2J\n");
    }

    #[test]
    fn spans_show_two_units() {
        let shown: Vec<_> = [5, 65, 3600, 90_000].into_iter().map(span).collect();
        assert_eq!(shown, ["5s", "1m 5s", "1h 0m", "1d 1h"]);
    }
}
