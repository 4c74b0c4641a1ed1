//! The resources of version 3, OS-EC2 among them, and the list of versions.

use super::Needs::{Administrator, Nothing, Service, Token};
use super::Version::V3;
use super::{BY_NAME, Row, What};

/// All of version 3.
pub(super) const ROWS: &[Row] = &[
    V3.row(
        "GET",
        "/",
        (What::Versions, Nothing),
        &[300],
        "Which versions of the API there are.",
    ),
    V3.row(
        "GET",
        "/v3",
        (What::Version, Nothing),
        &[200],
        "The version that servers have today.",
    ),
    V3.row(
        "POST",
        "/v3/ec2tokens",
        (What::Ec2Tokens, Service),
        &[200],
        "A token for whoever signed a request, which a service received.",
    ),
    V3.row(
        "POST",
        "/v3/s3tokens",
        (What::S3Tokens, Service),
        &[200, 404],
        "The same for a request to S3, by the text that was signed.",
    ),
    V3.row(
        "POST",
        "/v3/users/{user}/credentials/OS-EC2",
        (What::MakeKey, Token),
        &[201, 404, 409, 415],
        "Makes an access key.",
    ),
    V3.row(
        "GET",
        "/v3/users/{user}/credentials/OS-EC2",
        (What::Keys, Token),
        &[200, 404],
        "All access keys of a user.",
    ),
    V3.row(
        "GET",
        "/v3/users/{user}/credentials/OS-EC2/{key}",
        (What::ShowKey, Token),
        &[200, 404],
        "One access key, with its secret.",
    ),
    V3.row(
        "DELETE",
        "/v3/users/{user}/credentials/OS-EC2/{key}",
        (What::DeleteKey, Token),
        &[204, 404],
        "Deletes an access key.",
    ),
    V3.row(
        "POST",
        "/v3/auth/tokens",
        (What::Login, Nothing),
        &[201, 401, 404, 429, 503],
        "A token for a name and its password, for another token, or for an application credential.",
    )
    .with(&[("nocatalog", "the answer has no catalog")]),
    V3.row(
        "GET",
        "/v3/auth/tokens",
        (What::Validate, Token),
        &[200, 404],
        "What the token says that `X-Subject-Token` shows.",
    )
    .with(&[("nocatalog", "the answer has no catalog")]),
    V3.row(
        "DELETE",
        "/v3/auth/tokens",
        (What::Revoke, Token),
        &[204, 404],
        "Revokes the token that `X-Subject-Token` shows.",
    ),
    V3.row(
        "GET",
        "/v3/auth/catalog",
        (What::Catalog, Token),
        &[200],
        "The catalog of services.",
    ),
    V3.row(
        "GET",
        "/v3/auth/projects",
        (What::OwnProjects, Token),
        &[200],
        "The projects of the token's user; all for administrators.",
    )
    .with(BY_NAME),
    V3.row(
        "GET",
        "/v3/auth/domains",
        (What::OwnDomains, Token),
        &[200],
        "The domains that the token's user may choose: none.",
    ),
    V3.row(
        "GET",
        "/v3/users",
        (What::Users, Token),
        &[200],
        "Users whose names are kept; with a token of anybody else, its own user.",
    )
    .with(BY_NAME),
    V3.row(
        "GET",
        "/v3/users/{user}",
        (What::User, Token),
        &[200, 404],
        "One user, by id or name.",
    ),
    V3.row(
        "GET",
        "/v3/users/{user}/projects",
        (What::UserProjects, Token),
        &[200, 404],
        "The projects of a user.",
    )
    .with(BY_NAME),
    V3.row(
        "GET",
        "/v3/users/{user}/application_credentials",
        (What::ApplicationCredentials, Token),
        &[200, 404],
        "The application credentials of a user: bearer tokens that count.",
    )
    .with(BY_NAME),
    V3.row(
        "GET",
        "/v3/users/{user}/application_credentials/{credential}",
        (What::ApplicationCredential, Token),
        &[200, 404],
        "One application credential.",
    ),
    V3.row(
        "GET",
        "/v3/projects",
        (What::Projects, Administrator),
        &[200],
        "All projects.",
    )
    .with(BY_NAME),
    V3.row(
        "GET",
        "/v3/projects/{project}",
        (What::Project, Token),
        &[200, 404],
        "One project.",
    ),
    V3.row(
        "GET",
        "/v3/projects/{project}/users/{user}/roles",
        (What::UserRoles, Token),
        &[200, 404],
        "The roles of a user in a project.",
    ),
    V3.row(
        "GET",
        "/v3/domains",
        (What::Domains, Administrator),
        &[200],
        "The one domain that there is.",
    )
    .with(BY_NAME),
    V3.row(
        "GET",
        "/v3/domains/{domain}",
        (What::Domain, Token),
        &[200, 404],
        "The one domain that there is.",
    ),
    V3.row(
        "GET",
        "/v3/roles",
        (What::Roles, Administrator),
        &[200],
        "The roles of the configuration.",
    )
    .with(BY_NAME),
    V3.row(
        "GET",
        "/v3/roles/{role}",
        (What::Role, Administrator),
        &[200, 404],
        "One role.",
    ),
    V3.row(
        "GET",
        "/v3/role_assignments",
        (What::RoleAssignments, Token),
        &[200, 404],
        "Who has which role where: the token's own user; all whose names are kept for administrators.",
    )
    .with(&[
        ("user.id", "of this user"),
        ("group.id", "of this group: of none"),
        ("scope.project.id", "in this project"),
        ("scope.domain.id", "in this domain: nothing"),
        ("scope.system", "in the system: nothing"),
        ("role.id", "this role"),
        ("include_names", "with names beside ids"),
    ]),
    V3.row(
        "GET",
        "/v3/services",
        (What::Services, Administrator),
        &[200],
        "The services of the catalog.",
    ),
    V3.row(
        "GET",
        "/v3/services/{service}",
        (What::Service, Administrator),
        &[200, 404],
        "One service.",
    ),
    V3.row(
        "GET",
        "/v3/endpoints",
        (What::Endpoints, Administrator),
        &[200],
        "Where the catalog's services are.",
    ),
    V3.row(
        "GET",
        "/v3/regions",
        (What::Regions, Token),
        &[200],
        "The catalog's region.",
    ),
];
