//! An answer: what its head says, and how its body ends.

use super::Trouble;

/// How the end of a body was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Framing {
    /// There is none.
    Bodiless,
    Length(usize),
    Chunked,
    /// By the connection's end.
    Close,
}

/// An answer as it came. It has secrets in it: it is not printed.
#[derive(Clone)]
pub(in super::super) struct Answer {
    pub(in super::super) status: u16,
    pub(in super::super) framing: Framing,
    pub(in super::super) body: Vec<u8>,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    is_old: bool,
}

impl Answer {
    pub(in super::super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(in super::super) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    pub(in super::super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the other side said that it would close, or speaks a version in which it does unless
    /// it says otherwise.
    pub(in super::super) fn announces_close(&self) -> bool {
        let connection = self.header("connection").map(str::to_ascii_lowercase);
        match connection {
            Some(said) if said.contains("close") => true,
            Some(said) if said.contains("keep-alive") => false,
            Some(_) | None => self.is_old,
        }
    }
}

/// Reads an answer's head. That to a HEAD has no body.
pub(super) fn parse_head(head: &[u8], to_head: bool) -> Result<Answer, Trouble> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let (version, status) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .ok_or(Trouble::Malformed("it has no status line"))?;
    let is_old = match version {
        "HTTP/1.1" => false,
        "HTTP/1.0" => true,
        _ => return Err(Trouble::Malformed("its version is neither 1.0 nor 1.1")),
    };
    let status = status.split(' ').next().unwrap_or_default();
    let status = status
        .parse()
        .ok()
        .filter(|status| (100..600).contains(status));
    let status = status.ok_or(Trouble::Malformed("it has no status"))?;
    let mut headers = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let header = line.split_once(':');
        let (name, value) = header.ok_or(Trouble::Malformed("a header has no value"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer {
        status,
        framing: Framing::Bodiless,
        body: Vec::new(),
        headers,
        is_old,
    };
    if !to_head && status >= 200 && !matches!(status, 204 | 304) {
        answer.framing = framing(&answer)?;
    }
    Ok(answer)
}

fn framing(answer: &Answer) -> Result<Framing, Trouble> {
    if let Some(coding) = answer.header("transfer-encoding") {
        return if coding.eq_ignore_ascii_case("chunked") {
            Ok(Framing::Chunked)
        } else {
            Err(Trouble::Malformed("its transfer coding is not chunked"))
        };
    }
    let mut lengths = answer.headers.iter();
    let mut lengths = lengths
        .by_ref()
        .filter(|(name, _)| name == "content-length")
        .map(|(_, value)| value);
    let Some(first) = lengths.next() else {
        return Ok(Framing::Close);
    };
    if lengths.any(|other| other != first) {
        return Err(Trouble::Malformed("it has two lengths"));
    }
    let length = first.parse().ok();
    length
        .map(Framing::Length)
        .ok_or(Trouble::Malformed("its length is no number"))
}
