//! The operations of an STS that give sessions: what each one is asked, and what is read of its answer.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sts::Client;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use aws_sdk_sts::operation::assume_role_with_web_identity::builders::AssumeRoleWithWebIdentityFluentBuilder;
use aws_sdk_sts::operation::get_federation_token::builders::GetFederationTokenFluentBuilder;
use aws_sdk_sts::types::{
    AssumedRoleUser, FederatedUser, PolicyDescriptorType, ProvidedContext, Tag,
};
use aws_smithy_runtime_api::box_error::BoxError;

use super::call::{Action, Call};
use super::exchange::User;
use super::sdk_error::failed;
use super::sts::Proof;
use crate::secret::ExposeSecret as _;
use crate::sessions::FetchError;

/// What is read of an answer.
pub(super) struct Sent {
    pub(super) credentials: Option<aws_sdk_sts::types::Credentials>,
    /// Whose they are, where STS says so.
    pub(super) user: Option<User>,
}

/// Makes the call.
pub(super) async fn send(
    client: &Client,
    call: &Call,
    proof: Proof<'_>,
    date: DateHeader,
) -> Result<Sent, FetchError> {
    let mut signed = aws_sdk_sts::Config::builder();
    if let Proof::Keys(keys) = proof {
        signed = signed.credentials_provider(keys.clone());
    }
    // Each operation has an answer of a type of its own.
    macro_rules! sent {
        ($request:expr, |$answer:ident| $user:expr) => {{
            let request = $request.customize().config_override(signed);
            let answered = request.interceptor(date).send().await;
            let $answer = answered.map_err(|error| failed(&error, &call.attempt()))?;
            Ok(Sent {
                user: $user,
                credentials: $answer.credentials,
            })
        }};
    }
    match (call.action, proof) {
        (Action::AssumeRoleWithWebIdentity, Proof::Token(token)) => {
            sent!(assume_by_token(client, call, token), |answer| answer
                .assumed_role_user
                .as_ref()
                .map(User::from))
        }
        (Action::AssumeRole | Action::AssumeRoleWithWebIdentity, _) => {
            sent!(assume(client, call, proof), |answer| answer
                .assumed_role_user
                .as_ref()
                .map(User::from))
        }
        (Action::GetFederationToken, _) => {
            sent!(federate(client, call), |answer| answer
                .federated_user
                .as_ref()
                .map(User::from))
        }
        (Action::GetSessionToken, _) => {
            let request = client.get_session_token().duration_seconds(seconds(call));
            sent!(request, |answer| None)
        }
    }
}

fn assume_by_token(
    client: &Client,
    call: &Call,
    token: &str,
) -> AssumeRoleWithWebIdentityFluentBuilder {
    client
        .assume_role_with_web_identity()
        .set_role_arn(role_arn(call))
        .set_role_session_name(session_name(call))
        .web_identity_token(token)
        .duration_seconds(seconds(call))
        .set_policy(policy(call))
        .set_policy_arns(policy_arns(call))
}

fn assume(client: &Client, call: &Call, proof: Proof<'_>) -> AssumeRoleFluentBuilder {
    // The console takes no credentials of a chained role for which a duration was asked.
    let said = !proof.is_of_session() || call.duration_must_be_said();
    let external_id = call.external_id.as_ref();
    let source_identity = call.source_identity.as_ref();
    client
        .assume_role()
        .set_role_arn(role_arn(call))
        .set_role_session_name(session_name(call))
        .set_duration_seconds(said.then(|| seconds(call)))
        .set_policy(policy(call))
        .set_policy_arns(policy_arns(call))
        .set_tags(tags(call))
        .set_transitive_tag_keys(some(call.transitive_tags.clone()))
        .set_external_id(external_id.map(|id| id.as_str().to_owned()))
        .set_source_identity(source_identity.map(|name| name.as_str().to_owned()))
        .set_provided_contexts(contexts(call))
}

fn federate(client: &Client, call: &Call) -> GetFederationTokenFluentBuilder {
    client
        .get_federation_token()
        .set_name(session_name(call))
        .duration_seconds(seconds(call))
        .set_policy(policy(call))
        .set_policy_arns(policy_arns(call))
        .set_tags(tags(call))
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

fn seconds(call: &Call) -> i32 {
    i32::try_from(call.duration.as_secs()).unwrap_or(i32::MAX)
}

fn role_arn(call: &Call) -> Option<String> {
    call.role_arn.as_ref().map(|arn| arn.as_str().to_owned())
}

fn session_name(call: &Call) -> Option<String> {
    let name = call.session_name.as_ref();
    name.map(|name| name.as_str().to_owned())
}

fn policy(call: &Call) -> Option<String> {
    call.policy.as_deref().map(str::to_owned)
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
