//! What tests see of the daemon's APIs, for the test that documents them: it runs them with a file
//! named in the environment, and reads there which test saw which answer.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread;

use serde_json::{Value, json};

use super::client::Answer;

/// The variable of the environment that names the file.
pub(crate) const FILE: &str = "ROLECALL_TEST_WITNESS";

/// One answer that a test saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) test: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The test of this thread saw an answer.
pub(crate) fn saw(method: &str, target: &str, answer: &Answer) {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let seen = json!([
        thread::current().name(),
        method,
        target,
        answer.status,
        answer.body
    ]);
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    // One write, so that no two lines are mixed.
    file.write_all(format!("{seen}\n").as_bytes()).unwrap();
}

/// What stands in such a file.
pub(crate) fn read(text: &str) -> Vec<Seen> {
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |place: usize| line[place].as_str().unwrap_or_default().to_owned();
        Seen {
            test: word(0),
            method: word(1),
            target: word(2),
            status: line[3].as_u64().unwrap().try_into().unwrap(),
            body: word(4),
        }
    });
    lines.collect()
}
