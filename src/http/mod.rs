//! What every protocol needs of HTTP and none owns: the handler's border, the guard, paths,
//! responses. Knows no API.

mod browser;
mod guard;
mod path;
mod query;
mod response;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
pub use hyper::{Method, StatusCode};

use crate::caller::Caller;

pub use guard::{Guard, Leave, LoopMark, Refused};
pub use path::{PathError, Segments};
pub use query::{Pair, Query};
pub use response::{CachedHeaders, json_error, not_allowed, text};

/// A request, its body read whole.
pub type Request = hyper::Request<Bytes>;
/// An answer; every body is complete before its first byte leaves.
pub type Response = hyper::Response<Full<Bytes>>;

/// One accepted connection: who is at its other end, and where it came in.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The listener's name.
    pub listener: Arc<str>,
    /// Who asks.
    pub caller: Arc<Caller>,
    /// Where it came in.
    pub local: Local,
    /// What TLS told, where it is spoken.
    pub encrypted: Option<Encrypted>,
}

/// What is known of a connection whose bytes nobody else reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encrypted {
    /// The subject of the certificate that the client showed, as RFC 4514 writes it.
    pub subject: Option<Arc<str>>,
}

/// The near end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// This address, and the one that the caller dialled where it was redirected.
    Tcp {
        /// The socket's own address.
        address: SocketAddr,
        /// The address before a redirection.
        original: Option<SocketAddr>,
    },
    /// A unix socket: no web page and no other host can reach it.
    Unix,
}

/// Serves the requests of a listener's connections.
pub trait Handler: Send + Sync + 'static {
    /// What is kept for one connection.
    type Visit: Send + Sync + 'static;

    /// A connection was accepted.
    fn visit(&self, connection: Connection) -> Self::Visit;

    /// Answers one request. Refuses by itself what its guard refuses.
    fn handle<'a>(&'a self, visit: &'a Self::Visit, request: &'a Request) -> Answer<'a>;

    /// How long the body of such a request may be.
    fn longest_body(&self, _head: &Request) -> usize {
        MAX_BODY
    }

    /// Refuses a request whose body is longer than is read.
    fn refuse_long(&self, _visit: &Self::Visit, _head: &Request) -> Response {
        text(StatusCode::PAYLOAD_TOO_LARGE, "")
    }
}

/// How a request is answered.
pub enum Answer<'a> {
    /// It need not wait for anything.
    AtOnce(Response),
    /// It may have to wait. In a box, so that those that need not carry none of it.
    Later(Pin<Box<dyn Future<Output = Response> + Send + 'a>>),
}

impl<'a> Answer<'a> {
    /// What this makes of the request in its own time.
    pub fn later(answering: impl Future<Output = Response> + Send + 'a) -> Self {
        Self::Later(Box::pin(answering))
    }
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtOnce(_) => "AtOnce(..)",
            Self::Later(_) => "Later(..)",
        })
    }
}

/// The largest request body that is read, where nobody takes a larger one.
pub const MAX_BODY: usize = 64 * 1024;

/// The body could not be read whole.
#[derive(Debug, thiserror::Error)]
#[error("the request's body is longer than is read, or broke off")]
pub struct BodyError;

/// Reads a body to its end, as the listener does before a request is handled. Even an empty chunked one must be drained, or the next request on the
/// connection begins in its terminator (s3fs 1.90 sends one with its token request).
pub async fn read_body(body: Incoming, longest: usize) -> Result<Bytes, BodyError> {
    // What says that it is longer is not read at all.
    if body.size_hint().lower() > u64::try_from(longest).unwrap_or(u64::MAX) {
        return Err(BodyError);
    }
    match Limited::new(body, longest).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(_broken) => Err(BodyError),
    }
}

/// The first header of this name. Where there are a handful, to look through them costs less than
/// to hash the name.
pub fn first_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut headers = headers.iter();
    headers.find_map(|(each, value)| (each == name).then_some(value))
}
