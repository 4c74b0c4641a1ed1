//! What of the APIs' documents is served, and which test proves it.
//!
//! The tests of people's APIs are run here once more, and tell what they see on the wire. Every
//! status that the table of routes declares, every parameter and every cause of an error must have
//! been seen by a test that passed, with a body as the description has it; nothing may be seen that
//! is not declared. The tests that `docs/api-coverage.md` names must be such tests. With
//! `COVERAGE=write` in the environment it is written anew.

mod causes;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use rolecall::api::connectors::VERSIONS;
use rolecall::api::openapi::{Api, Described, openapi, operations};
use serde_json::Value;

use crate::support::witness::{self, Seen};
use crate::support::written;
use causes::CAUSES;

/// What is in the names of the tests that are run.
const TESTS: [&str; 4] = ["accounts", "connectors", "keystone", "people"];

/// So many tests are named for a row, where it is written anew.
const NAMED: usize = 2;

const PAGE: &str = "docs/api-coverage.md";

const HEAD: &str = "\
# Coverage of people's APIs\n\n\
Which parts of the documents of AWS Federation Proxy, of Identity Federation for AWS and of Keystone\n\
(Identity API v2.0 with OS-KSEC2, and v3 with OS-EC2) are served. This page is written by `tests/it/coverage`,\n\
which runs the tests that it names and reads what they saw on the wire: each row was seen by each of its\n\
tests. Routes and statuses come from the tables by which requests are routed, as\n\
[openapi.json](openapi.json) does, and every body was as it says.\n";

/// One row: what must be seen, and the tests that did.
struct Row {
    text: String,
    provers: BTreeSet<String>,
}

#[test]
fn every_row_of_the_documents_is_proved() {
    let (seen, ran) = run();
    let operations = operations();
    let mut wrong = undeclared(&operations, &seen);

    let file = written::place(PAGE);
    let old = std::fs::read_to_string(&file).unwrap_or_default();
    let anew = std::env::var_os("COVERAGE").is_some_and(|value| value == "write");
    let page = Page {
        named: named(&old),
        seeing: variety(&operations, &seen),
        ran,
    };
    let mut text = HEAD.to_owned();
    for (api, title) in TITLES {
        let rows = rows(api, &operations, &seen);
        let causes = CAUSES.iter().filter(|cause| cause.api == api);
        let causes = causes.map(|cause| Row {
            text: format!("{} | `{}` | {}", cause.status, cause.says, cause.why),
            provers: provers(&seen, |seen| cause.is(seen)),
        });
        write!(text, "\n## {title}\n\n{ROUTES}").unwrap();
        page.write(&mut text, rows, &mut wrong);
        let mut causes = causes.peekable();
        if causes.peek().is_some() {
            write!(text, "\n### Errors\n\n{ERRORS}").unwrap();
            page.write(&mut text, causes, &mut wrong);
        }
    }
    text.push('\n');
    text.push_str(include_str!("differences.md"));
    if anew {
        std::fs::write(&file, &text).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let command = "COVERAGE=write cargo test --test it coverage";
    written::assert_current(PAGE, &text, command);
}

const TITLES: [(Api, &str); 4] = [
    (Api::Accounts, "AWS Federation Proxy, for people"),
    (Api::Machines, "AWS Federation Proxy, for machines"),
    (Api::Connectors, "Identity Federation for AWS"),
    (
        Api::Keystone,
        "Keystone, with OS-KSEC2 of version 2.0 and OS-EC2 of version 3",
    ),
];

const ROUTES: &str = "\
| request | what | status | when | proved by |\n|---|---|---|---|---|\n";

const ERRORS: &str = "| status | body | cause | proved by |\n|---|---|---|---|\n";

/// Runs the tests. What they saw, and the names of those that passed: all of them.
fn run() -> (Vec<Seen>, BTreeSet<String>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(TESTS)
        .env(witness::FILE, file.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}");
    let ran = told.lines().filter_map(|line| {
        let name = line.strip_prefix("test ")?.strip_suffix(" ... ok")?;
        Some(name.to_owned())
    });
    let seen = witness::read(&std::fs::read_to_string(file.path()).unwrap());
    (seen, ran.collect())
}

/// The tests that each row of a written page names.
fn named(page: &str) -> BTreeMap<String, Vec<String>> {
    let rows = page.lines().filter_map(|line| {
        let (text, names) = line
            .strip_prefix("| ")?
            .strip_suffix(" |")?
            .rsplit_once(" | ")?;
        let names = names.split(", ").map(|name| name.trim_matches('`').into());
        Some((text.to_owned(), names.collect()))
    });
    rows.collect()
}

/// What is named on the page, and why.
struct Page {
    /// What the written page names.
    named: BTreeMap<String, Vec<String>>,
    /// The tests that saw anything, with how much.
    seeing: BTreeMap<String, usize>,
    /// The tests that passed.
    ran: BTreeSet<String>,
}

impl Page {
    fn write(
        &self,
        page: &mut String,
        rows: impl IntoIterator<Item = Row>,
        wrong: &mut Vec<String>,
    ) {
        for row in rows {
            let old = self.named.get(&row.text).into_iter().flatten();
            let mut names: Vec<&String> = old.filter(|name| self.proves(name, &row)).collect();
            if names.is_empty() {
                // Those that are about little else tell most.
                names = row.provers.iter().collect();
                names.sort_by_key(|name| self.seeing.get(*name));
                names.truncate(NAMED);
            }
            if names.is_empty() {
                wrong.push(format!("no test proves: {}", row.text));
            }
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            writeln!(page, "| {} | {} |", row.text, names.join(", ")).unwrap();
        }
    }

    /// Whether this test proves the row. Those that need root see nothing without it.
    fn proves(&self, name: &str, row: &Row) -> bool {
        let root = nix::unistd::geteuid().is_root();
        let idle = !root && self.ran.contains(name) && !self.seeing.contains_key(name);
        idle || row.provers.contains(name) && self.ran.contains(name)
    }
}

/// The tests that saw anything, each with the number of answers that it told apart.
fn variety(operations: &[Described], seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut all: BTreeMap<String, BTreeSet<(usize, u16)>> = BTreeMap::new();
    for seen in seen {
        let place = operations.iter().position(|one| asks(one, seen));
        let told = all.entry(seen.test.clone()).or_default();
        told.insert((place.unwrap_or(usize::MAX), seen.status));
    }
    let counted = all.into_iter().map(|(test, told)| (test, told.len()));
    counted.collect()
}

fn provers(seen: &[Seen], proves: impl Fn(&Seen) -> bool) -> BTreeSet<String> {
    let seen = seen.iter().filter(|seen| proves(seen));
    seen.map(|seen| seen.test.clone()).collect()
}

fn rows(api: Api, operations: &[Described], seen: &[Seen]) -> Vec<Row> {
    let mut rows = Vec::new();
    for operation in operations.iter().filter(|operation| operation.api == api) {
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
                text: format!("`GET {REST}/{version}/connectors` | The version | 200 | the answer"),
                provers: provers(seen, |seen| {
                    seen.target == format!("{REST}/{version}/connectors") && seen.status == 200
                }),
            });
        }
    }
    rows
}

const REST: &str = "/rest/identity-federation-for-aws";

/// What was seen and is not as it is described.
fn undeclared(operations: &[Described], seen: &[Seen]) -> Vec<String> {
    let described = openapi();
    let mut wrong = BTreeSet::new();
    for seen in seen.iter().filter(|seen| seen.method != "HEAD") {
        let mut asked = operations
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
