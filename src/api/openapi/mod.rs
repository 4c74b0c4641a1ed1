//! The description of people's APIs in OpenAPI 3.1, from the tables that requests are routed by.

mod schemas;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::accounts::{self, MACHINES, PEOPLES};
use super::connectors::{COMMON, ROWS, VERSIONS};
use super::keystone::{self, Needs, Version, What};
use super::operations::Operation;

/// An API of which operations are described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// AWS Federation Proxy, on mounts for people.
    Accounts,
    /// AWS Federation Proxy, on mounts for machines.
    Machines,
    /// Identity Federation.
    Connectors,
    /// Keystone.
    Keystone,
}

/// An operation of an API.
#[derive(Clone, Debug)]
pub struct Described {
    /// Whose it is.
    pub api: Api,
    /// The method; whatever takes GET takes HEAD.
    pub method: &'static str,
    /// The path below a mount, with what stands in braces for one segment.
    pub path: &'static str,
    /// What may follow in the query: the name, and what it does.
    pub query: &'static [(&'static str, &'static str)],
    /// What it is for.
    pub summary: &'static str,
    /// Whether only administrators may.
    pub administrators: bool,
    /// Every status that it answers, with its meaning.
    pub answers: BTreeMap<u16, &'static str>,
    /// Keystone's own description.
    resource: Option<&'static keystone::Row>,
}

impl Described {
    fn of(api: Api, operation: &Operation) -> Self {
        Self {
            api,
            method: operation.method,
            path: operation.path,
            query: operation.query,
            summary: operation.summary,
            administrators: false,
            resource: None,
            // What an operation says itself comes last, and stays.
            answers: accounts::COMMON
                .iter()
                .chain(operation.answers)
                .copied()
                .collect(),
        }
    }

    /// The schema that the body of an answer has; `None` where it has none.
    pub fn schema(&self, status: u16) -> Option<&'static str> {
        schemas::of_answer(self, status)
    }

    /// The schema that the body of a request has; `None` where it has none.
    pub fn takes(&self) -> Option<&'static str> {
        schemas::of_request(self)
    }
}

/// Every operation of people's APIs.
pub fn operations() -> Vec<Described> {
    let people = PEOPLES.iter().map(|one| Described::of(Api::Accounts, one));
    let machines = MACHINES.iter().map(|one| Described::of(Api::Machines, one));
    let connectors = ROWS.iter().map(|row| {
        let statuses = row.statuses.iter().chain(&COMMON).copied();
        let named = row.path.contains("{id}") || row.path.contains("{version}");
        Described {
            api: Api::Connectors,
            method: row.method,
            path: row.path,
            query: row.query,
            summary: row.summary.trim_end_matches('.'),
            administrators: row.administrators,
            resource: None,
            answers: statuses
                .filter(|status| named || *status != 404)
                .map(|status| (status, meaning(status)))
                .collect(),
        }
    });
    let keystone = keystone::rows().map(|row| Described {
        api: Api::Keystone,
        method: row.method,
        path: row.path,
        query: row.query,
        summary: row.summary.trim_end_matches('.'),
        administrators: row.needs == Needs::Administrator,
        answers: row.answers().collect(),
        resource: Some(row),
    });
    let all = people.chain(machines).chain(connectors).chain(keystone);
    all.collect()
}

/// What a status means in the connectors API.
const fn meaning(status: u16) -> &'static str {
    match status {
        200 => "the answer",
        201 => "made; `Location` says where",
        204 => "deleted",
        302 => "the browser is sent to the console, signed in",
        304 => "the caller has it already, as `If-None-Match` says",
        400 => "the request, its body or its query is none",
        401 => "no name is proved, or the proof is wrong",
        403 => "it is not the caller's, or upstream denies it; the message says which",
        404 => "there is no such version, resource or object",
        405 => "the resource has other methods; `Allow` says which",
        409 => "it contradicts what is there, or is not offered there",
        412 => "somebody changed it meanwhile, as `If-Match` shows",
        413 => "the body is too long",
        415 => "the body is no JSON",
        429 => "too many passwords or tokens were wrong",
        500 => "what an administrator configured does not work",
        502 => "the cloud failed",
        503 => {
            "who asks, or what is stored, cannot be looked up now; or the cloud is asked too much"
        }
        504 => "the cloud did not answer in time",
        _ => "another answer",
    }
}

/// The description.
pub fn openapi() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for described in operations() {
        let methods = paths.entry(described.path).or_default();
        let method = described.method.to_lowercase();
        methods
            .entry(method)
            .or_insert_with(|| operation(&described));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "rolecall",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "AWS Federation Proxy's accounts and roles, Identity Federation's connectors, and Keystone",
            "description": "STS, which is one path for all, is in docs/api-coverage.md. Whatever takes GET takes HEAD. What a mount's `authenticate` lists is what it takes as proof: the schemes here, a trusted proxy's header, or the kernel's word for a connection of the same machine. State-changing requests with a cookie need `X-Atlassian-Token: no-check`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [
            { "url": "/", "description": "a mount without a prefix" },
            { "url": "/afp-api/latest", "description": "the other default mount of `accounts`" },
        ],
        "security": [{ "basic": [] }, { "bearer": [] }, { "cookie": [] }],
        "tags": [
            { "name": tag(Api::Accounts), "description": "AWS Federation Proxy, for people" },
            { "name": tag(Api::Machines), "description": "AWS Federation Proxy, for hosts by their address; also below `/latest` and a date" },
            { "name": tag(Api::Connectors), "description": "Identity Federation for AWS" },
            { "name": tag(Api::Keystone), "description": "OpenStack's Keystone, with OS-KSEC2 and OS-EC2" },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic" },
                "bearer": { "type": "http", "scheme": "bearer" },
                "cookie": { "type": "apiKey", "in": "cookie", "name": "JSESSIONID" },
                "token": { "type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "a token; what services have of the operator, where they ask" },
            },
        },
    })
}

const fn tag(api: Api) -> &'static str {
    match api {
        Api::Accounts => "accounts",
        Api::Machines => "machines",
        Api::Connectors => "connectors",
        Api::Keystone => "keystone",
    }
}

/// The header in which version 3 of Keystone tells and is shown the token that a request is about.
fn subject_token() -> Value {
    json!({ "description": "the token that it is about", "schema": { "type": "string" } })
}

/// What proves who asks, where it is not what all mounts take.
fn security(described: &Described) -> Option<Value> {
    match described.resource {
        Some(row) if row.needs != Needs::Nothing => Some(json!([{ "token": [] }])),
        Some(_) => Some(json!([{}])),
        None if described.api == Api::Machines || described.path == "/status" => Some(json!([{}])),
        None => None,
    }
}

/// What a request is shown in its headers.
fn in_headers(described: &Described) -> Option<Value> {
    let row = described.resource?;
    let is_about_one = matches!(row.what, What::Validate | What::Revoke);
    (is_about_one && row.version == Version::V3).then(|| {
        let mut header = subject_token();
        if let Value::Object(header) = &mut header {
            header.insert("name".to_owned(), json!("X-Subject-Token"));
            header.insert("in".to_owned(), json!("header"));
            header.insert("required".to_owned(), json!(true));
        }
        header
    })
}

fn answer(described: &Described, status: u16, meaning: &str) -> Value {
    let mut answer = Map::new();
    answer.insert("description".to_owned(), json!(meaning));
    if let Some(schema) = described.schema(status) {
        let kind = schemas::media_type(schema);
        let body = json!({ "$ref": format!("#/components/schemas/{schema}") });
        answer.insert("content".to_owned(), json!({ kind: { "schema": body } }));
    }
    let tells_token = described
        .resource
        .is_some_and(|row| matches!(row.what, What::Login | What::Validate | What::Ec2Tokens));
    if tells_token && matches!(status, 200 | 201) {
        let told = json!({ "X-Subject-Token": subject_token() });
        answer.insert("headers".to_owned(), told);
    }
    Value::Object(answer)
}

fn operation(described: &Described) -> Value {
    let names = described.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(name)
    });
    let in_path = names.map(|name| {
        let schema = match name {
            "version" => json!({ "type": "string", "enum": VERSIONS }),
            "id" => json!({ "type": "string", "format": "uuid" }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = described.query.iter().map(|(name, doc)| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "query", "description": doc, "schema": schema })
    });
    let parameters = in_path.chain(in_query).chain(in_headers(described));
    let parameters: Vec<Value> = parameters.collect();
    let answers = described.answers.iter();
    let answers =
        answers.map(|(status, meaning)| (status.to_string(), answer(described, *status, meaning)));
    let answers: Map<String, Value> = answers.collect();
    let summary = if described.administrators {
        format!("{} (administrators)", described.summary)
    } else {
        described.summary.to_owned()
    };
    let mut operation = json!({
        "tags": [tag(described.api)],
        "operationId": operation_id(described),
        "summary": summary,
        "parameters": parameters,
        "responses": answers,
    });
    if let Value::Object(operation) = &mut operation {
        if let Some(schema) = described.takes() {
            let body = json!({ "$ref": format!("#/components/schemas/{schema}") });
            operation.insert(
                "requestBody".to_owned(),
                json!({ "required": true, "content": { "application/json": { "schema": body } } }),
            );
        }
        if let Some(security) = security(described) {
            operation.insert("security".to_owned(), security);
        }
    }
    operation
}

/// A name from the method and the path: `get-connectors-id-credentials`.
fn operation_id(described: &Described) -> String {
    let words = described.path.split(['/', '{', '}']);
    let words = words.filter(|word| {
        !matches!(
            *word,
            "" | "rest" | "plugins" | "servlet" | "identity-federation-for-aws" | "version"
        )
    });
    let method = described.method.to_lowercase();
    let mut id = format!("{}-{method}", tag(described.api));
    for word in words {
        id.extend(["-", word]);
    }
    id
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_a_name_of_its_own_and_bodies_that_are_described() {
        let described = openapi();
        let known = described["components"]["schemas"].as_object().unwrap();
        let mut ids = BTreeSet::new();
        let mut used = BTreeSet::new();
        for operation in operations() {
            assert!(ids.insert(operation_id(&operation)), "{operation:?}");
            assert!(operation.answers.keys().any(|status| *status < 400));
            for status in operation.answers.keys().copied() {
                let schema = operation.schema(status);
                let bodiless = matches!(status, 204 | 302 | 304);
                assert_eq!(schema.is_none(), bodiless, "{operation:?} {status}");
                used.extend(schema);
                assert_ne!(operation.answers[&status], meaning(0), "{status}");
            }
            let takes = operation.takes();
            let writes = matches!(operation.method, "POST" | "PUT");
            assert_eq!(takes.is_some(), writes, "{operation:?}");
            used.extend(takes);
        }
        let text = described.to_string();
        let unused: Vec<_> = known
            .keys()
            .filter(|name| !text.contains(&format!("#/components/schemas/{name}\"")))
            .collect();
        assert_eq!(unused, Vec::<&String>::new());
        for name in used {
            assert!(known.contains_key(name), "{name}");
        }
    }
}
