//! LDAP's messages, as far as they are needed to look people up (RFC 4511; pages of results: RFC
//! 2696). Names are values of their own here: there is no filter text that they could change.

use zeroize::Zeroizing;

use super::ber::{BOOLEAN, ENUMERATED, Elements, INTEGER, Malformed, OCTETS, SEQUENCE, SET};
use super::ber::{element, number};

const BIND: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH: u8 = 0x63;
const ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const REFERENCE: u8 = 0x73;
const EXTENDED: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;

const SIMPLE: u8 = 0x80;
const EXTENDED_NAME: u8 = 0x80;
const CONTROLS: u8 = 0xa0;
const OR: u8 = 0xa1;
const EQUALITY: u8 = 0xa3;

const VERSION: u32 = 3;
const WHOLE_SUBTREE: u32 = 2;
const NEVER_DEREFERENCE: u32 = 0;

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
const PAGED: &[u8] = b"1.2.840.113556.1.4.319";

/// How a request ended (RFC 4511, appendix A).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Code(pub(super) u32);

impl Code {
    pub(super) const SUCCESS: Self = Self(0);
    pub(super) const SIZE_LIMIT: Self = Self(4);
    pub(super) const REFERRAL: Self = Self(10);
    pub(super) const NO_SUCH_OBJECT: Self = Self(32);

    /// Whether a bind that ends so was one with a wrong password, or of somebody who may not sign
    /// in: directories use several codes for accounts that are locked, expired or have no password.
    pub(super) fn is_of_proof(self) -> bool {
        const OF_PROOF: [u32; 6] = [19, 32, 48, 49, 50, 53];
        OF_PROOF.contains(&self.0)
    }
}

/// How a request ended, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: Code,
    pub(super) words: String,
}

/// An object that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dn: Vec<u8>,
    /// The values of the one attribute that was asked for, those that are texts.
    pub(super) values: Vec<String>,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Bound(Ended),
    Entry(Entry),
    /// What else there might be, elsewhere: nobody goes there.
    Reference,
    Found {
        ended: Ended,
        /// Where the next page begins.
        next: Option<Vec<u8>>,
    },
    Extended(Ended),
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    pub(super) base: &'a str,
    /// One of these attributes has its value.
    pub(super) any_of: &'a [(&'a str, &'a [u8])],
    /// The attribute that is asked for.
    pub(super) attribute: &'a str,
    /// So many are enough.
    pub(super) at_most: u32,
    /// The page: how much is on it, and where it begins.
    pub(super) page: Option<(u32, &'a [u8])>,
}

fn message(id: u32, operation: &[u8], controls: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&number(INTEGER, id), operation, controls])
}

/// Who speaks from now on.
pub(super) fn bind(id: u32, dn: &[u8], password: &[u8]) -> Zeroizing<Vec<u8>> {
    let password = Zeroizing::new(element(SIMPLE, &[password]));
    let parts = [number(INTEGER, VERSION), element(OCTETS, &[dn])];
    let [version, name] = &parts;
    let operation = Zeroizing::new(element(BIND, &[version, name, &password]));
    Zeroizing::new(message(id, &operation, &[]))
}

pub(super) fn search(id: u32, query: &Query<'_>) -> Vec<u8> {
    let octets = |bytes: &[u8]| element(OCTETS, &[bytes]);
    let equal = |(attribute, value): &(&str, &[u8])| {
        element(EQUALITY, &[&octets(attribute.as_bytes()), &octets(value)])
    };
    let operation = element(
        SEARCH,
        &[
            &octets(query.base.as_bytes()),
            &number(ENUMERATED, WHOLE_SUBTREE),
            &number(ENUMERATED, NEVER_DEREFERENCE),
            &number(INTEGER, query.at_most),
            &number(INTEGER, 0),
            &element(BOOLEAN, &[&[0]]),
            &element(
                OR,
                &[&query.any_of.iter().flat_map(equal).collect::<Vec<_>>()],
            ),
            &element(SEQUENCE, &[&octets(query.attribute.as_bytes())]),
        ],
    );
    let controls = query.page.map(|(size, begins)| {
        let value = element(SEQUENCE, &[&number(INTEGER, size), &octets(begins)]);
        let control = element(SEQUENCE, &[&octets(PAGED), &octets(&value)]);
        element(CONTROLS, &[&control])
    });
    message(id, &operation, &controls.unwrap_or_default())
}

pub(super) fn start_tls(id: u32) -> Vec<u8> {
    let operation = element(EXTENDED, &[&element(EXTENDED_NAME, &[START_TLS])]);
    message(id, &operation, &[])
}

/// Reads one message: which request it answers, and how.
pub(super) fn read(bytes: &[u8]) -> Result<(u32, Answer), Malformed> {
    let mut parts = Elements::of(Elements::of(bytes).one(SEQUENCE)?);
    let id = parts.number(INTEGER)?;
    let (operation, content) = parts.any()?;
    let answer = match operation {
        BIND_RESPONSE => Answer::Bound(ended(content)?),
        ENTRY => Answer::Entry(entry(content)?),
        REFERENCE => Answer::Reference,
        SEARCH_DONE => Answer::Found {
            ended: ended(content)?,
            next: next_page(parts)?,
        },
        EXTENDED_RESPONSE => Answer::Extended(ended(content)?),
        _ => return Err(Malformed::Content),
    };
    Ok((id, answer))
}

fn ended(content: &[u8]) -> Result<Ended, Malformed> {
    let mut parts = Elements::of(content);
    let code = Code(parts.number(ENUMERATED)?);
    let _matched = parts.one(OCTETS)?;
    let words = String::from_utf8_lossy(parts.one(OCTETS)?).into_owned();
    Ok(Ended { code, words })
}

fn entry(content: &[u8]) -> Result<Entry, Malformed> {
    let mut parts = Elements::of(content);
    let dn = parts.one(OCTETS)?.to_vec();
    let mut attributes = Elements::of(parts.one(SEQUENCE)?);
    let mut values = Vec::new();
    // Only one was asked for; a server may spell it otherwise, or send it in several parts.
    while !attributes.is_empty() {
        let mut attribute = Elements::of(attributes.one(SEQUENCE)?);
        let _name = attribute.one(OCTETS)?;
        let mut of = Elements::of(attribute.one(SET)?);
        while !of.is_empty() {
            let value = std::str::from_utf8(of.one(OCTETS)?);
            values.extend(value.ok().map(str::to_owned));
        }
    }
    Ok(Entry { dn, values })
}

/// Where the next page begins, if the server knows pages and there is one.
fn next_page(mut parts: Elements<'_>) -> Result<Option<Vec<u8>>, Malformed> {
    if parts.is_empty() {
        return Ok(None);
    }
    let mut controls = Elements::of(parts.one(CONTROLS)?);
    while !controls.is_empty() {
        let mut control = Elements::of(controls.one(SEQUENCE)?);
        if control.one(OCTETS)? != PAGED {
            continue;
        }
        let mut value = control.any()?;
        if value.0 == BOOLEAN {
            value = control.any()?;
        }
        let mut page = Elements::of(Elements::of(value.1).one(SEQUENCE)?);
        let _about = page.any()?;
        let next = page.one(OCTETS)?;
        return Ok((!next.is_empty()).then(|| next.to_vec()));
    }
    Ok(None)
}

/// The server's side, for tests.
#[cfg(test)]
pub(super) mod server {
    use super::*;

    fn ended(tag: u8, code: u32, words: &str) -> Vec<u8> {
        let words = element(OCTETS, &[words.as_bytes()]);
        let parts = [number(ENUMERATED, code), element(OCTETS, &[])];
        element(tag, &[&parts[0], &parts[1], &words])
    }

    pub(in crate::people::ldap) fn bound(id: u32, code: u32) -> Vec<u8> {
        message(id, &ended(BIND_RESPONSE, code, "words"), &[])
    }

    pub(in crate::people::ldap) fn extended(id: u32, code: u32) -> Vec<u8> {
        message(id, &ended(EXTENDED_RESPONSE, code, ""), &[])
    }

    pub(in crate::people::ldap) fn entry(id: u32, dn: &str, values: &[&str]) -> Vec<u8> {
        let values: Vec<u8> = values
            .iter()
            .flat_map(|value| element(OCTETS, &[value.as_bytes()]))
            .collect();
        let name = element(OCTETS, &[b"cn"]);
        let attribute = element(SEQUENCE, &[&name, &element(SET, &[&values])]);
        let attributes = element(SEQUENCE, &[&attribute]);
        let dn = element(OCTETS, &[dn.as_bytes()]);
        message(id, &element(ENTRY, &[&dn, &attributes]), &[])
    }

    pub(in crate::people::ldap) fn reference(id: u32) -> Vec<u8> {
        let url = element(OCTETS, &[b"ldap://elsewhere.example/"]);
        message(id, &element(REFERENCE, &[&url]), &[])
    }

    pub(in crate::people::ldap) fn found(id: u32, code: u32, next: Option<&[u8]>) -> Vec<u8> {
        let controls = next.map(|next| {
            let page = [number(INTEGER, 0), element(OCTETS, &[next])];
            let value = element(OCTETS, &[&element(SEQUENCE, &[&page[0], &page[1]])]);
            let control = element(SEQUENCE, &[&element(OCTETS, &[PAGED]), &value]);
            element(CONTROLS, &[&control])
        });
        let done = ended(SEARCH_DONE, code, "words");
        message(id, &done, &controls.unwrap_or_default())
    }

    /// The id of a request and its operation's tag.
    pub(in crate::people::ldap) fn request(bytes: &[u8]) -> (u32, u8, Vec<u8>) {
        let mut parts = Elements::of(Elements::of(bytes).one(SEQUENCE).unwrap());
        let id = parts.number(INTEGER).unwrap();
        let (tag, content) = parts.any().unwrap();
        (id, tag, content.to_vec())
    }

    /// The name and the password of a bind.
    pub(in crate::people::ldap) fn credentials(content: &[u8]) -> (String, String) {
        let mut parts = Elements::of(content);
        assert_eq!(parts.number(INTEGER), Ok(VERSION));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let dn = text(parts.one(OCTETS).unwrap());
        (dn, text(parts.one(SIMPLE).unwrap()))
    }

    pub(in crate::people::ldap) const BIND_REQUEST: u8 = BIND;
    pub(in crate::people::ldap) const SEARCH_REQUEST: u8 = SEARCH;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_are_as_the_documents_have_them() {
        // RFC 4511 5.1 with RFC 4513 5.1.3: bind as cn=a with the password p.
        let bound = b"\x30\x11\x02\x01\x01\x60\x0c\x02\x01\x03\x04\x04cn=a\x80\x01p";
        assert_eq!(bind(1, b"cn=a", b"p").as_slice(), bound);
        let started = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
        assert_eq!(start_tls(1), started);
    }

    #[test]
    fn a_name_is_one_value_whatever_is_in_it() {
        let name = b"*)(uid=*))(|(uid=*\0";
        let query = Query {
            base: "dc=example",
            any_of: &[("uid", name)],
            attribute: "uid",
            at_most: 2,
            page: None,
        };
        let sent = search(7, &query);
        let (id, tag, content) = server::request(&sent);
        assert_eq!((id, tag), (7, SEARCH));
        let mut parts = Elements::of(&content);
        for _before_the_filter in 0..6 {
            parts.any().unwrap();
        }
        let mut alternatives = Elements::of(parts.one(OR).unwrap());
        let mut equal = Elements::of(alternatives.one(EQUALITY).unwrap());
        assert_eq!(equal.one(OCTETS).unwrap(), b"uid");
        assert_eq!(equal.one(OCTETS).unwrap(), name);
        assert!(alternatives.is_empty());
    }

    #[test]
    fn answers_are_read() {
        let words = "words".to_owned();
        let ended = |code| Ended {
            code: Code(code),
            words: words.clone(),
        };
        assert_eq!(
            read(&server::bound(1, 49)),
            Ok((1, Answer::Bound(ended(49))))
        );
        assert_eq!(read(&server::reference(2)), Ok((2, Answer::Reference)));
        let entry = Entry {
            dn: b"cn=a".to_vec(),
            values: vec!["a".to_owned(), "b".to_owned()],
        };
        let sent = server::entry(3, "cn=a", &["a", "b"]);
        assert_eq!(read(&sent), Ok((3, Answer::Entry(entry))));
        for (page, next) in [
            (None, None),
            (Some(b"".as_slice()), None),
            (Some(b"more".as_slice()), Some(b"more".to_vec())),
        ] {
            let found = Answer::Found {
                ended: ended(0),
                next,
            };
            assert_eq!(read(&server::found(4, 0, page)), Ok((4, found)));
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_answered(content in proptest::collection::vec(any::<u8>(), 0..64), tag in 0x60_u8..0x7f) {
            let _read = read(&content);
            let _inner = read(&message(1, &element(tag, &[&content]), &content));
        }
    }
}
