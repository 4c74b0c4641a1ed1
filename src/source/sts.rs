//! The source that calls an STS.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{
    Builder, IdentityCache, Region as SdkRegion, StalledStreamProtectionConfig,
};

use super::base::{self, Base, TokenFile};
use super::call::{CHAINED_LIFE, Call};
use super::engine::SdkTime;
use super::exchange::{Issued, Outlets};
use super::failure::Attempt;
use super::operations::{DateHeader, send};
use super::sdk_error::failed;
use super::{Engine, answer};
use crate::grants::WebIdentity;
use crate::secret::ExposeSecret as _;
use crate::sessions::{
    Attribution, CallerIdentity, Exchange, FailureKind, FetchError, FetchFuture, Fetched, Session,
    Source,
};
use crate::transport::CONNECT_TIMEOUT;
use crate::types::{Region, SessionName};

/// How long a call may take with all its retries.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// One call and two retries.
const ATTEMPTS: u32 = 3;

/// An STS: one client for all roles that are asked of it.
pub(super) struct Endpoint {
    url: Option<String>,
    region: Region,
    client: OnceLock<Client>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}",
            self.url.as_deref().unwrap_or("sts"),
            self.region
        )
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url && self.region == other.region
    }
}

impl Endpoint {
    pub(super) const fn new(url: Option<String>, region: Region) -> Self {
        Self {
            url,
            region,
            client: OnceLock::new(),
        }
    }

    /// The client, made at the first call. It holds no credentials: each call brings its own.
    fn client(&self, engine: &Engine) -> &Client {
        self.client.get_or_init(|| {
            let mut config = Builder::new()
                .behavior_version_latest()
                .region(SdkRegion::new(self.region.as_str().to_owned()))
                .http_client(engine.transport().clone())
                .time_source(SdkTime(engine.clock().clone()))
                .identity_cache(IdentityCache::no_cache())
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                .retry_config(
                    RetryConfig::standard()
                        .with_max_attempts(ATTEMPTS)
                        .with_initial_backoff(Duration::from_millis(200))
                        .with_max_backoff(Duration::from_secs(1)),
                )
                .timeout_config(
                    TimeoutConfig::builder()
                        .connect_timeout(CONNECT_TIMEOUT)
                        .operation_timeout(CALL_TIMEOUT)
                        .build(),
                );
            config.set_endpoint_url(self.url.clone());
            Client::from_conf(config.build())
        })
    }
}

/// What a call is signed with.
#[derive(Clone, Debug)]
pub(super) enum Signer {
    /// The account's own base credentials.
    Base(Arc<Base>),
    /// The session of the request's base role.
    Chained,
    /// Nothing: a web identity token is sent instead.
    Token(Arc<TokenFile>),
    /// Nothing: the caller's own token is sent, the newest one that it has shown.
    Caller(Arc<WebIdentity>),
}

/// Obtains the sessions of one role for one caller's names.
#[derive(Debug)]
pub(super) struct StsSource {
    pub(super) engine: Engine,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) signer: Signer,
    pub(super) call: Arc<Call>,
    pub(super) issued: Issued,
    pub(super) outlets: Arc<Outlets>,
}

impl Source for StsSource {
    fn fetch<'a>(&'a self, base: Option<&'a Session>) -> FetchFuture<'a> {
        let session = base.map(base::of_session);
        let fetch = Fetch {
            engine: self.engine.clone(),
            endpoint: Arc::clone(&self.endpoint),
            call: Arc::clone(&self.call),
            issued: self.issued.clone(),
        };
        let signer = self.signer.clone();
        Box::pin(
            self.engine
                .run(async move { fetch.run(&signer, session).await }),
        )
    }

    fn brought(&self) -> u64 {
        match &self.signer {
            Signer::Caller(identity) => identity.token.times(),
            Signer::Base(_) | Signer::Chained | Signer::Token(_) => 0,
        }
    }

    fn exchange(&self) -> Option<&dyn Exchange> {
        Some(self)
    }

    fn attribution(&self) -> Attribution<'_> {
        Attribution {
            source_identity: self.call.source_identity.as_ref().map(SessionName::as_str),
            tags: &self.call.tags,
        }
    }
}

/// One fetch, on the engine's thread.
struct Fetch {
    engine: Engine,
    endpoint: Arc<Endpoint>,
    call: Arc<Call>,
    issued: Issued,
}

impl Fetch {
    async fn run(
        &self,
        signer: &Signer,
        session: Option<Credentials>,
    ) -> Result<Fetched, FetchError> {
        match signer {
            Signer::Base(base) => {
                let credentials = base.load(&self.engine).await?;
                let fetched = self.signed(credentials).await;
                if fetched
                    .as_ref()
                    .is_err_and(|e| e.kind == FailureKind::BaseCredentials)
                {
                    base.forget().await;
                }
                fetched
            }
            Signer::Chained => match session {
                Some(credentials) => self.signed(credentials).await,
                None => Err(FetchError::new(
                    FailureKind::BaseCredentials,
                    "the session of the base role is missing",
                )),
            },
            Signer::Token(file) => {
                let token = file.read().await?;
                self.call(&self.call, Proof::Token(&token)).await
            }
            Signer::Caller(identity) => {
                let (token, expires_at) = identity.token.newest();
                if expires_at <= self.engine.clock().now() {
                    return Err(FetchError::new(
                        FailureKind::BaseCredentials,
                        "the caller's web identity token has expired, and it has shown no newer one",
                    ));
                }
                let token = Proof::Token(token.expose_secret());
                self.call(&self.call, token).await
            }
        }
    }

    async fn signed(&self, credentials: Credentials) -> Result<Fetched, FetchError> {
        let of_session = credentials.session_token().is_some();
        if of_session && self.call.action.wants_long_term_keys() {
            let message = format!(
                "{} was not tried: it takes long-term keys only, and the account's base \
                 credentials are a session's; see its `credentials`",
                self.call.attempt()
            );
            return Err(FetchError::new(FailureKind::Misconfigured, message));
        }
        let fetched = self.call(&self.call, Proof::Keys(&credentials)).await;
        match fetched {
            // Keys do not tell whether a role is behind them; AWS refuses more than an hour then.
            Err(error)
                if of_session
                    && self.call.duration > CHAINED_LIFE
                    && error.message.contains("role chaining") =>
            {
                let shorter = Call {
                    duration: CHAINED_LIFE,
                    ..Call::clone(&self.call)
                };
                self.call(&shorter, Proof::Keys(&credentials)).await
            }
            other => other,
        }
    }

    async fn call(&self, call: &Call, proof: Proof<'_>) -> Result<Fetched, FetchError> {
        let date = DateHeader::default();
        let sent = send(
            self.endpoint.client(&self.engine),
            call,
            proof,
            date.clone(),
        )
        .await;
        let sent = sent.map_err(|error| call.redact(proof.redact(error)))?;
        let now = self.engine.clock().now();
        let fetched = answer::session(sent.credentials.as_ref(), date.take().as_deref(), now)?;
        self.issued.keep(sent.user);
        Ok(fetched)
    }
}

/// Shorter texts are no secrets; they stand in messages by chance.
const SECRET: usize = 8;

/// What proves to STS who is calling.
#[derive(Clone, Copy)]
pub(super) enum Proof<'a> {
    /// The call is signed with these.
    Keys(&'a Credentials),
    /// The call is not signed and brings this.
    Token(&'a str),
}

impl Proof<'_> {
    pub(super) fn is_of_session(&self) -> bool {
        match self {
            Self::Keys(keys) => keys.session_token().is_some(),
            Self::Token(_) => false,
        }
    }

    /// The message of an upstream that repeats secrets is not for the log.
    pub(super) fn redact(&self, error: FetchError) -> FetchError {
        let told = match self {
            Self::Keys(keys) => {
                tells(&error, keys.secret_access_key())
                    || tells(&error, keys.session_token().unwrap_or_default())
            }
            Self::Token(token) => tells(&error, token),
        };
        if told { redacted(&error) } else { error }
    }
}

impl Call {
    /// The same of an upstream that repeats what others vouch for.
    fn redact(&self, error: FetchError) -> FetchError {
        let mut contexts = self.provided_contexts.iter();
        if contexts.any(|context| tells(&error, context.assertion.expose_secret())) {
            redacted(&error)
        } else {
            error
        }
    }
}

fn tells(error: &FetchError, secret: &str) -> bool {
    secret.len() >= SECRET && error.message.contains(secret)
}

fn redacted(error: &FetchError) -> FetchError {
    FetchError {
        kind: error.kind,
        message: Arc::from("the call failed; upstream's message repeats a secret"),
        late: error.late,
        excess: error.excess,
    }
}

/// Who signs with these credentials.
pub(super) async fn identity(
    engine: &Engine,
    endpoint: &Endpoint,
    keys: &Credentials,
) -> Result<CallerIdentity, FetchError> {
    let attempt = Attempt {
        operation: "GetCallerIdentity",
        role_arn: None,
        with_external_id: false,
        by_token: false,
    };
    let signed = aws_sdk_sts::Config::builder().credentials_provider(keys.clone());
    let request = endpoint.client(engine).get_caller_identity();
    match request.customize().config_override(signed).send().await {
        Ok(answer) => Ok(CallerIdentity {
            account: answer.account.unwrap_or_default(),
            arn: answer.arn.unwrap_or_default(),
            user_id: answer.user_id.unwrap_or_default(),
        }),
        Err(error) => Err(Proof::Keys(keys).redact(failed(&error, &attempt))),
    }
}
