//! The bodies of people's APIs.

mod accounts;
mod connectors;
mod keystone;

use serde_json::{Value, json};

use super::{Api, Described};

/// What plain texts are called.
const TEXT: &str = "Text";

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
        (_, 204 | 302 | 304) => None,
        (Api::Accounts | Api::Machines, 400..) => Some("Failure"),
        (Api::Connectors, 400..) => Some("Problem"),
        (Api::Accounts | Api::Machines, _) => Some(accounts::of_success(described.path)),
        (Api::Connectors, _) => connectors::of_success(described.method, described.path),
        (Api::Keystone, _) => Some(keystone::of_answer(described.resource?, status)),
    }
}

/// The schema of a request's body.
pub(super) fn of_request(described: &Described) -> Option<&'static str> {
    if !matches!(described.method, "POST" | "PUT") {
        return None;
    }
    Some(match described.resource {
        Some(row) => keystone::of_request(row),
        None => connectors::of_request(described.path),
    })
}

/// All schemas.
pub(super) fn all() -> Value {
    let mut all = serde_json::Map::new();
    for some in [accounts::all(), connectors::all(), keystone::all()] {
        if let Value::Object(some) = some {
            all.extend(some);
        }
    }
    Value::Object(all)
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
