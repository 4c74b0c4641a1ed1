//! A client that sends exactly the bytes it is told, and reads what comes back.

use std::net::SocketAddr;

use nix::unistd::{Uid, setfsuid};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::daemon::DEADLINE;
use super::witness;

/// An answer as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Method and target of the request.
    asked: String,
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header, empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    /// Holds it against the status and the whole body that it must have.
    #[track_caller]
    pub(crate) fn assert_is(&self, status: u16, body: &str) {
        let told = (self.status, self.body.as_str());
        assert_eq!(told, (status, body), "the answer to {}", self.asked);
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A request as it was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: String,
}

impl Asked {
    /// That of these bytes, where they begin one.
    fn of(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().next().unwrap_or_default();
        let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let (_, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        Some(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            body: body.to_owned(),
        })
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The last request.
    asked: Option<Asked>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// The same as this user: a thread has a file-system uid of its own, which becomes the owner of
    /// the sockets that it makes. Needs root.
    pub(crate) fn open_as(uid: u32, address: SocketAddr) -> Self {
        let before = setfsuid(Uid::from_raw(uid));
        let connected = std::net::TcpStream::connect(address);
        setfsuid(before);
        let stream = connected.unwrap();
        stream.set_nonblocking(true).unwrap();
        Self::over(TcpStream::from_std(stream).unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            asked: None,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        if let Some(asked) = Asked::of(bytes) {
            self.asked = Some(asked);
        }
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer; `None` where the connection was closed instead.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        self.read(true).await
    }

    /// The next answer to a HEAD request, which has no body whatever its length says.
    pub(crate) async fn head_answer(&mut self) -> Option<Answer> {
        self.read(false).await
    }

    async fn read(&mut self, with_body: bool) -> Option<Answer> {
        timeout(DEADLINE, self.read_whole(with_body))
            .await
            .expect("no answer in time")
    }

    async fn read_whole(&mut self, with_body: bool) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if !matches!(self.stream.read(&mut byte).await, Ok(1)) {
                assert!(
                    head.is_empty(),
                    "closed within a head: {}",
                    String::from_utf8_lossy(&head)
                );
                return None;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let asked = self.asked.clone().unwrap_or_default();
        let mut answer = Answer {
            asked: format!("{} {}", asked.method, asked.target),
            status,
            headers,
            body: String::new(),
        };
        let has_body = status >= 200 && !matches!(status, 204 | 304);
        if has_body && with_body {
            let length = answer
                .header("content-length")
                .parse()
                .expect("every answer has a length");
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).await.unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        if let Some(asked) = &self.asked {
            witness::saw(asked, &answer);
        }
        Some(answer)
    }

    /// Whether nothing has come that was not read.
    pub(crate) fn is_silent(&self) -> bool {
        let mut byte = [0];
        let read = self.stream.try_read(&mut byte);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Whether the peer has closed, waiting for it.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = timeout(DEADLINE, self.stream.read(&mut byte)).await;
        matches!(read.expect("still open"), Ok(0) | Err(_))
    }
}

/// Sends a request with these headers beside `Host` on a connection of its own.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut connection = Connection::open(address).await;
    connection
        .send(request(method, target, headers).as_bytes())
        .await;
    let answer = if method == "HEAD" {
        connection.head_answer().await
    } else {
        connection.answer().await
    };
    answer.expect("an answer")
}

/// The bytes of a request. A `Host` of this machine is added where none is given.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        text.push_str("Host: 127.0.0.1\r\n");
    }
    for (name, value) in headers {
        for part in [name, ": ", value, "\r\n"] {
            text.push_str(part);
        }
    }
    text.push_str("\r\n");
    text
}

pub(crate) const TOKEN: &str = "X-aws-ec2-metadata-token";
pub(crate) const TOKEN_TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
pub(crate) const LIST: &str = "/latest/meta-data/iam/security-credentials/";

/// A new ImdsToken of six hours.
pub(crate) async fn imds_token(address: SocketAddr) -> String {
    let answer = ask(address, "PUT", "/latest/api/token", &[(TOKEN_TTL, "21600")]).await;
    assert_eq!(answer.status, 200);
    answer.body
}

/// A GET with this ImdsToken.
pub(crate) async fn imds_get(address: SocketAddr, token: &str, target: &str) -> Answer {
    ask(address, "GET", target, &[(TOKEN, token)]).await
}
