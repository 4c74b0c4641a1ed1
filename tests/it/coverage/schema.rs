//! Whether a document is as its schema says: as much of JSON Schema as the APIs' description uses.

use serde_json::Value;

/// What of this document is not as this schema of the description says.
pub(super) fn faults(described: &Value, name: &str, document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let schema = &described["components"]["schemas"][name];
    check(described, schema, document, "", &mut faults);
    faults
}

fn check(
    described: &Value,
    schema: &Value,
    document: &Value,
    place: &str,
    faults: &mut Vec<String>,
) {
    let mut wrong = |why: &str| faults.push(format!("at '{place}' {why}: {document}"));
    let schema = match schema["$ref"].as_str() {
        Some(target) => described.pointer(target.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    assert!(schema.is_object(), "no schema at {place}");
    if let Some(value) = schema.get("const")
        && value != document
    {
        wrong("is another value");
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(document)
    {
        wrong("is none of the values");
    }
    let one = schema["type"].as_str();
    let all = schema["type"].as_array().into_iter().flatten();
    let types: Vec<&str> = one
        .into_iter()
        .chain(all.filter_map(Value::as_str))
        .collect();
    if !types.is_empty() && !types.iter().any(|kind| is(kind, document)) {
        wrong("is of another type");
    }
    if let Some(schemas) = schema["anyOf"].as_array() {
        let fits = schemas.iter().any(|schema| {
            let mut faults = Vec::new();
            check(described, schema, document, place, &mut faults);
            faults.is_empty()
        });
        if !fits {
            wrong("is nothing of what it may be");
        }
    }
    let text = document.as_str();
    match schema["format"].as_str() {
        Some("uuid") if text.is_none_or(|text| uuid::Uuid::try_parse(text).is_err()) => {
            wrong("is no UUID");
        }
        Some("date-time")
            if text.is_none_or(|text| {
                !text.ends_with('Z') || text.len() != "2000-01-01T00:00:00Z".len()
            }) =>
        {
            wrong("is no time of whole seconds");
        }
        _ => {}
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if document.get(name.as_str().unwrap()).is_none() {
            wrong(&format!("has no {name}"));
        }
    }
    for (name, value) in document.as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        match (
            schema["properties"].get(name),
            &schema["additionalProperties"],
        ) {
            (Some(schema), _) => check(described, schema, value, &place, faults),
            (None, Value::Bool(false)) => faults.push(format!("at '{place}' is not described")),
            (None, Value::Object(_)) => {
                let schema = &schema["additionalProperties"];
                check(described, schema, value, &place, faults);
            }
            (None, _) => {}
        }
    }
    let most = schema["maxItems"].as_u64();
    let most = most.map(|most| usize::try_from(most).unwrap());
    let count = document.as_array().map(Vec::len);
    if most.zip(count).is_some_and(|(most, count)| count > most) {
        faults.push(format!("at '{place}' is more: {document}"));
    }
    if schema.get("items").is_some() {
        for (place_in, value) in document.as_array().into_iter().flatten().enumerate() {
            let place = format!("{place}/{place_in}");
            check(described, &schema["items"], value, &place, faults);
        }
    }
}

fn is(kind: &str, document: &Value) -> bool {
    match kind {
        "object" => document.is_object(),
        "array" => document.is_array(),
        "string" => document.is_string(),
        "integer" => document.is_i64() || document.is_u64(),
        "boolean" => document.is_boolean(),
        "null" => document.is_null(),
        _ => panic!("the type {kind}"),
    }
}

#[test]
fn documents_are_held_to_schemas() {
    let described = serde_json::json!({ "components": { "schemas": {
        "One": {
            "type": "object",
            "properties": {
                "id": { "type": "string", "format": "uuid" },
                "at": { "type": "string", "format": "date-time" },
                "kind": { "enum": ["a", "b"] },
                "all": { "type": "array", "items": { "$ref": "#/components/schemas/Two" } },
                "flag": { "type": "boolean" },
                "none": { "type": "array", "maxItems": 0, "items": {} },
                "either": { "anyOf": [{ "type": "null" }, { "const": 1 }] },
            },
            "required": ["id"],
            "additionalProperties": false,
        },
        "Two": { "type": ["integer", "null"] },
    } } });
    let id = "18e9efa7-5638-54ff-a213-3202591f7f21";
    let told = |document: &str| {
        let document = document.replace("ID", id);
        let document = serde_json::from_str(&document).unwrap();
        faults(&described, "One", &document).len()
    };
    for (document, count) in [
        (r#"{"id":"ID"}"#, 0),
        (
            r#"{"id":"ID","at":"2000-01-01T00:00:00Z","kind":"a","all":[1,null],"either":1}"#,
            0,
        ),
        ("{}", 1),
        ("[]", 2),
        (r#"{"id":"x"}"#, 1),
        (r#"{"id":1}"#, 2),
        (r#"{"id":"ID","more":1}"#, 1),
        (r#"{"id":"ID","kind":"c"}"#, 1),
        (r#"{"id":"ID","all":[1,"x",1.5]}"#, 2),
        (r#"{"id":"ID","flag":true,"none":[]}"#, 0),
        (r#"{"id":"ID","flag":1,"none":[1]}"#, 2),
        (r#"{"id":"ID","either":2}"#, 1),
        (r#"{"id":"ID","at":"2000-01-01T00:00:00.5Z"}"#, 1),
    ] {
        assert_eq!(told(document), count, "{document}");
    }
}
