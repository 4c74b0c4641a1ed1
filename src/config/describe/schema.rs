//! The JSON schema of the configuration, for editors.

use serde_json::{Map, Value, json};

use super::{Kind, REGEX, ROOT, Shape};

/// The schema of what this version serves.
pub fn schema() -> Value {
    let mut schema = table(&ROOT);
    if let Value::Object(schema) = &mut schema {
        schema.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        schema.insert("title".to_owned(), json!("rolecall.toml"));
        let pattern = json!({ "anyOf": [{ "type": "string", "minLength": 1 }, table(&REGEX)] });
        schema.insert("$defs".to_owned(), json!({ "pattern": pattern }));
        if let Some(Value::Object(keys)) = schema.get_mut("properties") {
            let doc = "in a drop-in: what is set here wins over earlier files";
            keys.insert(
                "override".to_owned(),
                json!({ "type": "boolean", "description": doc }),
            );
        }
    }
    schema
}

fn table(shape: &Shape) -> Value {
    let mut properties = Map::new();
    for key in shape.keys {
        let mut property = kind(&key.kind);
        if let Value::Object(property) = &mut property {
            let default = match key.default {
                "" => String::new(),
                default => format!("; default: {default}"),
            };
            property.insert(
                "description".to_owned(),
                json!(format!("{}{default}", key.doc)),
            );
        }
        properties.insert(key.name.to_owned(), property);
    }
    let required: Vec<&str> = shape
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": shape.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if let (Value::Object(schema), false) = (&mut schema, required.is_empty()) {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn kind(of: &Kind) -> Value {
    match of {
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Positive => json!({ "type": "number", "exclusiveMinimum": 0 }),
        Kind::Time => json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$" }),
        // A TOML date is no string; editors differ in what they make of it.
        Kind::Moment => json!({}),
        Kind::Path => json!({ "type": "string", "pattern": "^/" }),
        Kind::Secret => json!({ "type": "string", "pattern": "^(credential:|file:/|env:)." }),
        Kind::Word(words) => json!({ "enum": words }),
        Kind::Many(one) => {
            json!({ "anyOf": [kind(one), { "type": "array", "items": kind(one) }] })
        }
        Kind::Either(kinds) => {
            json!({ "anyOf": kinds.iter().map(kind).collect::<Vec<_>>() })
        }
        Kind::Table(shape) => table(shape),
        Kind::Tables(shape) => json!({ "type": "array", "items": table(shape) }),
        Kind::Named(shape) => json!({ "type": "object", "additionalProperties": table(shape) }),
        Kind::Pattern => json!({ "$ref": "#/$defs/pattern" }),
        Kind::Each(one) => json!({ "type": "object", "additionalProperties": kind(one) }),
        Kind::Texts => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
    }
}
