//! An HTTP request written down: what a person has who asks why it is refused.

use super::{HttpRequest, Malformed, SignedRequest};

/// The text is no HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The first line says nothing of a method and a path.
    #[error("its first line must be a method and a path, or a URL")]
    RequestLine,
    /// A line of the head is no header.
    #[error("line {0} is no header")]
    Header(usize),
    /// The head is no text.
    #[error("its head is no UTF-8")]
    NoText,
}

/// An HTTP/1.1 request as text: lines may end with or without a carriage return, and a URL alone
/// stands for a GET of it.
#[derive(Clone)]
pub struct RequestText<'a> {
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    headers: Vec<(&'a str, Vec<u8>)>,
    body: &'a [u8],
}

impl<'a> RequestText<'a> {
    /// Reads a request. What follows the first empty line is the body, as much of it as
    /// `Content-Length` says.
    pub fn read(text: &'a [u8]) -> Result<Self, TextError> {
        let (head, body) = head_and_body(text);
        let head = std::str::from_utf8(head).ok().ok_or(TextError::NoText)?;
        let mut lines = head.lines().enumerate();
        let (_, first) = lines.next().ok_or(TextError::RequestLine)?;
        let (method, target) = request_line(first).ok_or(TextError::RequestLine)?;
        let mut headers: Vec<(&str, Vec<u8>)> = Vec::new();
        for (number, line) in lines {
            if line.starts_with([' ', '\t']) {
                // A line that goes on: the value's next words.
                let (_, value) = headers.last_mut().ok_or(TextError::Header(number + 1))?;
                value.push(b' ');
                value.extend_from_slice(line.trim().as_bytes());
            } else {
                let header = line.split_once(':').filter(|(name, _)| !name.is_empty());
                let (name, value) = header.ok_or(TextError::Header(number + 1))?;
                headers.push((name.trim_end(), value.trim().as_bytes().to_vec()));
            }
        }
        let length = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
        let body = length.and_then(|length| body.get(..length)).unwrap_or(body);
        let (authority, target) = split_target(target);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let hostless = !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"));
        if let Some(authority) = authority.filter(|_| hostless) {
            headers.push(("Host", authority.as_bytes().to_vec()));
        }
        Ok(Self {
            method,
            path,
            query,
            headers,
            body,
        })
    }

    /// Reads how the request was signed, with another body than its own if one is given.
    pub fn signed(&self, body: Option<&[u8]>) -> Result<Option<SignedRequest>, Malformed> {
        let headers = self.headers.iter();
        let headers: Vec<(&str, &[u8])> = headers.map(|(name, value)| (*name, &**value)).collect();
        let request = HttpRequest {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: &headers,
            body: body.unwrap_or(self.body),
        };
        request.signed()
    }

    /// The body.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }
}

impl std::fmt::Debug for RequestText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestText")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn head_and_body(text: &[u8]) -> (&[u8], &[u8]) {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"].into_iter();
    let found = ends.filter_map(|end| {
        let at = text.windows(end.len()).position(|window| window == end)?;
        Some((at, at + end.len()))
    });
    match found.min() {
        Some((head, body)) => (
            text.get(..head).unwrap_or_default(),
            text.get(body..).unwrap_or_default(),
        ),
        None => (text, &[]),
    }
}

/// Method and target. The target may hold spaces, which some signers sign.
fn request_line(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    if line.starts_with("http://") || line.starts_with("https://") {
        return Some(("GET", line));
    }
    let (method, rest) = line.split_once(' ')?;
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => target,
        Some(_) | None => rest,
    };
    let word = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    (word && !target.is_empty()).then_some((method, target))
}

/// The authority and the rest of a target that is a whole URL.
fn split_target(target: &str) -> (Option<&str>, &str) {
    let rest = target
        .strip_prefix("https://")
        .or_else(|| target.strip_prefix("http://"));
    let Some(rest) = rest else {
        return (None, target);
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(at).unwrap_or((rest, ""));
    (Some(authority), path)
}
