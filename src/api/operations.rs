//! What an API's description tells of each of its operations: the table that requests are routed by
//! is the one that is published. How a request finds its row in such a table.

/// One operation: a method at a path, and what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The method; whatever takes GET takes HEAD.
    pub method: &'static str,
    /// The path below the API's mount, with what stands in braces for one segment.
    pub path: &'static str,
    /// What may follow in the query: the name, and what it does.
    pub query: &'static [(&'static str, &'static str)],
    /// What it is for.
    pub summary: &'static str,
    /// The statuses that it answers, each with its meaning.
    pub answers: &'static [(u16, &'static str)],
}

impl Operation {
    /// As [`matched`].
    pub(super) fn matches<'p>(&self, segments: &[&'p str]) -> Option<[&'p str; 2]> {
        matched(self.path, segments)
    }
}

/// The segments that stand for this path's names in braces, in order; `None` where the path is
/// another one. There may be two.
pub(super) fn matched<'p>(path: &str, segments: &[&'p str]) -> Option<[&'p str; 2]> {
    let mut names = [""; 2];
    let mut places = names.iter_mut();
    let mut segments = segments.iter();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let segment = *segments.next()?;
        if part.starts_with('{') {
            *places.next()? = segment;
        } else if part != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(names)
}

/// The method by which a table knows a request: whatever takes GET takes HEAD.
pub(super) fn method_of(asked: &str) -> &str {
    if asked == "HEAD" { "GET" } else { asked }
}

/// The methods that a path has, as `Allow` tells them; `None` where it has none.
#[derive(Debug, Default)]
pub(super) struct Allow(Vec<&'static str>);

impl Allow {
    pub(super) fn add(&mut self, method: &'static str) {
        self.0.push(method);
        if method == "GET" {
            self.0.push("HEAD");
        }
    }

    pub(super) fn told(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_matched_segment_by_segment() {
        let operation = Operation {
            method: "GET",
            path: "/account/{account}/{role}/credentials",
            query: &[],
            summary: "",
            answers: &[],
        };
        let whole = ["account", "prod", "web", "credentials"];
        assert_eq!(operation.matches(&whole), Some(["prod", "web"]));
        for other in [
            &["account", "prod", "web"][..],
            &["account", "prod", "web", "consoleurl"],
            &["account", "prod", "web", "credentials", "more"],
            &[],
        ] {
            assert_eq!(operation.matches(other), None, "{other:?}");
        }
    }
}
