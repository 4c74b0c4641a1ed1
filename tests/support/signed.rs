//! Requests to STS, signed as the SDK signs them.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use rolecall::clock::Clock;

use super::client::{Answer, Connection};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What requests are signed with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

impl Keys {
    /// A long-term key.
    pub(crate) fn new(id: &str, secret: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            token: None,
        }
    }

    /// The session in an answer.
    #[track_caller]
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let text = |name| element(&answer.body, name).to_owned();
        Self {
            id: text("AccessKeyId"),
            secret: text("SecretAccessKey"),
            token: Some(text("SessionToken")),
        }
    }
}

/// The text of the first element of this name; empty where there is none.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let open = format!("<{name}>");
    let rest = xml.split_once(&open).map_or("", |(_, rest)| rest);
    rest.split_once(&format!("</{name}>"))
        .map_or("", |(text, _)| text)
}

/// How a request is signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signing<'a> {
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) at: SystemTime,
    /// In the query, for so long.
    pub(crate) in_query: Option<Duration>,
}

impl Default for Signing<'_> {
    fn default() -> Self {
        Self {
            service: "sts",
            region: "eu-central-1",
            at: Clock::System.now(),
            in_query: None,
        }
    }
}

/// Pairs as a form or a query has them.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, RESERVED).to_string();
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The same, of the version that is served.
fn versioned(pairs: &[(&str, &str)]) -> String {
    let mut all = pairs.to_vec();
    if !pairs.iter().any(|(name, _)| *name == "Version") {
        all.push(("Version", "2011-06-15"));
    }
    form(&all)
}

/// Posts this form, signed.
pub(crate) async fn post(address: SocketAddr, keys: &Keys, pairs: &[(&str, &str)]) -> Answer {
    post_as(address, keys, pairs, Signing::default()).await
}

/// The same, signed in this way.
pub(crate) async fn post_as(
    address: SocketAddr,
    keys: &Keys,
    pairs: &[(&str, &str)],
    signing: Signing<'_>,
) -> Answer {
    let body = versioned(pairs);
    send(address, &signed(address, keys, "POST", "", &body, signing)).await
}

/// Gets by a query that is signed.
pub(crate) async fn get(
    address: SocketAddr,
    keys: &Keys,
    pairs: &[(&str, &str)],
    signing: Signing<'_>,
) -> Answer {
    let query = versioned(pairs);
    send(address, &signed(address, keys, "GET", &query, "", signing)).await
}

/// Posts this form as it is, signed by nobody.
pub(crate) async fn post_unsigned(address: SocketAddr, body: &str) -> Answer {
    send(address, &bytes("POST", "/", &[], address, body)).await
}

/// Sends a request on a connection of its own.
pub(crate) async fn send(address: SocketAddr, request: &str) -> Answer {
    let mut connection = Connection::open(address).await;
    connection.send(request.as_bytes()).await;
    connection.answer().await.expect("an answer")
}

/// The bytes of a request, signed.
pub(crate) fn signed(
    address: SocketAddr,
    keys: &Keys,
    method: &str,
    query: &str,
    body: &str,
    signing: Signing<'_>,
) -> String {
    let mut settings = SigningSettings::default();
    if let Some(life) = signing.in_query {
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(life);
    }
    let host = address.to_string();
    let question = if query.is_empty() { "" } else { "?" };
    let uri = format!("http://{host}/{question}{query}");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let mut lines = vec![("host", host.as_str())];
    lines.extend((!body.is_empty()).then_some(kind));
    let request = SignableRequest::new(
        method,
        &uri,
        lines.iter().copied(),
        SignableBody::Bytes(body.as_bytes()),
    )
    .unwrap();
    let token = keys.token.clone();
    let identity = Credentials::new(&keys.id, &keys.secret, token, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(signing.region)
        .name(signing.service)
        .time(signing.at)
        .settings(settings)
        .build()
        .unwrap();
    let (instructions, _) = sign(request, &params.into()).unwrap().into_parts();
    let added: Vec<(&str, &str)> = instructions.headers().collect();
    lines.extend(&added);
    lines.retain(|(name, _)| *name != "host");
    let params: Vec<(&str, &str)> = instructions
        .params()
        .iter()
        .map(|(name, value)| (*name, value.as_ref()))
        .collect();
    let mut target = format!("/{question}{query}");
    if !params.is_empty() {
        target = format!("{target}&{}", form(&params));
    }
    bytes(method, &target, &lines, address, body)
}

/// The bytes of a request with these headers beside those that each has.
pub(crate) fn bytes(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    address: SocketAddr,
    body: &str,
) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        for part in [name, ": ", value, "\r\n"] {
            text.push_str(part);
        }
    }
    format!("{text}Content-Length: {}\r\n\r\n{body}", body.len())
}
