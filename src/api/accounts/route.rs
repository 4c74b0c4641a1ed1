//! The paths of AWS Federation Proxy, and what the API's description tells of them.

use hyper::Method;

use crate::api::operations::Operation;
use crate::http::{PathError, Segments};

/// A resource of AFP's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/account`.
    List,
    /// `/account/{account}/{role}` and what lies below it.
    Role(Part, &'a str, &'a str),
    /// `/status`.
    Status,
    /// `/meta-data/iam/security-credentials/`: the only role of a machine.
    RoleName,
    /// `/meta-data/iam/security-credentials/{role}`.
    Document(&'a str),
}

/// What is asked of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Credentials and a console URL.
    Whole,
    /// Credentials.
    Credentials,
    /// A console URL.
    ConsoleUrl,
}

/// A request for which there is no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// The path is none that a client sends.
    BadPath,
    /// Nothing is there.
    NotFound,
    /// The resource has other methods than this one.
    Method,
}

const CALLBACK: (&str, &str) = (
    "callbackurl",
    "whither the console sends a browser when its session has ended",
);
const OK: (u16, &str) = (200, "the answer");

/// What any operation may be answered with.
pub const COMMON: [(u16, &str); 3] = [
    (400, "the request or its path is none"),
    (403, "a proxy or another site's page sent the request"),
    (405, "other methods than GET and HEAD"),
];

const CALLBACK_REFUSED: (u16, &str) = (400, "the account does not allow the callback URL");
const UNPROVEN: (u16, &str) = (401, "no name is proved, or the proof is wrong");
const THROTTLED: (u16, &str) = (429, "too many passwords or tokens were wrong");
const UNREADY: (u16, &str) = (503, "who asks cannot be looked up now");
const DENIED: (u16, &str) = (
    403,
    "the role is not the caller's, the account is unknown to it, or upstream denies the role",
);
const MISCONFIGURED: (u16, &str) = (404, "the account cannot be used as it is configured");
const NO_CONSOLE: (u16, &str) = (404, "the account has no console, or cannot be used");
const PROOF: (u16, &str) = (
    401,
    "a proof is shown, where hosts are known by their address",
);
const NOT_ONE_ROLE: (u16, &str) = (404, "the host has no role, or several");
const UPSTREAM: (u16, &str) = (502, "the cloud failed");

/// The operations of a mount for people.
pub const PEOPLES: [Operation; 5] = [
    Operation {
        method: "GET",
        path: "/account",
        query: &[("withid", "tell the accounts' ids too")],
        summary: "All accounts and roles of the caller",
        answers: &[OK, UNPROVEN, THROTTLED, UNREADY],
    },
    Operation {
        method: "GET",
        path: "/account/{account}/{role}",
        query: &[CALLBACK],
        summary: "Credentials and a console URL",
        answers: &[
            OK,
            CALLBACK_REFUSED,
            UNPROVEN,
            DENIED,
            MISCONFIGURED,
            THROTTLED,
            UPSTREAM,
            UNREADY,
        ],
    },
    Operation {
        method: "GET",
        path: "/account/{account}/{role}/credentials",
        query: &[],
        summary: "Credentials",
        answers: &[
            OK,
            UNPROVEN,
            DENIED,
            MISCONFIGURED,
            THROTTLED,
            UPSTREAM,
            UNREADY,
        ],
    },
    Operation {
        method: "GET",
        path: "/account/{account}/{role}/consoleurl",
        query: &[CALLBACK],
        summary: "A console URL, as plain text",
        answers: &[
            OK,
            CALLBACK_REFUSED,
            UNPROVEN,
            DENIED,
            NO_CONSOLE,
            THROTTLED,
            UPSTREAM,
            UNREADY,
        ],
    },
    STATUS,
];

/// The operations of a mount for machines; all but the last also below `/latest` and a date.
pub const MACHINES: [Operation; 3] = [
    Operation {
        method: "GET",
        path: "/meta-data/iam/security-credentials/",
        query: &[],
        summary: "The name of the host's only role, as plain text",
        answers: &[OK, PROOF, NOT_ONE_ROLE, UPSTREAM],
    },
    Operation {
        method: "GET",
        path: "/meta-data/iam/security-credentials/{role}",
        query: &[],
        summary: "The host's credentials",
        answers: &[
            OK,
            PROOF,
            (403, "the role is another one, or upstream denies it"),
            NOT_ONE_ROLE,
            UPSTREAM,
        ],
    },
    STATUS,
];

const STATUS: Operation = Operation {
    method: "GET",
    path: "/status",
    query: &[],
    summary: "Whether the daemon serves what its configuration says",
    answers: &[
        OK,
        (404, "the configuration was refused at the last reload"),
    ],
};

/// The routes' names in metrics.
pub(super) const LABELS: &[&str] = &[
    "list",
    "role",
    "credentials",
    "console-url",
    "status",
    "role-list",
    "document",
    "none",
];

/// The label of requests for which there is no route.
pub(super) const NO_ROUTE: usize = 7;

impl<'a> Route<'a> {
    /// Parses the route of a path below a mount. A slash in a name, encoded or not, makes another
    /// path, as it does in AFP.
    pub(super) fn parse(
        method: &Method,
        segments: &'a Segments<'a>,
        machine: bool,
    ) -> Result<Self, NoRoute> {
        let all: Vec<&str> = segments.as_slices().collect();
        let route = if machine {
            Self::of_machine(&all)
        } else {
            Self::of_person(&all)
        };
        let route = route.ok_or(NoRoute::NotFound)?;
        if matches!(*method, Method::GET | Method::HEAD) {
            Ok(route)
        } else {
            Err(NoRoute::Method)
        }
    }

    fn of_person(all: &[&'a str]) -> Option<Self> {
        let mut operations = PEOPLES.iter().enumerate();
        let (place, [account, role]) =
            operations.find_map(|(place, operation)| Some((place, operation.matches(all)?)))?;
        Some(match place {
            0 => Self::List,
            1 => Self::Role(Part::Whole, account, role),
            2 => Self::Role(Part::Credentials, account, role),
            3 => Self::Role(Part::ConsoleUrl, account, role),
            _ => Self::Status,
        })
    }

    fn of_machine(all: &[&'a str]) -> Option<Self> {
        let below_version = match all {
            [version, below @ ..] if is_version(version) => below,
            below => below,
        };
        let [name, document, status] = &MACHINES;
        if name.matches(below_version).is_some() {
            Some(Self::RoleName)
        } else if let Some([role, _]) = document.matches(below_version) {
            Some(Self::Document(role))
        } else {
            status.matches(all).map(|_| Self::Status)
        }
    }

    /// Its place in [`LABELS`].
    pub(super) const fn label(self) -> usize {
        match self {
            Self::List => 0,
            Self::Role(Part::Whole, ..) => 1,
            Self::Role(Part::Credentials, ..) => 2,
            Self::Role(Part::ConsoleUrl, ..) => 3,
            Self::Status => 4,
            Self::RoleName => 5,
            Self::Document(_) => 6,
        }
    }
}

impl NoRoute {
    /// Why a path has no segments. What would be a path with its encoded slashes decoded is one
    /// that is not there.
    pub(super) fn of(error: PathError, below: &str) -> Self {
        match error {
            PathError::TooLong => Self::NotFound,
            PathError::Hostile => {
                let decoded = below.replace("%2f", "/").replace("%2F", "/");
                match Segments::parse(&decoded) {
                    Ok(_) | Err(PathError::TooLong) => Self::NotFound,
                    Err(PathError::Hostile) => Self::BadPath,
                }
            }
        }
    }
}

/// `latest`, or a date as `2012-01-12`; some pollers ask for `1.0`.
fn is_version(segment: &str) -> bool {
    let shape: Vec<bool> = segment.bytes().map(|byte| byte.is_ascii_digit()).collect();
    match segment {
        "latest" | "1.0" => true,
        _ => {
            let date = [true, true, true, true, false, true, true, false, true, true];
            shape == date && segment.bytes().filter(|byte| *byte == b'-').count() == 2
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str, machine: bool) -> Result<String, NoRoute> {
        let segments = Segments::parse(path).map_err(|error| NoRoute::of(error, path))?;
        Route::parse(&Method::GET, &segments, machine).map(|route| format!("{route:?}"))
    }

    fn person(path: &str) -> Result<String, NoRoute> {
        parsed(path, false)
    }

    #[test]
    fn accounts_routes_of_people() {
        for (path, route) in [
            ("/account", "List"),
            ("/account/", "List"),
            ("/account/prod/web", "Role(Whole, \"prod\", \"web\")"),
            (
                "/account/prod/web/credentials",
                "Role(Credentials, \"prod\", \"web\")",
            ),
            (
                "/account/prod/web/consoleurl",
                "Role(ConsoleUrl, \"prod\", \"web\")",
            ),
            ("/status", "Status"),
            (
                "/account/%23%23acc%23%23/%3F%3Frole%3F%3F",
                "Role(Whole, \"##acc##\", \"??role??\")",
            ),
            (
                "/account/pr%C3%B6d/web",
                "Role(Whole, \"pr\u{f6}d\", \"web\")",
            ),
            (
                "/account/prod/credentials",
                "Role(Whole, \"prod\", \"credentials\")",
            ),
            (
                "/account/prod/credentials/credentials",
                "Role(Credentials, \"prod\", \"credentials\")",
            ),
        ] {
            assert_eq!(person(path).as_deref(), Ok(route), "{path}");
        }
    }

    #[test]
    fn accounts_routes_that_are_not_there() {
        for path in [
            "/",
            "/accounts",
            "/account/prod",
            "/account/prod/ro/le",
            "/account/prod/ro%2Fle",
            "/account/prod/web/credentials/more",
            "/meta-data/iam/security-credentials/",
            "/latest/meta-data/iam/security-credentials/",
            "/a/b/c/d/e/f/g/h/i/j",
        ] {
            assert_eq!(person(path), Err(NoRoute::NotFound), "{path}");
        }
        for path in ["/account/../status", "/account/%00/web", "/account/%ff/web"] {
            assert_eq!(person(path), Err(NoRoute::BadPath), "{path}");
        }
        let segments = Segments::parse("/account").unwrap();
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let route = Route::parse(&method, &segments, false);
            assert_eq!(route, Err(NoRoute::Method), "{method}");
        }
        assert_eq!(
            Route::parse(&Method::HEAD, &segments, false),
            Ok(Route::List)
        );
    }

    #[test]
    fn accounts_routes_of_machines() {
        for prefix in ["", "/latest", "/1.0", "/2012-01-12"] {
            let list = format!("{prefix}/meta-data/iam/security-credentials");
            assert_eq!(parsed(&list, true).as_deref(), Ok("RoleName"), "{prefix}");
            let list = format!("{list}/");
            assert_eq!(parsed(&list, true).as_deref(), Ok("RoleName"), "{prefix}");
            let document = parsed(&format!("{list}web"), true);
            assert_eq!(document.as_deref(), Ok("Document(\"web\")"), "{prefix}");
        }
        assert_eq!(parsed("/status", true).as_deref(), Ok("Status"));
        for path in [
            "/account",
            "/account/prod/web",
            "/later/meta-data/iam/security-credentials/",
            "/2012-1-12/meta-data/iam/security-credentials/",
            "/2012/01/12/meta-data/iam/security-credentials/",
            "/latest/latest/meta-data/iam/security-credentials/",
            "/latest/status",
            "/latest/meta-data/iam/security-credentials/web/more",
        ] {
            assert_eq!(parsed(path, true), Err(NoRoute::NotFound), "{path}");
        }
    }
}
