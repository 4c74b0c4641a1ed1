//! The bodies of people's APIs.

use serde_json::{Value, json};

use super::{Api, Described};

/// What plain texts are called.
const TEXT: &str = "Text";

const REST: &str = "/rest/identity-federation-for-aws/{version}";

/// How a body is sent.
pub(super) fn media_type(schema: &str) -> &'static str {
    if schema == TEXT {
        "text/plain"
    } else {
        "application/json"
    }
}

/// The schema of an answer's body; `None` where it has none.
pub(super) fn of_answer(described: &Described, status: u16) -> Option<&'static str> {
    match (described.api, status) {
        // A body that is too long is refused before it is read, for all protocols alike.
        (_, 204 | 302 | 304 | 413) => None,
        (Api::Accounts | Api::Machines, 400..) => Some("Failure"),
        (Api::Connectors, 400..) => Some("Problem"),
        (Api::Accounts | Api::Machines, _) => Some(match described.path {
            "/account" => "Accounts",
            "/account/{account}/{role}" => "RoleWithConsole",
            "/account/{account}/{role}/credentials" => "RoleCredentials",
            "/status" => "Status",
            "/meta-data/iam/security-credentials/{role}" => "MetadataDocument",
            _ => TEXT,
        }),
        (Api::Connectors, _) => {
            let below = described.path.strip_prefix(REST)?;
            Some(match (described.method, below) {
                ("GET", "/connectors") => "Connectors",
                ("GET", "/connectors/{id}/caller-identity") => "CallerIdentity",
                ("GET", "/connectors/{id}/credentials") => "Credentials",
                ("GET", "/connectors/{id}/console/url") => "ConsoleUrl",
                ("GET", "/connectors/{id}/ecr/credentials") => "RegistryLogins",
                ("GET", "/accounts") => "ConnectorAccounts",
                ("GET", "/status/info") => "Info",
                (_, path) if path.starts_with("/accounts") => "ConnectorAccount",
                _ => "Connector",
            })
        }
    }
}

/// The schema of a request's body.
pub(super) fn of_request(described: &Described) -> Option<&'static str> {
    if !matches!(described.method, "POST" | "PUT") {
        return None;
    }
    Some(if described.path.contains("/accounts") {
        "ConnectorAccountDraft"
    } else {
        "ConnectorDraft"
    })
}

/// All schemas.
pub(super) fn all() -> Value {
    let mut all = accounts();
    if let (Value::Object(all), Value::Object(more)) = (&mut all, connectors()) {
        all.extend(more);
    }
    all
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// An object with exactly these members.
fn exactly(members: Value) -> Value {
    let Value::Object(members) = members else {
        return Value::Null;
    };
    let required: Vec<&String> = members.keys().collect();
    json!({
        "type": "object",
        "properties": members,
        "required": required,
        "additionalProperties": false,
    })
}

/// The same without these being required.
fn optional(mut object: Value, names: &[&str]) -> Value {
    if let Some(Value::Array(required)) = object.get_mut("required") {
        required.retain(|name| !names.iter().any(|optional| name == optional));
    }
    object
}

fn list(of: &str) -> Value {
    exactly(json!({
        "values": { "type": "array", "items": { "$ref": format!("#/components/schemas/{of}") } },
        "size": { "type": "integer", "minimum": 0, "description": "how many values there are" },
    }))
}

fn accounts() -> Value {
    let date =
        json!({ "type": "string", "format": "date-time", "description": "whole seconds, in UTC" });
    let roles = json!({ "type": "array", "items": { "type": "string" } });
    let flat = json!({
        "Code": { "const": "Success" },
        "LastUpdated": date,
        "Type": { "const": "AWS-HMAC" },
        "AccessKeyId": text("the key's id"),
        "SecretAccessKey": text("its secret"),
        "Token": text("the session's token"),
        "Expiration": date,
    });
    let mut both = flat.clone();
    if let Value::Object(both) = &mut both {
        both.insert(
            "credentials".to_owned(),
            exactly(json!({
                "access_key": text("as `AccessKeyId`"),
                "secret_key": text("as `SecretAccessKey`"),
                "session_token": text("as `Token`"),
            })),
        );
    }
    let mut with_console = both.clone();
    if let Value::Object(with_console) = &mut with_console {
        let url = "signs a browser in to the console; absent where the account has none";
        with_console.insert("ConsoleUrl".to_owned(), text(url));
        with_console.insert("console_url".to_owned(), text("as `ConsoleUrl`"));
    }
    json!({
        TEXT: { "type": "string" },
        "Accounts": {
            "description": "roles by account; with `?withid` the accounts' ids too",
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    roles,
                    exactly(json!({ "id": { "type": ["string", "null"] }, "roles": roles })),
                ],
            },
        },
        "RoleCredentials": exactly(both),
        "RoleWithConsole": optional(exactly(with_console), &["ConsoleUrl", "console_url"]),
        "MetadataDocument": exactly(flat),
        "Status": exactly(json!({ "status": { "const": "200" }, "message": { "const": "OK" } })),
        "Failure": exactly(json!({
            "status": { "type": "integer" },
            "error": text("the status with its reason"),
            "exception": { "type": "null" },
            "message": text("what is wrong"),
            "traceback": { "type": "null" },
        })),
    })
}

fn connectors() -> Value {
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
