//! The end of the daemon: nobody is left waiting, nothing that was handed over is closed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use rolecall::clock::Clock;
use rolecall::listener::{Passed, PassedSocket};

use crate::support::client::{Connection, LIST, TOKEN, imds_get, imds_token, request};
use crate::support::daemon::{LOCAL, TestDaemon, upstream, with_secret};
use crate::support::process::{DEADLINE, Daemon, await_that};
use crate::support::sts::{Reply, ScriptedSts};

/// Far less than waiters would wait and the drain may take in these tests: what makes it so is that
/// they are answered at once.
const SOON: Duration = Duration::from_secs(5);

/// A busy machine must not cut connections off that were answered.
const LIMITS: &str = "\n[limits]\npatience = \"30s\"\ndrain = \"10s\"\n";

#[tokio::test]
async fn waiters_are_answered_at_once() {
    let sts = ScriptedSts::start(|_| Reply::Hang).await;
    let text = format!("{}{LIMITS}", upstream(&sts.url()));
    let daemon = TestDaemon::start_in(with_secret(), &text, Clock::System, Passed::default());
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let mut waiter = Connection::open(at).await;
    let target = "/latest/meta-data/iam/security-credentials/demo";
    waiter
        .send(request("GET", target, &[(TOKEN, &token)]).as_bytes())
        .await;
    let waiting = tokio::spawn(async move {
        let answer = waiter.answer().await.unwrap();
        (answer.status, waiter.is_closed().await)
    });
    while sts.received().is_empty() {
        tokio::task::yield_now().await;
    }
    let (took, _directory) = daemon.end().await;
    assert_eq!(waiting.await.unwrap(), (503, true));
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn kept_connections_are_closed_and_new_ones_refused() {
    let daemon = TestDaemon::start(&format!("{LOCAL}{LIMITS}"));
    let at = daemon.address("metadata");
    let token = imds_token(at).await;
    let mut kept = Connection::open(at).await;
    kept.send(request("GET", LIST, &[(TOKEN, &token)]).as_bytes())
        .await;
    assert_eq!(kept.answer().await.unwrap().status, 200);
    let (took, _directory) = daemon.end().await;
    assert!(kept.is_closed().await);
    assert!(took < SOON, "{took:?}");
    assert!(tokio::net::TcpStream::connect(at).await.is_err());
}

#[tokio::test]
async fn a_passed_socket_outlives_the_daemon() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let text = LOCAL.replacen(
        "bind = [\"127.0.0.1:0\"]",
        "bind = [\"passed:metadata\"]",
        1,
    );
    let pass = || {
        let copy = PassedSocket::Tcp(socket.try_clone().unwrap());
        Passed::new([("metadata".to_owned(), copy)])
    };
    let directory = tempfile::tempdir().unwrap();
    let first = TestDaemon::start_in(directory, &text, Clock::System, pass());
    let token = imds_token(at).await;
    let (_, directory) = first.end().await;
    let mut queued = Connection::open(at).await;
    queued
        .send(request("GET", LIST, &[(TOKEN, &token)]).as_bytes())
        .await;
    let second = TestDaemon::start_in(directory, &text, Clock::System, pass());
    let answer = queued.answer().await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "demo"),
        "it waited in the backlog"
    );
    second.end().await;
}

/// How a client of kept connections fared.
#[derive(Debug, Default)]
struct Fared {
    answers: usize,
    /// The connection was closed after it had asked, without an answer.
    cut_off: usize,
}

/// Asks over a kept connection without a pause, and opens another one when an answer says that it was
/// the last.
fn keep_asking(at: SocketAddr, token: &str, over: &AtomicBool) -> Fared {
    let question = request("GET", LIST, &[(TOKEN, token)]);
    let mut fared = Fared::default();
    while !over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        loop {
            stream.write_all(question.as_bytes()).unwrap();
            let Some(is_last) = heard(&mut stream) else {
                fared.cut_off += 1;
                break;
            };
            fared.answers += 1;
            if is_last || over.load(Ordering::Relaxed) || is_closed(&stream) {
                break;
            }
        }
    }
    fared
}

/// Takes an answer whose body is `demo`, and whether it is the last; `None` where there is none.
fn heard(stream: &mut TcpStream) -> Option<bool> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\ndemo") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            Ok(_) | Err(_) => return None,
        }
    }
    let text = String::from_utf8(text).unwrap().to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 200 "), "{text}");
    Some(text.contains("\r\nconnection: close\r\n"))
}

/// Whether the peer has closed between two requests, as every client looks before the second one.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let closed = stream.peek(&mut [0]).is_ok();
    stream.set_nonblocking(false).unwrap();
    closed
}

#[tokio::test]
async fn who_asks_over_a_kept_connection_is_never_cut_off() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let bind = "bind = [\"127.0.0.1:0\"]";
    let text = LOCAL.replacen(bind, "bind = [\"passed:metadata\"]", 1);
    let start = |directory| {
        let copy = PassedSocket::Tcp(socket.try_clone().unwrap());
        let passed = Passed::new([("metadata".to_owned(), copy)]);
        TestDaemon::start_in(directory, &text, Clock::System, passed)
    };
    let mut daemon = start(tempfile::tempdir().unwrap());
    let token: Arc<str> = imds_token(at).await.into();
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let (token, over) = (Arc::clone(&token), Arc::clone(&over));
            std::thread::spawn(move || keep_asking(at, &token, &over))
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(imds_get(at, &token, LIST).await.status, 200);
        let (_, directory) = daemon.end().await;
        daemon = start(directory);
    }
    over.store(true, Ordering::Relaxed);
    assert_eq!(imds_get(at, &token, LIST).await.status, 200);
    let ended = tokio::task::spawn_blocking(|| {
        let fared = clients.into_iter().map(|client| client.join().unwrap());
        fared.collect::<Vec<_>>()
    });
    let fared = ended.await.unwrap();
    assert!(
        fared.iter().all(|one| one.answers > 0 && one.cut_off == 0),
        "{fared:?}"
    );
    daemon.end().await;
}

/// A daemon that serves anyone, with these limits.
fn with_limits(limits: &str) -> Daemon {
    let text = "[[listener]]\nname = \"metadata\"\nbind = [\"127.0.0.1:0\"]\napis = [\"imds\", \"metrics\"]\n\
         [account.local]\nid = \"000000000000\"\ncredentials = { from = \"local\" }\n\
         [account.local.role.demo]\n\
         [[grant]]\nrole = \"local/demo\"\nwhen = \"anyone\"\nreason = \"test\"\n";
    Daemon::start(&format!("{text}[limits]\n{limits}\n"))
}

fn says(event: &serde_json::Value, beginning: &str) -> bool {
    let message = event["message"].as_str().unwrap_or_default();
    message.starts_with(beginning)
}

#[tokio::test]
async fn who_is_told_to_end_together_with_its_sidecar_is_served_to_the_last() {
    let mut daemon = with_limits("linger = \"1h\"");
    let at = daemon.address.parse().unwrap();
    daemon.await_ready();
    assert_eq!(daemon.get("/readyz", &[]).0, 200);
    daemon.signal(Signal::SIGTERM);
    daemon.wait_for(|event| says(event, "asked to end"));
    let token = imds_token(at).await;
    let answer = imds_get(at, &token, LIST).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "demo"));
    assert_eq!(
        daemon.get("/readyz", &[]).0,
        503,
        "nobody new is sent to it"
    );
    let status = daemon.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(70), "its time was not waited for");
}

#[test]
fn a_sidecar_ends_when_its_time_is_over() {
    let mut daemon = with_limits("linger = \"50ms\"");
    let status = daemon.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(0));
    assert!(daemon.log().contains("asked to end"));
}

/// A request of which half is there keeps the drain waiting.
fn half_a_request(daemon: &Daemon) -> TcpStream {
    let mut half = TcpStream::connect(&daemon.address).unwrap();
    let beginning =
        b"PUT /latest/api/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc";
    half.write_all(beginning).unwrap();
    // Until the daemon has it: this connection and that one are open.
    await_that("it was not accepted", || {
        let (_, page) = daemon.get("/metrics", &[]);
        page.contains("rolecall_connections 2")
    });
    half
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut daemon = with_limits("drain = \"1h\"");
    let _half = half_a_request(&daemon);
    daemon.signal(Signal::SIGTERM);
    daemon.wait_for(|event| says(event, "ending"));
    let status = daemon.end(Signal::SIGTERM);
    assert_eq!(status.code(), Some(70), "the drain was not waited for");
}

#[test]
fn the_socket_of_the_next_daemon_stays() {
    let mut daemon = with_limits("drain = \"1h\"");
    let half = half_a_request(&daemon);
    daemon.signal(Signal::SIGTERM);
    daemon.wait_for(|event| says(event, "ending"));
    // As the next one does where the file is there and nobody listens.
    drop(fs::remove_file(daemon.socket()));
    let _next = UnixListener::bind(daemon.socket()).unwrap();
    drop(half);
    assert!(daemon.wait().success());
    drop(UnixStream::connect(daemon.socket()).unwrap());
}
