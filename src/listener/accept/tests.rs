//! The accept loop: who has a seat, who leaves room for whom, what an error makes it do.

use bytes::Bytes;
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::clock::Clock;
use crate::http::{Answer, Request, Response};
use crate::listener::limits::CallerLimits;

/// Notes for each connection whether it was known by then where its caller runs.
#[derive(Debug)]
struct Placed(tokio::sync::mpsc::UnboundedSender<bool>);

impl Handler for Placed {
    type Visit = ();

    fn visit(&self, connection: Connection) {
        self.0.send(connection.caller.is_placed()).unwrap();
    }

    fn handle<'a>(&'a self, (): &'a (), _: &'a Request) -> Answer<'a> {
        Answer::AtOnce(Response::new(Full::new(Bytes::new())))
    }
}

/// Connects, asks, and reads the answer to its end.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let get = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    stream.write_all(get).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn other_hosts_leave_connections_to_this_one() {
    let each = CallerLimits {
        connections: 100,
        requests: 1,
    };
    let limits = Limits::new(8, each, 1024);
    let desk = Arc::new(Desk::open(Clock::System).unwrap());
    let shared = Shared::new(Arc::clone(&desk), limits, 1);
    let near = desk.of_uid(0);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let local = socket.local_addr().unwrap();
    let mut taken = Vec::new();
    for last in 1..=8 {
        let peer = SocketAddr::from(([203, 0, 113, last], 1));
        let far = desk.identify_tcp(local, peer, socket.as_fd());
        taken.extend(shared.place_elsewhere(&far).ok().flatten());
    }
    assert_eq!(taken.len(), 4);
    assert!(
        shared
            .place_elsewhere(&near)
            .is_ok_and(|place| place.is_none())
    );
}

#[tokio::test]
async fn nobody_has_a_seat_before_it_is_known_where_it_runs() {
    let each = CallerLimits {
        connections: 1,
        requests: 1,
    };
    let limits = Limits::new(8, each, 1024);
    let desk = Arc::new(Desk::open(Clock::System).unwrap());
    let shared = Arc::new(Shared::new(desk, limits, 2));
    let (placed, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let handler = Arc::new(Placed(placed));
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let unix = UnixListener::bind(&path).unwrap();
    for socket in [Socket::Tcp(tcp), Socket::Unix(unix)] {
        let listener = Listener {
            name: Arc::from("test"),
            bound: Bound {
                socket,
                address: "test".to_owned(),
                hop_limit: None,
                made: None,
            },
            peers: Peers::Networks(Vec::new()),
            tls: None,
            seats: shared.seats(Parking::PROGRAMS),
            handler: Arc::clone(&handler),
        };
        tokio::spawn(listener.run(Arc::clone(&shared)));
    }
    let going_round = Arc::clone(&shared);
    tokio::spawn(async move { going_round.go_round().await });
    for _ in 0..2 {
        let over_tcp = answer(TcpStream::connect(address).await.unwrap()).await;
        let over_unix = answer(UnixStream::connect(&path).await.unwrap()).await;
        for answer in [over_tcp, over_unix] {
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert_eq!(seen.recv().await, Some(true));
        }
    }
}

async fn paused(errno: Errno) -> Duration {
    let begun = tokio::time::Instant::now();
    pause("test", &io::Error::from(errno)).await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn an_error_that_may_stay_does_not_spin() {
    for errno in [
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOMEM,
        Errno::EINVAL,
        Errno::EBADF,
    ] {
        assert!(paused(errno).await >= PAUSE, "{errno}");
    }
    for errno in [Errno::ECONNABORTED, Errno::EPERM, Errno::EINTR] {
        assert_eq!(paused(errno).await, Duration::ZERO, "{errno}");
    }
}
