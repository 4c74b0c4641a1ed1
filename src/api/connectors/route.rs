//! The resources of the connectors API: one table, from which requests find their way and from
//! which the API is described.

use crate::api::operations::{Allow, method_of};
use crate::http::Segments;

/// The versions of the API that are served, all alike.
pub const VERSIONS: [&str; 4] = ["2.0", "2.1", "2.2", "latest"];

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All connectors of the caller.
    List,
    /// A new connector.
    Make,
    /// One connector.
    Show,
    /// What is said of a connector, anew.
    Replace,
    /// No connector any more.
    Delete,
    /// Who a connector's sessions are.
    Identity,
    /// Credentials.
    Credentials,
    /// Where a browser is signed in.
    ConsoleUrl,
    /// Logins to container registries.
    Registry,
    /// Signs a browser in.
    Signin,
    /// All accounts.
    Accounts,
    /// A new account.
    MakeAccount,
    /// One account.
    ShowAccount,
    /// What is said of an account, anew.
    ReplaceAccount,
    /// No account any more.
    DeleteAccount,
    /// Whether the API is served.
    Status,
}

/// The resources' names in metrics.
pub(super) const LABELS: &[&str] = &[
    "list",
    "make",
    "show",
    "replace",
    "delete",
    "identity",
    "credentials",
    "console-url",
    "registry",
    "signin",
    "accounts",
    "make-account",
    "show-account",
    "replace-account",
    "delete-account",
    "status",
    "none",
];

/// The label of requests for which there is no resource.
pub(super) const NO_ROUTE: usize = 16;

impl What {
    /// Its place in [`LABELS`].
    pub(super) const fn label(self) -> usize {
        match self {
            Self::List => 0,
            Self::Make => 1,
            Self::Show => 2,
            Self::Replace => 3,
            Self::Delete => 4,
            Self::Identity => 5,
            Self::Credentials => 6,
            Self::ConsoleUrl => 7,
            Self::Registry => 8,
            Self::Signin => 9,
            Self::Accounts => 10,
            Self::MakeAccount => 11,
            Self::ShowAccount => 12,
            Self::ReplaceAccount => 13,
            Self::DeleteAccount => 14,
            Self::Status => 15,
        }
    }
}

/// One resource and method.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The method; who may GET may HEAD.
    pub method: &'static str,
    /// The path below a mount; `{version}` is one of [`VERSIONS`].
    pub path: &'static str,
    /// What it is for.
    pub what: What,
    /// Whether only administrators may.
    pub administrators: bool,
    /// The parameters of its query.
    pub query: &'static [(&'static str, &'static str)],
    /// The status of success, and then those of its own failures.
    pub statuses: &'static [u16],
    /// In a sentence.
    pub summary: &'static str,
}

/// What any resource may be answered with: the request, its proof, its path, its method.
pub const COMMON: [u16; 7] = [400, 401, 403, 404, 405, 429, 503];

macro_rules! rest {
    ($path:literal) => {
        concat!("/rest/identity-federation-for-aws/{version}", $path)
    };
}

/// All resources.
pub const ROWS: &[Row] = &[
    Row {
        method: "GET",
        path: rest!("/connectors"),
        what: What::List,
        administrators: false,
        query: &[
            ("start", "how many are left out at the beginning"),
            ("limit", "how many there are at most; all otherwise"),
        ],
        statuses: &[200, 503],
        summary: "All connectors that the caller may use, by name.",
    },
    Row {
        method: "POST",
        path: rest!("/connectors"),
        what: What::Make,
        administrators: true,
        query: &[],
        statuses: &[201, 409, 413, 415, 503],
        summary: "Makes a connector.",
    },
    Row {
        method: "GET",
        path: rest!("/connectors/{id}"),
        what: What::Show,
        administrators: false,
        query: &[],
        statuses: &[200, 304, 503],
        summary: "One connector.",
    },
    Row {
        method: "PUT",
        path: rest!("/connectors/{id}"),
        what: What::Replace,
        administrators: true,
        query: &[],
        statuses: &[200, 409, 412, 413, 415, 503],
        summary: "Replaces what is said of a connector.",
    },
    Row {
        method: "DELETE",
        path: rest!("/connectors/{id}"),
        what: What::Delete,
        administrators: true,
        query: &[],
        statuses: &[204, 409, 412, 503],
        summary: "Deletes a connector.",
    },
    Row {
        method: "GET",
        path: rest!("/connectors/{id}/caller-identity"),
        what: What::Identity,
        administrators: false,
        query: &[],
        statuses: &[200, 500, 502, 503, 504],
        summary: "Who the connector's sessions are upstream.",
    },
    Row {
        method: "GET",
        path: rest!("/connectors/{id}/credentials"),
        what: What::Credentials,
        administrators: false,
        query: &[],
        statuses: &[200, 500, 502, 503, 504],
        summary: "Temporary credentials.",
    },
    Row {
        method: "GET",
        path: rest!("/connectors/{id}/console/url"),
        what: What::ConsoleUrl,
        administrators: false,
        query: &[],
        statuses: &[200, 409, 503],
        summary: "The URL that a browser follows to be signed in to the console.",
    },
    Row {
        method: "GET",
        path: rest!("/connectors/{id}/ecr/credentials"),
        what: What::Registry,
        administrators: false,
        query: &[
            ("region", "instead of the account's own"),
            (
                "registryIds",
                "registries of other accounts, by their ids, with commas",
            ),
        ],
        statuses: &[200, 409, 500, 502, 503, 504],
        summary: "Logins to the account's container registry.",
    },
    Row {
        method: "GET",
        path: rest!("/accounts"),
        what: What::Accounts,
        administrators: true,
        query: &[],
        statuses: &[200, 503],
        summary: "All accounts: the long-term keys behind connectors, by name.",
    },
    Row {
        method: "POST",
        path: rest!("/accounts"),
        what: What::MakeAccount,
        administrators: true,
        query: &[(
            "skipValidation",
            "`true`: the key is kept without a question to AWS whose it is",
        )],
        statuses: &[201, 409, 413, 415, 502, 503, 504],
        summary: "Makes an account of a key that AWS knows.",
    },
    Row {
        method: "GET",
        path: rest!("/accounts/{id}"),
        what: What::ShowAccount,
        administrators: true,
        query: &[],
        statuses: &[200, 304, 503],
        summary: "One account.",
    },
    Row {
        method: "PUT",
        path: rest!("/accounts/{id}"),
        what: What::ReplaceAccount,
        administrators: true,
        query: &[(
            "skipValidation",
            "`true`: another key is taken without a question to AWS whose it is",
        )],
        statuses: &[200, 409, 412, 413, 415, 502, 503, 504],
        summary: "Replaces what is said of an account; without a secret it keeps its own.",
    },
    Row {
        method: "DELETE",
        path: rest!("/accounts/{id}"),
        what: What::DeleteAccount,
        administrators: true,
        query: &[],
        statuses: &[204, 409, 412, 503],
        summary: "Deletes an account that no connector uses.",
    },
    Row {
        method: "GET",
        path: rest!("/status/info"),
        what: What::Status,
        administrators: false,
        query: &[],
        statuses: &[200],
        summary: "The name and version of what answers.",
    },
    Row {
        method: "GET",
        path: "/plugins/servlet/identity-federation-for-aws/aws-console-login/{id}",
        what: What::Signin,
        administrators: false,
        query: &[],
        statuses: &[302, 409, 500, 502, 503, 504],
        summary: "Signs the browser in to the console.",
    },
];

/// Where a request leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    /// The resource.
    pub(super) row: &'static Row,
    /// The object that its path names, where it names one.
    pub(super) id: &'a str,
}

/// A request for which there is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// No such version.
    Version(String),
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
        for row in ROWS {
            let Some(id) = matched(row.path, &segments)? else {
                continue;
            };
            if row.method == method {
                return Ok(Self { row, id });
            }
            allow.add(row.method);
        }
        Err(allow.told().map_or(NoRoute::NotFound, NoRoute::Method))
    }
}

/// What stands for `{id}`, where the path is of this form.
fn matched<'a>(path: &str, segments: &[&'a str]) -> Result<Option<&'a str>, NoRoute> {
    let mut id = "";
    let mut version = None;
    let mut given = segments.iter().copied();
    for expected in path.split('/').skip(1) {
        let Some(segment) = given.next() else {
            return Ok(None);
        };
        match expected {
            "{id}" => id = segment,
            "{version}" => version = Some(segment),
            _ if expected == segment => {}
            _ => return Ok(None),
        }
    }
    if given.next().is_some() {
        return Ok(None);
    }
    match version {
        Some(version) if !VERSIONS.contains(&version) => Err(NoRoute::Version(version.to_owned())),
        Some(_) | None => Ok(Some(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "/rest/identity-federation-for-aws";

    fn route(method: &str, path: &str) -> Result<(What, String), NoRoute> {
        let segments = Segments::parse(path).unwrap();
        Route::parse(method, &segments).map(|route| (route.row.what, route.id.to_owned()))
    }

    #[test]
    fn connectors_resources_are_found_in_every_version() {
        for version in VERSIONS {
            let at = |path: &str| format!("{REST}/{version}{path}");
            for (path, what, id) in [
                ("/connectors", What::List, ""),
                ("/connectors/", What::List, ""),
                ("/connectors/x", What::Show, "x"),
                ("/connectors/x/caller-identity", What::Identity, "x"),
                ("/connectors/x/credentials", What::Credentials, "x"),
                ("/connectors/x/console/url", What::ConsoleUrl, "x"),
                ("/connectors/x/ecr/credentials", What::Registry, "x"),
                ("/accounts", What::Accounts, ""),
                ("/accounts/x", What::ShowAccount, "x"),
                ("/status/info", What::Status, ""),
            ] {
                for method in ["GET", "HEAD"] {
                    assert_eq!(
                        route(method, &at(path)),
                        Ok((what, id.to_owned())),
                        "{path}"
                    );
                }
            }
        }
        for (method, path, what) in [
            ("POST", "/connectors", What::Make),
            ("PUT", "/connectors/x", What::Replace),
            ("DELETE", "/connectors/x", What::Delete),
            ("POST", "/accounts", What::MakeAccount),
            ("PUT", "/accounts/x", What::ReplaceAccount),
            ("DELETE", "/accounts/x", What::DeleteAccount),
        ] {
            let found = route(method, &format!("{REST}/2.2{path}"));
            assert_eq!(found.map(|(found, _)| found), Ok(what));
        }
        let servlet = "/plugins/servlet/identity-federation-for-aws/aws-console-login/x";
        assert_eq!(route("GET", servlet), Ok((What::Signin, "x".to_owned())));
    }

    #[test]
    fn connectors_versions_that_are_not_served_are_told() {
        for version in ["1.0", "2", "2.7", "LATEST"] {
            let told = route("GET", &format!("{REST}/{version}/connectors"));
            assert_eq!(told, Err(NoRoute::Version(version.to_owned())));
        }
    }

    #[test]
    fn connectors_have_no_other_paths() {
        for path in [
            format!("{REST}/"),
            format!("{REST}/2.0"),
            format!("{REST}/2.0/connector"),
            format!("{REST}/2.0/connectors/x/y"),
            format!("{REST}/2.0/connectors/x/console"),
            format!("{REST}/2.0/status"),
            "/plugins/servlet/identity-federation-for-aws/x".to_owned(),
        ] {
            assert_eq!(route("GET", &path), Err(NoRoute::NotFound), "{path}");
        }
    }

    #[test]
    fn connectors_other_methods_are_told_which_there_are() {
        let told = |method, path: &str| route(method, &format!("{REST}/2.0{path}"));
        for method in ["POST", "DELETE", "OPTIONS", "get"] {
            assert_eq!(
                told(method, "/connectors/x/credentials"),
                Err(NoRoute::Method("GET, HEAD".to_owned()))
            );
        }
    }
}
