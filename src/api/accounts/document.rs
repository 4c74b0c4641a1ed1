//! AFP's bodies of credentials: what its server really sent and its clients read, and what its
//! document says, in one. No key is in both.

use bytes::Bytes;
use serde::Serialize;

use crate::api::document::date;
use crate::secret::ExposeSecret as _;
use crate::sessions::Session;

/// The flat keys as EC2 names them, then the document's.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "Code")]
    code: &'a str,
    #[serde(rename = "LastUpdated")]
    last_updated: &'a str,
    #[serde(rename = "Type")]
    kind: &'a str,
    #[serde(rename = "AccessKeyId")]
    access_key_id: &'a str,
    #[serde(rename = "SecretAccessKey")]
    secret_access_key: &'a str,
    #[serde(rename = "Token")]
    token: &'a str,
    #[serde(rename = "Expiration")]
    expiration: &'a str,
    #[serde(rename = "ConsoleUrl", skip_serializing_if = "Option::is_none")]
    console: Option<&'a str>,
    credentials: Nested<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    console_url: Option<&'a str>,
}

#[derive(Serialize)]
struct Nested<'a> {
    access_key: &'a str,
    secret_key: &'a str,
    session_token: &'a str,
}

/// The body for a session, with both keys of a console where there is one.
pub(super) fn render(session: &Session, console_url: Option<&str>) -> Bytes {
    let credentials = &session.credentials;
    let access_key = credentials.access_key_id.as_str();
    let secret_key = credentials.secret_access_key.expose_secret();
    let session_token = credentials.session_token.expose_secret();
    let document = Document {
        code: "Success",
        last_updated: &date(session.obtained_at),
        kind: "AWS-HMAC",
        access_key_id: access_key,
        secret_access_key: secret_key,
        token: session_token,
        expiration: &date(session.expires_at),
        console: console_url,
        credentials: Nested {
            access_key,
            secret_key,
            session_token,
        },
        console_url,
    };
    Bytes::from(serde_json::to_vec(&document).unwrap_or_default())
}
