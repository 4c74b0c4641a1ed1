//! The paths of the admin socket.

use std::str::FromStr;

use hyper::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::exchange::Server;
use super::explain::Question;
use super::verify::Asked;
use crate::grants::Wanted;
use crate::types::RoleRef;
use crate::vending::Subject;

/// A question or an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /v1/health`
    Health,
    /// `GET /v1/status`
    Status,
    /// `GET /v1/credentials[?role=account/role]`
    Credentials(Option<RoleRef>),
    /// `POST /v1/token[?role=account/role]`
    Token(Option<RoleRef>),
    /// `GET /v1/console[?role=account/role]`
    Console(Option<RoleRef>),
    /// `GET /v1/registry?server=HOST[&role=account/role]`
    Registry(Server, Option<RoleRef>),
    /// `POST /v1/refresh`
    Refresh,
    /// `POST /v1/forget`
    Forget,
    /// `POST /v1/reload`
    Reload,
    /// What shows or changes what is stored for people.
    Stored(Stored),
    /// `GET /v1/audit[?after=SEQUENCE[&wait=1]]`
    Audit {
        /// Only events after this one.
        after: u64,
        /// Whether to wait for one.
        wait: bool,
    },
    /// `POST /v1/verify[?at=SECONDS][&age=SECONDS]`
    Verify(Asked),
    /// `GET /v1/explain[?pid=N|uid=N|container=ID|principal=NAME][&role=…][&listener=NAME]`
    Explain(Question),
}

/// A question about tokens, access keys and MFA devices, or an order to make or delete one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// `GET /v1/tokens`
    Tokens,
    /// `POST /v1/tokens/create`
    MakeToken,
    /// `GET /v1/keys`
    Keys,
    /// `POST /v1/keys/create`
    MakeKey,
    /// `POST /v1/keys/delete`: an access key or a token
    Delete,
    /// `GET /v1/mfa`
    Devices,
    /// `POST /v1/mfa/enrol`
    Enrol,
    /// `POST /v1/mfa/remove`
    Remove,
}

/// A request for which there is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// Nothing is there.
    NotFound,
    /// It is there for this method.
    Method(&'static str),
    /// The query is not understood.
    Query(String),
}

/// What metrics call the routes.
pub const LABELS: &[&str] = &[
    "health",
    "status",
    "credentials",
    "token",
    "refresh",
    "forget",
    "reload",
    "audit",
    "explain",
    "console",
    "registry",
    "tokens",
    "make-token",
    "keys",
    "make-key",
    "delete-key",
    "mfa",
    "enrol-mfa",
    "remove-mfa",
    "verify",
    "none",
];
/// The label of requests that have no route.
pub const NO_ROUTE: usize = 20;

impl Route {
    /// Parses a request's method and target.
    pub fn parse(method: &Method, uri: &Uri) -> Result<Self, NoRoute> {
        let query = Query(uri.query().unwrap_or_default());
        let (route, expected) = match uri.path() {
            "/v1/health" => (Self::Health, Method::GET),
            "/v1/status" => (Self::Status, Method::GET),
            "/v1/credentials" => (Self::Credentials(query.role()?), Method::GET),
            "/v1/token" => (Self::Token(query.role()?), Method::POST),
            "/v1/console" => (Self::Console(query.role()?), Method::GET),
            "/v1/registry" => (Self::Registry(query.server()?, query.role()?), Method::GET),
            "/v1/refresh" => (Self::Refresh, Method::POST),
            "/v1/forget" => (Self::Forget, Method::POST),
            "/v1/reload" => (Self::Reload, Method::POST),
            "/v1/tokens" => (Self::Stored(Stored::Tokens), Method::GET),
            "/v1/tokens/create" => (Self::Stored(Stored::MakeToken), Method::POST),
            "/v1/keys" => (Self::Stored(Stored::Keys), Method::GET),
            "/v1/keys/create" => (Self::Stored(Stored::MakeKey), Method::POST),
            "/v1/keys/delete" => (Self::Stored(Stored::Delete), Method::POST),
            "/v1/mfa" => (Self::Stored(Stored::Devices), Method::GET),
            "/v1/mfa/enrol" => (Self::Stored(Stored::Enrol), Method::POST),
            "/v1/mfa/remove" => (Self::Stored(Stored::Remove), Method::POST),
            "/v1/verify" => (Self::Verify(query.signature()?), Method::POST),
            "/v1/audit" => (query.audit()?, Method::GET),
            "/v1/explain" => (Self::Explain(query.question()?), Method::GET),
            _ => return Err(NoRoute::NotFound),
        };
        if *method == expected {
            Ok(route)
        } else if expected == Method::GET {
            Err(NoRoute::Method("GET"))
        } else {
            Err(NoRoute::Method("POST"))
        }
    }

    /// Its place in [`LABELS`].
    pub const fn label(&self) -> usize {
        match self {
            Self::Health => 0,
            Self::Status => 1,
            Self::Credentials(_) => 2,
            Self::Token(_) => 3,
            Self::Refresh => 4,
            Self::Forget => 5,
            Self::Reload => 6,
            Self::Audit { .. } => 7,
            Self::Explain(_) => 8,
            Self::Console(_) => 9,
            Self::Registry(..) => 10,
            Self::Stored(Stored::Tokens) => 11,
            Self::Stored(Stored::MakeToken) => 12,
            Self::Stored(Stored::Keys) => 13,
            Self::Stored(Stored::MakeKey) => 14,
            Self::Stored(Stored::Delete) => 15,
            Self::Stored(Stored::Devices) => 16,
            Self::Stored(Stored::Enrol) => 17,
            Self::Stored(Stored::Remove) => 18,
            Self::Verify(_) => 19,
        }
    }
}

struct Query<'a>(&'a str);

impl Query<'_> {
    fn value(&self, name: &str) -> Result<Option<String>, NoRoute> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(key, _)| *key == name);
        let Some((_, value)) = values.next() else {
            return Ok(None);
        };
        let decoded = percent_decode_str(value).decode_utf8();
        let decoded = decoded.map_err(|_not_utf8| NoRoute::Query(format!("{name} is no text")))?;
        Ok(Some(decoded.into_owned()))
    }

    fn role(&self) -> Result<Option<RoleRef>, NoRoute> {
        let role = self.value("role")?;
        let role = role.as_deref().map(RoleRef::parse).transpose();
        role.map_err(|error| NoRoute::Query(error.to_string()))
    }

    fn server(&self) -> Result<Server, NoRoute> {
        let server = self.value("server")?.unwrap_or_default();
        let wrong = || NoRoute::Query("`server` is a registry's host".to_owned());
        Server::parse(&server).ok_or_else(wrong)
    }

    fn signature(&self) -> Result<Asked, NoRoute> {
        Ok(Asked {
            at: self.number("at")?,
            age: self.number("age")?,
        })
    }

    fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, NoRoute> {
        let Some(text) = self.value(name)? else {
            return Ok(None);
        };
        let number = text.parse().ok().map(Some);
        number.ok_or_else(|| NoRoute::Query(format!("`{name}` is a number")))
    }

    fn question(&self) -> Result<Question, NoRoute> {
        let subjects = [
            self.number("pid")?.map(Subject::Process),
            self.number("uid")?.map(Subject::User),
            self.value("container")?.map(Subject::Container),
            self.value("principal")?.map(Subject::Principal),
        ];
        let mut subjects = subjects.into_iter().flatten();
        let subject = subjects.next();
        if subjects.next().is_some() {
            let one = "one question is about one of `pid`, `uid`, `container` and `principal`";
            return Err(NoRoute::Query(one.to_owned()));
        }
        Ok(Question {
            subject,
            role: self.wanted()?,
            listener: self.value("listener")?,
        })
    }

    /// `account/role`, or a role's name in whatever account.
    fn wanted(&self) -> Result<Wanted, NoRoute> {
        let Some(text) = self.value("role")? else {
            return Ok(Wanted::First);
        };
        Wanted::parse(&text).map_err(|error| NoRoute::Query(error.to_string()))
    }

    fn audit(&self) -> Result<Route, NoRoute> {
        let after = match self.value("after")? {
            Some(text) => text.parse().map_err(|_no_number| {
                NoRoute::Query("`after` is the number of an event".to_owned())
            })?,
            None => 0,
        };
        let wait = self.value("wait")?.is_some_and(|value| value == "1");
        Ok(Route::Audit { after, wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: &Method, target: &str) -> Result<Route, NoRoute> {
        Route::parse(method, &target.parse().unwrap())
    }

    #[test]
    fn questions_are_read_and_orders_are_posted() {
        let role = RoleRef::parse("prod/a+b").unwrap();
        for (method, target, route) in [
            (Method::GET, "/v1/status", Route::Status),
            (Method::GET, "/v1/credentials", Route::Credentials(None)),
            (
                Method::GET,
                "/v1/credentials?role=prod%2Fa%2Bb",
                Route::Credentials(Some(role)),
            ),
            (Method::POST, "/v1/token", Route::Token(None)),
            (Method::POST, "/v1/reload", Route::Reload),
            (
                Method::GET,
                "/v1/audit",
                Route::Audit {
                    after: 0,
                    wait: false,
                },
            ),
            (
                Method::GET,
                "/v1/audit?after=7&wait=1",
                Route::Audit {
                    after: 7,
                    wait: true,
                },
            ),
            (
                Method::GET,
                "/v1/explain?uid=7&role=web&listener=a%20b",
                Route::Explain(Question {
                    subject: Some(Subject::User(7)),
                    role: Wanted::parse("web").unwrap(),
                    listener: Some("a b".to_owned()),
                }),
            ),
        ] {
            assert_eq!(parse(&method, target), Ok(route), "{target}");
        }
        assert_eq!(
            parse(&Method::GET, "/v1/reload"),
            Err(NoRoute::Method("POST"))
        );
        assert_eq!(
            parse(&Method::POST, "/v1/status"),
            Err(NoRoute::Method("GET"))
        );
        for target in ["/", "/v1", "/v1/status/", "/v2/status", "/v1/%73tatus"] {
            assert_eq!(
                parse(&Method::GET, target),
                Err(NoRoute::NotFound),
                "{target}"
            );
        }
        for target in [
            "/v1/credentials?role=x",
            "/v1/credentials?role=%ff",
            "/v1/audit?after=x",
            "/v1/registry",
            "/v1/registry?server=a%20b",
            "/v1/explain?pid=-1",
            "/v1/explain?pid=1&uid=1",
            "/v1/explain?container=a&principal=b",
            "/v1/explain?role=a/b/c",
        ] {
            let refused = parse(&Method::GET, target);
            assert!(matches!(refused, Err(NoRoute::Query(_))), "{target}");
        }
    }

    #[test]
    fn every_route_has_its_label() {
        for (target, label) in [
            ("/v1/health", "health"),
            ("/v1/audit", "audit"),
            ("/v1/explain", "explain"),
            ("/v1/console", "console"),
            ("/v1/registry?server=a.example", "registry"),
            ("/v1/tokens", "tokens"),
            ("/v1/keys", "keys"),
            ("/v1/mfa", "mfa"),
        ] {
            let route = parse(&Method::GET, target).unwrap();
            assert_eq!(LABELS[route.label()], label);
        }
        for (target, label) in [
            ("/v1/reload", "reload"),
            ("/v1/tokens/create", "make-token"),
            ("/v1/keys/create", "make-key"),
            ("/v1/keys/delete", "delete-key"),
            ("/v1/mfa/enrol", "enrol-mfa"),
            ("/v1/mfa/remove", "remove-mfa"),
            ("/v1/verify", "verify"),
        ] {
            let route = parse(&Method::POST, target).unwrap();
            assert_eq!(LABELS[route.label()], label);
        }
        assert_eq!(LABELS[NO_ROUTE], "none");
    }
}
