//! The canonical request of version 4, and what the older versions share of it.

use std::borrow::Cow;

/// A name and a value.
pub(super) type Pair = (String, String);

/// How the same request is spelled as a canonical one. Signers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    pub(super) path: PathSpelling,
    pub(super) query: QuerySpelling,
    pub(super) host: HostSpelling,
    pub(super) spaces: Spaces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathSpelling {
    /// As it was sent.
    AsSent,
    /// Without `.`, `..` and double slashes, then encoded again. All services' but S3.
    Normal,
    /// Encoded again.
    Encoded,
    /// Decoded and encoded, each path having one spelling. S3's.
    Recoded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuerySpelling {
    /// Decoded as a form, encoded, sorted.
    Normal,
    /// Sorted by the names before they are encoded, as `Ec2Signer` does.
    ByName,
    /// A `+` is a plus sign.
    PlusKept,
    /// Sorted, but not encoded again.
    AsSent,
    /// Without the session token, which was added to the signed query.
    WithoutToken,
    /// Left out.
    Empty,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostSpelling {
    AsSent,
    WithoutPort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spaces {
    /// Several spaces within a header's value are one.
    Collapsed,
    /// They are several.
    Kept,
}

/// What the signer of version 4 says of the query.
#[derive(Debug)]
pub(super) enum Query {
    /// As it was sent.
    Sent(String),
    /// Already taken apart by the service that asks.
    Told(Vec<Pair>),
}

/// The signed headers: of each its name in lower case, then all its values in their order. In one
/// text: requests have many, and each is signed anew.
#[derive(Debug)]
pub(super) struct Headers {
    text: Vec<u8>,
    parts: Vec<Part>,
}

/// The signed headers of most requests have no more values and bytes.
const USUAL_PARTS: usize = 16;
const USUAL_TEXT: usize = 512;

impl Default for Headers {
    fn default() -> Self {
        Self {
            text: Vec::with_capacity(USUAL_TEXT),
            parts: Vec::with_capacity(USUAL_PARTS),
        }
    }
}

/// What stands next in the text, and how long it is.
#[derive(Clone, Copy, Debug)]
enum Part {
    Name(usize),
    Value(usize),
}

/// The parts of a request that are signed.
pub(super) struct Parts<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a Query,
    pub(super) headers: &'a Headers,
    pub(super) signed_headers: &'a str,
    pub(super) payload: &'a str,
}

impl Parts<'_> {
    /// The canonical request in this spelling.
    pub(super) fn spelled(&self, spelling: Spelling) -> Vec<u8> {
        let mut text = Vec::with_capacity(1024);
        text.extend_from_slice(self.method.as_bytes());
        text.push(b'\n');
        path(self.path, spelling.path, &mut text);
        text.push(b'\n');
        self.query.spelled(spelling.query, &mut text);
        text.push(b'\n');
        self.headers.spelled(spelling, &mut text);
        text.push(b'\n');
        text.extend_from_slice(self.signed_headers.as_bytes());
        text.push(b'\n');
        text.extend_from_slice(self.payload.as_bytes());
        text
    }
}

impl Query {
    fn spelled(&self, spelling: QuerySpelling, text: &mut Vec<u8>) {
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = match (self, spelling) {
            (_, QuerySpelling::Empty) => return,
            (Self::Sent(sent), QuerySpelling::AsSent) => {
                let pairs = pairs_of(sent).map(|(name, value)| (name.into(), value.into()));
                pairs.collect()
            }
            (Self::Sent(sent), QuerySpelling::PlusKept) => {
                let decoded = pairs_of(sent).map(|(name, value)| {
                    let pair = (percent_decoded(name, false), percent_decoded(value, false));
                    encoded_pair(&pair.0, &pair.1)
                });
                decoded.collect()
            }
            (Self::Sent(sent), _) => {
                let decoded = pairs_of(sent).map(|(name, value)| {
                    let pair = (percent_decoded(name, true), percent_decoded(value, true));
                    encoded_pair(&pair.0, &pair.1)
                });
                decoded.collect()
            }
            (Self::Told(told), QuerySpelling::ByName) => {
                let mut told: Vec<&Pair> = told.iter().collect();
                told.sort_by(|one, other| one.0.cmp(&other.0));
                return joined(&encoded_pairs(&told), text);
            }
            (Self::Told(told), _) => encoded_pairs(&told.iter().collect::<Vec<_>>()),
        };
        pairs.retain(|(name, _)| {
            let token = spelling == QuerySpelling::WithoutToken && name == b"X-Amz-Security-Token";
            name != b"X-Amz-Signature" && !token
        });
        pairs.sort();
        joined(&pairs, text);
    }
}

impl Headers {
    /// Adds a header with these values. Whether there are any.
    pub(super) fn add<'v>(&mut self, name: &str, values: impl Iterator<Item = &'v [u8]>) -> bool {
        self.text.extend_from_slice(name.as_bytes());
        self.parts.push(Part::Name(name.len()));
        let before = self.parts.len();
        for value in values {
            self.text.extend_from_slice(value);
            self.parts.push(Part::Value(value.len()));
        }
        self.parts.len() > before
    }

    /// The names.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        let names = self
            .parts()
            .filter(|(part, _)| matches!(part, Part::Name(_)));
        names.map(|(_, name)| name)
    }

    fn parts(&self) -> impl Iterator<Item = (Part, &[u8])> {
        let mut rest = self.text.as_slice();
        self.parts.iter().filter_map(move |part| {
            let (Part::Name(length) | Part::Value(length)) = *part;
            let (text, after) = rest.split_at_checked(length)?;
            rest = after;
            Some((*part, text))
        })
    }

    fn spelled(&self, spelling: Spelling, text: &mut Vec<u8>) {
        let [mut is_host, mut is_first] = [false; 2];
        for (number, (part, own)) in self.parts().enumerate() {
            match part {
                Part::Name(_) => {
                    text.extend((number > 0).then_some(b'\n'));
                    text.extend_from_slice(own);
                    text.push(b':');
                    is_host = own == b"host";
                    is_first = true;
                }
                Part::Value(_) => {
                    text.extend((!is_first).then_some(b','));
                    value(own.trim_ascii(), is_host, spelling, text);
                    is_first = false;
                }
            }
        }
        text.push(b'\n');
    }
}

fn value(mut value: &[u8], is_host: bool, spelling: Spelling, text: &mut Vec<u8>) {
    if spelling.host == HostSpelling::WithoutPort && is_host {
        value = without_port(value).unwrap_or(value);
    }
    match spelling.spaces {
        Spaces::Kept => text.extend_from_slice(value),
        Spaces::Collapsed => collapsed(value, text),
    }
}

fn collapsed(value: &[u8], text: &mut Vec<u8>) {
    let mut words = value
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        text.extend_from_slice(first);
    }
    for word in words {
        text.push(b' ');
        text.extend_from_slice(word);
    }
}

fn encoded_pair(name: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut encoded_name, mut encoded_value) = (Vec::new(), Vec::new());
    percent_encode(name, false, &mut encoded_name);
    percent_encode(value, false, &mut encoded_value);
    (encoded_name, encoded_value)
}

/// Names and values as a canonical query has them, in the order in which they are given.
fn encoded_pairs(pairs: &[&Pair]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = pairs.iter().filter(|(name, _)| name != "X-Amz-Signature");
    let pairs = pairs.map(|(name, value)| encoded_pair(name.as_bytes(), value.as_bytes()));
    pairs.collect()
}

/// The canonical query of version 2: by the names before they are encoded.
pub(super) fn sorted_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    let pairs = pairs.iter();
    let encoded = pairs.map(|(name, value)| encoded_pair(name.as_bytes(), value.as_bytes()));
    let mut text = Vec::new();
    joined(&encoded.collect::<Vec<_>>(), &mut text);
    text
}

fn joined(pairs: &[(Vec<u8>, Vec<u8>)], text: &mut Vec<u8>) {
    for (number, (name, value)) in pairs.iter().enumerate() {
        if number > 0 {
            text.push(b'&');
        }
        text.extend_from_slice(name);
        text.push(b'=');
        text.extend_from_slice(value);
    }
}

/// The names and values of a query or form, still encoded.
fn pairs_of(sent: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = sent.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// The names and values of a query or form. What is no UTF-8 is replaced.
pub(in crate::authority) fn decoded_pairs(sent: &[u8]) -> Vec<Pair> {
    let sent = String::from_utf8_lossy(sent);
    let decoded = |part| match String::from_utf8_lossy(&percent_decoded(part, true)) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    };
    let pairs = pairs_of(&sent).map(|(name, value)| (decoded(name), decoded(value)));
    pairs.collect()
}

fn path(sent: &str, spelling: PathSpelling, text: &mut Vec<u8>) {
    match spelling {
        _ if sent.is_empty() => text.push(b'/'),
        PathSpelling::AsSent => text.extend_from_slice(sent.as_bytes()),
        PathSpelling::Encoded => percent_encode(sent.as_bytes(), true, text),
        PathSpelling::Normal => percent_encode(normalised(sent).as_bytes(), true, text),
        PathSpelling::Recoded => percent_encode(&percent_decoded(sent, false), true, text),
    }
}

/// RFC 3986's removal of dot segments, and no empty segments.
fn normalised(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let directory = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let end = if directory && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    Cow::Owned(["/", &kept.join("/"), end].concat())
}

/// Encodes all but the unreserved characters of RFC 3986; and `/` where it separates.
fn percent_encode(bytes: &[u8], keep_slash: bool, text: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        let kept = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if kept || (keep_slash && byte == b'/') {
            text.push(byte);
        } else {
            text.push(b'%');
            for digit in [byte >> 4, byte & 15] {
                text.extend(DIGITS.get(usize::from(digit)));
            }
        }
    }
}

/// Decodes; a `%` that begins nothing stands for itself.
fn percent_decoded(text: &str, form: bool) -> Cow<'_, [u8]> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, beyond @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = beyond;
                }
                _ => decoded.push(byte),
            },
            (b'+', _) if form => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    Cow::Owned(decoded)
}

/// A text as the value of a header.
pub(super) fn one_spaced(text: &str) -> String {
    let mut spaced = Vec::new();
    collapsed(text.as_bytes(), &mut spaced);
    String::from_utf8_lossy(&spaced).into_owned()
}

/// A text as a query has it.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = Vec::new();
    percent_encode(text.as_bytes(), false, &mut encoded);
    String::from_utf8_lossy(&encoded).into_owned()
}

fn digit(character: u8) -> Option<u8> {
    let digit = char::from(character).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// A host without its port, where it has one. An IPv6 address has its brackets.
pub(super) fn without_port(host: &[u8]) -> Option<&[u8]> {
    let colon = host.iter().rposition(|byte| *byte == b':')?;
    let (name, port) = host.split_at_checked(colon)?;
    let port = port.get(1..)?;
    let bracketed = name.starts_with(b"[") && name.ends_with(b"]");
    let alone = bracketed || !name.contains(&b':');
    (alone && !name.is_empty() && port.iter().all(u8::is_ascii_digit)).then_some(name)
}
