//! Asking a server on a unix socket: bounded in time by whoever asks, in size here.

use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

/// The longest line of a stream: docker's events hold all labels of their container.
const MAX_LINE: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("the socket cannot be connected")]
    Connect(#[source] io::Error),
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    #[error("it is no question")]
    Question(#[from] hyper::http::Error),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer is {0}")]
    Status(StatusCode),
    #[error("the answer is not understood")]
    Garbage(#[from] serde_json::Error),
}

/// A connection, and the uid that serves at its other end.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    pub(super) server: u32,
}

impl Connection {
    pub(super) async fn open(path: &Path) -> Result<Self, AskError> {
        let stream = UnixStream::connect(path).await;
        let stream = stream.map_err(AskError::Connect)?;
        let server = stream.peer_cred().map_err(AskError::Connect)?.uid();
        Ok(Self { stream, server })
    }

    /// Asks once, and reads the answer whole.
    pub(super) async fn get(
        self,
        path: &str,
        largest: usize,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let (response, _connection) = self.send(path).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), largest).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(broken) => AskError::Broken(*broken),
            Err(error) => {
                debug_assert!(error.is::<LengthLimitError>(), "there is no other error");
                AskError::TooLarge
            }
        });
        Ok((status, body?.to_bytes()))
    }

    /// Asks once, and follows the answer line by line.
    pub(super) async fn lines(self, path: &str) -> Result<Lines, AskError> {
        let (response, connection) = self.send(path).await?;
        if response.status() != StatusCode::OK {
            return Err(AskError::Status(response.status()));
        }
        Ok(Lines {
            body: response.into_body(),
            read: BytesMut::new(),
            _connection: connection,
        })
    }

    async fn send(
        self,
        path: &str,
    ) -> Result<(Response<Incoming>, AbortOnDropHandle<()>), AskError> {
        let (mut sender, connection): (SendRequest<Empty<Bytes>>, _) =
            handshake(TokioIo::new(self.stream)).await?;
        // What breaks the connection is told to the request that waits on it.
        let connection = tokio::spawn(async move { drop(connection.await) });
        let connection = AbortOnDropHandle::new(connection);
        let request = Request::get(path)
            .header(HOST, "localhost")
            .header(ACCEPT, "application/json")
            .body(Empty::new())?;
        Ok((sender.send_request(request).await?, connection))
    }
}

/// An answer that goes on.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    read: BytesMut,
    _connection: AbortOnDropHandle<()>,
}

impl Lines {
    /// The next line; `None` at the end. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, AskError> {
        let mut looked_at = 0;
        loop {
            let fresh = self.read.get(looked_at..).unwrap_or_default();
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(looked_at + end + 1).freeze();
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
                looked_at = 0;
                continue;
            }
            looked_at = self.read.len();
            if looked_at > MAX_LINE {
                return Err(AskError::TooLarge);
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            if let Ok(data) = frame?.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }
}
