//! How a directory is reached: over TLS from the start (`ldaps`), or after StartTLS (`ldap`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::http::uri::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::session::Session;
use super::{Connection, NoAnswer};
use crate::config;

const LDAP_PORT: u16 = 389;
const LDAPS_PORT: u16 = 636;

/// A directory's address, and whom to trust there.
pub(super) struct Dial {
    server: Option<Server>,
    ca_file: Option<PathBuf>,
    /// Made at the first call: to read the system's authorities takes milliseconds.
    tls: OnceCell<TlsConnector>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    host: String,
    port: u16,
    starts_tls: bool,
}

impl Server {
    fn parse(url: &str) -> Option<Self> {
        let (scheme, at) = url.split_once("://")?;
        let (port, starts_tls) = match scheme {
            "ldaps" => (LDAPS_PORT, false),
            "ldap" => (LDAP_PORT, true),
            _ => return None,
        };
        let authority: Authority = at.trim_end_matches('/').parse().ok()?;
        let host = authority.host();
        let literal = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Some(Self {
            host: literal.unwrap_or(host).to_owned(),
            port: authority.port_u16().unwrap_or(port),
            starts_tls,
        })
    }
}

impl Dial {
    pub(super) fn new(config: &config::Ldap) -> Self {
        Self {
            server: Server::parse(&config.url),
            ca_file: config.ca_file.clone(),
            tls: OnceCell::new(),
        }
    }

    /// A new connection, encrypted, to the server whose name is in the address.
    pub(super) async fn connect(&self) -> Result<Connection, NoAnswer> {
        let server = self.server.as_ref().ok_or(NoAnswer::Address)?;
        let name = ServerName::try_from(server.host.clone());
        let name = name.map_err(|_invalid| NoAnswer::Address)?;
        let tls = self.tls.get_or_try_init(|| trusting(self.ca_file.clone()));
        let tls = tls.await?;
        let connected = TcpStream::connect((server.host.as_str(), server.port)).await;
        let mut stream = connected.map_err(NoAnswer::Unreachable)?;
        // Small messages, each waited for.
        stream.set_nodelay(true).map_err(NoAnswer::Unreachable)?;
        if server.starts_tls {
            stream = Session::new(stream).start_tls().await?;
        }
        let secured = tls.connect(name, stream).await;
        Ok(Session::new(secured.map_err(NoAnswer::Tls)?))
    }
}

/// Trusts the system's authorities, and those in this file.
async fn trusting(ca_file: Option<PathBuf>) -> Result<TlsConnector, NoAnswer> {
    let made = tokio::task::spawn_blocking(move || {
        let mut roots = RootCertStore::empty();
        // Single files of the system's that cannot be read are no reason to trust none.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = &ca_file {
            add(&mut roots, file)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| NoAnswer::Tls(std::io::Error::other(error)))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    });
    made.await.unwrap_or(Err(NoAnswer::Fault))
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), NoAnswer> {
    let unusable = |error| NoAnswer::Authorities(file.to_owned(), error);
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.into()))?;
    let before = roots.len();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(error.into()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.into()))?;
    }
    if roots.len() == before {
        return Err(unusable("no certificates in it".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        let server = |host: &str, port, starts_tls| {
            let host = host.to_owned();
            Some(Server {
                host,
                port,
                starts_tls,
            })
        };
        let parsed = Server::parse;
        assert_eq!(
            parsed("ldaps://ldap.example"),
            server("ldap.example", 636, false)
        );
        assert_eq!(
            parsed("ldap://ldap.example:1389/"),
            server("ldap.example", 1389, true)
        );
        assert_eq!(parsed("ldaps://[::1]:7"), server("::1", 7, false));
        for url in [
            "ldapi:///",
            "ldap.example",
            "https://ldap.example",
            "ldap://",
        ] {
            assert_eq!(parsed(url), None, "{url}");
        }
    }

    #[test]
    fn a_file_without_authorities_is_no_file_of_authorities() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut roots = RootCertStore::empty();
        let added = add(&mut roots, file.path());
        assert!(matches!(added, Err(NoAnswer::Authorities(..))));
        assert!(matches!(
            add(&mut roots, Path::new("/nonexistent")),
            Err(NoAnswer::Authorities(..))
        ));
    }
}
