//! What tests see of the daemon's APIs, for the test that documents them: it runs them with a file
//! named in the environment, and reads there which test saw which answer.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread;

use serde_json::{Value, json};

use super::client::{Answer, Asked};

/// The variable of the environment that names the file.
pub(crate) const FILE: &str = "ROLECALL_TEST_WITNESS";

/// One answer that a test saw.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) test: String,
    pub(crate) method: String,
    pub(crate) target: String,
    /// The body of the request.
    pub(crate) sent: String,
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// The test of this thread saw an answer to a request.
pub(crate) fn saw(asked: &Asked, answer: &Answer) {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let seen = json!([
        thread::current().name(),
        asked.method,
        asked.target,
        asked.body,
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
            sent: word(3),
            status: line[4].as_u64().unwrap().try_into().unwrap(),
            body: word(5),
        }
    });
    lines.collect()
}
