//! The resources of Keystone's API: a table for each version, from which requests find their way and
//! from which the API is described.

mod v2;
mod v3;
mod what;

pub use what::What;
pub(super) use what::{LABELS, NO_ROUTE};

use crate::api::operations::{Allow, matched, method_of};
use crate::http::Segments;

/// A version of the API, which decides how bodies are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one of the document of OS-KSEC2.
    V2,
    /// The one that servers have today.
    V3,
}

/// What a request must show as `X-Auth-Token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it brings a proof of its own, or asks what everybody may know.
    Nothing,
    /// What a service shows, or an administrator's token.
    Service,
    /// A token; which one may do it depends on what is asked for.
    Token,
    /// An administrator's token.
    Administrator,
}

/// One resource and method.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The method; who may GET may HEAD.
    pub method: &'static str,
    /// The path below a mount.
    pub path: &'static str,
    /// How bodies are laid out.
    pub version: Version,
    /// What it is for.
    pub what: What,
    /// What must be shown.
    pub needs: Needs,
    /// The parameters of its query.
    pub query: &'static [(&'static str, &'static str)],
    /// The status of success, and then those of its own failures.
    pub statuses: &'static [u16],
    /// In a sentence.
    pub summary: &'static str,
}

/// What any resource may be answered with: the request, its path, its method, its body.
const COMMON: [u16; 4] = [400, 403, 405, 413];

/// What any resource that asks for a token may be answered with.
const WITH_TOKEN: [u16; 2] = [401, 503];

impl Version {
    const fn row(
        self,
        method: &'static str,
        path: &'static str,
        (what, needs): (What, Needs),
        statuses: &'static [u16],
        summary: &'static str,
    ) -> Row {
        Row {
            method,
            path,
            version: self,
            what,
            needs,
            query: &[],
            statuses,
            summary,
        }
    }
}

impl Row {
    const fn with(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    /// Every status that it answers, with its meaning.
    pub fn answers(&self) -> impl Iterator<Item = (u16, &'static str)> + use<> {
        let Self { what, needs, .. } = *self;
        let with_token: &[u16] = if needs == Needs::Nothing {
            &[]
        } else {
            &WITH_TOKEN
        };
        let all = self.statuses.iter().chain(&COMMON).chain(with_token);
        all.map(move |status| (*status, what.meaning(*status)))
    }
}

const BY_NAME: &[(&str, &str)] = &[("name", "only the one of this name")];

/// All resources.
pub fn rows() -> impl Iterator<Item = &'static Row> + Clone {
    v2::ROWS.iter().chain(v3::ROWS)
}

/// Where a request leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    /// The resource.
    pub(super) row: &'static Row,
    /// What its path names, in order; empty where it names less.
    pub(super) names: [&'a str; 2],
}

/// A request for which there is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// Nothing is there.
    NotFound,
    /// What is there has these methods.
    Method(String),
}

impl<'a> Route<'a> {
    /// Parses the route. `segments` are those of the path below the mount.
    pub(super) fn parse(method: &str, segments: &'a Segments<'a>) -> Result<Self, NoRoute> {
        let method = method_of(method);
        let segments: Vec<&str> = segments.as_slices().collect();
        let mut allow = Allow::default();
        for row in rows() {
            let Some(names) = matched(row.path, &segments) else {
                continue;
            };
            if row.method == method {
                return Ok(Self { row, names });
            }
            allow.add(row.method);
        }
        Err(allow.told().map_or(NoRoute::NotFound, NoRoute::Method))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn route(method: &str, path: &str) -> Result<(What, [String; 2]), NoRoute> {
        let segments = Segments::parse(path).unwrap();
        let found = Route::parse(method, &segments);
        found.map(|route| (route.row.what, route.names.map(str::to_owned)))
    }

    #[test]
    fn keystone_resources_are_found_with_and_without_a_slash() {
        for (method, path, what, names) in [
            ("GET", "/", What::Versions, ["", ""]),
            ("GET", "", What::Versions, ["", ""]),
            ("HEAD", "/v3/", What::Version, ["", ""]),
            ("GET", "/v2.0", What::Version, ["", ""]),
            ("POST", "/v2.0/ec2tokens", What::Ec2Tokens, ["", ""]),
            ("POST", "/v3/auth/tokens/", What::Login, ["", ""]),
            (
                "GET",
                "/v2.0/users/u/credentials/OS-EC2/k",
                What::ShowKey,
                ["u", "k"],
            ),
            (
                "GET",
                "/v3/projects/p/users/j%C3%BCrgen/roles",
                What::UserRoles,
                ["p", "jürgen"],
            ),
        ] {
            let names = names.map(str::to_owned);
            assert_eq!(route(method, path), Ok((what, names)), "{path}");
        }
    }

    #[test]
    fn keystone_other_paths_and_methods_are_told_apart() {
        for path in ["/v1", "/v2.0/nope", "/v3/auth", "/v3/users/u/x", "/v4"] {
            assert_eq!(route("GET", path), Err(NoRoute::NotFound), "{path}");
        }
        let keys = "/v3/users/u/credentials/OS-EC2";
        let method = |allow: &str| Err(NoRoute::Method(allow.to_owned()));
        assert_eq!(route("PUT", keys), method("POST, GET, HEAD"));
        assert_eq!(route("GET", "/v2.0/ec2tokens"), method("POST"));
    }

    #[test]
    fn keystone_resources_have_labels_of_their_own() {
        let whats = rows().map(|row| row.what.label());
        let labels: BTreeSet<usize> = whats.collect();
        assert_eq!(labels.len(), NO_ROUTE);
        assert_eq!(LABELS.len(), NO_ROUTE + 1);
        assert_eq!(LABELS.last(), Some(&"none"));
    }
}
