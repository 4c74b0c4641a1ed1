//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::activity::{Activity, Phase, Told};
use super::limits::Parking;
use super::turns::Turns;
use crate::http::{Answer, BodyError, Handler, Request, Response, read_body, text};

/// The longest head: metadata requests have a few hundred bytes, and tokens up to a few thousand.
const MAX_HEAD: usize = 16 * 1024;

/// How long a connection that was just opened may take to ask, where the daemon ends: at a unix socket
/// it is accepted before its request is sent.
const FIRST_WORDS: Duration = Duration::from_millis(200);

/// What serves one connection.
pub(super) struct Service<'a, H: Handler> {
    pub(super) handler: &'a H,
    pub(super) visit: &'a H::Visit,
    pub(super) activity: &'a Arc<Activity>,
    /// The turns of its caller's requests.
    pub(super) turns: &'a Arc<Turns>,
    pub(super) parking: Parking,
}

impl<H: Handler> Service<'_, H> {
    /// Serves a connection to its end. An error is the peer's doing and nobody's concern.
    pub(super) async fn serve(&self, io: impl AsyncRead + AsyncWrite + Unpin + Send) {
        let activity = self.activity;
        let io = TokioIo::new(Watched {
            io,
            activity: Arc::clone(activity),
        });
        let service = service_fn(|request: hyper::Request<Incoming>| async move {
            let mut response = if request.body().is_end_stream() {
                activity.enter(Phase::Busy);
                self.answer(&request.map(|_no_body| Bytes::new())).await
            } else {
                // In a box: most requests have no body, and no need of room for one.
                Box::pin(self.answer_whole(request)).await
            };
            activity.enter(Phase::Idle);
            if activity.answers_last() {
                close_after(&mut response);
            }
            Ok::<_, Infallible>(response)
        });
        let mut http = http1::Builder::new();
        // An answer is below two kilobytes: one copy costs less than a vectored write.
        http.half_close(true).max_buf_size(MAX_HEAD).writev(false);
        let mut connection = pin!(http.serve_connection(io, service));
        let mut told = pin!(activity.told());
        let mut listens = false;
        let ended = poll_fn(|cx| {
            if let Poll::Ready(_ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(None);
            }
            // Asked once, it wakes this task whenever there is something to be told: until then it
            // costs one load a turn.
            if listens && !activity.has_news() {
                return Poll::Pending;
            }
            listens = true;
            told.as_mut().poll(cx).map(Some)
        });
        if ended.await == Some(Told::Ending) {
            // Who asked meanwhile must not be cut off: by then the kernel has been asked again.
            yield_now().await;
            let grace = if activity.awaits_request() {
                FIRST_WORDS
            } else {
                Duration::ZERO
            };
            if timeout(grace, connection.as_mut()).await.is_ok() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }

    /// Answers a request once its body is there.
    async fn answer_whole(&self, incoming: hyper::Request<Incoming>) -> Response {
        let (head, body) = incoming.into_parts();
        let mut request = Request::from_parts(head, Bytes::new());
        // Most have none, and nobody need be asked about those.
        let longest = match body.size_hint().upper() {
            Some(0) => 0,
            Some(_) | None => self.handler.longest_body(&request),
        };
        match whole(body, longest, self.activity).await {
            Ok(body) => {
                *request.body_mut() = body;
                self.answer(&request).await
            }
            Err(BodyError) => self.refuse_long(&request),
        }
    }

    /// Answers a request when its caller has a turn for it.
    async fn answer(&self, request: &Request) -> Response {
        let turn = match self.turns.take() {
            Some(turn) => turn,
            None => match self.turns.wait(self.parking.request).await {
                Some(turn) => turn,
                None => return no_turn(),
            },
        };
        let response = match self.handler.handle(self.visit, request) {
            Answer::AtOnce(response) => response,
            Answer::Later(answering) => answering.await,
        };
        drop(turn);
        response
    }

    /// The rest of the body is not read: the connection is of no further use.
    fn refuse_long(&self, head: &Request) -> Response {
        let mut response = self.handler.refuse_long(self.visit, head);
        close_after(&mut response);
        response
    }
}

/// Nothing more is read from the connection, and whoever is answered knows.
fn close_after(response: &mut Response) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// Its caller's other requests took all the time that this one could wait: not its rate is at
/// fault, and SDKs take 503 better than 429.
fn no_turn() -> Response {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "");
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// A request's whole body. One that takes too long ends the connection.
async fn whole(
    incoming: Incoming,
    longest: usize,
    activity: &Activity,
) -> Result<Bytes, BodyError> {
    activity.enter(Phase::Body);
    let body = read_body(incoming, longest).await?;
    activity.enter(Phase::Busy);
    Ok(body)
}

/// Notes when bytes come in.
struct Watched<T> {
    io: T,
    activity: Arc<Activity>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_ready() && buf.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
