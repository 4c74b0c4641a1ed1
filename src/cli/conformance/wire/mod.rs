//! A client that sends exactly the bytes that it is told, and reads what comes back.
//!
//! No well-kept client sends what attackers do. Everything has a deadline; nothing is followed.

mod answer;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tokio::time::Instant;

use answer::parse_head;
pub(super) use answer::{Answer, Framing};

/// Longer than any SDK waits.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

const LARGEST_HEAD: usize = 64 << 10;
const LARGEST_BODY: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("nothing came in {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the connection was closed instead")]
    Closed,
    #[error("the connection was closed within the answer")]
    Short,
    #[error("the answer is no HTTP: {0}")]
    Malformed(&'static str),
}

/// The bytes of a request, in parts.
#[derive(Clone)]
pub(super) struct Request {
    method: String,
    target: String,
    version: &'static str,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    pub(super) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1",
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// Adds a header, though it may be there already.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes all headers of this name.
    #[must_use]
    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Has this and no other `Host`.
    #[must_use]
    pub(super) fn at_host(self, host: &str) -> Self {
        self.without("Host").with("Host", host)
    }

    #[must_use]
    pub(super) const fn in_version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    #[must_use]
    pub(super) fn with_body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} {}\r\n", self.method, self.target, self.version);
        for (name, value) in &self.headers {
            for part in [name, ": ", value, "\r\n"] {
                text.push_str(part);
            }
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        text.into_bytes()
    }

    fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// What comes after the last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Closed,
    Silence,
    Bytes,
}

/// One connection.
pub(super) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self, Trouble> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(Trouble::Connect)?;
        stream
            .set_write_timeout(Some(PATIENCE))
            .and_then(|()| stream.set_nodelay(true))
            .map_err(Trouble::Broken)?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    pub(super) fn is_ipv6(&self) -> bool {
        self.stream.peer_addr().is_ok_and(|peer| peer.is_ipv6())
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.stream.write_all(bytes).map_err(Trouble::Broken)
    }

    /// Sends and reads the answer. One that came before everything was sent counts.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Answer, Trouble> {
        let sent = self.send(&request.bytes());
        match self.answer(request.is_head()) {
            Err(Trouble::Closed) => sent.and(Err(Trouble::Closed)),
            answer => answer,
        }
    }

    /// The next answer that is final: any number of others may come before it.
    pub(super) fn final_answer(&mut self) -> Result<Answer, Trouble> {
        const MOST: usize = 8;
        for _ in 0..MOST {
            let answer = self.answer(false)?;
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
        Err(Trouble::Malformed("no final answer comes"))
    }

    /// The next answer. That to a HEAD has no body.
    pub(super) fn answer(&mut self, to_head: bool) -> Result<Answer, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        let head = self.head(deadline)?;
        let mut answer = parse_head(&head, to_head)?;
        answer.body = match answer.framing {
            Framing::Bodiless => Vec::new(),
            Framing::Length(length) => self.take(length, deadline)?,
            Framing::Chunked => self.chunks(deadline)?,
            Framing::Close => self.until_end(deadline)?,
        };
        Ok(answer)
    }

    /// What comes within this time.
    pub(super) fn rest(&mut self, within: Duration) -> Rest {
        if !self.unread.is_empty() {
            return Rest::Bytes;
        }
        match self.fill(Instant::now() + within) {
            Ok(0) => Rest::Closed,
            Ok(_) => Rest::Bytes,
            Err(Trouble::Silent) => Rest::Silence,
            Err(_broken) => Rest::Closed,
        }
    }

    fn head(&mut self, deadline: Instant) -> Result<Vec<u8>, Trouble> {
        loop {
            let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                return self.take(end + 4, deadline);
            }
            if self.unread.len() > LARGEST_HEAD {
                return Err(Trouble::Malformed("its head does not end"));
            }
            if self.fill(deadline)? == 0 {
                let nothing = self.unread.is_empty();
                return Err(if nothing {
                    Trouble::Closed
                } else {
                    Trouble::Short
                });
            }
        }
    }

    fn take(&mut self, length: usize, deadline: Instant) -> Result<Vec<u8>, Trouble> {
        if length > LARGEST_BODY {
            return Err(Trouble::Malformed("it is longer than any SDK reads"));
        }
        while self.unread.len() < length {
            if self.fill(deadline)? == 0 {
                return Err(Trouble::Short);
            }
        }
        let rest = self.unread.split_off(length);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    fn chunks(&mut self, deadline: Instant) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        loop {
            let line = self.line(deadline)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .ok()
                .filter(|size| body.len().saturating_add(*size) <= LARGEST_BODY)
                .ok_or(Trouble::Malformed("a chunk has no size"))?;
            if size == 0 {
                while !self.line(deadline)?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size, deadline)?);
            if !self.line(deadline)?.is_empty() {
                return Err(Trouble::Malformed("a chunk is longer than it says"));
            }
        }
    }

    fn line(&mut self, deadline: Instant) -> Result<String, Trouble> {
        loop {
            let end = self.unread.windows(2).position(|two| two == b"\r\n");
            if let Some(end) = end {
                let line = self.take(end + 2, deadline)?;
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.unread.len() > LARGEST_HEAD {
                return Err(Trouble::Malformed("a line does not end"));
            }
            if self.fill(deadline)? == 0 {
                return Err(Trouble::Short);
            }
        }
    }

    fn until_end(&mut self, deadline: Instant) -> Result<Vec<u8>, Trouble> {
        while self.fill(deadline)? > 0 {
            if self.unread.len() > LARGEST_BODY {
                return Err(Trouble::Malformed("it is longer than any SDK reads"));
            }
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// Reads what has come, waiting for it; 0 at the end.
    fn fill(&mut self, deadline: Instant) -> Result<usize, Trouble> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Trouble::Silent);
        }
        self.stream
            .set_read_timeout(Some(left))
            .map_err(Trouble::Broken)?;
        let mut bytes = [0; 8192];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                self.unread.extend(bytes.iter().take(count));
                Ok(count)
            }
            Err(error) => {
                let kind = error.kind();
                if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                    Err(Trouble::Silent)
                } else if kind == ErrorKind::ConnectionReset {
                    Ok(0)
                } else {
                    Err(Trouble::Broken(error))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A connection on which these bytes come, after which it is closed.
    fn sending(bytes: &'static [u8]) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let writer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(bytes).unwrap();
        });
        let connection = Connection::open(address).unwrap();
        writer.join().unwrap();
        connection
    }

    /// What is made of these bytes.
    fn read(bytes: &'static [u8]) -> Result<Answer, Trouble> {
        sending(bytes).answer(false)
    }

    #[test]
    fn bodies_are_read_as_they_are_framed() {
        for (bytes, framing) in [
            (
                &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndemo and more"[..],
                Framing::Length(4),
            ),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nde\r\n2;x\r\nmo\r\n0\r\n\r\n",
                Framing::Chunked,
            ),
            (b"HTTP/1.0 200 OK\r\n\r\ndemo", Framing::Close),
        ] {
            let answer = read(bytes).map_err(|trouble| trouble.to_string());
            let answer = answer.unwrap();
            assert_eq!((answer.framing, answer.text().as_str()), (framing, "demo"));
        }
    }

    #[test]
    fn answers_that_are_not_final_may_be_many() {
        let bytes =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        let mut connection = sending(bytes);
        assert_eq!(
            connection.final_answer().ok().map(|it| it.status),
            Some(200)
        );
        let endless = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(9).leak();
        let trouble = sending(endless).final_answer().err();
        assert!(matches!(trouble, Some(Trouble::Malformed(_))));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        for (bytes, told) in [
            (&b""[..], "closed instead"),
            (b"HTTP/1.1 200 OK\r\n", "closed within"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndemo",
                "closed within",
            ),
            (b"SSH-2.0-x\r\n\r\n", "no status line"),
            (b"SMTP 220 x\r\n\r\n", "neither 1.0 nor 1.1"),
            (b"HTTP/1.1 xxx\r\n\r\n", "no status"),
            (b"HTTP/1.1 200 OK\r\nx\r\n\r\n", "no value"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "no number"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\ndemo",
                "two lengths",
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
                "longer than",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                "not chunked",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                "no size",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                "no size",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ndemo\r\n0\r\n\r\n",
                "longer than it says",
            ),
        ] {
            let trouble = read(bytes).err().map(|trouble| trouble.to_string());
            let trouble = trouble.unwrap();
            assert!(trouble.contains(told), "{told}: {trouble}");
        }
    }
}
