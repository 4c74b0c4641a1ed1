//! The answers of STS, as XML.

use std::fmt::Write as _;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use quick_xml::escape::escape;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::ask::Action;
use super::fault::Fault;
use crate::api::{date, slots};
use crate::authority::Issued;
use crate::http::{Response, StatusCode};
use crate::sessions::{CallerIdentity, Session};
use crate::types::AccessKeyId;

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
    pub(super) credentials: Bytes,
    pub(super) user: CallerIdentity,
    /// How much of the room for policies and tags the request takes, where it has any.
    pub(super) packed: Option<usize>,
    pub(super) source_identity: Option<String>,
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
struct Xml(String);

impl Xml {
    fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    fn element(&mut self, name: &str, text: &str) {
        self.open(name);
        // What XML has no way to write is what a caller sent and is told of.
        let writable = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..);
        if text.chars().all(writable) {
            self.0.push_str(&escape(text));
        } else {
            let text: String = text
                .chars()
                .map(|c| if writable(c) { c } else { '\u{fffd}' })
                .collect();
            self.0.push_str(&escape(&text));
        }
        self.close(name);
    }

    /// An element with a name of the action's.
    fn of_action(&mut self, action: Action, what: &str, attributes: &str) {
        let told = write!(self.0, "<{}{what}{attributes}>", action.as_str());
        debug_assert!(told.is_ok(), "a text takes everything");
    }
}

impl Answer {
    /// The answer of this operation.
    pub(super) fn into_response(self, action: Action) -> Response {
        let id = Uuid::new_v4().to_string();
        let mut xml = Xml(String::with_capacity(2048));
        xml.of_action(action, "Response", &format!(" xmlns=\"{NAMESPACE}\""));
        xml.of_action(action, "Result", "");
        self.write(&mut xml);
        xml.close(&format!("{}Result", action.as_str()));
        xml.open("ResponseMetadata");
        xml.element("RequestId", &id);
        xml.close("ResponseMetadata");
        xml.close(&format!("{}Response", action.as_str()));
        respond(StatusCode::OK, xml, &id)
    }

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
    fn write(&self, xml: &mut Xml) {
        block(xml, &self.credentials);
        xml.open("AssumedRoleUser");
        xml.element("AssumedRoleId", &self.user.user_id);
        xml.element("Arn", &self.user.arn);
        xml.close("AssumedRoleUser");
        packed_size(xml, self.packed);
        if let Some(identity) = &self.source_identity {
            xml.element("SourceIdentity", identity);
        }
    }
}

fn block(xml: &mut Xml, credentials: &Bytes) {
    xml.0.push_str(&String::from_utf8_lossy(credentials));
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
    let mut xml = Xml(String::with_capacity(secret.len() + token.len() + 256));
    xml.open("Credentials");
    xml.element("AccessKeyId", id.as_str());
    xml.element("SecretAccessKey", secret);
    xml.element("SessionToken", token);
    xml.element("Expiration", expires);
    xml.close("Credentials");
    Bytes::from(xml.0)
}

/// An error.
pub(super) fn fail(fault: &Fault) -> Response {
    let (status, code) = fault.code();
    let id = Uuid::new_v4().to_string();
    let mut xml = Xml(String::with_capacity(512));
    xml.0.push_str("<ErrorResponse xmlns=\"");
    xml.0.push_str(NAMESPACE);
    xml.0.push_str("\"><Error>");
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
    xml.element("RequestId", &id);
    xml.close("ErrorResponse");
    respond(status, xml, &id)
}

fn respond(status: StatusCode, xml: Xml, id: &str) -> Response {
    let mut response = Response::new(Full::new(Bytes::from(xml.0)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}
