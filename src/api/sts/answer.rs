//! The answers of STS, as XML.

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use foldhash::quality::RandomState;
use hyper::header::{HeaderName, HeaderValue};
use quick_xml::escape::escape;
use secrecy::ExposeSecret as _;
use uuid::Builder;
use uuid::fmt::Hyphenated;

use super::ask::Action;
use super::fault::Fault;
use crate::api::{date, slots};
use crate::authority::Issued;
use crate::http::{CachedHeaders, Response, StatusCode};
use crate::sessions::{CallerIdentity, Session};
use crate::types::{AccessKeyId, RoleArn, SessionName};
use crate::vending::Handout;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The most of a message that is told, in characters.
const LONGEST_MESSAGE: usize = 16 * 1024;

/// What an operation answers.
#[derive(Debug)]
pub(super) enum Answer {
    Assumed(Assumed),
    /// The same for who showed a token.
    Federation {
        assumed: Assumed,
        shown_for: ShownFor,
    },
    Identity(CallerIdentity),
    Federated {
        credentials: Bytes,
        user: CallerIdentity,
        packed: Option<usize>,
    },
    SessionToken {
        credentials: Bytes,
    },
}

/// A role's session, with what it is called.
#[derive(Debug)]
pub(super) struct Assumed {
    credentials: Bytes,
    user: Bytes,
    /// How much of the room for policies and tags the request takes, where it has any.
    packed: Option<usize>,
    source_identity: Option<String>,
}

/// Whom a token that was shown stands for.
#[derive(Debug)]
pub(super) struct ShownFor {
    /// As its issuer calls it.
    pub(super) subject: Arc<str>,
    /// For whom the token is.
    pub(super) audience: Option<Arc<str>>,
    /// The issuer, or as the caller calls it.
    pub(super) provider: Arc<str>,
}

/// Elements under way.
struct Xml(Vec<u8>);

impl Xml {
    fn with_room(room: usize) -> Self {
        Self(Vec::with_capacity(room))
    }

    fn push(&mut self, texts: &[&str]) {
        for text in texts {
            self.0.extend_from_slice(text.as_bytes());
        }
    }

    fn open(&mut self, name: &str) {
        self.push(&["<", name, ">"]);
    }

    fn close(&mut self, name: &str) {
        self.push(&["</", name, ">"]);
    }

    fn element(&mut self, name: &str, text: &str) {
        self.open(name);
        self.text(text);
        self.close(name);
    }

    fn text(&mut self, text: &str) {
        let stands_for_itself = |byte| {
            matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'')
        };
        if text.bytes().all(stands_for_itself) {
            return self.push(&[text]);
        }
        // What XML has no way to write is what a caller sent and is told of.
        let writable = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..);
        if text.chars().all(writable) {
            self.push(&[&escape(text)]);
        } else {
            let text: String = text
                .chars()
                .map(|c| if writable(c) { c } else { '\u{fffd}' })
                .collect();
            self.push(&[&escape(&text)]);
        }
    }
}

/// Makes answers, and names the requests that they answer.
#[derive(Debug)]
pub(super) struct Answers {
    headers: CachedHeaders,
    /// Ids are told apart by the count; this makes them look like nothing else's.
    seed: RandomState,
    count: AtomicU64,
}

impl Default for Answers {
    fn default() -> Self {
        // Each answer has another one at this place.
        let headers = CachedHeaders::new("text/xml", None);
        Self {
            headers: headers.with(REQUEST_ID, HeaderValue::from_static("")),
            seed: RandomState::default(),
            count: AtomicU64::default(),
        }
    }
}

impl Answers {
    /// The answer of this operation.
    pub(super) fn of(&self, action: Action, answer: &Answer) -> Response {
        let action = action.as_str();
        let mut xml = Xml::with_room(2048);
        xml.push(&[
            "<",
            action,
            "Response xmlns=\"",
            NAMESPACE,
            "\"><",
            action,
            "Result>",
        ]);
        answer.write(&mut xml);
        xml.push(&["</", action, "Result><ResponseMetadata>"]);
        let id = self.id();
        xml.element("RequestId", text(&id));
        xml.push(&["</ResponseMetadata></", action, "Response>"]);
        self.respond(StatusCode::OK, xml, &id)
    }

    /// An error.
    pub(super) fn fail(&self, fault: &Fault) -> Response {
        let (status, code) = fault.code();
        let mut xml = Xml::with_room(512);
        xml.push(&["<ErrorResponse xmlns=\"", NAMESPACE, "\"><Error>"]);
        let whose = if status.is_server_error() {
            "Receiver"
        } else {
            "Sender"
        };
        xml.element("Type", whose);
        xml.element("Code", code);
        let message = fault.message();
        // Of what a caller sent enough is told again: it is escaped, and would be many times as long.
        let told = message.char_indices().nth(LONGEST_MESSAGE);
        let end = told.map_or(message.len(), |(end, _)| end);
        xml.element("Message", message.get(..end).unwrap_or_default());
        xml.close("Error");
        let id = self.id();
        xml.element("RequestId", text(&id));
        xml.close("ErrorResponse");
        self.respond(status, xml, &id)
    }

    fn respond(&self, status: StatusCode, xml: Xml, id: &Id) -> Response {
        let mut response = self.headers.answer(status, Bytes::from(xml.0));
        if let Ok(id) = HeaderValue::from_bytes(id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }

    /// The id of another request. The system is not asked for randomness: it is no secret.
    fn id(&self) -> Id {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let half = |half: u8| u128::from(self.seed.hash_one((number, half)));
        let random = half(0) << 64 | half(1);
        let uuid = Builder::from_random_bytes(random.to_be_bytes()).into_uuid();
        let mut id = [0; Hyphenated::LENGTH];
        uuid.hyphenated().encode_lower(&mut id);
        id
    }
}

/// An id of a request, as text.
type Id = [u8; Hyphenated::LENGTH];

fn text(id: &Id) -> &str {
    std::str::from_utf8(id).unwrap_or_default()
}

impl Answer {
    fn write(&self, xml: &mut Xml) {
        match self {
            Self::Assumed(assumed) => assumed.write(xml),
            Self::Federation { assumed, shown_for } => {
                assumed.write(xml);
                xml.element("SubjectFromWebIdentityToken", &shown_for.subject);
                if let Some(audience) = &shown_for.audience {
                    xml.element("Audience", audience);
                }
                xml.element("Provider", &shown_for.provider);
            }
            Self::Identity(CallerIdentity {
                account,
                arn,
                user_id,
            }) => {
                xml.element("Arn", arn);
                xml.element("UserId", user_id);
                xml.element("Account", account);
            }
            Self::Federated {
                credentials,
                user,
                packed,
            } => {
                block(xml, credentials);
                xml.open("FederatedUser");
                xml.element("FederatedUserId", &user.user_id);
                xml.element("Arn", &user.arn);
                xml.close("FederatedUser");
                packed_size(xml, *packed);
            }
            Self::SessionToken { credentials } => block(xml, credentials),
        }
    }
}

impl Assumed {
    /// What was handed out to whoever asked for this role under this name.
    pub(super) fn new(
        handout: &Handout,
        role: &RoleArn,
        name: SessionName,
        packed: Option<usize>,
    ) -> Self {
        let render = || {
            let own = handout.session_name();
            let own = own.and_then(|own| SessionName::new(own).ok());
            user(&CallerIdentity::assumed(role, &own.unwrap_or(name)))
        };
        Self {
            credentials: credentials(&handout.session),
            // A decision is for one name, and its role has one ARN.
            user: if handout.role_arn() == Some(role) {
                handout.rendered(render)
            } else {
                render()
            },
            packed,
            source_identity: handout.source_identity().map(str::to_owned),
        }
    }

    fn write(&self, xml: &mut Xml) {
        block(xml, &self.credentials);
        block(xml, &self.user);
        packed_size(xml, self.packed);
        if let Some(identity) = &self.source_identity {
            xml.element("SourceIdentity", identity);
        }
    }
}

/// The element of who a role's session is.
fn user(user: &CallerIdentity) -> Bytes {
    let mut xml = Xml::with_room(256);
    xml.open("AssumedRoleUser");
    xml.element("AssumedRoleId", &user.user_id);
    xml.element("Arn", &user.arn);
    xml.close("AssumedRoleUser");
    Bytes::from(xml.0)
}

fn block(xml: &mut Xml, element: &Bytes) {
    xml.0.extend_from_slice(element);
}

fn packed_size(xml: &mut Xml, packed: Option<usize>) {
    if let Some(percent) = packed {
        xml.element("PackedPolicySize", &percent.to_string());
    }
}

/// The element of a session's credentials, made once for each session.
pub(super) fn credentials(session: &Session) -> Bytes {
    session.rendered(slots::STS, |session| {
        let keys = &session.credentials;
        element(
            &keys.access_key_id,
            keys.secret_access_key.expose_secret(),
            keys.session_token.expose_secret(),
            &date(session.expires_at),
        )
    })
}

/// The same of what was issued just now.
pub(super) fn issued(issued: &Issued) -> Bytes {
    element(
        &issued.access_key_id,
        issued.secret_access_key.expose_secret(),
        issued.session_token.expose_secret(),
        &date(issued.expires_at),
    )
}

fn element(id: &AccessKeyId, secret: &str, token: &str, expires: &str) -> Bytes {
    let mut xml = Xml::with_room(secret.len() + token.len() + 256);
    xml.open("Credentials");
    xml.element("AccessKeyId", id.as_str());
    xml.element("SecretAccessKey", secret);
    xml.element("SessionToken", token);
    xml.element("Expiration", expires);
    xml.close("Credentials");
    Bytes::from(xml.0)
}
