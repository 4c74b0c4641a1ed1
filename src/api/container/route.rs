//! The paths of the container-credentials protocol.

use hyper::Method;

use crate::grants::Wanted;
use crate::http::{PathError, Segments};
use crate::types::{AccountAlias, RoleName, RoleRef};

/// A resource of the container protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/creds` and EKS Pod Identity's `/v1/credentials`: the caller's own role.
    Own,
    /// `/role/{role}` or `/role/{account}/{role}`.
    Role(Wanted),
    /// `/v2/credentials/{id}`: ECS's relative form.
    Id(&'a str),
}

/// A request for which there is no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// The path is none that an SDK sends.
    BadPath,
    /// `/v2/credentials` without an id.
    NoId,
    /// Nothing is there.
    NotFound,
    /// Only reading is served.
    Method,
}

/// What metrics call the routes.
pub const LABELS: &[&str] = &["own", "role", "id", "none"];
/// The label of requests that have no route.
pub const NO_ROUTE: usize = 3;

impl<'a> Route<'a> {
    /// Parses the route. `segments` are those of the path.
    pub fn parse(method: &Method, segments: &'a Segments<'a>) -> Result<Self, NoRoute> {
        let path: [&str; 4] = segments.array().ok_or(NoRoute::NotFound)?;
        let route = match path {
            ["creds", "", ..] | ["v1", "credentials", "", ""] => Self::Own,
            ["role", role, "", ""] if !role.is_empty() => {
                Self::Role(Wanted::ChosenName(name(role)?))
            }
            ["role", account, role, ""] if !account.is_empty() => {
                let account = AccountAlias::new(account).map_err(|_invalid| NoRoute::NotFound)?;
                Self::Role(Wanted::Chosen(RoleRef {
                    account,
                    role: name(role)?,
                }))
            }
            ["v2", "credentials", "", ""] => return Err(NoRoute::NoId),
            ["v2", "credentials", id, ""] => Self::Id(id),
            _ => return Err(NoRoute::NotFound),
        };
        if matches!(*method, Method::GET | Method::HEAD) {
            Ok(route)
        } else {
            Err(NoRoute::Method)
        }
    }

    /// Its place in [`LABELS`].
    pub const fn label(&self) -> usize {
        match self {
            Self::Own => 0,
            Self::Role(_) => 1,
            Self::Id(_) => 2,
        }
    }
}

fn name(text: &str) -> Result<RoleName, NoRoute> {
    RoleName::new(text).map_err(|_invalid| NoRoute::NotFound)
}

impl From<PathError> for NoRoute {
    fn from(error: PathError) -> Self {
        match error {
            PathError::Hostile => Self::BadPath,
            PathError::TooLong => Self::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &Result<Route<'_>, NoRoute>) {
        let segments = Segments::parse(path).unwrap();
        assert_eq!(&Route::parse(&Method::GET, &segments), expected, "{path}");
    }

    #[test]
    fn paths_of_ecs_eks_and_chosen_roles() {
        for path in ["/creds", "/creds/", "/v1/credentials", "//v1/credentials/"] {
            check(path, &Ok(Route::Own));
        }
        let web = RoleName::new("web").unwrap();
        check("/role/web", &Ok(Route::Role(Wanted::ChosenName(web))));
        let role = RoleRef::parse("prod/web").unwrap();
        check("/role/prod/web", &Ok(Route::Role(Wanted::Chosen(role))));
        check("/v2/credentials/abc", &Ok(Route::Id("abc")));
        check("/v2/credentials/", &Err(NoRoute::NoId));
        for path in [
            "/",
            "/role",
            "/role/prod/web/x",
            "/v2",
            "/v4/credentials/x",
            "/role/a",
        ] {
            check(path, &Err(NoRoute::NotFound));
        }
        let segments = Segments::parse("/creds").unwrap();
        assert_eq!(Route::parse(&Method::POST, &segments), Err(NoRoute::Method));
    }
}
