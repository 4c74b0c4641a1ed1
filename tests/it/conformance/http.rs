//! The HTTP of the small metadata service, with its faults.

use std::fmt::{Display, Write as _};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::faults::Wrong;

/// A request as it was understood.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) is_old: bool,
    headers: Vec<(String, String)>,
}

impl Asked {
    /// The values of a header, whose name is in lower case.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let headers = self.headers.iter().filter(move |(known, _)| known == name);
        headers.map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }

    fn of(head: &str) -> Result<Self, u16> {
        let mut lines = head.lines();
        let parts: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [method, target, version @ ("HTTP/1.0" | "HTTP/1.1")] = parts.as_slice() else {
            return Err(400);
        };
        let mut headers = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(400_u16)?;
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        Ok(Self {
            method: (*method).to_owned(),
            target: (*target).to_owned(),
            is_old: *version == "HTTP/1.0",
            headers,
        })
    }
}

/// An answer.
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

pub(super) fn told(status: u16, body: impl Into<String>) -> Told {
    Told {
        status,
        headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
        body: body.into(),
    }
}

impl Told {
    pub(super) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    fn is_chunked(&self) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(name, _)| name == "Transfer-Encoding")
    }
}

/// A connection of the service.
pub(super) struct Wire {
    stream: TcpStream,
    wrong: Wrong,
    unread: Vec<u8>,
}

impl Wire {
    pub(super) const fn new(stream: TcpStream, wrong: Wrong) -> Self {
        let unread = Vec::new();
        Self {
            stream,
            wrong,
            unread,
        }
    }

    /// The next request, or the status that one is refused with; `None` at the connection's end.
    pub(super) fn read(&mut self) -> Option<Result<Asked, u16>> {
        let end = loop {
            let end = self.unread.windows(4).position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None if !self.unread.is_empty() && self.wrong == Wrong::OneRead => {
                    return Some(Err(400));
                }
                None => self.fill()?,
            }
        };
        let head = self.take(end)?;
        let asked = match Asked::of(&String::from_utf8_lossy(&head)) {
            Ok(asked) => asked,
            Err(status) => return Some(Err(status)),
        };
        match self.skip_body(&asked)? {
            Ok(()) => Some(Ok(asked)),
            Err(status) => Some(Err(status)),
        }
    }

    fn skip_body(&mut self, asked: &Asked) -> Option<Result<(), u16>> {
        let lengths: Vec<&str> = asked.all("content-length").collect();
        if lengths.windows(2).any(|two| two[0] != two[1]) && self.wrong != Wrong::FirstLength {
            return Some(Err(400));
        }
        let chunked = asked.header("transfer-encoding").is_some();
        let by_length = !lengths.is_empty() && self.wrong == Wrong::LengthBeforeChunks;
        if chunked && self.wrong == Wrong::ForgetsChunks {
            return Some(Ok(()));
        }
        if chunked && !by_length {
            if asked.header("expect").is_some() {
                drop(self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n"));
            }
            return self.skip_chunks().map(Ok);
        }
        let length = lengths.first().map_or(Ok(0), |length| length.parse());
        match length {
            Ok(length) => self.take(length).map(|_body| Ok(())),
            Err(_) => Some(Err(400)),
        }
    }

    fn skip_chunks(&mut self) -> Option<()> {
        loop {
            let end = loop {
                match self.unread.windows(2).position(|two| two == b"\r\n") {
                    Some(end) => break end,
                    None => self.fill()?,
                }
            };
            let line = self.take(end + 2)?;
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            self.take(size + 2)?;
            if size == 0 {
                return Some(());
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            self.fill()?;
        }
        let rest = self.unread.split_off(length);
        Some(std::mem::replace(&mut self.unread, rest))
    }

    fn fill(&mut self) -> Option<()> {
        let mut bytes = [0; 4096];
        let count = self.stream.read(&mut bytes).ok()?;
        self.unread.extend(&bytes[..count]);
        (count > 0).then_some(())
    }

    /// Writes an answer. Whether the connection goes on.
    pub(super) fn write(&mut self, asked: &Asked, answer: &Told) -> bool {
        let closes = asked.is_old || asked.method.is_empty();
        let is_document = answer.body.starts_with("{\"Code\"");
        let mut text = format!("HTTP/1.1 {} Status\r\n", answer.status);
        for (name, value) in &answer.headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        let mut body = answer.body.clone();
        if self.wrong == Wrong::ChunkedGarbage && is_document {
            text.push_str("Transfer-Encoding: chunked\r\n");
            body = format!("zz\r\n{body}\r\n");
        } else if answer.is_chunked() {
            body = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        } else {
            write!(text, "Content-Length: {}\r\n", body.len()).unwrap();
            if self.wrong == Wrong::LongerThanSaid && is_document {
                body.push_str("and more");
            }
        }
        text.push_str("\r\n");
        if asked.method != "HEAD" || self.wrong == Wrong::HeadBody {
            text.push_str(&body);
        }
        let written = self.stream.write_all(text.as_bytes()).is_ok();
        written && !closes && self.wrong != Wrong::SilentClose
    }
}
