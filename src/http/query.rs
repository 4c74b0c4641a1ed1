//! The query of a request target.

use std::borrow::Cow;
use std::string::FromUtf8Error;

use percent_encoding::percent_decode_str;

/// A name and its value, decoded.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The pairs of a query, decoded, in the order in which they were sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query<'a>(Vec<Pair<'a>>);

impl<'a> Query<'a> {
    /// Splits and decodes the query of a request target.
    pub fn parse(query: Option<&'a str>) -> Self {
        Self(Self::pairs(query.unwrap_or_default()).collect())
    }

    /// The pairs of a query or a form, one after the other.
    pub fn pairs(text: &'a str) -> impl Iterator<Item = Pair<'a>> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
    }

    /// The first value of this name; empty where the name stands alone.
    pub fn first(&self, name: &str) -> Option<&str> {
        let own = self.0.iter().find(|(known, _)| *known == name);
        own.map(|(_, value)| value.as_ref())
    }

    /// All values of this name.
    pub fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        let own = self.0.iter().filter(move |(known, _)| *known == name);
        own.map(|(_, value)| value.as_ref())
    }
}

/// As forms are encoded: `+` is a space. What is no UTF-8 can be no value of ours.
fn decode(raw: &str) -> Cow<'_, str> {
    let bytes = raw.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(raw);
    }
    let spaced = if bytes.contains(&b'+') {
        Cow::Owned(raw.replace('+', " "))
    } else {
        Cow::Borrowed(raw)
    };
    let mut decoded = Vec::with_capacity(raw.len());
    decoded.extend(percent_decode_str(&spaced));
    let text = String::from_utf8(decoded);
    let lossy = |error: FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
    Cow::Owned(text.unwrap_or_else(lossy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_in_order() {
        let query = Query::parse(Some("a=1&b=x%20y+z&a=2&withid&c=%ff&=v&"));
        assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(query.first("b"), Some("x y z"));
        assert_eq!(query.first("withid"), Some(""));
        assert_eq!(query.first("c"), Some("\u{fffd}"));
        assert_eq!(query.first("d"), None);
        assert_eq!(Query::parse(None).first("a"), None);
    }
}
