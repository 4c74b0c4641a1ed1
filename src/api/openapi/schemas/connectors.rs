//! The bodies of Identity Federation.

use serde_json::{Value, json};

use super::{exactly, list, optional, text};

const REST: &str = "/rest/identity-federation-for-aws/{version}";

/// The schema of what is answered to a method at a path; `None` where it has no body.
pub(super) fn of_success(method: &str, path: &str) -> Option<&'static str> {
    let below = path.strip_prefix(REST)?;
    Some(match (method, below) {
        ("GET", "/connectors") => "Connectors",
        ("GET", "/connectors/{id}/caller-identity") => "CallerIdentity",
        ("GET", "/connectors/{id}/credentials") => "Credentials",
        ("GET", "/connectors/{id}/console/url") => "ConsoleUrl",
        ("GET", "/connectors/{id}/ecr/credentials") => "RegistryLogins",
        ("GET", "/accounts") => "ConnectorAccounts",
        ("GET", "/status/info") => "Info",
        _ if below.starts_with("/accounts") => "ConnectorAccount",
        _ => "Connector",
    })
}

/// The schema of a request's body.
pub(super) fn of_request(path: &str) -> &'static str {
    if path.contains("/accounts") {
        "ConnectorAccountDraft"
    } else {
        "ConnectorDraft"
    }
}

pub(super) fn all() -> Value {
    let id = json!({ "type": "string", "format": "uuid" });
    let kind = json!({ "enum": ["FEDERATION_TOKEN", "SESSION_TOKEN", "ASSUME_ROLE"] });
    let groups = json!({ "type": ["array", "null"], "items": { "type": "string" }, "description": "who may use it" });
    let unset =
        |description: &str| json!({ "type": ["string", "null"], "description": description });
    let connector = json!({
        "id": id,
        "name": text("its name"),
        "type": kind,
        "scope": { "const": "SYSTEM", "description": "programs may use it too; absent otherwise" },
    });
    let draft = json!({
        "id": unset("its own, where it is replaced"),
        "name": text("its name"),
        "type": kind,
        "scope": { "enum": ["SYSTEM", "", null] },
        "partition": unset("the account's"),
        "accountId": text("the account's id here"),
        "roleArn": unset("for ASSUME_ROLE"),
        "externalId": unset("for ASSUME_ROLE"),
        "iamPolicy": unset("a session policy"),
        "policyArns": { "type": ["array", "string", "null"], "items": { "type": "string" } },
        "maxDuration": { "type": ["integer", "string", "null"], "description": "seconds" },
        "groups": groups,
    });
    let account = json!({
        "id": id,
        "name": text("its name"),
        "awsAccessKeyId": text("its key's id; empty where it has no long-term key"),
        "cloudProviderKey": text("the partition"),
    });
    let account_draft = json!({
        "id": unset("its own, where it is replaced"),
        "name": text("its name"),
        "awsAccessKeyId": text("its key's id"),
        "awsSecretKey": unset("its key's secret; left out to keep the one that it has"),
        "cloudProviderKey": unset("the partition, `aws` unless it is said"),
    });
    let login = exactly(json!({
        "authorizationToken": text("the name and the password, in base64"),
        "expirationDate": text("as 20160217T045542Z"),
        "proxyEndpoint": text("the registry's URL"),
        "proxyEndpointDomain": text("its host"),
        "username": text("what stands before the first colon of the token"),
        "password": text("what stands after it"),
    }));
    let mut logins = list("");
    if let Some(values) = logins.pointer_mut("/properties/values") {
        *values = json!({ "type": "array", "items": login });
    }
    json!({
        "Connector": optional(exactly(connector), &["scope"]),
        "Connectors": list("Connector"),
        "ConnectorDraft": optional(
            exactly(draft),
            &["id", "scope", "partition", "roleArn", "externalId", "iamPolicy", "policyArns", "maxDuration", "groups"],
        ),
        "ConnectorAccount": exactly(account),
        "ConnectorAccounts": list("ConnectorAccount"),
        "ConnectorAccountDraft": optional(
            exactly(account_draft),
            &["id", "awsSecretKey", "cloudProviderKey"],
        ),
        "CallerIdentity": exactly(json!({
            "account": text("the account's id"),
            "arn": text("who the session is"),
            "userId": text("its unique id"),
        })),
        "Credentials": exactly(json!({
            "expiration": { "type": "integer", "description": "milliseconds since 1970" },
            "sessionToken": text("the session's token"),
            "accessKeyId": text("the key's id"),
            "secretAccessKey": text("its secret"),
        })),
        "ConsoleUrl": exactly(json!({ "url": text("the console servlet, which signs a browser in") })),
        "RegistryLogins": logins,
        "Info": exactly(json!({
            "name": text("what answers"),
            "version": text("its version"),
            "status": { "const": "OK" },
        })),
        "Problem": exactly(json!({
            "message": text("what is wrong"),
            "status-code": { "type": "integer" },
            "errorMessages": { "type": "array", "items": { "type": "string" } },
            "errors": { "type": "object", "additionalProperties": { "type": "string" }, "description": "what is wrong with each field" },
        })),
    })
}
