//! What the fuzz targets reach of this room: the way of an STS answer through the SDK and its
//! classification, without a network.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{
    Builder, Region, RuntimeComponents, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::answer;
use super::call::{Action, Call};
use super::operations::{DateHeader, send};
use super::sts::Proof;
use crate::sessions::{FetchError, Fetched};

/// An answer of an STS.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its `Date` header.
    pub date: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// An STS that answers what it is told to.
#[derive(Debug)]
pub struct Upstream {
    client: Client,
    canned: Canned,
}

impl Default for Upstream {
    fn default() -> Self {
        let canned = Canned::default();
        let config = Builder::new()
            .behavior_version_latest()
            .region(Region::new("eu-central-1"))
            .endpoint_url("http://sts.invalid")
            .http_client(SharedHttpClient::new(canned.clone()))
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            client: Client::from_conf(config),
            canned,
        }
    }
}

impl Upstream {
    /// What the daemon makes of this answer to an AssumeRole.
    pub async fn understand(&self, answered: Answer) -> Result<Fetched, FetchError> {
        *self.canned.lock() = answered;
        let call = Call {
            action: Action::AssumeRole,
            role_arn: None,
            session_name: None,
            duration: Duration::from_hours(1),
            policy: None,
            policy_arns: Vec::new(),
            tags: Vec::new(),
            transitive_tags: Vec::new(),
            external_id: None,
            source_identity: None,
            provided_contexts: Vec::new(),
            default_life: None,
        };
        let keys = Credentials::new("AKIAAAAAAAAAAAAAAAAA", "secret", None, None, "fuzzing");
        let date = DateHeader::default();
        let sent = send(&self.client, &call, Proof::Keys(&keys), date.clone());
        let sent = sent.await?;
        let now = SystemTime::UNIX_EPOCH;
        answer::session(sent.credentials.as_ref(), date.take().as_deref(), now)
    }
}

/// Answers without a network.
#[derive(Clone, Debug, Default)]
struct Canned(Arc<Mutex<Answer>>);

impl Canned {
    fn lock(&self) -> MutexGuard<'_, Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for Canned {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Canned {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.lock().clone();
        let Ok(status) = StatusCode::try_from(answer.status) else {
            let error = ConnectorError::other("no status".into(), None);
            return HttpConnectorFuture::ready(Err(error));
        };
        let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
        // A date that is no header value is left out, as a server's would be.
        drop(response.headers_mut().try_insert("date", answer.date));
        HttpConnectorFuture::ready(Ok(response))
    }
}
