//! What others said of a failure, made fit for a log line.

use std::error::Error;

/// How much of a message of others the log gets.
const MESSAGE: usize = 400;

/// Upstream's words, made fit for a log line. They end at the first line break: AWS appends the
/// canonical request to `SignatureDoesNotMatch`, session token included.
pub(crate) fn printable(text: &str) -> String {
    let line = text
        .trim_start()
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end();
    let mut shown: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE)
        .collect();
    if line.chars().nth(MESSAGE).is_some() {
        shown.push('…');
    }
    shown
}

/// The SDK's words for its own layers, which say nothing of the cause.
const LAYERS: [&str; 6] = [
    "an error occurred while loading credentials",
    "the credential provider was not enabled",
    "the credentials provider was not properly configured",
    "dispatch failure",
    "io error",
    "other",
];

/// What lies below an error, outermost first.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut at = Some(error);
    while let Some(cause) = at {
        let text = printable(&cause.to_string());
        let says = !LAYERS.contains(&text.as_str());
        if says && !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        at = cause.source();
    }
    texts.join(": ")
}

/// The error of this type among an error's causes.
pub(crate) fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut at = Some(error);
    while let Some(cause) = at {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        at = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_words_end_at_the_line_and_are_cut() {
        assert_eq!(printable("first\nx-amz-security-token:canary"), "first");
        assert_eq!(printable("  a\u{7}b\u{1b}[31m"), "a b [31m");
        assert_eq!(printable(&"x".repeat(1000)).chars().count(), MESSAGE + 1);
    }
}
