//! Turns: what one caller's requests cost another's, counted in answers. And the last answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep};

use super::activity::Watch;
use super::connection::Service;
use super::limits::{CallerLimits, Limits, Parking, Seats};
use super::turns::Rounds;
use crate::caller::CallerKey;
use crate::http::{Answer, Connection, Handler, Request, Response};

const GET: &[u8] = b"GET /now HTTP/1.1\r\nHost: h\r\n\r\n";
const WAIT: &[u8] = b"GET /later HTTP/1.1\r\nHost: h\r\n\r\n";

/// Notes who is answered, in order.
#[derive(Debug, Default)]
struct Notes {
    answers: Mutex<Vec<u32>>,
    go_on: Notify,
}

impl Handler for Notes {
    type Visit = u32;

    fn visit(&self, _: Connection) -> u32 {
        unreachable!("the tests make their own")
    }

    fn handle<'a>(&'a self, uid: &'a u32, request: &'a Request) -> Answer<'a> {
        if request.uri().path() == "/later" {
            return Answer::later(async {
                self.go_on.notified().await;
                self.answer(*uid)
            });
        }
        Answer::AtOnce(self.answer(*uid))
    }
}

impl Notes {
    fn answer(&self, uid: u32) -> Response {
        self.answers.lock().unwrap().push(uid);
        Response::new(Full::new(Bytes::from_static(b"done")))
    }

    fn answered(&self) -> usize {
        self.answers.lock().unwrap().len()
    }
}

/// A door with callers, and a serving loop that goes round.
struct Door {
    notes: Arc<Notes>,
    seats: Seats,
    watch: Watch,
    _rounds: JoinHandle<()>,
}

impl Door {
    fn open(requests: usize) -> Self {
        let rounds = Arc::new(Rounds::default());
        let each = CallerLimits {
            connections: 10_000,
            requests,
        };
        let limits = Limits::new(100_000, each, 200_000);
        let running = Arc::clone(&rounds);
        Self {
            notes: Arc::default(),
            seats: Seats::new(limits, Parking::PROGRAMS, rounds),
            watch: Watch::default(),
            _rounds: tokio::spawn(async move { running.run().await }),
        }
    }

    /// A connection of this user.
    fn connect(&self, uid: u32) -> DuplexStream {
        let (near, far) = duplex(1 << 20);
        let (notes, own) = (Arc::clone(&self.notes), self.seats.of(CallerKey::Uid(uid)));
        let (activity, parking) = (self.watch.connection(), self.seats.parking);
        tokio::spawn(async move {
            let service = Service {
                handler: &*notes,
                visit: &uid,
                activity: &activity,
                turns: &own.turns,
                parking,
            };
            service.serve(far).await;
        });
        near
    }
}

/// The status of the next answer.
async fn status(connection: &mut DuplexStream) -> StatusCode {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    let mut body = vec![0; length.unwrap()];
    connection.read_exact(&mut body).await.unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn another_caller_waits_for_few_answers_however_many_are_asked_for() {
    const TURNS: usize = 16;
    let door = Door::open(TURNS);
    let mut greedy = Vec::new();
    for _ in 0..1000 {
        let mut connection = door.connect(1);
        connection.write_all(&GET.repeat(50)).await.unwrap();
        greedy.push(connection);
    }
    let mut modest = door.connect(2);
    let mut worst = 0;
    for _ in 0..200 {
        modest.write_all(GET).await.unwrap();
        let before = door.notes.answered();
        assert_eq!(status(&mut modest).await, 200);
        let others = door.notes.answers.lock().unwrap();
        let between = others[before..].iter().take_while(|uid| **uid == 1).count();
        worst = worst.max(between);
    }
    assert!(worst <= 3 * TURNS, "{worst} answers went before");
    let of_greedy = door.notes.answered() - 200;
    assert!(
        of_greedy >= TURNS * 100,
        "it is served all the while: {of_greedy}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_single_caller_has_all_the_turns_there_are() {
    let door = Door::open(16);
    let begun = Instant::now();
    let mut connections = Vec::new();
    for _ in 0..500 {
        let mut connection = door.connect(1);
        connection.write_all(&GET.repeat(4)).await.unwrap();
        connections.push(connection);
    }
    for connection in &mut connections {
        for _ in 0..4 {
            assert_eq!(status(connection).await, 200);
        }
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "nothing waits for time");
}

#[tokio::test(start_paused = true)]
async fn the_surplus_of_requests_waits_and_is_told_503_on_a_connection_that_stays() {
    let door = Door::open(2);
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut connection = door.connect(1);
        connection.write_all(WAIT).await.unwrap();
        waiting.push(connection);
    }
    yield_now().await;
    let mut surplus = door.connect(1);
    let asked = Instant::now();
    surplus.write_all(GET).await.unwrap();
    assert_eq!(status(&mut surplus).await, 503);
    assert_eq!(asked.elapsed(), Parking::PROGRAMS.request);

    let mut other = door.connect(2);
    let other_asked = Instant::now();
    other.write_all(GET).await.unwrap();
    assert_eq!(status(&mut other).await, 200);
    assert_eq!(
        other_asked.elapsed(),
        Duration::ZERO,
        "another caller has turns of its own"
    );

    surplus.write_all(GET).await.unwrap();
    yield_now().await;
    door.notes.go_on.notify_one();
    assert_eq!(status(&mut surplus).await, 200, "a turn was free");
}

/// Whether the connection was closed, as far as what was sent says.
async fn is_over(connection: &mut DuplexStream) -> bool {
    connection.read_u8().await.is_err()
}

#[tokio::test(start_paused = true)]
async fn before_the_end_each_answer_is_its_connections_last() {
    let door = Door::open(16);
    assert!(!door.watch.answer_last(), "nobody is there to be told");
    let mut busy = door.connect(1);
    busy.write_all(WAIT).await.unwrap();
    let mut new = door.connect(1);
    assert!(door.watch.answer_last());
    new.write_all(GET).await.unwrap();
    assert_eq!(status(&mut new).await, 200);
    assert!(is_over(&mut new).await);
    door.notes.go_on.notify_one();
    assert_eq!(status(&mut busy).await, 200);
    assert!(is_over(&mut busy).await);
}

#[tokio::test(start_paused = true)]
async fn who_has_just_come_is_answered_and_who_says_nothing_ends() {
    let door = Door::open(16);
    let (mut new, mut silent) = (door.connect(1), door.connect(2));
    yield_now().await;
    assert!(door.watch.answer_last());
    door.watch.end();
    sleep(Duration::from_millis(100)).await;
    new.write_all(GET).await.unwrap();
    assert_eq!(status(&mut new).await, 200);
    assert!(is_over(&mut new).await);
    assert!(is_over(&mut silent).await);
}

#[tokio::test(start_paused = true)]
async fn who_asks_just_as_the_end_is_told_is_answered() {
    let door = Door::open(16);
    let mut kept = door.connect(1);
    kept.write_all(GET).await.unwrap();
    assert_eq!(status(&mut kept).await, 200);
    door.watch.end();
    // The connection has looked for a request by then, and found none.
    yield_now().await;
    kept.write_all(GET).await.unwrap();
    assert_eq!(status(&mut kept).await, 200);
    assert!(is_over(&mut kept).await);

    let mut late = door.connect(1);
    late.write_all(GET).await.unwrap();
    assert_eq!(status(&mut late).await, 200, "it was accepted before");
    assert!(is_over(&mut late).await);
}
