//! The container documents. Flat, compact, lean: CRT takes at most 10,000 bytes.

use bytes::Bytes;
use secrecy::ExposeSecret;

use crate::api::document::{Document, Layout, date};
use crate::sessions::Session;
use crate::types::{AccountId, RoleArn};

/// For ECS's relative form: with `RoleArn`, which s3fs counts on.
pub(super) fn ecs(session: &Session, role: Option<&RoleArn>) -> Bytes {
    render(session, role.map(|role| ("RoleArn", role.as_str())))
}

/// For the other paths: with `AccountId`, as EKS Pod Identity tells it.
pub(super) fn eks(session: &Session, account: Option<&AccountId>) -> Bytes {
    render(
        session,
        account.map(|account| ("AccountId", account.as_str())),
    )
}

fn render(session: &Session, last: Option<(&str, &str)>) -> Bytes {
    let credentials = &session.credentials;
    let mut document = Document::new(Layout::Compact);
    document.pair("Code", "Success");
    document.pair("LastUpdated", &date(session.obtained_at));
    document.pair("Type", "AWS-HMAC");
    document.pair("AccessKeyId", credentials.access_key_id.as_str());
    document.pair(
        "SecretAccessKey",
        credentials.secret_access_key.expose_secret(),
    );
    document.pair("Token", credentials.session_token.expose_secret());
    document.pair("Expiration", &date(session.expires_at));
    if let Some((key, value)) = last {
        document.pair(key, value);
    }
    document.finish()
}
