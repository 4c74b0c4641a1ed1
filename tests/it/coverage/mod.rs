//! What of the APIs' documents is served, and which test proves it.
//!
//! The tests of people's APIs are run here once more, and tell what they see on the wire. Every
//! status that the table of routes declares, every parameter and every cause of an error must have
//! been seen by a test that passed, with a body as the description has it; nothing may be seen that
//! is not declared. The tests that `docs/api-coverage.md` names must be such tests. With
//! `COVERAGE=write` in the environment it is written anew.

mod causes;
mod operations;
mod routes;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use rolecall::api::openapi::Api;

use crate::support::witness::{self, Seen};
use crate::support::written;
use causes::CAUSES;
use operations::Asked;
use routes::Routed;

/// What is in the names of the tests that are run.
const TESTS: [&str; 12] = [
    "accounts",
    "connectors",
    "keystone",
    "people",
    "second_factors::",
    "sts::",
    "sts_hostile::",
    "sts_operations::",
    "sts_parameters::",
    "sts_roles::",
    "sts_sessions::",
    "sts_web::",
];

/// Asks two APIs at the same path, which are told apart here by whose tests ask.
const NOT_RUN: &str = "keystone::database";

/// So many tests are named for a row, where it is written anew.
const NAMED: usize = 2;

const PAGE: &str = "docs/api-coverage.md";

const HEAD: &str = "\
# Coverage of people's APIs\n\n\
Which parts of the documents of four APIs are served: of AWS Federation Proxy, of Identity Federation for\n\
AWS, of Keystone (Identity API v2.0 with OS-KSEC2, and v3 with OS-EC2) and of STS, as Ceph and AWS document\n\
it. This page is written by `tests/it/coverage`, which runs the tests that it names and reads what they saw\n\
on the wire: each row was seen by each of its tests, and nothing was seen that is in no row. Routes and\n\
statuses come from the tables by which requests are routed, as [openapi.json](openapi.json) does, and\n\
every body was as it says. STS has one path: its rows are operations, and what each takes and answers.\n";

/// One row: what must be seen, and the tests that did.
struct Row {
    text: String,
    provers: BTreeSet<String>,
}

#[test]
fn every_row_of_the_documents_is_proved() {
    let (seen, ran) = run();
    let routed = Routed::new();
    let asked = Asked::new(&seen);
    let mut wrong = routed.undeclared(&seen);
    wrong.extend(asked.undeclared());

    let file = written::place(PAGE);
    let old = std::fs::read_to_string(&file).unwrap_or_default();
    let anew = std::env::var_os("COVERAGE").is_some_and(|value| value == "write");
    let page = Page {
        named: named(&old),
        seeing: variety(&seen, |seen| match asked.place(seen) {
            Some(place) => place,
            None => routed.place(seen),
        }),
        ran,
    };
    let mut text = HEAD.to_owned();
    for (api, title) in TITLES {
        let rows = routed.rows(api, &seen);
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
    for (head, rows) in [
        (operations::ANSWERS, asked.answers()),
        (operations::PARAMETERS, asked.parameters()),
        (operations::ERRORS, asked.errors()),
    ] {
        text.push_str(head);
        page.write(&mut text, rows, &mut wrong);
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
        .args(["--skip", NOT_RUN])
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
fn variety(seen: &[Seen], place: impl Fn(&Seen) -> String) -> BTreeMap<String, usize> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for seen in seen {
        let told = all.entry(seen.test.clone()).or_default();
        told.insert(place(seen));
    }
    let counted = all.into_iter().map(|(test, told)| (test, told.len()));
    counted.collect()
}

fn provers(seen: &[Seen], proves: impl Fn(&Seen) -> bool) -> BTreeSet<String> {
    let seen = seen.iter().filter(|seen| proves(seen));
    seen.map(|seen| seen.test.clone()).collect()
}
