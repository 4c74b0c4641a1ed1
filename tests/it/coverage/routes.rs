//! APIs whose requests are told apart by their routes.

use std::collections::BTreeSet;

use rolecall::api::connectors::VERSIONS;
use rolecall::api::openapi::{Api, Described, openapi, operations};
use serde_json::Value;

use super::{Row, provers, schema};
use crate::support::witness::Seen;

const REST: &str = "/rest/identity-federation-for-aws";

/// Every operation that has a route.
pub(super) struct Routed(Vec<Described>);

impl Routed {
    pub(super) fn new() -> Self {
        Self(operations())
    }

    /// What tells this answer from others.
    pub(super) fn place(&self, seen: &Seen) -> String {
        let mut operations = self.0.iter();
        let place = operations.position(|one| asks(one, seen));
        format!("{place:?} {}", seen.status)
    }

    /// What each operation of this API answers.
    pub(super) fn rows(&self, api: Api, seen: &[Seen]) -> Vec<Row> {
        let mut rows = Vec::new();
        for operation in self.0.iter().filter(|operation| operation.api == api) {
            let Described {
                method,
                path,
                summary,
                ..
            } = operation;
            let mut add = |what: &str, status: u16, when: &str, proves: &dyn Fn(&Seen) -> bool| {
                rows.push(Row {
                    text: format!("`{method} {path}` | {what} | {status} | {when}"),
                    provers: provers(seen, proves),
                });
            };
            for (status, when) in &operation.answers {
                let other_method = *status == 405;
                add(summary, *status, when, &|seen| {
                    seen.status == *status
                        && asks(operation, seen)
                        && (other_method || seen.method == operation.method)
                });
            }
            for (name, what) in operation.query {
                let success = if *method == "POST" { 201 } else { 200 };
                add(what, success, &format!("`?{name}`"), &|seen| {
                    let (_, query) = seen.target.split_once('?').unwrap_or_default();
                    let mut given = query.split('&').filter_map(|pair| pair.split('=').next());
                    seen.status == success
                        && seen.method == operation.method
                        && asks(operation, seen)
                        && given.any(|given| given == *name)
                });
            }
            if *method == "GET" {
                add(summary, 200, "`HEAD`", &|seen| {
                    seen.method == "HEAD" && asks(operation, seen) && seen.status < 400
                });
            }
        }
        if api == Api::Connectors {
            for version in VERSIONS {
                rows.push(Row {
                    text: format!(
                        "`GET {REST}/{version}/connectors` | The version | 200 | the answer"
                    ),
                    provers: provers(seen, |seen| {
                        seen.target == format!("{REST}/{version}/connectors") && seen.status == 200
                    }),
                });
            }
        }
        rows
    }

    /// What was seen and is not as it is described.
    pub(super) fn undeclared(&self, seen: &[Seen]) -> Vec<String> {
        let described = openapi();
        let mut wrong = BTreeSet::new();
        for seen in seen.iter().filter(|seen| seen.method != "HEAD") {
            let mut asked = self
                .0
                .iter()
                .filter(|one| asks(one, seen) && one.method == seen.method);
            let Some(operation) = asked.next() else {
                continue;
            };
            let what = format!("{} {}: {}", seen.method, operation.path, seen.status);
            if !operation.answers.contains_key(&seen.status) {
                wrong.insert(format!("{what} is not declared, but {} saw it", seen.test));
                continue;
            }
            let answered = operation.schema(seen.status);
            // What was refused may be anything.
            let taken = operation.takes();
            let taken = taken.filter(|_| seen.status < 300 && !seen.sent.is_empty());
            for (name, body) in [(answered, &seen.body), (taken, &seen.sent)] {
                let Some(name) = name.filter(|name| *name != "Text") else {
                    continue;
                };
                for fault in faults(&described, name, body) {
                    wrong.insert(format!("{what} {name} {fault} in {}", seen.test));
                }
            }
        }
        wrong.into_iter().collect()
    }
}

fn faults(described: &Value, schema: &str, body: &str) -> Vec<String> {
    match serde_json::from_str(body) {
        Ok(body) => schema::faults(described, schema, &body),
        Err(error) => vec![error.to_string()],
    }
}

/// Whether this request is for the operation's path, on whatever mount.
fn asks(operation: &Described, seen: &Seen) -> bool {
    let path = seen.target.split('?').next().unwrap_or_default();
    let asked: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let parts = operation.path.split('/').filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    let Some(mount) = asked.len().checked_sub(parts.len()) else {
        return false;
    };
    let (mount, asked) = asked.split_at(mount);
    let of_machines = mount.first() == Some(&"machine");
    let here = match operation.api {
        Api::Machines => of_machines && seen.test.contains("accounts_"),
        Api::Accounts => !of_machines && (mount.is_empty() || mount == ["afp-api", "latest"]),
        Api::Connectors => true,
        Api::Keystone => {
            seen.test.starts_with("keystone::") && (mount.is_empty() || mount == ["identity"])
        }
    };
    let mut pairs = parts.iter().zip(asked);
    here && pairs.all(|(part, asked)| match *part {
        "{version}" => VERSIONS.contains(asked) || seen.status == 404,
        part => part.starts_with('{') || part == *asked,
    })
}
