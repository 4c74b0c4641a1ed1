//! Tokens: made, told, and revoked.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use hyper::header::HeaderName;
use uuid::Uuid;

use super::Call;
use super::answer::{Fault, Reply, X_SUBJECT_TOKEN};
use super::bearer::{Bearer, Refused};
use super::route::Version;
use crate::api::date;
use crate::authority::{KeystoneClaims, TokenProof};
use crate::http::Query;
use crate::secret::random;
use crate::types::AccountAlias;

/// Whether a document says where services are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithCatalog {
    Yes,
    No,
    /// It is there and empty, as in the document of OS-KSEC2.
    Empty,
}

/// What a new token is made of.
pub(super) struct New {
    pub(super) proof: TokenProof,
    pub(super) name: Arc<str>,
    pub(super) project: Option<AccountAlias>,
    /// The token that it is made of, where it is made of one.
    pub(super) of: Option<KeystoneClaims>,
    /// When what proved its name ends, where it does.
    pub(super) until: Option<SystemTime>,
}

impl New {
    /// The claims of the new token, which ends when the one does that it is made of.
    pub(super) fn claims(self, call: &Call<'_>) -> Result<KeystoneClaims, Fault> {
        let deps = call.prover.deps;
        let now = whole_seconds(deps.clock.now());
        let whole = now.checked_add(deps.rules.token_lifetime);
        let ends = whole.into_iter().chain(self.until).min();
        let of = self.of.as_ref();
        let expires_at = of.map(|of| of.expires_at).or(ends).unwrap_or(now);
        let parent = of.map(|of| of.parent.unwrap_or(of.audit));
        let audit = random::<16>().map_err(|_no_entropy| Fault::unavailable())?;
        Ok(KeystoneClaims {
            name: self.name,
            proof: self.proof,
            project: self.project,
            issued_at: now,
            expires_at: whole_seconds(expires_at),
            audit: Uuid::from_bytes(audit),
            parent,
        })
    }
}

impl Call<'_> {
    /// The answer with a new token.
    pub(super) fn made(&self, bearer: &Bearer, catalog: WithCatalog) -> Result<Reply, Fault> {
        let sealed = self.prover.deps.authority.seal_keystone(&bearer.claims);
        let token = sealed.map_err(|error| {
            tracing::error!(%error, "no token could be made");
            Fault::unavailable()
        })?;
        Ok(self.document(bearer, &token, catalog))
    }

    /// What a token says, in this version's words.
    pub(super) fn document(&self, bearer: &Bearer, token: &str, catalog: WithCatalog) -> Reply {
        let text = match self.route.row.version {
            Version::V2 => self.in_v2(bearer, token, catalog),
            Version::V3 => self.in_v3(bearer, catalog),
        };
        // Version 2.0 has no such header, but a middleware of its services looks for it.
        Reply::text(text).with_token(token)
    }

    fn in_v2(&self, bearer: &Bearer, token: &str, catalog: WithCatalog) -> String {
        let Bearer { claims, .. } = bearer;
        let written = bearer.written();
        let mut text = format!(
            r#"{{"access":{{"token":{{"id":"{token}","expires":"{}","issued_at":"{}","audit_ids":{}"#,
            time(claims.expires_at),
            time(claims.issued_at),
            audit_ids(claims),
        );
        text.extend([&written.tenant, "},", &written.user, ",\"serviceCatalog\":"]);
        if catalog == WithCatalog::Yes && claims.project.is_some() {
            text.push_str(&self.catalogs().v2);
        } else {
            text.push_str("[]");
        }
        text.extend([",", &written.metadata, "}}"]);
        text
    }

    fn in_v3(&self, bearer: &Bearer, catalog: WithCatalog) -> String {
        let Bearer { claims, .. } = bearer;
        let mut text = format!(
            r#"{{"token":{{"methods":{},"audit_ids":{},"expires_at":"{}","issued_at":"{}","#,
            methods(claims),
            audit_ids(claims),
            time(claims.expires_at),
            time(claims.issued_at),
        );
        text.push_str(&bearer.written().v3);
        if catalog != WithCatalog::No && claims.project.is_some() {
            text.push_str(",\"catalog\":");
            text.push_str(&self.catalogs().v3);
        }
        text.push_str("}}");
        text
    }

    /// Tells what a token says: to its own user, to services and to administrators.
    pub(super) async fn validate(&self) -> Result<Reply, Fault> {
        let token = self.subject_token()?;
        let bearer = self.about(token).await?;
        let is_own = self
            .shown
            .bearer()
            .is_some_and(|own| own.subject.id == bearer.subject.id);
        let may = is_own || self.shown.bearer().is_none() || self.shown.is_administrator();
        if !may {
            return Err(Fault::forbidden(self.route.row.what));
        }
        Ok(self.document(&bearer, token, self.catalog()))
    }

    /// Revokes a token: one's own, or an administrator any.
    pub(super) async fn revoke(&self) -> Result<Reply, Fault> {
        let bearer = self.about(self.subject_token()?).await?;
        let own = self.own()?;
        if own.subject.id != bearer.subject.id && !self.shown.is_administrator() {
            return Err(Fault::forbidden(self.route.row.what));
        }
        let KeystoneClaims {
            audit, expires_at, ..
        } = bearer.claims;
        self.prover.deps.store.revoke(audit, expires_at).await?;
        Ok(Reply::done())
    }

    /// The token that a request is about.
    fn subject_token(&self) -> Result<&str, Fault> {
        let [named, _] = self.route.names;
        match self.route.row.version {
            Version::V2 => Ok(named),
            Version::V3 => {
                let shown = self.request.headers().get(&HEADER);
                let shown = shown.and_then(|value| value.to_str().ok());
                let none = || Fault::new(StatusCode::NOT_FOUND, "No token in the request");
                shown.filter(|text| !text.is_empty()).ok_or_else(none)
            }
        }
    }

    async fn about(&self, token: &str) -> Result<Bearer, Fault> {
        let told = self.keystone.bearer(self.prover, token).await;
        told.map_err(|refused| match refused {
            Refused::Ended => Fault::no_token(),
            Refused::Unsaid(fault) => fault,
        })
    }

    pub(super) fn catalog(&self) -> WithCatalog {
        let query = Query::parse(self.request.uri().query());
        if query.first("nocatalog").is_some() {
            WithCatalog::No
        } else {
            WithCatalog::Yes
        }
    }
}

const HEADER: HeaderName = X_SUBJECT_TOKEN;

/// As Keystone calls what proved a name.
fn methods(claims: &KeystoneClaims) -> &'static str {
    match (&claims.proof, claims.parent) {
        (TokenProof::Password { .. }, None) => r#"["password"]"#,
        (TokenProof::Password { .. }, Some(_)) => r#"["password","token"]"#,
        (TokenProof::Bearer(_), None) => r#"["application_credential"]"#,
        (TokenProof::Bearer(_), Some(_)) => r#"["application_credential","token"]"#,
        (TokenProof::AccessKey(_) | TokenProof::Session(_) | TokenProof::Federated(_), _) => {
            r#"["ec2credential"]"#
        }
    }
}

/// The token's own, and that of the first of its line.
fn audit_ids(claims: &KeystoneClaims) -> String {
    let text = |id: &Uuid| URL_SAFE_NO_PAD.encode(id.as_bytes());
    match &claims.parent {
        None => format!("[\"{}\"]", text(&claims.audit)),
        Some(parent) => format!("[\"{}\",\"{}\"]", text(&claims.audit), text(parent)),
    }
}

/// Microseconds, which nobody counts: other clients' parsers ask for them.
pub(super) fn time(at: SystemTime) -> String {
    let date = date(at);
    format!("{}.000000Z", date.trim_end_matches('Z'))
}

fn whole_seconds(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.unwrap_or_default().as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
