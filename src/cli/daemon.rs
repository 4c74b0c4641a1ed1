//! The client of the admin socket.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::failure::{Exit, Failure};
use crate::api::admin::NEXT;
use crate::api::admin::wire::Problem;
use crate::config::{Config, Purpose, Surroundings};

/// How long the daemon may take to accept: it does nothing for it.
const CONNECT: Duration = Duration::from_secs(5);

/// How long questions may take that the daemon answers from memory.
pub(super) const AT_ONCE: Duration = Duration::from_secs(10);

/// How long questions may take for which the daemon asks upstream.
pub(super) const UPSTREAM: Duration = Duration::from_secs(45);

/// How long questions may take for which the daemon asks upstream again and again, at its pace.
pub(super) const MANY: Duration = Duration::from_mins(10);

/// No answer is larger.
const LARGEST: usize = 64 << 20;

/// The system's daemon.
const SYSTEM_SOCKET: &str = "/run/rolecall/admin.sock";

/// A way to the daemon.
#[derive(Debug)]
pub(super) struct Daemon {
    socket: PathBuf,
    runtime: Runtime,
}

impl Daemon {
    /// The daemon behind this socket, else this user's, else the system's.
    pub(super) fn find(socket: Option<PathBuf>) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::Fault, "cannot start").because(&error))?;
        Ok(Self {
            socket: socket.unwrap_or_else(usual_socket),
            runtime,
        })
    }

    /// Where its socket is, or should be.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks and reads the answer as JSON.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: Duration,
    ) -> Result<T, Failure> {
        parse(&self.bytes(Method::GET, path, Bytes::new(), limit)?)
    }

    /// Has something done.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Failure::new(Exit::Fault, "cannot ask").because(&error))?;
        parse(&self.bytes(Method::POST, path, Bytes::from(body), limit)?)
    }

    /// Shows something that is no JSON.
    pub(super) fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<T, Failure> {
        parse(&self.bytes(Method::POST, path, Bytes::from(body), limit)?)
    }

    /// The audit events that this path names, one a line, and the number to go on from.
    pub(super) fn events(&self, path: &str) -> Result<(Bytes, u64), Failure> {
        self.runtime.block_on(async {
            let response = self.ask(Method::GET, path, Bytes::new(), UPSTREAM).await?;
            let next = response.headers().get(NEXT);
            let next = next.and_then(|next| next.to_str().ok()?.parse().ok());
            Ok((self.body(response, UPSTREAM).await?, next.unwrap_or(0)))
        })
    }

    /// Waits, for commands that look again.
    pub(super) fn wait(&self, pause: Duration) {
        self.runtime.block_on(tokio::time::sleep(pause));
    }

    fn bytes(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Bytes, Failure> {
        self.runtime.block_on(async {
            let response = self.ask(method, path, body, limit).await?;
            self.body(response, limit).await
        })
    }

    async fn body(&self, response: Response<Incoming>, limit: Duration) -> Result<Bytes, Failure> {
        let body = Limited::new(response.into_body(), LARGEST).collect();
        match timeout(limit, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) => Err(self.broken(&*error)),
            Err(_elapsed) => Err(self.late(limit)),
        }
    }

    /// A response that says that all is well; others are failures.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let mut connection = self.connect().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "rolecall")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::new(Exit::Fault, "cannot ask").because(&error))?;
        let response = timeout(limit, connection.send_request(request))
            .await
            .map_err(|_elapsed| self.late(limit))?
            .map_err(|error| self.broken(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let answer = Limited::new(response.into_body(), LARGEST).collect();
        let answer = timeout(limit, answer).await.ok().and_then(Result::ok);
        let told = answer.and_then(|answer| serde_json::from_slice(&answer.to_bytes()).ok());
        Err(refusal(status, told))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = timeout(CONNECT, UnixStream::connect(&self.socket))
            .await
            .map_err(|_elapsed| self.late(CONNECT))?
            .map_err(|error| self.unreachable(&error))?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        // What breaks the connection is told to the request that waits on it.
        drop(tokio::task::spawn(async move { drop(connection.await) }));
        Ok(sender)
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let socket = self.socket.display();
        if error.kind() == ErrorKind::PermissionDenied {
            let what = format!("the daemon's socket {socket} may not be used");
            return Failure::new(Exit::Permission, what)
                .because(error)
                .remedy("ask as the daemon's user or as root");
        }
        let what = format!("the daemon cannot be reached at {socket}");
        Failure::new(Exit::Unreachable, what).because(error).remedy(
            "start it with `systemctl start rolecall` or `rolecall serve`, or name its socket with --socket",
        )
    }

    fn broken(&self, error: &dyn std::error::Error) -> Failure {
        let what = format!("the daemon at {} went away", self.socket.display());
        Failure::new(Exit::Unreachable, what).because(error)
    }

    fn late(&self, limit: Duration) -> Failure {
        let what = format!("the daemon at {} does not answer", self.socket.display());
        // Under systemd the socket is there while the service is not.
        let remedy = "`systemctl status rolecall` and `journalctl -u rolecall` tell why it does not \
                      start, or what it does instead";
        Failure::new(Exit::Unreachable, what)
            .why(format!("nothing came for {} s", limit.as_secs()))
            .remedy(remedy)
    }
}

/// This user's daemon if it has a socket, else the one of the configuration file, else the usual
/// one of the system.
fn usual_socket() -> PathBuf {
    let surroundings = Surroundings::process(Purpose::Check);
    let own = surroundings.admin_socket();
    if own.exists() {
        return own;
    }
    // Not everybody may read the file.
    let configured = Config::load(None, &surroundings).ok();
    let configured = configured.map(|(config, _)| config.admin_socket);
    configured
        .filter(|socket| socket.exists())
        .unwrap_or_else(|| PathBuf::from(SYSTEM_SOCKET))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::new(Exit::Fault, "the daemon's answer is not understood")
            .because(&error)
            .remedy("use the same version of rolecall as the daemon's")
    })
}

fn refusal(status: StatusCode, told: Option<Problem>) -> Failure {
    let exit = match status.as_u16() {
        400 => Exit::Usage,
        403 => Exit::Permission,
        404 | 502 | 503 => Exit::No,
        409 | 422 => Exit::Configuration,
        _ => Exit::Fault,
    };
    let Some(problem) = told else {
        let what = format!("the daemon answered {status}");
        return Failure::new(exit, what);
    };
    let mut failure = Failure::new(exit, problem.message);
    if let Some(why) = problem.reason {
        failure = failure.why(why);
    }
    if let Some(remedy) = problem.remedy {
        failure = failure.remedy(remedy);
    }
    failure
}
