//! People who prove their names, and everybody else meanwhile.

use std::net::TcpListener;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::task::JoinSet;

use crate::support::client::{Connection, LIST, imds_get, imds_token, request};
use crate::support::daemon::TestDaemon;

/// A role for programs, and people whose names a directory knows.
const PEOPLE: &str = r#"
[[listener]]
name = "metadata"
bind = ["127.0.0.1:0"]
apis = ["imds"]

[[listener]]
name = "api"
bind = ["127.0.0.1:0"]
apis = ["accounts"]
[[listener.mount]]
prefix = "/"
authenticate = "ldap"

[people]
ldap = { url = "ldap://{directory}", base-users = "dc=example,dc=org" }

[account.local]
id = "000000000000"
credentials = { from = "local" }
[account.local.role.demo]

[[grant]]
role = "local/demo"
when = { uid = {uid} }
[state]
directory = "{dir}/state"
[admin]
socket = "{dir}/admin.sock"
"#;

/// More than the proofs of one peer that are looked at or wait at once: sixteen, of a user before its
/// unit is known and again of that unit.
const MANY: usize = 48;

/// Names are proved on threads of their own: here the one that serves would stand still as long as
/// the directory is waited for, and come back when all have been told that it says nothing.
#[tokio::test]
async fn while_all_proofs_wait_for_a_silent_directory_programs_are_served() {
    let directory = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = directory.local_addr().unwrap().to_string();
    let daemon = TestDaemon::start(&PEOPLE.replace("{directory}", &address));
    let metadata = daemon.address("metadata");
    let token = imds_token(metadata).await;
    let document = format!("{LIST}demo");
    assert_eq!(imds_get(metadata, &token, &document).await.status, 200);

    let proof = |number: usize| {
        let shown = STANDARD.encode(format!("user-{number}:password"));
        format!("Basic {shown}")
    };
    let mut answers = JoinSet::new();
    for number in 0..MANY {
        let mut connection = Connection::open(daemon.address("api")).await;
        let proof = proof(number);
        let asked = request("GET", "/account", &[("Authorization", &proof)]);
        connection.send(asked.as_bytes()).await;
        answers.spawn(async move { connection.answer().await.unwrap().status });
    }
    // Once as many wait as may, the others are told so.
    assert_eq!(answers.join_next().await.unwrap().unwrap(), 429);
    assert_eq!(imds_get(metadata, &token, &document).await.status, 200);
    while let Some(told) = answers.try_join_next() {
        assert_eq!(told.unwrap(), 429, "who is looked at waits still");
    }
    drop(directory);
    daemon.end().await;
}
