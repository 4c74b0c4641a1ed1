//! The credentials document, byte by byte as the union of all clients can read it.
//!
//! Keys in this order, whole seconds and `Z`, no escapes, no comma in a value, no further key that
//! contains the name of one of these: s3fs finds keys by substring, Fluent Bit counts tokens.

use bytes::Bytes;
use secrecy::ExposeSecret;

use crate::api::document::{Document, Layout, date};
use crate::sessions::Session;
use crate::types::AccountId;

/// The document as AFP's machine mounts have it: seven keys, none of them the account's.
pub(in crate::api) fn flat(session: &Session) -> Bytes {
    render(session, None, false)
}

/// Renders the document of a session.
pub(super) fn render(session: &Session, account: Option<&AccountId>, minio_js: bool) -> Bytes {
    let credentials = &session.credentials;
    let key_id = credentials.access_key_id.as_str();
    let mut document = Document::new(Layout::Lines);
    document.pair("Code", "Success");
    document.pair("LastUpdated", &date(session.obtained_at));
    document.pair("Type", "AWS-HMAC");
    document.pair("AccessKeyId", key_id);
    if minio_js {
        document.pair("AccessKeyID", key_id);
    }
    document.pair(
        "SecretAccessKey",
        credentials.secret_access_key.expose_secret(),
    );
    document.pair("Token", credentials.session_token.expose_secret());
    document.pair("Expiration", &date(session.expires_at));
    if let Some(account) = account {
        document.pair("AccountId", account.as_str());
    }
    document.finish()
}
