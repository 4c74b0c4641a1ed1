//! The HTTP client below the SDK and below a plain GET: refuses our own addresses, bounds bodies, and loads TLS with its
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
use http_body_util::Limited;
use hyper::Uri;
use tokio::sync::OnceCell;

use super::OwnAddresses;
use super::own::{literal, port};

/// How long a connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(20);

/// The largest answer that is read: STS's are a few KiB.
pub(crate) const BODY_LIMIT: usize = 256 * 1024;

/// The header that marks requests of this daemon to addresses of this host, where a redirection
/// may turn them back to it.
pub const LOOP_HEADER: &str = "x-rolecall-loop";

/// An upstream address that is one of our own listeners.
#[derive(Debug, thiserror::Error)]
#[error("{address} is an address that this daemon serves itself")]
pub(crate) struct LeadsHere {
    address: SocketAddr,
}

/// A host that could not be connected to, or broke a connection off. Below it the host is not named.
#[derive(Debug, thiserror::Error)]
#[error("{host}")]
struct Unreached {
    host: String,
    source: BoxError,
}

impl Unreached {
    fn at(uri: &Uri, source: BoxError) -> Self {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().map(|port| format!(":{port}"));
        Self {
            host: format!("{host}{}", port.unwrap_or_default()),
            source,
        }
    }
}

/// The client of every upstream call.
#[derive(Clone, Debug)]
pub(crate) struct Transport(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    own: OwnAddresses,
    mark: Arc<str>,
    authorities: Vec<Authorities>,
    plain: OnceLock<SharedHttpConnector>,
    tls: OnceCell<SharedHttpConnector>,
}

/// A file of certificates of authorities that are trusted besides the system's.
#[derive(Clone, Debug)]
struct Authorities {
    /// What names the file: a variable, a key of the configuration.
    named_by: &'static str,
    file: PathBuf,
}

impl Transport {
    /// `ca_bundle` is what `AWS_CA_BUNDLE` names.
    pub(crate) fn new(own: OwnAddresses, mark: Arc<str>, ca_bundle: Option<PathBuf>) -> Self {
        let bundle = ca_bundle.map(|file| Authorities {
            named_by: "AWS_CA_BUNDLE",
            file,
        });
        Self::with(own, mark, bundle.into_iter().collect())
    }

    fn with(own: OwnAddresses, mark: Arc<str>, authorities: Vec<Authorities>) -> Self {
        Self(Arc::new(Shared {
            own,
            mark,
            authorities,
            plain: OnceLock::new(),
            tls: OnceCell::new(),
        }))
    }

    /// The same, and the authorities in this file are trusted too. It keeps connections of its own.
    pub(super) fn trusting(&self, named_by: &'static str, file: PathBuf) -> Self {
        let mut authorities = self.0.authorities.clone();
        authorities.push(Authorities { named_by, file });
        Self::with(self.0.own.clone(), Arc::clone(&self.0.mark), authorities)
    }

    /// Whether a URL leads to one of our own listeners, its name resolved.
    pub(crate) async fn leads_here(&self, url: &str) -> bool {
        let refused = self.0.refuse_own(url).await;
        refused.is_err_and(|error| error.into_source().is::<LeadsHere>())
    }

    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        self.0.call(request).await
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
                .get_or_try_init(|| secure(self.authorities.clone()))
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
        let mut response = connector.call(request).await.map_err(|error| {
            if error.is_io() {
                ConnectorError::io(Unreached::at(&uri, error.into_source()).into())
            } else {
                error
            }
        })?;
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
#[error("{} {}: no certificates in it", .0.named_by, .0.file.display())]
struct NoCertificates(Authorities);

/// The connector for https. Reading the root certificates takes milliseconds: off the runtime.
async fn secure(authorities: Vec<Authorities>) -> Result<SharedHttpConnector, ConnectorError> {
    let made = tokio::task::spawn_blocking(move || {
        let trusted = authorities
            .into_iter()
            .try_fold(TrustStore::default(), trusting)?;
        let context = TlsContext::builder().with_trust_store(trusted);
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

fn trusting(trusted: TrustStore, authorities: Authorities) -> Result<TrustStore, BoxError> {
    let text = std::fs::read_to_string(&authorities.file).map_err(|error| {
        let Authorities { named_by, file } = &authorities;
        format!("{named_by} {}: {error}", file.display())
    })?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(trusted.with_pem_certificate(text))
    } else {
        Err(NoCertificates(authorities).into())
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
