//! Logins to an account's container registries: ECR's GetAuthorizationToken, JSON 1.1.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Engine;
use super::failure::{Attempt, classify_json};
use super::sts::Proof;
use crate::config::{Account, Dialect};
use crate::sessions::{FailureKind, FetchError, RegistryAsk, RegistryLogin};
use crate::transport::{Answer, causes};
use crate::types::Region;

/// How long the call may take.
const BOUND: Duration = Duration::from_secs(4);

const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

const ATTEMPT: Attempt<'_> = Attempt {
    operation: "ecr:GetAuthorizationToken",
    role_arn: None,
    with_external_id: false,
    by_token: false,
};

/// Where an account's container registries are asked about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registries {
    /// The account's own region.
    region: Region,
    hosts: Hosts,
}

#[derive(Debug, PartialEq, Eq)]
enum Hosts {
    /// One URL, whatever the region.
    Named(String),
    /// One for each region; their names end in this.
    Regional(&'static str),
}

impl Registries {
    /// The account's registries; `region` is that of its STS.
    pub(super) fn of(account: &Account, region: &Region) -> Option<Self> {
        let is_aws = account.dialect == Dialect::Aws;
        let suffix = account.partition.dns_suffix().filter(|_| is_aws);
        let hosts = match &account.ecr_endpoint {
            Some(url) => Hosts::Named(url.clone()),
            None => Hosts::Regional(suffix?),
        };
        Some(Self {
            region: account.ecr_region.as_ref().unwrap_or(region).clone(),
            hosts,
        })
    }

    fn url(&self, region: &Region) -> String {
        match &self.hosts {
            Hosts::Named(url) => format!("{}/", url.trim_end_matches('/')),
            Hosts::Regional(suffix) => format!("https://api.ecr.{region}.{suffix}/"),
        }
    }

    /// Asks, signed with a session's credentials. Must be called on the engine's thread.
    pub(super) async fn logins(
        &self,
        engine: &Engine,
        credentials: &Credentials,
        ask: &RegistryAsk,
    ) -> Result<Vec<RegistryLogin>, FetchError> {
        let region = ask.region.as_ref().unwrap_or(&self.region);
        let question = Question {
            registry_ids: &ask.registries,
        };
        // A list of strings always serialises.
        let body = serde_json::to_vec(&question).unwrap_or_default();
        let request = self
            .signed(engine, credentials, region, &body)
            .map_err(|error| {
                let why = format!("it cannot be signed: {}", causes(&error));
                failed(FailureKind::Misconfigured, &why)
            })?;
        let answer = tokio::time::timeout(BOUND, send(engine, request));
        let answer = answer.await.unwrap_or_else(|_elapsed| {
            let within = format!("no answer within {} s", BOUND.as_secs());
            Err(failed(FailureKind::Unavailable, &within).late())
        });
        let logins = answer.and_then(|answer| match answer.status {
            200 => read(&answer.body),
            status => Err(classify_json(status, &answer.body, &ATTEMPT)),
        });
        logins.map_err(|error| Proof::Keys(credentials).redact(error))
    }

    fn signed(
        &self,
        engine: &Engine,
        credentials: &Credentials,
        region: &Region,
        body: &[u8],
    ) -> Result<HttpRequest, Unsigned> {
        let url = self.url(region);
        let headers = [("content-type", CONTENT_TYPE), ("x-amz-target", TARGET)];
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region.as_str())
            .name("ecr")
            .time(engine.clock().now())
            .settings(SigningSettings::default())
            .build()?;
        let signable =
            SignableRequest::new("POST", &url, headers.into_iter(), SignableBody::Bytes(body))?;
        let (instructions, _signature) = sign(signable, &params.into())?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request
            .set_method("POST")
            .map_err(|_invalid| Unsigned::Url)?;
        request.set_uri(url).map_err(|_invalid| Unsigned::Url)?;
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            let set = request
                .headers_mut()
                .try_insert(name.to_owned(), value.to_owned());
            set.map_err(|_invalid| Unsigned::Url)?;
        }
        Ok(request)
    }
}

/// A request that cannot be made.
#[derive(Debug, thiserror::Error)]
enum Unsigned {
    #[error("the URL or the credentials cannot be sent")]
    Url,
    #[error("no signature")]
    Params(#[from] v4::signing_params::BuildError),
    #[error("no signature")]
    Signing(#[from] SigningError),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    registry_ids: &'a [String],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    authorization_data: Vec<Authorization>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    #[serde(rename = "authorizationToken")]
    token: String,
    expires_at: f64,
    proxy_endpoint: String,
}

fn read(body: &[u8]) -> Result<Vec<RegistryLogin>, FetchError> {
    let unreadable = || failed(FailureKind::Misconfigured, "the answer is not one of ECR");
    let answered: Answered = serde_json::from_slice(body).map_err(|_other| unreadable())?;
    let logins = answered.authorization_data.into_iter().map(|one| {
        let seconds = Duration::try_from_secs_f64(one.expires_at.trunc()).ok()?;
        Some(RegistryLogin {
            token: SecretString::from(one.token),
            expires_at: std::time::UNIX_EPOCH.checked_add(seconds)?,
            endpoint: one.proxy_endpoint,
        })
    });
    logins.collect::<Option<_>>().ok_or_else(unreadable)
}

async fn send(engine: &Engine, request: HttpRequest) -> Result<Answer, FetchError> {
    let response = engine.transport().call(request).await;
    let response = response.map_err(|error| failed(FailureKind::Unavailable, &causes(&error)))?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await;
    let body = body.map_err(|error| failed(FailureKind::Unavailable, &causes(&*error)))?;
    Ok(Answer {
        status,
        body: body.to_bytes(),
    })
}

fn failed(kind: FailureKind, why: &str) -> FetchError {
    let message = format!("{ATTEMPT} failed: {why}; see `ecr-endpoint` and `ecr-region`");
    FetchError::new(kind, message)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::embedded;
    use crate::types::Partition;

    #[test]
    fn each_region_is_asked_at_home() {
        let config = embedded(1000, PathBuf::from("/run/rolecall/admin.sock")).unwrap();
        let mut account = config.accounts.into_values().next().unwrap();
        for (partition, region, url) in [
            (
                "aws",
                "eu-central-1",
                "https://api.ecr.eu-central-1.amazonaws.com/",
            ),
            (
                "aws-cn",
                "cn-north-1",
                "https://api.ecr.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "aws-us-gov",
                "us-gov-east-1",
                "https://api.ecr.us-gov-east-1.amazonaws.com/",
            ),
            (
                "aws-iso",
                "us-iso-east-1",
                "https://api.ecr.us-iso-east-1.c2s.ic.gov/",
            ),
        ] {
            account.partition = Partition::new(partition).unwrap();
            let region = Region::new(region).unwrap();
            let registries = Registries::of(&account, &region).unwrap();
            assert_eq!(registries.url(&region), url);
        }
        account.partition = Partition::new("elsewhere").unwrap();
        let region = Region::new("eu-central-1").unwrap();
        assert_eq!(Registries::of(&account, &region), None);
    }
}
