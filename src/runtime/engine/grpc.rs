//! gRPC over a unix socket: unary calls, and one that streams. Messages are length-prefixed in the
//! body of an HTTP/2 POST, the outcome stands in trailers.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::{CONTENT_TYPE, HeaderMap, TE};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

/// A message's head: one byte says whether it is compressed, four its length.
const HEAD: usize = 5;

/// No runtime knows the method.
pub(super) const UNIMPLEMENTED: i32 = 12;
/// The runtime knows nothing of this id.
pub(super) const NOT_FOUND: i32 = 5;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::runtime) enum RpcError {
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    #[error("it is no question")]
    Question(#[from] hyper::http::Error),
    #[error("the answer is too large")]
    TooLarge,
    #[error("the answer is no gRPC")]
    Protocol,
    #[error("the answer is not understood")]
    Garbage(#[from] prost::DecodeError),
    #[error("the runtime says status {0}")]
    Status(i32),
}

/// A connection for calls, one after the other.
#[derive(Debug)]
pub(super) struct Channel {
    sender: SendRequest<Full<Bytes>>,
    _connection: AbortOnDropHandle<()>,
}

impl Channel {
    pub(super) async fn new(stream: UnixStream) -> Result<Self, RpcError> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .handshake(TokioIo::new(stream))
            .await?;
        // What breaks the connection is told to the call that waits on it.
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            sender,
            _connection: AbortOnDropHandle::new(connection),
        })
    }

    /// Calls once, for an answer of one message.
    pub(super) async fn call<A: Message + Default>(
        &mut self,
        method: &str,
        question: &impl Message,
        largest: usize,
    ) -> Result<A, RpcError> {
        let mut answers = self.stream(method, question, largest).await?;
        let answer = answers.next().await?.ok_or(RpcError::Protocol)?;
        match answers.next_bytes().await? {
            None => Ok(answer),
            Some(_) => Err(RpcError::Protocol),
        }
    }

    /// Calls once, for an answer of many messages.
    pub(super) async fn stream(
        &mut self,
        method: &str,
        question: &impl Message,
        largest: usize,
    ) -> Result<Answers, RpcError> {
        let request = Request::post(format!(
            "http://localhost/runtime.v1.RuntimeService/{method}"
        ))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::new(framed(question)))?;
        let response = self.sender.send_request(request).await?;
        // A call that fails at once has its outcome in the headers.
        ok(response.headers())?;
        Ok(Answers {
            body: Response::into_body(response),
            read: BytesMut::new(),
            largest,
            ended: false,
        })
    }
}

/// The messages of an answer.
#[derive(Debug)]
pub(super) struct Answers {
    body: Incoming,
    read: BytesMut,
    largest: usize,
    ended: bool,
}

impl Answers {
    /// The next message; `None` where the runtime says that all went well and that there is none.
    pub(super) async fn next<A: Message + Default>(&mut self) -> Result<Option<A>, RpcError> {
        let Some(message) = self.next_bytes().await? else {
            return Ok(None);
        };
        Ok(Some(A::decode(message)?))
    }

    async fn next_bytes(&mut self) -> Result<Option<Bytes>, RpcError> {
        loop {
            if let Some(message) = unframed(&mut self.read, self.largest)? {
                return Ok(Some(message));
            }
            if self.ended {
                return if self.read.is_empty() {
                    Ok(None)
                } else {
                    Err(RpcError::Protocol)
                };
            }
            let Some(frame) = self.body.frame().await else {
                // The outcome is missing.
                return Err(RpcError::Protocol);
            };
            match frame?.into_data() {
                Ok(data) => self.read.extend_from_slice(&data),
                Err(frame) => {
                    ok(frame.trailers_ref().ok_or(RpcError::Protocol)?)?;
                    self.ended = true;
                }
            }
        }
    }
}

/// Whether these headers or trailers tell a failure.
fn ok(headers: &HeaderMap) -> Result<(), RpcError> {
    let Some(status) = headers.get("grpc-status") else {
        return Ok(());
    };
    let status = status.to_str().ok().and_then(|status| status.parse().ok());
    match status {
        Some(0) => Ok(()),
        Some(status) => Err(RpcError::Status(status)),
        None => Err(RpcError::Protocol),
    }
}

pub(in crate::runtime) fn framed(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut framed = BytesMut::with_capacity(HEAD + encoded.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(encoded.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(&encoded);
    framed.freeze()
}

/// Takes a message off the front, if it is there whole.
fn unframed(read: &mut BytesMut, largest: usize) -> Result<Option<Bytes>, RpcError> {
    let Some((head, _)) = read.split_first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let [compressed, length @ ..] = *head;
    if compressed != 0 {
        return Err(RpcError::Protocol);
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > largest {
        return Err(RpcError::TooLarge);
    }
    if read.len() < HEAD + length {
        return Ok(None);
    }
    read.advance(HEAD);
    Ok(Some(read.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::runtime::engine::cri_messages::{Sandboxes, StatusRequest};

    proptest! {
        #[test]
        fn no_bytes_upset_the_reader(bytes: Vec<u8>, largest in 0_usize..100) {
            let mut read = BytesMut::from(bytes.as_slice());
            while let Ok(Some(message)) = unframed(&mut read, largest) {
                prop_assert!(message.len() <= largest);
                let _sandboxes = Sandboxes::decode(message);
            }
        }

        #[test]
        fn a_message_is_read_once_it_is_whole(id: String, verbose: bool) {
            let message = StatusRequest { id, verbose };
            let whole = framed(&message);
            for cut in 0..whole.len() {
                let mut read = BytesMut::from(whole.get(..cut).unwrap());
                prop_assert!(unframed(&mut read, 10_000).unwrap().is_none());
            }
            let mut read = BytesMut::from(whole.as_ref());
            let taken = unframed(&mut read, 10_000).unwrap().unwrap();
            prop_assert_eq!(StatusRequest::decode(taken).unwrap(), message);
            prop_assert!(read.is_empty());
        }
    }
}
