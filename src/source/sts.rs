//! The source that calls an STS.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{
    Builder, ConfigBag, IdentityCache, Intercept, Region as SdkRegion, RuntimeComponents,
    StalledStreamProtectionConfig,
};
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityOutput;
use aws_sdk_sts::operation::get_federation_token::GetFederationTokenOutput;
use aws_sdk_sts::operation::get_session_token::GetSessionTokenOutput;
use aws_sdk_sts::types::{
    AssumedRoleUser, FederatedUser, PolicyDescriptorType, ProvidedContext, Tag,
};
use aws_smithy_runtime_api::box_error::BoxError;

use super::base::{self, Base, TokenFile};
use super::call::{Action, CHAINED_LIFE, Call};
use super::engine::SdkTime;
use super::exchange::{Issued, Outlets, User};
use super::failure::Attempt;
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
    fn is_of_session(&self) -> bool {
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

/// What is read of an answer.
pub(super) struct Sent {
    pub(super) credentials: Option<aws_sdk_sts::types::Credentials>,
    /// Whose they are, where STS says so.
    user: Option<User>,
}

/// Makes the call.
pub(super) async fn send(
    client: &Client,
    call: &Call,
    proof: Proof<'_>,
    date: DateHeader,
) -> Result<Sent, FetchError> {
    let seconds = i32::try_from(call.duration.as_secs()).unwrap_or(i32::MAX);
    // The console takes no credentials of a chained role for which a duration was asked.
    let said = (!proof.is_of_session() || call.duration_must_be_said()).then_some(seconds);
    let session_name = call
        .session_name
        .as_ref()
        .map(|name| name.as_str().to_owned());
    let role_arn = call.role_arn.as_ref().map(|arn| arn.as_str().to_owned());
    let policy = call.policy.as_deref().map(str::to_owned);
    let mut signed = aws_sdk_sts::Config::builder();
    if let Proof::Keys(keys) = proof {
        signed = signed.credentials_provider(keys.clone());
    }
    macro_rules! send {
        ($request:expr, $user:expr) => {{
            let request = $request
                .customize()
                .config_override(signed)
                .interceptor(date);
            let answer = request.send().await;
            answer
                .map(|answer| Sent {
                    user: $user(&answer),
                    credentials: answer.credentials,
                })
                .map_err(|error| failed(&error, &call.attempt()))
        }};
    }
    match (call.action, proof) {
        (Action::AssumeRoleWithWebIdentity, Proof::Token(token)) => send!(
            client
                .assume_role_with_web_identity()
                .set_role_arn(role_arn)
                .set_role_session_name(session_name)
                .web_identity_token(token)
                .duration_seconds(seconds)
                .set_policy(policy)
                .set_policy_arns(policy_arns(call)),
            |answer: &AssumeRoleWithWebIdentityOutput| {
                answer.assumed_role_user.as_ref().map(User::from)
            }
        ),
        (Action::AssumeRole | Action::AssumeRoleWithWebIdentity, _) => send!(
            client
                .assume_role()
                .set_role_arn(role_arn)
                .set_role_session_name(session_name)
                .set_duration_seconds(said)
                .set_policy(policy)
                .set_policy_arns(policy_arns(call))
                .set_tags(tags(call))
                .set_transitive_tag_keys(some(call.transitive_tags.clone()))
                .set_external_id(call.external_id.as_ref().map(|id| id.as_str().to_owned()))
                .set_source_identity(
                    call.source_identity
                        .as_ref()
                        .map(|name| name.as_str().to_owned())
                )
                .set_provided_contexts(contexts(call)),
            |answer: &AssumeRoleOutput| answer.assumed_role_user.as_ref().map(User::from)
        ),
        (Action::GetFederationToken, _) => send!(
            client
                .get_federation_token()
                .set_name(session_name)
                .duration_seconds(seconds)
                .set_policy(policy)
                .set_policy_arns(policy_arns(call))
                .set_tags(tags(call)),
            |answer: &GetFederationTokenOutput| answer.federated_user.as_ref().map(User::from)
        ),
        (Action::GetSessionToken, _) => {
            send!(
                client.get_session_token().duration_seconds(seconds),
                |_: &GetSessionTokenOutput| None
            )
        }
    }
}

impl From<&AssumedRoleUser> for User {
    fn from(user: &AssumedRoleUser) -> Self {
        Self {
            arn: user.arn.clone(),
            id: user.assumed_role_id.clone(),
        }
    }
}

impl From<&FederatedUser> for User {
    fn from(user: &FederatedUser) -> Self {
        Self {
            arn: user.arn.clone(),
            id: user.federated_user_id.clone(),
        }
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

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn policy_arns(call: &Call) -> Option<Vec<PolicyDescriptorType>> {
    let arns = call.policy_arns.iter();
    some(
        arns.map(|arn| PolicyDescriptorType::builder().arn(arn).build())
            .collect(),
    )
}

fn contexts(call: &Call) -> Option<Vec<ProvidedContext>> {
    let contexts = call.provided_contexts.iter().map(|context| {
        ProvidedContext::builder()
            .provider_arn(&*context.provider)
            .context_assertion(context.assertion.expose_secret())
            .build()
    });
    some(contexts.collect())
}

fn tags(call: &Call) -> Option<Vec<Tag>> {
    let tags = call.tags.iter();
    some(
        tags.filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok())
            .collect(),
    )
}

/// Keeps the `Date` header of the last answer.
#[derive(Clone, Debug, Default)]
pub(super) struct DateHeader(Arc<Mutex<Option<String>>>);

impl DateHeader {
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Intercept for DateHeader {
    fn name(&self) -> &'static str {
        "DateHeader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").map(str::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}
