//! TLS on a listener's sockets. Handshakes cost milliseconds of signing, and files are read again:
//! both happen on a thread of their own, so that no held session's answer waits for either.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use secrecy::ExposeSecret;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::subject;
use crate::config::{self, SecretError};
use crate::http::Encrypted;
use crate::priority::give_way;

/// How long a handshake may take.
const LONGEST: Duration = Duration::from_secs(5);

/// How often the files are looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

/// The thread gives way to what answers.
const NICE: libc::c_int = 5;

/// What a client is told that speaks plain HTTP here.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\
                       Connection: close\r\n\r\nuse https:// here.\r\n";

/// A listener's certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM.
    #[error("{0} cannot be used")]
    File(PathBuf, #[source] pem::Error),
    /// It holds no certificate.
    #[error("{0} holds no certificate")]
    Empty(PathBuf),
    /// The key cannot be read.
    #[error("the key cannot be read")]
    Key(#[source] SecretError),
    /// The key is none.
    #[error("the key is no private key in PEM")]
    NoKey,
    /// Certificate and key do not fit each other, or this TLS cannot use them.
    #[error("the certificate and its key cannot be used together")]
    Pair(#[source] rustls::Error),
    /// The clients' authorities cannot be used.
    #[error("certificates of {0} cannot be used")]
    Authority(PathBuf, #[source] rustls::Error),
    /// Clients cannot be verified.
    #[error("clients cannot be verified by {0}")]
    Verifier(PathBuf, #[source] VerifierBuilderError),
    /// There is no thread.
    #[error("the thread of handshakes could not be started")]
    Thread(#[source] io::Error),
}

/// A listener's certificate, as its files have it now.
pub struct Tls {
    files: config::Tls,
    now: Mutex<Now>,
    thread: Handle,
    /// The thread ends when this is dropped.
    _stop: oneshot::Sender<()>,
}

/// What was read, and when it was looked at.
struct Now {
    config: Arc<ServerConfig>,
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
}

/// What changes when a file is replaced or written.
type Stamp = (u64, u64, u64, Option<SystemTime>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// The certificate of these files.
    pub fn open(files: config::Tls) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let config = Arc::new(read(&files)?);
        let (thread, stop) = start().map_err(TlsError::Thread)?;
        Ok(Self {
            files,
            now: Mutex::new(Now {
                config,
                stamps,
                looked: Instant::now(),
            }),
            thread,
            _stop: stop,
        })
    }

    /// Whether these files can be used: for `check`.
    pub fn check(files: &config::Tls) -> Result<(), TlsError> {
        read(files).map(drop)
    }

    /// Shakes hands. The client's certificate, where it shows one, was verified by then.
    pub(super) async fn shake(
        self: &Arc<Self>,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Encrypted)> {
        let own = Arc::clone(self);
        let shaken = self.thread.spawn(async move {
            let shaken = timeout(LONGEST, own.shake_here(stream)).await;
            shaken.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
        });
        shaken.await.map_err(io::Error::other)?
    }

    async fn shake_here(
        &self,
        mut stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Encrypted)> {
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first.iter().all(u8::is_ascii_uppercase) {
            // The rest is not read: a reset may take the word away, which is only a courtesy.
            stream.write_all(PLAIN).await?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP"));
        }
        let stream = TlsAcceptor::from(self.current()).accept(stream).await?;
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        let subject = shown.and_then(|certificate| subject::of(certificate));
        Ok((stream, Encrypted { subject }))
    }

    /// What the files have, looked at once a second. What cannot be used leaves the old in force.
    fn current(&self) -> Arc<ServerConfig> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.looked.elapsed() >= LOOK {
            now.looked = Instant::now();
            self.follow(&mut now);
        }
        Arc::clone(&now.config)
    }

    fn follow(&self, now: &mut Now) {
        let found = stamps(&self.files);
        if found == now.stamps {
            return;
        }
        now.stamps = found;
        match read(&self.files) {
            Ok(config) => {
                now.config = Arc::new(config);
                tracing::info!(certificate = %self.files.certificate.display(), "a new certificate is in force");
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                tracing::error!(
                    "a certificate was changed and cannot be used; the old one stays: {error}{}",
                    cause.unwrap_or_default()
                );
            }
        }
    }
}

/// A thread that shakes hands.
fn start() -> io::Result<(Handle, oneshot::Sender<()>)> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new()
        .name("handshakes".to_owned())
        .spawn(move || {
            give_way(NICE);
            // Ends with an error when the sender is dropped, which is how it is told to end.
            drop(runtime.block_on(stopped));
            runtime.shutdown_background();
        })?;
    Ok((handle, stop))
}

fn stamps(files: &config::Tls) -> Vec<Option<Stamp>> {
    let key = files.key.file();
    let all = [
        Some(&files.certificate),
        key.as_ref(),
        files.client_ca.as_ref(),
    ];
    all.into_iter().map(|path| stamp(path?)).collect()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.size(), data.modified().ok()))
}

fn read(files: &config::Tls) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&files.certificate)?;
    let key = files.key.read().map_err(TlsError::Key)?;
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
        .map_err(|_no_key| TlsError::NoKey)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?;
    let builder = match &files.client_ca {
        Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Clients need not show a certificate; who shows one must have it from these authorities.
fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Authority(path.to_owned(), error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Verifier(path.to_owned(), error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::File(path.to_owned(), error);
    let read = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let certificates: Vec<_> = read.collect::<Result<_, _>>().map_err(failed)?;
    if certificates.is_empty() {
        return Err(TlsError::Empty(path.to_owned()));
    }
    Ok(certificates)
}
