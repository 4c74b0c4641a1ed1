//! The paths of the EC2 metadata service.

use hyper::Method;

use crate::http::{PathError, Segments};

/// A resource of the metadata service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `PUT /latest/api/token`.
    IssueToken,
    /// `GET /`: the versions.
    Versions,
    /// `/{version}/`.
    Root,
    /// `…/meta-data/`.
    MetaData,
    /// `…/meta-data/iam/`.
    Iam,
    /// `…/meta-data/iam/info`.
    IamInfo,
    /// `…/meta-data/iam/security-credentials/`: the role list.
    RoleList,
    /// `…/meta-data/iam/security-credentials/{role}`: the document.
    Document(&'a str),
    /// `…/meta-data/placement/`.
    Placement,
    /// `…/meta-data/placement/availability-zone`.
    AvailabilityZone,
    /// `…/meta-data/placement/region`.
    Region,
    /// `…/meta-data/instance-id`.
    InstanceId,
    /// `…/meta-data/instance-type`.
    InstanceType,
    /// `…/meta-data/services/`.
    Services,
    /// `…/meta-data/services/domain`.
    Domain,
    /// `…/meta-data/services/partition`.
    Partition,
    /// `…/dynamic/`.
    Dynamic,
    /// `…/dynamic/instance-identity/`.
    Identity,
    /// `…/dynamic/instance-identity/document`.
    IdentityDocument,
}

/// A request for which there is no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// The path is none that an SDK sends.
    BadPath,
    /// Nothing is there.
    NotFound,
    /// `PUT` of a token elsewhere than below `latest`: the real service says 403.
    TokenElsewhere,
    /// The resource does not have this method, but these.
    Method(&'static str),
}

const READ: &str = "GET, HEAD";
/// The real service allows just this on the token path.
const TOKEN: &str = "OPTIONS, PUT";

impl<'a> Route<'a> {
    /// Parses the route. `segments` are those of the path.
    pub fn parse(method: &Method, segments: &'a Segments<'a>) -> Result<Self, NoRoute> {
        let path: [&str; 6] = segments.array().ok_or(NoRoute::NotFound)?;
        let [first, rest @ ..] = path;
        if rest == ["api", "token", "", "", ""] && is_version(first) {
            return match *method {
                Method::PUT if first == "latest" => Ok(Self::IssueToken),
                Method::PUT => Err(NoRoute::TokenElsewhere),
                _ => Err(NoRoute::Method(TOKEN)),
            };
        }
        let route = match first {
            "" => Self::Versions,
            // A machine mount of AFP has the same leaves without a version.
            "meta-data" => Self::below_version(["meta-data", path[1], path[2], path[3], path[4]])
                .filter(|_| path[5].is_empty())
                .ok_or(NoRoute::NotFound)?,
            version if is_version(version) => Self::below_version(rest).ok_or(NoRoute::NotFound)?,
            _ => return Err(NoRoute::NotFound),
        };
        if matches!(*method, Method::GET | Method::HEAD) {
            Ok(route)
        } else {
            Err(NoRoute::Method(READ))
        }
    }

    fn below_version(path: [&'a str; 5]) -> Option<Self> {
        Some(match path {
            ["", ..] => Self::Root,
            ["meta-data", "", ..] => Self::MetaData,
            ["meta-data", "instance-id", "", ..] => Self::InstanceId,
            ["meta-data", "instance-type", "", ..] => Self::InstanceType,
            ["meta-data", "iam", "", ..] => Self::Iam,
            ["meta-data", "iam", "info", "", ""] => Self::IamInfo,
            ["meta-data", "iam", "security-credentials", "", ""] => Self::RoleList,
            ["meta-data", "iam", "security-credentials", role, ""] => Self::Document(role),
            ["meta-data", "placement", "", ..] => Self::Placement,
            ["meta-data", "placement", "availability-zone", "", ""] => Self::AvailabilityZone,
            ["meta-data", "placement", "region", "", ""] => Self::Region,
            ["meta-data", "services", "", ..] => Self::Services,
            ["meta-data", "services", "domain", "", ""] => Self::Domain,
            ["meta-data", "services", "partition", "", ""] => Self::Partition,
            ["dynamic", "", ..] => Self::Dynamic,
            ["dynamic", "instance-identity", "", ..] => Self::Identity,
            ["dynamic", "instance-identity", "document", "", ""] => Self::IdentityDocument,
            _ => return None,
        })
    }

    /// Its place in [`LABELS`].
    pub const fn label(self) -> usize {
        match self {
            Self::IssueToken => 0,
            Self::RoleList => 1,
            Self::Document(_) => 2,
            Self::IamInfo => 3,
            Self::IdentityDocument => 4,
            Self::AvailabilityZone
            | Self::Region
            | Self::InstanceId
            | Self::InstanceType
            | Self::Domain
            | Self::Partition => 5,
            Self::Versions
            | Self::Root
            | Self::MetaData
            | Self::Iam
            | Self::Placement
            | Self::Services
            | Self::Dynamic
            | Self::Identity => 6,
        }
    }
}

/// What metrics call the routes; after them, requests that have none.
pub const LABELS: &[&str] = &[
    "token",
    "role-list",
    "document",
    "iam-info",
    "identity-document",
    "leaf",
    "listing",
    "none",
];

/// The label of requests that have no route.
pub const NO_ROUTE: usize = 7;

impl From<PathError> for NoRoute {
    fn from(error: PathError) -> Self {
        match error {
            PathError::Hostile => Self::BadPath,
            PathError::TooLong => Self::NotFound,
        }
    }
}

/// `latest`, `1.0`, or a date.
fn is_version(segment: &str) -> bool {
    segment == "latest" || segment == "1.0" || is_date(segment.as_bytes())
}

fn is_date(text: &[u8]) -> bool {
    text.len() == 10
        && text.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &Method, path: &str) -> Result<&'static str, NoRoute> {
        let segments = Segments::parse(path)?;
        Route::parse(method, &segments).map(|route| {
            if let Route::Document(role) = route {
                assert_eq!(role, "web");
                return "document web";
            }
            LABELS[route.label()]
        })
    }

    #[test]
    fn every_slash_form_and_version_leads_to_the_same_resource() {
        for path in [
            "/latest/meta-data/iam/security-credentials/",
            "/latest/meta-data/iam/security-credentials",
            "//latest//meta-data/iam/security-credentials//",
            "/1.0/meta-data/iam/security-credentials/",
            "/2009-04-04/meta-data/iam/security-credentials/",
            "/meta-data/iam/security-credentials/",
        ] {
            assert_eq!(route(&Method::GET, path), Ok("role-list"), "{path}");
        }
        for path in [
            "/latest/meta-data/iam/security-credentials/web",
            "/latest/meta-data/iam/security-credentials//web",
            "/latest/meta-data/iam/security-credentials/web/",
            "/meta-data/iam/security-credentials/web",
        ] {
            assert_eq!(route(&Method::GET, path), Ok("document web"), "{path}");
        }
        assert_eq!(
            route(
                &Method::GET,
                "/latest/meta-data/placement/availability-zone/"
            ),
            Ok("leaf")
        );
        assert_eq!(route(&Method::HEAD, "/"), Ok("listing"));
    }

    #[test]
    fn the_token_is_put_below_latest() {
        assert_eq!(route(&Method::PUT, "/latest/api/token"), Ok("token"));
        assert_eq!(route(&Method::PUT, "/latest/api/token/"), Ok("token"));
        assert_eq!(
            route(&Method::PUT, "/2021-07-15/api/token"),
            Err(NoRoute::TokenElsewhere)
        );
        assert_eq!(
            route(&Method::GET, "/latest/api/token"),
            Err(NoRoute::Method(TOKEN))
        );
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "/latest/user-data",
            "/latest/meta-data/iam/security-credentials-extended/",
            "/latest/meta-data/iam/security-credentials/web/more",
            "/latest/dynamic/instance-identity/pkcs7",
            "/latest/meta-data/tags/instance",
            "/2021-7-15/meta-data",
            "/later/meta-data",
            "/a/b/c/d/e/f/g/h/i/j",
        ] {
            assert_eq!(route(&Method::GET, path), Err(NoRoute::NotFound), "{path}");
        }
        assert_eq!(
            route(&Method::POST, "/latest/meta-data/iam/info"),
            Err(NoRoute::Method(READ))
        );
        assert_eq!(
            route(&Method::GET, "/latest/meta-data/../api/token"),
            Err(NoRoute::BadPath)
        );
    }
}
