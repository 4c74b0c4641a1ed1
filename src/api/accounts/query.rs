//! What follows a path's question mark, in the form that browsers and Python write.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The value is none that can be read: it is no text, or there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the query names it twice, or not as text")]
pub(super) struct Unreadable;

/// Whether a name stands there, whatever its value.
pub(super) fn has(query: Option<&str>, name: &str) -> bool {
    pairs(query).any(|(known, _)| known == name)
}

/// The value of a name; `None` where it is not there or empty.
pub(super) fn value(query: Option<&str>, name: &str) -> Result<Option<String>, Unreadable> {
    let mut values = pairs(query).filter(|(known, _)| known == name);
    let Some((_, value)) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Unreadable);
    }
    let spaced = value.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_not_utf8| Unreadable)?;
    Ok((!decoded.is_empty()).then(|| decoded.into_owned()))
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode_str(name).decode_utf8_lossy(), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_queries_are_read_as_forms() {
        for query in ["withid", "withid=", "withid=false", "a=b&withid"] {
            assert!(has(Some(query), "withid"), "{query}");
        }
        assert!(!has(Some("withids&a=withid"), "withid"));
        assert!(!has(None, "withid"));
        let read = |query| value(Some(query), "callbackurl");
        assert_eq!(
            read("a=1&callbackurl=https%3A%2F%2Fa.example%2Fb+c"),
            Ok(Some("https://a.example/b c".to_owned()))
        );
        assert_eq!(read("callbackurl="), Ok(None));
        assert_eq!(read("callback=x"), Ok(None));
        assert_eq!(read("callbackurl=a&callbackurl=b"), Err(Unreadable));
        assert_eq!(read("callbackurl=%ff"), Err(Unreadable));
    }
}
