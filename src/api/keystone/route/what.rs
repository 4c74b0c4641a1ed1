//! What requests are for, and what that is called.

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
    /// The application credentials of a user.
    ApplicationCredentials,
    /// One of them.
    ApplicationCredential,
}

/// The resources' names in metrics, in the order of [`What`].
pub(in crate::api::keystone) const LABELS: &[&str] = &[
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
    "application-credentials",
    "application-credential",
    "none",
];

/// The label of requests for which there is no resource.
pub(in crate::api::keystone) const NO_ROUTE: usize = 33;

impl What {
    /// Its place in [`LABELS`].
    pub(in crate::api::keystone) const fn label(self) -> usize {
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
            Self::ApplicationCredentials => 31,
            Self::ApplicationCredential => 32,
        }
    }

    /// As Keystone's policy calls it, in what it tells those who may not.
    pub(in crate::api::keystone) const fn action(self) -> &'static str {
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
            Self::ApplicationCredentials => "identity:list_application_credentials",
            Self::ApplicationCredential => "identity:get_application_credential",
        }
    }

    /// What a status means that is answered to it.
    pub(super) const fn meaning(self, status: u16) -> &'static str {
        match (status, self) {
            (200, _) => "the answer",
            (201, _) => "made",
            (204, _) => "done",
            (300, _) => "the answer; `Location` is the version that servers have today",
            (400, _) => "the request, its body or what it says is none",
            (401, Self::Ec2Tokens | Self::S3Tokens) => {
                "who asks shows no token that counts, or the signature does not; the message says which"
            }
            (401, Self::Login) => "what is shown proves no name, or its project is another's",
            (401, _) => "no token that counts is shown",
            (403, Self::MakeKey) => {
                "the token may not do this, or its user has as many keys as there may be"
            }
            (403, Self::Versions | Self::Version | Self::Extensions | Self::Extension) => {
                "a proxy or another site's page sent the request"
            }
            (403, _) => {
                "the token may not do this; or a proxy or another site's page sent the request"
            }
            (404, Self::S3Tokens) => "there is no such key",
            (404, Self::Login) => "the token that is shown is none, or has ended",
            (404, Self::Validate | Self::Revoke) => "there is no such token, or it has ended",
            (404, _) => "there is no such object",
            (405, _) => "the resource has other methods; `Allow` says which",
            (409, _) => "there is an access key of this id",
            (413, _) => "the body is too long",
            (415, _) => "the body is no JSON",
            (429, _) => "too many passwords were wrong",
            (503, _) => "who asks, or what is stored, cannot be looked up now",
            _ => "another answer",
        }
    }
}
