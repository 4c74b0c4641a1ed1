//! Connections, requests and flights at once: the surplus of one caller waits and costs no other.

use std::fmt::Write as _;
use std::net::SocketAddr;

use rolecall::clock::Clock;
use rolecall::listener::Passed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::support::client::{Connection, LIST, TOKEN, TOKEN_TTL, imds_token, request};
use crate::support::daemon::{LOCAL, TestDaemon, upstream, with_secret};
use crate::support::is_root;
use crate::support::sts::{Credentials, Reply, ScriptedSts};

#[tokio::test]
async fn the_surplus_of_one_caller_waits_for_its_turn() {
    let text = format!("{LOCAL}\n[limits]\nconnections = 8\nconnections-per-caller = 2\n");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let get = request("GET", LIST, &[(TOKEN, &token)]);
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(at).await;
        connection.send(get.as_bytes()).await;
        assert_eq!(connection.answer().await.unwrap().status, 200);
        kept.push(connection);
    }
    let mut surplus = Connection::open(at).await;
    surplus.send(get.as_bytes()).await;
    for connection in &mut kept {
        connection.send(get.as_bytes()).await;
        assert_eq!(
            connection.answer().await.unwrap().status,
            200,
            "those with a seat go on"
        );
    }
    assert!(surplus.is_silent(), "it waits");
    drop(kept.pop());
    assert_eq!(
        surplus.answer().await.unwrap().status,
        200,
        "a seat was free"
    );
}

#[tokio::test]
async fn more_connections_than_seats_are_all_served_in_the_end() {
    let text = format!("{LOCAL}\n[limits]\nconnections = 4\nconnections-per-caller = 4\n");
    let daemon = TestDaemon::start(&text);
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let headers = [(TOKEN, token.as_str()), ("Connection", "close")];
    let get = request("GET", LIST, &headers);
    let mut asking = Vec::new();
    for _ in 0..50 {
        let get = get.clone();
        asking.push(tokio::spawn(async move {
            let mut connection = Connection::open(at).await;
            connection.send(get.as_bytes()).await;
            connection.answer().await.map(|answer| answer.status)
        }));
    }
    for answer in asking {
        assert_eq!(answer.await.unwrap(), Some(200));
    }
}

/// Two users, who are granted the same roles: one asks in a loop, the other now and then.
const GREEDY: u32 = 12_346;
const MODEST: u32 = 12_347;

fn for_both(text: &str) -> String {
    text.replace(
        "when = { uid = {uid} }",
        &format!("when = {{ uid = [{GREEDY}, {MODEST}] }}"),
    )
}

/// A connection of this user's, with a token of its own.
async fn visitor(uid: u32, at: SocketAddr) -> (Connection, String) {
    let mut connection = Connection::open_as(uid, at);
    let put = request("PUT", "/latest/api/token", &[(TOKEN_TTL, "21600")]);
    connection.send(put.as_bytes()).await;
    let token = connection.answer().await.unwrap();
    assert_eq!(token.status, 200);
    (connection, token.body)
}

/// Needs root, to be two users. CI must run it.
#[tokio::test]
async fn a_user_without_end_of_connections_takes_no_seat_of_anothers() {
    if !is_root() {
        return;
    }
    let limits = "\n[limits]\nconnections = 16\nconnections-per-caller = 4\n";
    let daemon = TestDaemon::start(&(for_both(LOCAL) + limits));
    let at = daemon.address("metadata");
    let (first, token) = visitor(GREEDY, at).await;
    let get = request("GET", LIST, &[(TOKEN, &token)]);
    let mut greedy = vec![first];
    for _ in 0..600 {
        let mut connection = Connection::open_as(GREEDY, at);
        connection.send(get.as_bytes()).await;
        greedy.push(connection);
    }
    let (_, own) = visitor(MODEST, at).await;
    for _ in 0..100 {
        let mut connection = Connection::open_as(MODEST, at);
        connection
            .send(request("GET", LIST, &[(TOKEN, &own)]).as_bytes())
            .await;
        assert_eq!(connection.answer().await.unwrap().status, 200);
    }
    // Four seats, 256 places to wait for one: to the others it was said at once. 503 and not 429,
    // which SDKs take for an end.
    let mut told = 0;
    for connection in &mut greedy {
        if connection.is_silent() {
            continue;
        }
        let answer = connection.answer().await.unwrap();
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), "1");
            assert_eq!(answer.header("connection"), "close");
            told += 1;
        } else {
            assert_eq!(answer.status, 200);
        }
    }
    assert_eq!(told, 601 - 4 - 256);
}

/// Needs root, to be two users. CI must run it.
#[tokio::test]
async fn a_user_in_a_loop_of_cold_roles_begins_few_flights() {
    if !is_root() {
        return;
    }
    let sts = ScriptedSts::start(|asked| {
        if asked.field("RoleArn").contains("/cold") {
            Reply::Hang
        } else {
            Reply::session("AssumeRole", &Credentials::default())
        }
    })
    .await;
    let mut text = for_both(&upstream(&sts.url())) + "\n[limits]\nflights-per-caller = 4\n";
    for number in 0..60 {
        write!(
            text,
            "[account.local.role.cold{number}]\n\
             [[grant]]\nrole = \"local/cold{number}\"\nwhen = {{ uid = {GREEDY} }}\n"
        )
        .unwrap();
    }
    let daemon = TestDaemon::start_in(with_secret(), &text, Clock::System, Passed::default());
    let at = daemon.address("metadata");
    // The token itself is a first sign, for the role that both have.
    let (first, token) = visitor(GREEDY, at).await;
    drop(first);
    let mut greedy = Vec::new();
    for number in 0..60 {
        let mut connection = Connection::open_as(GREEDY, at);
        let get = request("GET", &format!("{LIST}cold{number}"), &[(TOKEN, &token)]);
        connection.send(get.as_bytes()).await;
        greedy.push(connection);
    }
    let (mut modest, own) = visitor(MODEST, at).await;
    let get = request("GET", &format!("{LIST}demo"), &[(TOKEN, &own)]);
    modest.send(get.as_bytes()).await;
    assert_eq!(modest.answer().await.unwrap().status, 200);
    for connection in &mut greedy {
        assert_eq!(connection.answer().await.unwrap().status, 503);
    }
    let cold = sts.received();
    let cold = cold
        .iter()
        .filter(|asked| asked.field("RoleArn").contains("/cold"));
    assert_eq!(cold.count(), 4);
}

/// Requests of the metadata service that were answered with credentials or names so far.
fn answered(daemon: &TestDaemon) -> u64 {
    let page = daemon.daemon.metrics.encode().unwrap();
    let lines = page
        .lines()
        .filter(|line| line.starts_with("rolecall_requests_total{api=\"imds\""));
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

/// Needs root, to be two users. CI must run it.
#[tokio::test]
async fn a_user_with_requests_without_end_lets_another_through_in_between() {
    if !is_root() {
        return;
    }
    let limits = "\n[limits]\nrequests-per-caller = 8\n";
    let daemon = TestDaemon::start(&(for_both(LOCAL) + limits));
    let at = daemon.address("metadata");
    let (_, token) = visitor(GREEDY, at).await;
    let get = request("GET", &format!("{LIST}demo"), &[(TOKEN, &token)]);
    let mut greedy = JoinSet::new();
    for _ in 0..100 {
        let mut connection = Connection::open_as(GREEDY, at);
        let many = get.repeat(50);
        drop(greedy.spawn(async move {
            loop {
                connection.send(many.as_bytes()).await;
                for _ in 0..50 {
                    assert_eq!(connection.answer().await.unwrap().status, 200);
                }
            }
        }));
    }
    let (mut modest, own) = visitor(MODEST, at).await;
    let own_get = request("GET", &format!("{LIST}demo"), &[(TOKEN, &own)]);
    let begun = answered(&daemon);
    let mut between = Vec::new();
    for _ in 0..100 {
        let before = answered(&daemon);
        modest.send(own_get.as_bytes()).await;
        assert_eq!(modest.answer().await.unwrap().status, 200);
        between.push(answered(&daemon) - before);
    }
    between.sort_unstable();
    assert!(answered(&daemon) - begun > 1000, "the other is served too");
    // Each of the two sides' sockets is looked at once in 61 turns of the loop, in which the greedy
    // user's tasks and this test's own are polled; a task that is ready waits one round.
    assert!(between[98] <= 200, "{between:?}");
}

#[tokio::test]
async fn who_follows_the_audit_trail_leaves_seats_for_other_questions() {
    let text =
        format!("{LOCAL}\n[limits]\nconnections-per-caller = 10\nrequests-per-caller = 10\n");
    let daemon = TestDaemon::start(&text);
    let socket = daemon.directory.path().join("admin.sock");
    let ask = async |target: &'static str| {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: rolecall\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let mut following = JoinSet::new();
    for _ in 0..9 {
        let stream = ask("/v1/audit?after=1000&wait=1").await;
        drop(following.spawn(status(stream)));
    }
    let surplus = following.join_next().await.unwrap().unwrap();
    assert_eq!(surplus, "HTTP/1.1 503");
    let other = status(ask("/v1/status").await).await;
    assert_eq!(other, "HTTP/1.1 200");
    assert_eq!(following.len(), 8);
    // The metadata service's seats are others altogether.
    let at = daemon.address("metadata");
    let mut others = Vec::new();
    for _ in 0..10 {
        let mut connection = Connection::open(at).await;
        let put = request("PUT", "/latest/api/token", &[(TOKEN_TTL, "60")]);
        connection.send(put.as_bytes()).await;
        assert_eq!(connection.answer().await.unwrap().status, 200);
        others.push(connection);
    }
}

/// How the answer begins.
async fn status(mut stream: UnixStream) -> String {
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    String::from_utf8(head.to_vec()).unwrap()
}
