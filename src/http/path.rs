//! Request paths, normalised once, before any routing.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// How many segments the longest route has, with one to spare: longer paths match nothing.
const MAX_SEGMENTS: usize = 8;

/// The segments of a path: percent-decoded, doubled slashes collapsed, a trailing slash noted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Segments<'a> {
    segments: Vec<Cow<'a, str>>,
    /// Whether the path ended in a slash.
    pub trailing_slash: bool,
}

/// The path is none that a local SDK sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `..`, `.`, an encoded slash, a control character, or bytes that are no UTF-8.
    #[error("the path has a segment that no route could have")]
    Hostile,
    /// More segments than any route has.
    #[error("the path has more segments than any route")]
    TooLong,
}

impl<'a> Segments<'a> {
    /// Splits and decodes the path of a request target.
    pub fn parse(path: &'a str) -> Result<Self, PathError> {
        let mut segments = Vec::with_capacity(MAX_SEGMENTS);
        let mut rest = path;
        while let Some((raw, after)) = next(rest) {
            rest = after;
            if raw.is_empty() {
                continue;
            }
            if segments.len() == MAX_SEGMENTS {
                return Err(PathError::TooLong);
            }
            segments.push(decode(raw)?);
        }
        Ok(Self {
            segments,
            trailing_slash: path.ends_with('/'),
        })
    }

    /// The decoded segments.
    pub fn as_slices(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(AsRef::as_ref)
    }

    /// The decoded segments in an array of this many, the rest empty; `None` where there are more.
    pub fn array<const N: usize>(&self) -> Option<[&str; N]> {
        if self.segments.len() > N {
            return None;
        }
        let mut array = [""; N];
        for (to, from) in array.iter_mut().zip(self.as_slices()) {
            *to = from;
        }
        Some(array)
    }
}

/// What comes before the next slash, and after it. Segments are short: a search that is made for long
/// texts costs more.
fn next(rest: &str) -> Option<(&str, &str)> {
    match rest.bytes().position(|byte| byte == b'/') {
        Some(slash) => Some((rest.get(..slash)?, rest.get(slash + 1..)?)),
        None => (!rest.is_empty()).then_some((rest, "")),
    }
}

fn decode(raw: &str) -> Result<Cow<'_, str>, PathError> {
    // Nearly all are words, of which nothing else need be asked.
    if raw
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        return Ok(Cow::Borrowed(raw));
    }
    let decoded = if raw.contains('%') {
        percent_decode_str(raw)
            .decode_utf8()
            .map_err(|_not_utf8| PathError::Hostile)?
    } else {
        Cow::Borrowed(raw)
    };
    let hostile = matches!(decoded.as_ref(), "." | "..")
        || decoded.contains(|c: char| c == '/' || c == '\\' || c.is_control());
    if hostile {
        Err(PathError::Hostile)
    } else {
        Ok(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> Result<Vec<String>, PathError> {
        Ok(Segments::parse(path)?
            .as_slices()
            .map(str::to_owned)
            .collect())
    }

    #[test]
    fn slashes_collapse_and_encodings_decode() {
        assert_eq!(
            segments("/latest//meta-data/iam/").unwrap(),
            ["latest", "meta-data", "iam"]
        );
        assert_eq!(segments("/role/a%2Bb%40c").unwrap(), ["role", "a+b@c"]);
        assert_eq!(segments("/").unwrap(), Vec::<String>::new());
        assert!(Segments::parse("/a/").unwrap().trailing_slash);
        assert!(!Segments::parse("/a").unwrap().trailing_slash);
    }

    #[test]
    fn hostile_segments_are_refused() {
        for path in [
            "/a/../b",
            "/./a",
            "/a%2fb",
            "/a%00",
            "/%2e%2e/x",
            "/%ff",
            "/a%5cb",
            "/a%0ab",
        ] {
            assert_eq!(segments(path), Err(PathError::Hostile), "{path}");
        }
        assert_eq!(segments("/1/2/3/4/5/6/7/8/9"), Err(PathError::TooLong));
    }
}
