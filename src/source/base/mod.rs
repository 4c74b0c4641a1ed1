//! Base credentials: what an account's STS calls are signed with, how they are found and how long
//! they are kept.

mod chain;
mod container;
mod document;
mod process;
mod token;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::engine::Engine;
use crate::clock::BootTime;
use crate::config::BaseCredentials;
use crate::sessions::{FailureKind, FetchError, KeyDigest, Session, SessionKey};
use crate::transport::causes;
use crate::types::Region;

pub(super) use chain::{Metadata, token_file};
use container::Container;
use process::Process;
pub(super) use token::TokenFile;

/// How long one fetch waits for base credentials.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long finding them may take: a program may ask its user's identity provider. What comes
/// after the fetch has given up serves the next one.
const FINDING: Duration = Duration::from_secs(30);

/// How long credentials are kept that do not say when they expire: keys get rotated.
const KEPT: Duration = Duration::from_mins(15);

/// Credentials are found anew this long before they expire, or half their life if that is less.
const RENEWED_BEFORE: Duration = Duration::from_mins(5);

/// The base credentials of one or more accounts.
pub(super) struct Base {
    from: From,
    region: Region,
    fingerprint: SessionKey,
    held: Arc<Mutex<Option<Held>>>,
}

/// Where they come from.
#[derive(Clone)]
enum From {
    Key(Credentials),
    Environment,
    Profile(String),
    Process(Arc<Process>),
    Container(Arc<Container>),
    Imds,
}

struct Held {
    credentials: Credentials,
    until: BootTime,
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base({})", self.from.name())
    }
}

impl PartialEq for Base {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Base {
    /// The account's own base credentials. `None` where it has none: chains, web identities and
    /// the built-in authority.
    pub(super) fn new(
        configured: &BaseCredentials,
        region: &Region,
        engine: &Engine,
    ) -> Option<Self> {
        let from = match configured {
            BaseCredentials::Key { id, secret, token } => {
                let token = token.as_ref().map(|token| token.expose_secret().to_owned());
                let id = id.as_str();
                From::Key(Credentials::new(
                    id,
                    secret.expose_secret(),
                    token,
                    None,
                    "key",
                ))
            }
            BaseCredentials::Environment => From::Environment,
            BaseCredentials::Profile(name) => From::Profile(name.clone()),
            BaseCredentials::Process(command) => From::Process(Arc::new(Process::new(command))),
            BaseCredentials::Endpoint { url, token } => {
                From::Container(Arc::new(Container::named(url, token.as_ref())))
            }
            BaseCredentials::Imds => From::Imds,
            BaseCredentials::WebIdentity { .. }
            | BaseCredentials::CallerToken
            | BaseCredentials::Role(_)
            | BaseCredentials::Local => return None,
        };
        let key = KeyDigest::default()
            .field("from", from.name().as_bytes())
            .field("region", region.as_str().as_bytes());
        Some(Self {
            fingerprint: from.digest(key, engine).finish(),
            from,
            region: region.clone(),
            held: Arc::default(),
        })
    }

    /// What tells these base credentials from others.
    pub(super) const fn fingerprint(&self) -> &SessionKey {
        &self.fingerprint
    }

    /// Credentials to sign with now. Must be called on the engine's thread.
    pub(super) async fn load(&self, engine: &Engine) -> Result<Credentials, FetchError> {
        if let From::Key(credentials) = &self.from {
            return Ok(credentials.clone());
        }
        let name = self.from.name();
        let finding = engine.run(find(
            self.from.clone(),
            self.region.clone(),
            engine.clone(),
            Arc::clone(&self.held),
        ));
        tokio::time::timeout(PATIENCE, finding).await.unwrap_or_else(|_elapsed| {
            let message = format!(
                "the base credentials ({name}) were not found within {} s; the next try may have them",
                PATIENCE.as_secs()
            );
            Err(FetchError::new(FailureKind::BaseCredentials, message))
        })
    }

    /// Drops what is held: upstream does not take it any more.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }
}

impl From {
    const fn name(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Environment => "environment",
            Self::Profile(_) => "profile",
            Self::Process(_) => "process",
            Self::Container(_) => "endpoint",
            Self::Imds => "imds",
        }
    }

    /// All that is known of them before they are asked for.
    fn digest(&self, key: KeyDigest, engine: &Engine) -> KeyDigest {
        match self {
            Self::Key(credentials) => key
                .field("id", credentials.access_key_id().as_bytes())
                .field("secret", credentials.secret_access_key().as_bytes())
                .optional("token", credentials.session_token().map(str::as_bytes)),
            Self::Environment => {
                let variables = engine.environment().beginning_with("AWS_");
                let key =
                    variables.fold(key, |key, (name, value)| key.field(name, value.as_bytes()));
                chain::digest_files(key, engine.environment())
            }
            Self::Profile(name) => {
                chain::digest_files(key.field("profile", name.as_bytes()), engine.environment())
            }
            Self::Process(process) => process.digest(key),
            Self::Container(container) => container.digest(key),
            Self::Imds => key,
        }
    }

    async fn ask(&self, region: &Region, engine: &Engine) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Key(credentials) => Ok(credentials.clone()),
            Self::Environment => chain::environment(region, engine).await,
            Self::Profile(name) => chain::profile(name, region, engine).await,
            Self::Process(process) => process.run(engine).await,
            Self::Container(container) => container.ask(engine.transport()).await,
            Self::Imds => chain::imds(engine).await,
        }
    }
}

/// Finds credentials, unless some are held that are still good. Whoever comes meanwhile waits at
/// the lock and then takes what was found.
async fn find(
    from: From,
    region: Region,
    engine: Engine,
    held: Arc<Mutex<Option<Held>>>,
) -> Result<Credentials, FetchError> {
    let mut held = held.lock().await;
    if let Some(held) = held
        .as_ref()
        .filter(|held| engine.clock().boot() < held.until)
    {
        return Ok(held.credentials.clone());
    }
    let failed = |why: &str| {
        let message = format!("no base credentials ({}): {why}", from.name());
        FetchError::new(FailureKind::BaseCredentials, message)
    };
    let found = tokio::time::timeout(FINDING, from.ask(&region, &engine))
        .await
        .map_err(|_elapsed| failed(&format!("no answer within {} s", FINDING.as_secs())))?
        .map_err(|error| failed(&error.source().map(causes).unwrap_or_default()))?;
    let now = engine.clock().now();
    let kept = match found.expiry().map(|expiry| expiry.duration_since(now)) {
        Some(Ok(life)) => life.saturating_sub(RENEWED_BEFORE.min(life / 2)),
        Some(Err(_past)) => return Err(failed("they have expired already; renew them")),
        None => KEPT,
    };
    *held = Some(Held {
        credentials: found.clone(),
        until: engine.clock().boot().plus(kept),
    });
    Ok(found)
}

/// A held session, to sign the next link of a chain with.
pub(super) fn of_session(session: &Session) -> Credentials {
    let credentials = &session.credentials;
    Credentials::new(
        credentials.access_key_id.as_str(),
        credentials.secret_access_key.expose_secret(),
        Some(credentials.session_token.expose_secret().to_owned()),
        None,
        "session",
    )
}
