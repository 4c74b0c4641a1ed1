//! The HTTP client below the SDK: refuses our own addresses, bounds bodies, and loads TLS with its
//! root certificates only when the first https call is made.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use hyper::Uri;
use tokio::sync::OnceCell;

use super::OwnAddresses;

/// How long a connection may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The largest answer that is read: STS's are a few KiB.
const BODY_LIMIT: usize = 256 * 1024;

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
    plain: SharedHttpClient,
    tls: OnceCell<SharedHttpConnector>,
}

impl Transport {
    pub(super) fn new(own: OwnAddresses) -> Self {
        Self(Arc::new(Shared {
            own,
            plain: Builder::new().build_http(),
            tls: OnceCell::new(),
        }))
    }
}

impl HttpClient for Transport {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Guarded {
            shared: Arc::clone(&self.0),
            plain: self.0.plain.http_connector(settings, components),
        })
    }
}

#[derive(Debug)]
struct Guarded {
    shared: Arc<Shared>,
    plain: SharedHttpConnector,
}

impl HttpConnector for Guarded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let shared = Arc::clone(&self.shared);
        let plain = self.plain.clone();
        HttpConnectorFuture::new(async move {
            let https = refuse_own(&shared.own, request.uri()).await?;
            let connector = if https {
                shared.tls.get_or_try_init(secure).await?
            } else {
                &plain
            };
            let response = connector.call(request).await?;
            Ok(bounded(response))
        })
    }
}

/// The connector for https. Reading the root certificates takes milliseconds: off the runtime.
async fn secure() -> Result<SharedHttpConnector, ConnectorError> {
    let made = tokio::task::spawn_blocking(|| {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .build();
        Connector::builder()
            .connector_settings(settings)
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .build()
    });
    match made.await {
        Ok(connector) => Ok(SharedHttpConnector::new(connector)),
        Err(error) => Err(ConnectorError::other(error.into(), None)),
    }
}

/// Refuses a URL that leads to one of our own listeners; tells whether it wants TLS.
async fn refuse_own(own: &OwnAddresses, uri: &str) -> Result<bool, ConnectorError> {
    let invalid = |error: hyper::http::uri::InvalidUri| ConnectorError::user(error.into());
    let uri: Uri = uri.parse().map_err(invalid)?;
    let https = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    if own.has_port(port) {
        let host = uri.host().unwrap_or_default();
        for address in addresses(host, port).await? {
            if own.contains(address) {
                return Err(ConnectorError::user(LeadsHere { address }.into()));
            }
        }
    }
    Ok(https)
}

async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectorError> {
    if let Some(ip) = literal(host) {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = tokio::net::lookup_host((host, port)).await;
    Ok(found.map_err(|e| ConnectorError::io(e.into()))?.collect())
}

/// The address that a URL's host is, where it is no name.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.parse().ok()
}

fn bounded(mut response: HttpResponse) -> HttpResponse {
    let body = response.take_body();
    *response.body_mut() = SdkBody::from_body_1_x(Limited::new(body, BODY_LIMIT));
    response
}
