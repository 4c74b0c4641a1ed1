//! The bodies of AWS Federation Proxy.

use serde_json::{Value, json};

use super::{TEXT, exactly, optional, text};

/// The schema of what is answered at a path.
pub(super) fn of_success(path: &str) -> &'static str {
    match path {
        "/account" => "Accounts",
        "/account/{account}/{role}" => "RoleWithConsole",
        "/account/{account}/{role}/credentials" => "RoleCredentials",
        "/status" => "Status",
        "/meta-data/iam/security-credentials/{role}" => "MetadataDocument",
        _ => TEXT,
    }
}

pub(super) fn all() -> Value {
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
