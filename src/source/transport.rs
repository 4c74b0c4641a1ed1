//! The HTTP client below the SDK: refuses our own addresses, bounds bodies, and loads TLS with its
//! root certificates only when the first https call is made.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::Uri;
use tokio::sync::OnceCell;

use super::OwnAddresses;
use super::failure::causes;
use super::own::{literal, port};

/// How long a connection may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a plain GET may take as a whole.
const GET_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(20);

/// The largest answer that is read: STS's are a few KiB.
pub(super) const BODY_LIMIT: usize = 256 * 1024;

/// The header that marks requests of this daemon to addresses of this host, where a redirection
/// may turn them back to it.
pub const LOOP_HEADER: &str = "x-rolecall-loop";

/// An upstream address that is one of our own listeners.
#[derive(Debug, thiserror::Error)]
#[error("{address} is an address that this daemon serves itself")]
pub(super) struct LeadsHere {
    address: SocketAddr,
}

/// The client of every upstream call.
#[derive(Clone, Debug)]
pub(super) struct Transport(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    own: OwnAddresses,
    mark: Arc<str>,
    /// Further authorities to trust.
    ca_bundle: Option<PathBuf>,
    plain: OnceLock<SharedHttpConnector>,
    tls: OnceCell<SharedHttpConnector>,
}

impl Transport {
    pub(super) fn new(own: OwnAddresses, mark: Arc<str>, ca_bundle: Option<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            own,
            mark,
            ca_bundle,
            plain: OnceLock::new(),
            tls: OnceCell::new(),
        }))
    }

    /// Whether a URL leads to one of our own listeners, its name resolved.
    pub(super) async fn leads_here(&self, url: &str) -> bool {
        let refused = self.0.refuse_own(url).await;
        refused.is_err_and(|error| error.into_source().is::<LeadsHere>())
    }

    /// A plain GET: status and body.
    pub(super) async fn get(
        &self,
        url: &str,
        authorization: Option<&str>,
    ) -> Result<(u16, Bytes), String> {
        let mut request = HttpRequest::get(url).map_err(|error| format!("{url}: {error}"))?;
        if let Some(authorization) = authorization {
            let set = request
                .headers_mut()
                .try_insert("authorization", authorization.to_owned());
            set.map_err(|_invalid| "the authorization token is no header value".to_owned())?;
        }
        let answer = async {
            let response = self.0.call(request).await.map_err(|error| causes(&error))?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await;
            Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
        };
        let answer = tokio::time::timeout(GET_TIMEOUT, answer);
        answer
            .await
            .unwrap_or_else(|_elapsed| Err(format!("no answer within {} s", GET_TIMEOUT.as_secs())))
            .map_err(|error: String| format!("{url}: {error}"))
    }
}

impl HttpClient for Transport {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let shared = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move { shared.call(request).await })
    }
}

impl Shared {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let uri = self.refuse_own(request.uri()).await?;
        let connector = if uri.scheme_str() == Some("https") {
            self.tls
                .get_or_try_init(|| secure(self.ca_bundle.clone()))
                .await?
        } else {
            if may_be_redirected(&uri) {
                request
                    .headers_mut()
                    .insert(LOOP_HEADER, self.mark.to_string());
            }
            self.plain
                .get_or_init(|| SharedHttpConnector::new(builder().build_http()))
        };
        let mut response = connector.call(request).await?;
        let body = response.take_body();
        *response.body_mut() = SdkBody::from_body_1_x(Limited::new(body, BODY_LIMIT));
        Ok(response)
    }

    /// Refuses a URL that leads to one of our own listeners.
    async fn refuse_own(&self, url: &str) -> Result<Uri, ConnectorError> {
        let uri: Uri = url
            .parse()
            .map_err(|error: hyper::http::uri::InvalidUri| ConnectorError::user(error.into()))?;
        let port = port(&uri);
        if self.own.has_port(port) {
            let host = uri.host().unwrap_or_default();
            for address in addresses(host, port).await? {
                if self.own.contains(address) {
                    return Err(ConnectorError::user(LeadsHere { address }.into()));
                }
            }
        }
        Ok(uri)
    }
}

async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectorError> {
    if let Some(ip) = literal(host) {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = tokio::net::lookup_host((host, port)).await;
    Ok(found.map_err(|e| ConnectorError::io(e.into()))?.collect())
}

/// Whether a request stays on this host or its link, where a firewall rule may turn it to us.
fn may_be_redirected(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    host == "localhost"
        || literal(host).is_some_and(|ip| match ip {
            std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
            std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
        })
}

/// A file of certificates that has none in it.
#[derive(Debug, thiserror::Error)]
#[error("AWS_CA_BUNDLE {}: no certificates in it", .0.display())]
struct NoCertificates(PathBuf);

/// The connector for https. Reading the root certificates takes milliseconds: off the runtime.
async fn secure(ca_bundle: Option<PathBuf>) -> Result<SharedHttpConnector, ConnectorError> {
    let made = tokio::task::spawn_blocking(move || {
        let context = TlsContext::builder().with_trust_store(trusted(ca_bundle)?);
        let connector = builder()
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.build()?);
        Ok::<_, BoxError>(SharedHttpConnector::new(connector.build()))
    });
    let made = made
        .await
        .map_err(|error| ConnectorError::other(error.into(), None))?;
    made.map_err(ConnectorError::user)
}

/// The system's authorities, and those of the bundle.
fn trusted(ca_bundle: Option<PathBuf>) -> Result<TrustStore, BoxError> {
    let system = TrustStore::default();
    let Some(file) = ca_bundle else {
        return Ok(system);
    };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| format!("AWS_CA_BUNDLE {}: {error}", file.display()))?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(system.with_pem_certificate(text))
    } else {
        Err(NoCertificates(file).into())
    }
}

fn builder() -> aws_smithy_http_client::ConnectorBuilder {
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .build();
    Connector::builder()
        .connector_settings(settings)
        .enable_tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
}
