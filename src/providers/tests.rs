//! Sources as real programs and services.

use std::fs;
use std::sync::Mutex;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::RoleService;
use crate::secret::SecretString;
use crate::source::{Engine, Environment};
use crate::transport::OwnAddresses;

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Outcome>>);

impl Observer for Seen {
    fn asked(&self, outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

fn providers(sources: Vec<RolesFrom>) -> (Providers, Arc<Seen>) {
    let own = OwnAddresses::default();
    let client = Engine::new(Clock::System, Environment::default(), own).client();
    let sources = (1..).zip(sources);
    let sources: Vec<_> = sources
        .map(|(number, from)| GrantSource { number, from })
        .collect();
    let seen = Arc::new(Seen::default());
    let observer = Arc::<Seen>::clone(&seen);
    let providers = Providers::new(&sources, &client, &Clock::System, observer);
    (providers, seen)
}

/// A source that runs this script; the name is its `$1`.
fn shell(script: &str) -> RolesFrom {
    RolesFrom::Command(["/bin/sh", "-c", script, "sh"].map(str::to_owned).to_vec())
}

async fn roles(providers: &Providers, name: &str) -> Vec<String> {
    let Known::Yes(told) = providers.of(name).await else {
        panic!("nobody was asked about {name}");
    };
    let told = told.iter();
    told.map(|provided| format!("{} {} {}", provided.source, provided.role, provided.reason))
        .collect()
}

#[tokio::test]
async fn a_program_gets_the_name_as_its_last_argument_and_nothing_else() {
    let script = r#"read -r line && exit 1
        printf '{"prod": [["web", "%s of %s in %s: %s"]]}' "$1" "$#" "$PWD" "$(env | sort | tr '\n' ' ')""#;
    let (providers, seen) = providers(vec![shell(script)]);
    assert_eq!(
        roles(&providers, "ann; x=$(id) *").await,
        ["1 prod/web ann; x=$(id) * of 1 in /: LC_ALL=C.UTF-8 \
             PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PWD=/"]
    );
    assert_eq!(*seen.0.lock().unwrap(), [Outcome::Roles]);
}

#[tokio::test]
async fn names_that_could_be_something_else_are_not_asked_about() {
    let (providers, seen) = providers(vec![shell("echo {}")]);
    let long = "x".repeat(257);
    for name in [
        "", "-v", "--help", ".", "..", "a\nb", "a\0b", "\u{7f}", &long,
    ] {
        assert_eq!(providers.of(name).await, Known::No, "{name:?}");
    }
    assert_eq!(*seen.0.lock().unwrap(), []);
    assert!(roles(&providers, "a-v").await.is_empty());
    assert_eq!(*seen.0.lock().unwrap(), [Outcome::None]);
}

#[tokio::test]
async fn what_fails_grants_nothing_and_hinders_no_other_source() {
    let fails = [
        shell("echo '{\"prod\": [[\"web\", \"x\"]]}'; echo no >&2; exit 1"),
        shell("echo '{\"prod\": [[\"web\", \"x\"], [\"no role\", \"x\"]]}'"),
        shell("head -c 70000 /dev/zero | tr '\\0' ' '; echo '{\"prod\": [[\"web\", \"x\"]]}'"),
        shell("while echo xxxxxxxxxxxxxxxx; do :; done"),
        shell("kill -9 $$"),
        RolesFrom::Command(vec!["/no/such/program".to_owned()]),
        RolesFrom::Command(Vec::new()),
    ];
    let count = fails.len();
    let works = shell("head -c 70000 /dev/zero >&2; echo '{\"prod\": [[\"web\", \"x\"]]}'");
    let (providers, seen) = providers(fails.into_iter().chain([works]).collect());
    assert_eq!(roles(&providers, "ann").await, ["8 prod/web x"]);
    let seen = seen.0.lock().unwrap();
    let failed = seen.iter().filter(|outcome| **outcome == Outcome::Failed);
    assert_eq!((failed.count(), seen.len()), (count, count + 1));
}

#[tokio::test]
async fn a_name_is_asked_about_once_for_all_who_wait_and_is_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let script = format!(
        "echo \"$1\" >> {}; echo '{{\"prod\": [[\"web\", \"x\"]]}}'",
        log.display()
    );
    let (providers, _) = providers(vec![shell(&script)]);
    let (first, second, other) = tokio::join!(
        roles(&providers, "ann"),
        roles(&providers, "ann"),
        roles(&providers, "bob")
    );
    assert_eq!([&first, &second, &other], [&["1 prod/web x"]; 3]);
    assert_eq!(roles(&providers, "ann").await, first);
    let asked = fs::read_to_string(log).unwrap();
    let mut asked: Vec<&str> = asked.lines().collect();
    asked.sort_unstable();
    assert_eq!(asked, ["ann", "bob"]);
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_it_started_and_blocks_no_other_name() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    // Both the shell and what it leaves in the background hold the pipe open; it is read until the
    // last of them is gone.
    let script = format!(
        "[ \"$1\" = ann ] || {{ echo '{{\"prod\": [[\"web\", \"x\"]]}}'; exit; }}
         exec 3> {}; sleep 600 & echo begun >&3; wait",
        fifo.display()
    );
    let (providers, seen) = providers(vec![shell(&script)]);
    let all_ended = tokio::task::spawn_blocking(move || fs::read_to_string(fifo).unwrap());
    let other = async {
        let told = roles(&providers, "bob").await;
        assert_eq!(*seen.0.lock().unwrap(), [Outcome::Roles]);
        told
    };
    let (hanging, other) = tokio::join!(roles(&providers, "ann"), other);
    assert_eq!((hanging.len(), other.len()), (0, 1));
    assert_eq!(all_ended.await.unwrap(), "begun\n");
    assert_eq!(*seen.0.lock().unwrap(), [Outcome::Roles, Outcome::Failed]);
}

/// A service that answers once, and what it was asked.
async fn service(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/roles/{{name}}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, asked)
}

#[tokio::test]
async fn a_service_gets_the_name_in_its_url_and_its_token() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"prod\": [[\"web\", \"on call\"]]}";
    let (url, asked) = service(answer).await;
    let service = RoleService {
        url,
        token: Some(SecretString::from("canary")),
        ca_file: None,
    };
    let (providers, _) = providers(vec![RolesFrom::Service(service)]);
    let told = roles(&providers, "ann/../root").await;
    assert_eq!(told, ["1 prod/web on call"]);
    let asked = asked.await.unwrap();
    let line = "GET /roles/ann%2F%2E%2E%2Froot HTTP/1.1\r\n";
    assert!(asked.starts_with(line), "{asked}");
    assert!(
        asked.contains("authorization: Bearer canary\r\n"),
        "{asked}"
    );
}

#[tokio::test]
async fn a_service_that_answers_otherwise_grants_nothing() {
    for answer in [
        "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 30\r\nconnection: close\r\n\r\n{\"prod\": [[\"web\"",
    ] {
        let (url, _asked) = service(answer).await;
        let service = RoleService {
            url,
            token: None,
            ca_file: None,
        };
        let (providers, seen) = providers(vec![RolesFrom::Service(service)]);
        assert!(roles(&providers, "ann").await.is_empty(), "{answer}");
        assert_eq!(*seen.0.lock().unwrap(), [Outcome::Failed], "{answer}");
    }
}

#[tokio::test]
async fn the_shipped_examples_program_is_one() {
    let example = include_str!("../../config/grant-source.toml").lines();
    let program = example
        .skip_while(|line| !line.ends_with("#!/bin/sh"))
        .map_while(|line| line.strip_prefix("#   "));
    let program: Vec<&str> = program.collect();
    let (providers, _) = providers(vec![shell(&program.join("\n"))]);
    let roles_of_ann = ["1 prod/admin on call", "1 prod/reader staff"];
    assert_eq!(roles(&providers, "ann").await, roles_of_ann);
    assert!(roles(&providers, "bob").await.is_empty());
}
