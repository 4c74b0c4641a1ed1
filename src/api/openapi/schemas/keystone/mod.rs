//! The bodies of Keystone: of its answers here, of requests in `asked`.

mod asked;

use serde_json::{Value, json};

use super::{exactly, optional, text};
use crate::api::keystone::{Row, Version, What};

/// The document's own object of an access key.
const DOCUMENTED: &str = "OS-KSEC2-ec2Credentials";

/// The schema of an answer's body.
pub(super) fn of_answer(row: &Row, status: u16) -> &'static str {
    match status {
        405 => "KeystoneOtherMethod",
        400.. => "KeystoneFailure",
        _ => of_success(row),
    }
}

fn of_success(row: &Row) -> &'static str {
    let by_version = |v2, v3| match row.version {
        Version::V2 => v2,
        Version::V3 => v3,
    };
    match row.what {
        What::Versions => "KeystoneVersions",
        What::Version => "KeystoneVersion",
        What::Extensions => "KeystoneExtensions",
        What::Extension => "KeystoneExtension",
        What::Login | What::Validate | What::Revoke | What::Ec2Tokens | What::S3Tokens => {
            by_version("KeystoneAccess", "KeystoneToken")
        }
        What::MakeKey | What::ShowKey | What::DeleteKey => {
            by_version("KeystoneV2Key", "KeystoneV3Key")
        }
        What::Keys => by_version("KeystoneV2Keys", "KeystoneV3Keys"),
        What::Users => by_version("KeystoneV2Users", "KeystoneV3Users"),
        What::User => by_version("KeystoneV2User", "KeystoneV3User"),
        What::Projects | What::OwnProjects | What::UserProjects => {
            by_version("KeystoneTenants", "KeystoneProjects")
        }
        What::Project => by_version("KeystoneTenant", "KeystoneProject"),
        What::UserRoles | What::Roles => by_version("KeystoneV2Roles", "KeystoneV3Roles"),
        What::Role => by_version("KeystoneV2Role", "KeystoneV3Role"),
        What::RoleAssignments => "KeystoneRoleAssignments",
        What::ApplicationCredentials => "KeystoneApplicationCredentials",
        What::ApplicationCredential => "KeystoneApplicationCredential",
        What::Domains | What::OwnDomains => "KeystoneDomains",
        What::Domain => "KeystoneDomain",
        What::Catalog => "KeystoneCatalog",
        What::Services => by_version("KeystoneV2Services", "KeystoneV3Services"),
        What::Service => by_version("KeystoneV2Service", "KeystoneV3Service"),
        What::Endpoints => by_version("KeystoneV2Endpoints", "KeystoneV3Endpoints"),
        What::Regions => "KeystoneRegions",
    }
}

/// The schema of a request's body.
pub(super) const fn of_request(row: &Row) -> &'static str {
    match (row.what, row.version) {
        (What::Ec2Tokens, _) => "KeystoneSigned",
        (What::S3Tokens, _) => "KeystoneSignedText",
        (What::MakeKey, _) => "KeystoneKeyDraft",
        (_, Version::V2) => "KeystoneV2Login",
        (_, Version::V3) => "KeystoneV3Login",
    }
}

pub(super) fn all() -> Value {
    let mut all = serde_json::Map::new();
    for some in [
        discovery(),
        tokens(),
        keys(),
        people(),
        services(),
        asked::asked(),
    ] {
        if let Value::Object(some) = some {
            all.extend(some);
        }
    }
    Value::Object(all)
}

fn array(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// A list in which nothing ever is.
fn nothing() -> Value {
    json!({ "type": "array", "maxItems": 0, "items": {} })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

/// What is always null.
fn never() -> Value {
    json!({ "type": "null" })
}

/// An object of which nothing more is said.
fn object() -> Value {
    json!({ "type": "object" })
}

/// An object of which these members are looked at, and no others.
fn open(members: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": members, "required": required })
}

/// The same of which one of these must be there.
fn open_with_one(members: &Value, one: &[&str]) -> Value {
    let one = one.iter().map(|name| json!({ "required": [name] }));
    json!({ "type": "object", "properties": members, "anyOf": one.collect::<Vec<_>>() })
}

/// A time of microseconds.
fn time() -> Value {
    text("as 2018-02-02T20:13:19.000000Z")
}

/// Where the object itself is.
fn links() -> Value {
    exactly(json!({ "self": text("where it is") }))
}

/// All of a list on one page of version 2.0.
fn page_v2(name: &str, item: &Value) -> Value {
    exactly(json!({ name: array(item), format!("{name}_links"): nothing() }))
}

/// The same of version 3.
fn page_v3(name: &str, item: &Value) -> Value {
    let links =
        exactly(json!({ "self": text("where it is"), "next": never(), "previous": never() }));
    exactly(json!({ name: array(item), "links": links }))
}

fn discovery() -> Value {
    let link = exactly(json!({ "rel": { "const": "self" }, "href": text("where it is") }));
    let media = exactly(json!({ "base": text("as JSON"), "type": text("its own") }));
    let version = exactly(json!({
        "id": text("its name"),
        "status": { "enum": ["stable", "deprecated"] },
        "updated": text("since when it is as it is"),
        "links": array(&link),
        "media-types": array(&media),
    }));
    let extension = exactly(json!({
        "name": text("its name"),
        "namespace": text("its URL"),
        "alias": { "const": "OS-KSEC2" },
        "updated": text("since when it is as it is"),
        "description": text("what it is for"),
        "links": nothing(),
    }));
    let values = |item: &Value| exactly(json!({ "values": array(item) }));
    json!({
        "KeystoneVersions": exactly(json!({ "versions": values(&version) })),
        "KeystoneVersion": exactly(json!({ "version": version })),
        "KeystoneExtensions": exactly(json!({ "extensions": values(&extension) })),
        "KeystoneExtension": exactly(json!({ "extension": extension })),
        "KeystoneFailure": exactly(json!({
            "error": exactly(json!({
                "code": { "type": "integer" },
                "message": text("what is wrong"),
                "title": text("the status"),
            })),
        })),
        "KeystoneOtherMethod": exactly(json!({ "message": text("what is wrong") })),
    })
}

fn domain() -> Value {
    exactly(json!({ "id": { "const": "default" }, "name": { "const": "Default" } }))
}

fn tenant() -> Value {
    exactly(json!({
        "id": text("the account's alias"),
        "name": text("the same"),
        "description": text("the account's"),
        "enabled": flag(),
        "tags": nothing(),
    }))
}

fn role() -> Value {
    exactly(json!({ "id": text("made of its name"), "name": text("its name") }))
}

fn catalog_v2() -> Value {
    let endpoint = exactly(json!({
        "id": text("its id"),
        "region": text("its region"),
        "publicURL": text("where it is"),
        "internalURL": text("the same"),
        "adminURL": text("the same"),
    }));
    array(&exactly(json!({
        "type": text("what it is for"),
        "name": text("its name"),
        "endpoints": array(&endpoint),
        "endpoints_links": nothing(),
    })))
}

fn catalog_v3() -> Value {
    let endpoint = exactly(json!({
        "id": text("its id"),
        "interface": { "enum": ["public", "internal", "admin"] },
        "region": text("its region"),
        "region_id": text("the same"),
        "url": text("where it is"),
    }));
    array(&exactly(json!({
        "id": text("its id"),
        "type": text("what it is for"),
        "name": text("its name"),
        "endpoints": array(&endpoint),
    })))
}

fn tokens() -> Value {
    json!({
        "KeystoneAccess": exactly(json!({ "access": access() })),
        "KeystoneToken": exactly(json!({ "token": token() })),
        "KeystoneCatalog": exactly(json!({ "catalog": catalog_v3(), "links": links() })),
    })
}

/// Texts in a list.
fn texts(what: &str) -> Value {
    array(&text(what))
}

/// What a token says, in version 2.0.
fn access() -> Value {
    let token = exactly(json!({
        "id": text("the token"),
        "expires": time(),
        "issued_at": time(),
        "audit_ids": texts("its own, and that of the first of its line"),
        "tenant": tenant(),
    }));
    let user = exactly(json!({
        "id": text("made of the name"),
        "name": text("the name"),
        "username": text("the name"),
        "roles": array(&exactly(json!({ "name": text("in the tenant") }))),
        "roles_links": nothing(),
    }));
    exactly(json!({
        "token": optional(token, &["tenant"]),
        "user": user,
        "serviceCatalog": catalog_v2(),
        "metadata": exactly(json!({ "is_admin": { "enum": [0, 1] }, "roles": texts("ids") })),
    }))
}

/// The same in version 3.
fn token() -> Value {
    let user = exactly(json!({
        "id": text("made of the name"),
        "name": text("the name"),
        "domain": domain(),
        "password_expires_at": never(),
    }));
    let project = exactly(json!({
        "id": text("the account's alias"),
        "name": text("the same"),
        "domain": domain(),
    }));
    let token = exactly(json!({
        "methods": texts("what proved the name"),
        "audit_ids": texts("its own, and that of the first of its line"),
        "expires_at": time(),
        "issued_at": time(),
        "user": user,
        "project": project,
        "is_domain": { "const": false },
        "roles": array(&role()),
        "catalog": catalog_v3(),
    }));
    optional(token, &["project", "is_domain", "roles", "catalog"])
}

/// An access key as clients know it, and these members besides.
fn credential(besides: Value) -> Value {
    let mut members = json!({
        "user_id": text("whose it is"),
        "tenant_id": text("the account that it is for"),
        "access": text("its id"),
        "secret": text("its secret"),
        "trust_id": never(),
    });
    if let (Value::Object(members), Value::Object(besides)) = (&mut members, besides) {
        members.extend(besides);
    }
    exactly(members)
}

fn keys() -> Value {
    let documented = exactly(json!({
        "username": text("whose it is"),
        "secret": text("its secret"),
        "signature": text("a label: it proves nothing"),
    }));
    let one =
        |besides| exactly(json!({ "credential": credential(besides), DOCUMENTED: documented }));
    let v2 = credential(json!({ DOCUMENTED: documented }));
    let v3 = credential(json!({ DOCUMENTED: documented, "links": links() }));
    json!({
        "KeystoneV2Key": one(json!({})),
        "KeystoneV3Key": one(json!({ "links": links() })),
        "KeystoneV2Keys": page_v2("credentials", &v2),
        "KeystoneV3Keys": page_v3("credentials", &v3),
    })
}

/// Somebody or something, of which the names are told where they are asked for.
fn named() -> Value {
    let members = json!({ "id": text("its id"), "name": text("its name"), "domain": domain() });
    optional(exactly(members), &["name", "domain"])
}

fn people() -> Value {
    let user_v2 = exactly(json!({
        "id": text("made of the name"),
        "name": text("the name"),
        "username": text("the name"),
        "enabled": flag(),
    }));
    let user_v3 = exactly(json!({
        "id": text("made of the name"),
        "name": text("the name"),
        "domain_id": { "const": "default" },
        "enabled": flag(),
        "password_expires_at": never(),
        "options": object(),
        "links": links(),
    }));
    let project = exactly(json!({
        "id": text("the account's alias"),
        "name": text("the same"),
        "description": text("the account's"),
        "domain_id": { "const": "default" },
        "parent_id": { "const": "default" },
        "enabled": flag(),
        "is_domain": { "const": false },
        "tags": nothing(),
        "options": object(),
        "links": links(),
    }));
    let role_v3 = exactly(json!({
        "id": text("made of its name"),
        "name": text("its name"),
        "domain_id": never(),
        "description": never(),
        "options": object(),
        "links": links(),
    }));
    let domain = exactly(json!({
        "id": { "const": "default" },
        "name": { "const": "Default" },
        "description": text("what it is"),
        "enabled": flag(),
        "tags": nothing(),
        "options": object(),
        "links": links(),
    }));
    let application = exactly(json!({
        "id": text("the bearer token's"),
        "name": text("the same"),
        "description": never(),
        "user_id": text("whose it is"),
        "project_id": { "type": ["string", "null"], "description": "the only one that its user has" },
        "system": never(),
        "expires_at": text("when it ends, without a zone"),
        "unrestricted": { "const": false },
        "roles": json!({ "type": "array", "items": role_v3 }),
        "links": links(),
    }));
    let assignment = exactly(json!({
        "role": named(),
        "user": named(),
        "scope": exactly(json!({ "project": named() })),
        "links": exactly(json!({ "assignment": text("where it is") })),
    }));
    json!({
        "KeystoneV2User": exactly(json!({ "user": user_v2 })),
        "KeystoneV3User": exactly(json!({ "user": user_v3 })),
        "KeystoneV2Users": page_v2("users", &user_v2),
        "KeystoneV3Users": page_v3("users", &user_v3),
        "KeystoneTenant": exactly(json!({ "tenant": tenant() })),
        "KeystoneTenants": page_v2("tenants", &tenant()),
        "KeystoneProject": exactly(json!({ "project": project })),
        "KeystoneProjects": page_v3("projects", &project),
        "KeystoneV2Role": exactly(json!({ "role": role() })),
        "KeystoneV3Role": exactly(json!({ "role": role_v3 })),
        "KeystoneV2Roles": page_v2("roles", &role()),
        "KeystoneV3Roles": page_v3("roles", &role_v3),
        "KeystoneRoleAssignments": page_v3("role_assignments", &assignment),
        "KeystoneApplicationCredential":
            exactly(json!({ "application_credential": application })),
        "KeystoneApplicationCredentials": page_v3("application_credentials", &application),
        "KeystoneDomain": exactly(json!({ "domain": domain })),
        "KeystoneDomains": page_v3("domains", &domain),
    })
}

fn services() -> Value {
    let service_v2 = exactly(json!({
        "id": text("its id"),
        "name": text("its name"),
        "type": text("what it is for"),
        "description": text("what it is"),
    }));
    let service_v3 = exactly(json!({
        "id": text("its id"),
        "name": text("its name"),
        "type": text("what it is for"),
        "enabled": flag(),
        "links": links(),
    }));
    let endpoint_v2 = exactly(json!({
        "id": text("its id"),
        "service_id": text("whose it is"),
        "region": text("its region"),
        "publicurl": text("where it is"),
        "internalurl": text("the same"),
        "adminurl": text("the same"),
        "enabled": flag(),
    }));
    let endpoint_v3 = exactly(json!({
        "id": text("its id"),
        "interface": { "enum": ["public", "internal", "admin"] },
        "region": text("its region"),
        "region_id": text("the same"),
        "service_id": text("whose it is"),
        "url": text("where it is"),
        "enabled": flag(),
        "links": links(),
    }));
    let region = exactly(json!({
        "id": text("its name"),
        "description": text("what it is"),
        "parent_region_id": never(),
        "links": links(),
    }));
    json!({
        "KeystoneV2Service": exactly(json!({ "OS-KSADM:service": service_v2 })),
        "KeystoneV2Services": page_v2("OS-KSADM:services", &service_v2),
        "KeystoneV3Service": exactly(json!({ "service": service_v3 })),
        "KeystoneV3Services": page_v3("services", &service_v3),
        "KeystoneV2Endpoints": page_v2("endpoints", &endpoint_v2),
        "KeystoneV3Endpoints": page_v3("endpoints", &endpoint_v3),
        "KeystoneRegions": page_v3("regions", &region),
    })
}
