//! The resources of Keystone's API: one table, from which requests find their way and from which the
//! API is described.

use crate::http::Segments;

/// A version of the API, which decides how bodies are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one of the document of OS-KSEC2.
    V2,
    /// The one that servers have today.
    V3,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Which versions there are.
    Versions,
    /// One version.
    Version,
    /// Which extensions there are.
    Extensions,
    /// One extension.
    Extension,
    /// A token for a proof of a name.
    Login,
    /// What a token says.
    Validate,
    /// A token no more.
    Revoke,
    /// A token for a request that a service received.
    Ec2Tokens,
    /// The same for the text that was signed.
    S3Tokens,
    /// A new access key.
    MakeKey,
    /// All access keys of a user.
    Keys,
    /// One access key.
    ShowKey,
    /// An access key no more.
    DeleteKey,
    /// Users.
    Users,
    /// One user.
    User,
    /// Projects.
    Projects,
    /// One project.
    Project,
    /// The projects of the token's user.
    OwnProjects,
    /// The projects of a user.
    UserProjects,
    /// The roles of a user in a project.
    UserRoles,
    /// Roles.
    Roles,
    /// One role.
    Role,
    /// Who has which role where.
    RoleAssignments,
    /// Domains.
    Domains,
    /// The one domain.
    Domain,
    /// The domains that the token's user may choose.
    OwnDomains,
    /// The token's catalog of services.
    Catalog,
    /// Services.
    Services,
    /// One service.
    Service,
    /// Where services are.
    Endpoints,
    /// Regions.
    Regions,
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

/// What any resource may be answered with: the request, its path, its method.
pub const COMMON: [u16; 3] = [400, 403, 405];

/// What any resource that asks for a token may be answered with.
pub const WITH_TOKEN: [u16; 2] = [401, 503];

const fn row(
    version: Version,
    method: &'static str,
    path: &'static str,
    (what, needs): (What, Needs),
    statuses: &'static [u16],
    summary: &'static str,
) -> Row {
    Row {
        method,
        path,
        version,
        what,
        needs,
        query: &[],
        statuses,
        summary,
    }
}

impl Row {
    const fn with(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }
}

use Needs::{Administrator, Nothing, Service, Token};
use Version::{V2, V3};

const BY_NAME: &[(&str, &str)] = &[("name", "only the one of this name")];

/// All resources.
pub const ROWS: &[Row] = &[
    row(
        V3,
        "GET",
        "/",
        (What::Versions, Nothing),
        &[300],
        "Which versions of the API there are.",
    ),
    row(
        V2,
        "GET",
        "/v2.0",
        (What::Version, Nothing),
        &[200],
        "The version of the document of OS-KSEC2.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/extensions",
        (What::Extensions, Nothing),
        &[200],
        "Which extensions there are.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/extensions/{alias}",
        (What::Extension, Nothing),
        &[200, 404],
        "One extension.",
    ),
    row(
        V2,
        "POST",
        "/v2.0/ec2tokens",
        (What::Ec2Tokens, Service),
        &[200, 413],
        "A token for whoever signed a request, which a service received.",
    ),
    row(
        V2,
        "POST",
        "/v2.0/s3tokens",
        (What::S3Tokens, Service),
        &[200, 404, 413],
        "The same for a request to S3, by the text that was signed.",
    ),
    row(
        V2,
        "POST",
        "/v2.0/users/{user}/credentials/OS-EC2",
        (What::MakeKey, Token),
        &[201, 404, 409, 413, 415],
        "Makes an access key.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/users/{user}/credentials/OS-EC2",
        (What::Keys, Token),
        &[200, 404],
        "All access keys of a user.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/users/{user}/credentials/OS-EC2/{key}",
        (What::ShowKey, Token),
        &[200, 404],
        "One access key, with its secret.",
    ),
    row(
        V2,
        "DELETE",
        "/v2.0/users/{user}/credentials/OS-EC2/{key}",
        (What::DeleteKey, Token),
        &[204, 404],
        "Deletes an access key.",
    ),
    row(
        V2,
        "POST",
        "/v2.0/tokens",
        (What::Login, Nothing),
        &[200, 401, 413, 429, 503],
        "A token for a name and its password, for another token, or as `ec2tokens` gives it.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/tokens/{token}",
        (What::Validate, Token),
        &[200, 404],
        "What a token says.",
    ),
    row(
        V2,
        "DELETE",
        "/v2.0/tokens/{token}",
        (What::Revoke, Token),
        &[204, 404],
        "Revokes a token.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/tenants",
        (What::OwnProjects, Token),
        &[200],
        "The tenants of the token's user; all for administrators.",
    )
    .with(BY_NAME),
    row(
        V2,
        "GET",
        "/v2.0/tenants/{project}",
        (What::Project, Token),
        &[200, 404],
        "One tenant.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/tenants/{project}/users/{user}/roles",
        (What::UserRoles, Token),
        &[200, 404],
        "The roles of a user in a tenant.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/users",
        (What::Users, Token),
        &[200],
        "Users whose names are kept; with a token of anybody else, its own user.",
    )
    .with(BY_NAME),
    row(
        V2,
        "GET",
        "/v2.0/users/{user}",
        (What::User, Token),
        &[200, 404],
        "One user, by id or name.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/OS-KSADM/roles",
        (What::Roles, Administrator),
        &[200],
        "The roles of the configuration.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/OS-KSADM/roles/{role}",
        (What::Role, Administrator),
        &[200, 404],
        "One role.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/OS-KSADM/services",
        (What::Services, Administrator),
        &[200],
        "The services of the catalog.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/endpoints",
        (What::Endpoints, Administrator),
        &[200],
        "Where the catalog's services are.",
    ),
    row(
        V2,
        "GET",
        "/v2.0/OS-KSADM/services/{service}",
        (What::Service, Administrator),
        &[200, 404],
        "One service.",
    ),
    row(
        V3,
        "GET",
        "/v3",
        (What::Version, Nothing),
        &[200],
        "The version that servers have today.",
    ),
    row(
        V3,
        "POST",
        "/v3/ec2tokens",
        (What::Ec2Tokens, Service),
        &[200, 413],
        "A token for whoever signed a request, which a service received.",
    ),
    row(
        V3,
        "POST",
        "/v3/s3tokens",
        (What::S3Tokens, Service),
        &[200, 404, 413],
        "The same for a request to S3, by the text that was signed.",
    ),
    row(
        V3,
        "POST",
        "/v3/users/{user}/credentials/OS-EC2",
        (What::MakeKey, Token),
        &[201, 404, 409, 413, 415],
        "Makes an access key.",
    ),
    row(
        V3,
        "GET",
        "/v3/users/{user}/credentials/OS-EC2",
        (What::Keys, Token),
        &[200, 404],
        "All access keys of a user.",
    ),
    row(
        V3,
        "GET",
        "/v3/users/{user}/credentials/OS-EC2/{key}",
        (What::ShowKey, Token),
        &[200, 404],
        "One access key, with its secret.",
    ),
    row(
        V3,
        "DELETE",
        "/v3/users/{user}/credentials/OS-EC2/{key}",
        (What::DeleteKey, Token),
        &[204, 404],
        "Deletes an access key.",
    ),
    row(
        V3,
        "POST",
        "/v3/auth/tokens",
        (What::Login, Nothing),
        &[201, 401, 404, 413, 429, 503],
        "A token for a name and its password, for another token, or for an application credential.",
    )
    .with(&[("nocatalog", "the answer has no catalog")]),
    row(
        V3,
        "GET",
        "/v3/auth/tokens",
        (What::Validate, Token),
        &[200, 404],
        "What the token says that `X-Subject-Token` shows.",
    )
    .with(&[("nocatalog", "the answer has no catalog")]),
    row(
        V3,
        "DELETE",
        "/v3/auth/tokens",
        (What::Revoke, Token),
        &[204, 404],
        "Revokes the token that `X-Subject-Token` shows.",
    ),
    row(
        V3,
        "GET",
        "/v3/auth/catalog",
        (What::Catalog, Token),
        &[200],
        "The catalog of services.",
    ),
    row(
        V3,
        "GET",
        "/v3/auth/projects",
        (What::OwnProjects, Token),
        &[200],
        "The projects of the token's user; all for administrators.",
    )
    .with(BY_NAME),
    row(
        V3,
        "GET",
        "/v3/auth/domains",
        (What::OwnDomains, Token),
        &[200],
        "The domains that the token's user may choose: none.",
    ),
    row(
        V3,
        "GET",
        "/v3/users",
        (What::Users, Token),
        &[200],
        "Users whose names are kept; with a token of anybody else, its own user.",
    )
    .with(BY_NAME),
    row(
        V3,
        "GET",
        "/v3/users/{user}",
        (What::User, Token),
        &[200, 404],
        "One user, by id or name.",
    ),
    row(
        V3,
        "GET",
        "/v3/users/{user}/projects",
        (What::UserProjects, Token),
        &[200, 404],
        "The projects of a user.",
    )
    .with(BY_NAME),
    row(
        V3,
        "GET",
        "/v3/projects",
        (What::Projects, Administrator),
        &[200],
        "All projects.",
    )
    .with(BY_NAME),
    row(
        V3,
        "GET",
        "/v3/projects/{project}",
        (What::Project, Token),
        &[200, 404],
        "One project.",
    ),
    row(
        V3,
        "GET",
        "/v3/projects/{project}/users/{user}/roles",
        (What::UserRoles, Token),
        &[200, 404],
        "The roles of a user in a project.",
    ),
    row(
        V3,
        "GET",
        "/v3/domains",
        (What::Domains, Administrator),
        &[200],
        "The one domain that there is.",
    )
    .with(BY_NAME),
    row(
        V3,
        "GET",
        "/v3/domains/{domain}",
        (What::Domain, Token),
        &[200, 404],
        "The one domain that there is.",
    ),
    row(
        V3,
        "GET",
        "/v3/roles",
        (What::Roles, Administrator),
        &[200],
        "The roles of the configuration.",
    )
    .with(BY_NAME),
    row(
        V3,
        "GET",
        "/v3/roles/{role}",
        (What::Role, Administrator),
        &[200, 404],
        "One role.",
    ),
    row(
        V3,
        "GET",
        "/v3/role_assignments",
        (What::RoleAssignments, Token),
        &[200, 404],
        "Who has which role where: of one user, the token's own unless it is an administrator's.",
    )
    .with(&[
        ("user.id", "of this user"),
        ("scope.project.id", "in this project"),
        ("role.id", "this role"),
        ("include_names", "with names beside ids"),
    ]),
    row(
        V3,
        "GET",
        "/v3/services",
        (What::Services, Administrator),
        &[200],
        "The services of the catalog.",
    ),
    row(
        V3,
        "GET",
        "/v3/services/{service}",
        (What::Service, Administrator),
        &[200, 404],
        "One service.",
    ),
    row(
        V3,
        "GET",
        "/v3/endpoints",
        (What::Endpoints, Administrator),
        &[200],
        "Where the catalog's services are.",
    ),
    row(
        V3,
        "GET",
        "/v3/regions",
        (What::Regions, Token),
        &[200],
        "The catalog's region.",
    ),
];

/// The resources' names in metrics, in the order of [`What`].
pub(super) const LABELS: &[&str] = &[
    "versions",
    "version",
    "extensions",
    "extension",
    "login",
    "validate",
    "revoke",
    "ec2tokens",
    "s3tokens",
    "make-key",
    "keys",
    "show-key",
    "delete-key",
    "users",
    "user",
    "projects",
    "project",
    "own-projects",
    "user-projects",
    "user-roles",
    "roles",
    "role",
    "role-assignments",
    "domains",
    "domain",
    "own-domains",
    "catalog",
    "services",
    "service",
    "endpoints",
    "regions",
    "none",
];

/// The label of requests for which there is no resource.
pub(super) const NO_ROUTE: usize = 31;

impl What {
    /// Its place in [`LABELS`].
    pub(super) const fn label(self) -> usize {
        match self {
            Self::Versions => 0,
            Self::Version => 1,
            Self::Extensions => 2,
            Self::Extension => 3,
            Self::Login => 4,
            Self::Validate => 5,
            Self::Revoke => 6,
            Self::Ec2Tokens => 7,
            Self::S3Tokens => 8,
            Self::MakeKey => 9,
            Self::Keys => 10,
            Self::ShowKey => 11,
            Self::DeleteKey => 12,
            Self::Users => 13,
            Self::User => 14,
            Self::Projects => 15,
            Self::Project => 16,
            Self::OwnProjects => 17,
            Self::UserProjects => 18,
            Self::UserRoles => 19,
            Self::Roles => 20,
            Self::Role => 21,
            Self::RoleAssignments => 22,
            Self::Domains => 23,
            Self::Domain => 24,
            Self::OwnDomains => 25,
            Self::Catalog => 26,
            Self::Services => 27,
            Self::Service => 28,
            Self::Endpoints => 29,
            Self::Regions => 30,
        }
    }

    /// As Keystone's policy calls it, in what it tells those who may not.
    pub(super) const fn action(self) -> &'static str {
        match self {
            Self::Versions | Self::Version | Self::Extensions | Self::Extension | Self::Login => {
                "identity:get_version"
            }
            Self::Validate => "identity:validate_token",
            Self::Revoke => "identity:revoke_token",
            Self::Ec2Tokens => "identity:ec2tokens_validate",
            Self::S3Tokens => "identity:s3tokens_validate",
            Self::MakeKey => "identity:ec2_create_credential",
            Self::Keys => "identity:ec2_list_credentials",
            Self::ShowKey => "identity:ec2_get_credential",
            Self::DeleteKey => "identity:ec2_delete_credential",
            Self::Users => "identity:list_users",
            Self::User => "identity:get_user",
            Self::Projects => "identity:list_projects",
            Self::Project => "identity:get_project",
            Self::OwnProjects => "identity:get_auth_projects",
            Self::UserProjects => "identity:list_user_projects",
            Self::UserRoles => "identity:list_grants",
            Self::Roles => "identity:list_roles",
            Self::Role => "identity:get_role",
            Self::RoleAssignments => "identity:list_role_assignments",
            Self::Domains => "identity:list_domains",
            Self::Domain => "identity:get_domain",
            Self::OwnDomains => "identity:get_auth_domains",
            Self::Catalog => "identity:get_auth_catalog",
            Self::Services => "identity:list_services",
            Self::Service => "identity:get_service",
            Self::Endpoints => "identity:list_endpoints",
            Self::Regions => "identity:list_regions",
        }
    }
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
        let method = if method == "HEAD" { "GET" } else { method };
        let segments: Vec<&str> = segments.as_slices().collect();
        let mut allow = Vec::new();
        for row in ROWS {
            let Some(names) = matched(row.path, &segments) else {
                continue;
            };
            if row.method == method {
                return Ok(Self { row, names });
            }
            allow.push(row.method);
            if row.method == "GET" {
                allow.push("HEAD");
            }
        }
        if allow.is_empty() {
            Err(NoRoute::NotFound)
        } else {
            Err(NoRoute::Method(allow.join(", ")))
        }
    }
}

/// What stands for the names in braces, where the path is of this form.
fn matched<'a>(path: &str, segments: &[&'a str]) -> Option<[&'a str; 2]> {
    let mut names = [""; 2];
    let mut places = names.iter_mut();
    let mut given = segments.iter().copied();
    for expected in path.split('/').filter(|part| !part.is_empty()) {
        let segment = given.next()?;
        if expected.starts_with('{') {
            *places.next()? = segment;
        } else if expected != segment {
            return None;
        }
    }
    given.next().is_none().then_some(names)
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
        let whats = ROWS.iter().map(|row| row.what.label());
        let labels: BTreeSet<usize> = whats.collect();
        assert_eq!(labels.len(), NO_ROUTE);
        assert_eq!(LABELS.len(), NO_ROUTE + 1);
        assert_eq!(LABELS.last(), Some(&"none"));
    }
}
