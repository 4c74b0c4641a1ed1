//! The container documents. Flat, compact, lean: CRT takes at most 10,000 bytes.

use bytes::Bytes;
use secrecy::ExposeSecret;

use crate::api::document::{Document, Layout, date};
use crate::sessions::Session;
use crate::vending::Handout;

/// Which of the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// With `AccountId`, as EKS Pod Identity tells it.
    Plain,
    /// The same with `AccessKeyID` beside `AccessKeyId`.
    MinioJs,
    /// ECS's relative form: with `RoleArn`, which s3fs counts on.
    Ecs,
}

/// Renders the document of a session.
pub(super) fn render(session: &Session, form: Form, handout: &Handout) -> Bytes {
    let credentials = &session.credentials;
    let key_id = credentials.access_key_id.as_str();
    let mut document = Document::new(Layout::Compact);
    document.pair("Code", "Success");
    document.pair("LastUpdated", &date(session.obtained_at));
    document.pair("Type", "AWS-HMAC");
    document.pair("AccessKeyId", key_id);
    if form == Form::MinioJs {
        document.pair("AccessKeyID", key_id);
    }
    document.pair(
        "SecretAccessKey",
        credentials.secret_access_key.expose_secret(),
    );
    document.pair("Token", credentials.session_token.expose_secret());
    document.pair("Expiration", &date(session.expires_at));
    match form {
        Form::Plain | Form::MinioJs => {
            if let Some(account) = &handout.account().id {
                document.pair("AccountId", account.as_str());
            }
        }
        Form::Ecs => {
            if let Some(role) = handout.role_arn() {
                document.pair("RoleArn", role.as_str());
            }
        }
    }
    document.finish()
}
