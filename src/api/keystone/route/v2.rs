//! The resources of version 2.0, OS-KSEC2 among them.

use super::Needs::{Administrator, Nothing, Service, Token};
use super::{BY_NAME, Needs, Row, Version, What};

const fn row(
    method: &'static str,
    path: &'static str,
    takes: (What, Needs),
    statuses: &'static [u16],
    summary: &'static str,
) -> Row {
    Row::new(Version::V2, method, path, takes, statuses, summary)
}

/// All of version 2.0.
pub(super) const ROWS: &[Row] = &[
    row(
        "GET",
        "/v2.0",
        (What::Version, Nothing),
        &[200],
        "The version of the document of OS-KSEC2.",
    ),
    row(
        "GET",
        "/v2.0/extensions",
        (What::Extensions, Nothing),
        &[200],
        "Which extensions there are.",
    ),
    row(
        "GET",
        "/v2.0/extensions/{alias}",
        (What::Extension, Nothing),
        &[200, 404],
        "One extension.",
    ),
    row(
        "POST",
        "/v2.0/ec2tokens",
        (What::Ec2Tokens, Service),
        &[200],
        "A token for whoever signed a request, which a service received.",
    ),
    row(
        "POST",
        "/v2.0/s3tokens",
        (What::S3Tokens, Service),
        &[200, 404],
        "The same for a request to S3, by the text that was signed.",
    ),
    row(
        "POST",
        "/v2.0/users/{user}/credentials/OS-EC2",
        (What::MakeKey, Token),
        &[201, 404, 409, 415],
        "Makes an access key.",
    ),
    row(
        "GET",
        "/v2.0/users/{user}/credentials/OS-EC2",
        (What::Keys, Token),
        &[200, 404],
        "All access keys of a user.",
    ),
    row(
        "GET",
        "/v2.0/users/{user}/credentials/OS-EC2/{key}",
        (What::ShowKey, Token),
        &[200, 404],
        "One access key, with its secret.",
    ),
    row(
        "DELETE",
        "/v2.0/users/{user}/credentials/OS-EC2/{key}",
        (What::DeleteKey, Token),
        &[204, 404],
        "Deletes an access key.",
    ),
    row(
        "POST",
        "/v2.0/tokens",
        (What::Login, Nothing),
        &[200, 401, 429, 503],
        "A token for a name and its password, for another token, or as `ec2tokens` gives it.",
    ),
    row(
        "GET",
        "/v2.0/tokens/{token}",
        (What::Validate, Token),
        &[200, 404],
        "What a token says.",
    ),
    row(
        "DELETE",
        "/v2.0/tokens/{token}",
        (What::Revoke, Token),
        &[204, 404],
        "Revokes a token.",
    ),
    row(
        "GET",
        "/v2.0/tenants",
        (What::OwnProjects, Token),
        &[200],
        "The tenants of the token's user; all for administrators.",
    )
    .with(BY_NAME),
    row(
        "GET",
        "/v2.0/tenants/{project}",
        (What::Project, Token),
        &[200, 404],
        "One tenant.",
    ),
    row(
        "GET",
        "/v2.0/tenants/{project}/users/{user}/roles",
        (What::UserRoles, Token),
        &[200, 404],
        "The roles of a user in a tenant.",
    ),
    row(
        "GET",
        "/v2.0/users",
        (What::Users, Token),
        &[200],
        "Users whose names are kept; with a token of anybody else, its own user.",
    )
    .with(BY_NAME),
    row(
        "GET",
        "/v2.0/users/{user}",
        (What::User, Token),
        &[200, 404],
        "One user, by id or name.",
    ),
    row(
        "GET",
        "/v2.0/OS-KSADM/roles",
        (What::Roles, Administrator),
        &[200],
        "The roles of the configuration.",
    ),
    row(
        "GET",
        "/v2.0/OS-KSADM/roles/{role}",
        (What::Role, Administrator),
        &[200, 404],
        "One role.",
    ),
    row(
        "GET",
        "/v2.0/OS-KSADM/services",
        (What::Services, Administrator),
        &[200],
        "The services of the catalog.",
    ),
    row(
        "GET",
        "/v2.0/endpoints",
        (What::Endpoints, Administrator),
        &[200],
        "Where the catalog's services are.",
    ),
    row(
        "GET",
        "/v2.0/OS-KSADM/services/{service}",
        (What::Service, Administrator),
        &[200, 404],
        "One service.",
    ),
];
