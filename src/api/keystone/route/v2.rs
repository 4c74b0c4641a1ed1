//! The resources of version 2.0, OS-KSEC2 among them.

use super::Needs::{Administrator, Nothing, Service, Token};
use super::Version::V2;
use super::{BY_NAME, Row, What};

/// All of version 2.0.
pub(super) const ROWS: &[Row] = &[
    V2.row(
        "GET",
        "/v2.0",
        (What::Version, Nothing),
        &[200],
        "The version of the document of OS-KSEC2.",
    ),
    V2.row(
        "GET",
        "/v2.0/extensions",
        (What::Extensions, Nothing),
        &[200],
        "Which extensions there are.",
    ),
    V2.row(
        "GET",
        "/v2.0/extensions/{alias}",
        (What::Extension, Nothing),
        &[200, 404],
        "One extension.",
    ),
    V2.row(
        "POST",
        "/v2.0/ec2tokens",
        (What::Ec2Tokens, Service),
        &[200],
        "A token for whoever signed a request, which a service received.",
    ),
    V2.row(
        "POST",
        "/v2.0/s3tokens",
        (What::S3Tokens, Service),
        &[200, 404],
        "The same for a request to S3, by the text that was signed.",
    ),
    V2.row(
        "POST",
        "/v2.0/users/{user}/credentials/OS-EC2",
        (What::MakeKey, Token),
        &[201, 404, 409, 415],
        "Makes an access key.",
    ),
    V2.row(
        "GET",
        "/v2.0/users/{user}/credentials/OS-EC2",
        (What::Keys, Token),
        &[200, 404],
        "All access keys of a user.",
    ),
    V2.row(
        "GET",
        "/v2.0/users/{user}/credentials/OS-EC2/{key}",
        (What::ShowKey, Token),
        &[200, 404],
        "One access key, with its secret.",
    ),
    V2.row(
        "DELETE",
        "/v2.0/users/{user}/credentials/OS-EC2/{key}",
        (What::DeleteKey, Token),
        &[204, 404],
        "Deletes an access key.",
    ),
    V2.row(
        "POST",
        "/v2.0/tokens",
        (What::Login, Nothing),
        &[200, 401, 429, 503],
        "A token for a name and its password, for another token, or as `ec2tokens` gives it.",
    ),
    V2.row(
        "GET",
        "/v2.0/tokens/{token}",
        (What::Validate, Token),
        &[200, 404],
        "What a token says.",
    ),
    V2.row(
        "DELETE",
        "/v2.0/tokens/{token}",
        (What::Revoke, Token),
        &[204, 404],
        "Revokes a token.",
    ),
    V2.row(
        "GET",
        "/v2.0/tenants",
        (What::OwnProjects, Token),
        &[200],
        "The tenants of the token's user; all for administrators.",
    )
    .with(BY_NAME),
    V2.row(
        "GET",
        "/v2.0/tenants/{project}",
        (What::Project, Token),
        &[200, 404],
        "One tenant.",
    ),
    V2.row(
        "GET",
        "/v2.0/tenants/{project}/users/{user}/roles",
        (What::UserRoles, Token),
        &[200, 404],
        "The roles of a user in a tenant.",
    ),
    V2.row(
        "GET",
        "/v2.0/users",
        (What::Users, Token),
        &[200],
        "Users whose names are kept; with a token of anybody else, its own user.",
    )
    .with(BY_NAME),
    V2.row(
        "GET",
        "/v2.0/users/{user}",
        (What::User, Token),
        &[200, 404],
        "One user, by id or name.",
    ),
    V2.row(
        "GET",
        "/v2.0/OS-KSADM/roles",
        (What::Roles, Administrator),
        &[200],
        "The roles of the configuration.",
    ),
    V2.row(
        "GET",
        "/v2.0/OS-KSADM/roles/{role}",
        (What::Role, Administrator),
        &[200, 404],
        "One role.",
    ),
    V2.row(
        "GET",
        "/v2.0/OS-KSADM/services",
        (What::Services, Administrator),
        &[200],
        "The services of the catalog.",
    ),
    V2.row(
        "GET",
        "/v2.0/endpoints",
        (What::Endpoints, Administrator),
        &[200],
        "Where the catalog's services are.",
    ),
    V2.row(
        "GET",
        "/v2.0/OS-KSADM/services/{service}",
        (What::Service, Administrator),
        &[200, 404],
        "One service.",
    ),
];
