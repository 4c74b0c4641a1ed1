//! What is made through the API outlives the daemon, however that ends; and what it gives then.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use nix::sys::signal::Signal;
use rolecall::clock::Clock;
use rolecall::store::Store;
use serde_json::json;

use crate::connectors::REST;
use crate::support::client::{Connection, request};
use crate::support::process::{DEADLINE, Daemon};
use crate::support::sts::ScriptedSts;

/// `ann` with the password `password`, at bcrypt's lowest cost.
const USERS: &str = "ann:$2b$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm\n";
const ANN: (&str, &str) = ("Authorization", "Basic YW5uOnBhc3N3b3Jk");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const WRITERS: usize = 4;

/// A daemon whose administrator is `ann`.
fn start(variables: &[(&str, &str)]) -> (Daemon, tempfile::TempDir) {
    let people = tempfile::tempdir().unwrap();
    let users = people.path().join("users");
    fs::write(&users, USERS).unwrap();
    fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).unwrap();
    let configuration = format!(
        "[[listener]]\nname = \"api\"\nbind = \"127.0.0.1:0\"\napis = [\"connectors\"]\n\
         [[listener.mount]]\nprefix = \"/\"\nauthenticate = \"basic\"\n\
         [people]\nusers-file = {users:?}\nadministrators = [\"ann\"]\n"
    );
    (Daemon::start_with(&configuration, variables), people)
}

/// Makes an account; whether that was told.
fn make(address: &str, name: &str) -> io::Result<bool> {
    let body = json!({"name": name, "awsAccessKeyId": "AKIAEXAMPLE", "awsSecretKey": "canary"});
    let body = body.to_string();
    let length = body.len().to_string();
    let path = format!("{REST}/accounts?skipValidation=true");
    let close = ("Connection", "close");
    let headers = [ANN, JSON, close, ("Content-Length", &length)];
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all((request("POST", &path, &headers) + &body).as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 201 "),
        "{answer}"
    );
    Ok(!answer.is_empty())
}

/// Makes accounts one after the other, and tells of each that was made, until nobody answers.
fn write_on(address: &str, writer: usize, made: &Sender<String>) {
    for number in 0.. {
        let name = format!("account {writer} {number}");
        if !matches!(make(address, &name), Ok(true)) {
            return;
        }
        made.send(name).unwrap();
    }
}

#[tokio::test]
async fn whatever_was_told_is_there_after_the_daemon_was_killed() {
    for until in [1, 20, 100] {
        let (mut daemon, _people) = start(&[]);
        let (tell, told) = channel();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (address, tell) = (daemon.address.clone(), tell.clone());
                thread::spawn(move || write_on(&address, writer, &tell))
            })
            .collect();
        drop(tell);
        let mut made: BTreeSet<String> = (0..until)
            .map(|_| told.recv_timeout(DEADLINE).unwrap())
            .collect();
        assert!(!daemon.end(Signal::SIGKILL).success());
        for writer in writers {
            writer.join().unwrap();
        }
        made.extend(told);
        let store = Store::at(&daemon.path("state"), None, Clock::System);
        let mut changes = store.changes();
        let open = changes.wait_for(Result::is_ok).await.unwrap();
        let objects = open.as_ref().unwrap();
        let accounts = objects.accounts.values();
        let kept: BTreeSet<String> = accounts.map(|one| one.draft.name.to_string()).collect();
        assert!(kept.is_superset(&made), "{made:?} of {kept:?}");
        let untold = kept.difference(&made).count();
        assert!(untold <= WRITERS, "each writer waited for one answer");
    }
}

#[tokio::test]
async fn a_stored_account_is_asked_for_the_sessions_of_its_connectors() {
    let sts = ScriptedSts::generous().await;
    let (daemon, _people) = start(&[("AWS_ENDPOINT_URL_STS", &sts.url())]);
    let address = daemon.address.parse().unwrap();
    let send = async |method: &str, path: &str, body: &str| {
        let length = body.len().to_string();
        let headers = [ANN, JSON, ("Content-Length", length.as_str())];
        let mut connection = Connection::open(address).await;
        let text = request(method, &format!("{REST}{path}"), &headers) + body;
        connection.send(text.as_bytes()).await;
        connection.answer().await.unwrap()
    };
    let id = |body: &str| {
        let (_, rest) = body.split_once("\"id\":\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let account = json!({
        "name": "Team A", "awsAccessKeyId": "AKIAOFTEAMA", "awsSecretKey": "canary",
    });
    let path = "/accounts?skipValidation=true";
    let made = send("POST", path, &account.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let connector = json!({
        "name": "Build", "type": "ASSUME_ROLE", "accountId": id(&made.body),
        "roleArn": "arn:aws:iam::123456789012:role/build", "groups": [],
    });
    let made = send("POST", "/connectors", &connector.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let path = format!("/connectors/{}/credentials", id(&made.body));
    let given = send("GET", &path, "").await;
    assert_eq!(given.status, 200, "{}", given.body);
    let received = sts.received();
    let asked = received.last().unwrap();
    assert_eq!(asked.field("Action"), "AssumeRole");
    assert_eq!(
        asked.field("RoleArn"),
        "arn:aws:iam::123456789012:role/build"
    );
    let signature = asked.header("authorization");
    assert!(signature.contains("Credential=AKIAOFTEAMA/"), "{signature}");
}
