//! The unit's routes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{Said, Shared};
use crate::runtime::wire;

/// An answer's body: whole, or line by line.
#[derive(Debug)]
pub(super) enum Answer {
    Whole(Full<Bytes>),
    Lines(mpsc::Receiver<Bytes>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Lines(lines) => lines.poll_recv(cx).map(|line| Some(Ok(Frame::data(line?)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Lines(_) => false,
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Lines(_) => hyper::body::SizeHint::default(),
        }
    }
}

pub(super) async fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Answer> {
    if request.method() != Method::GET {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    match request.uri().path() {
        "/v1/containers" => json(&shared.list().await),
        "/v1/events" => Response::new(Answer::Lines(shared.follow())),
        path => match question(path, request.uri().query()) {
            Ok((id, owner)) => said(shared.inspect(id, owner).await),
            Err(status) => empty(status),
        },
    }
}

/// The id and the owner that are asked for.
fn question<'r>(path: &'r str, query: Option<&str>) -> Result<(&'r str, u32), StatusCode> {
    let id = path.strip_prefix("/v1/containers/");
    let id = id.ok_or(StatusCode::NOT_FOUND)?;
    let owner = query.and_then(|query| query.strip_prefix("owner=")?.parse().ok());
    match owner {
        Some(owner) if wire::is_id(id) => Ok((id, owner)),
        Some(_) | None => Err(StatusCode::BAD_REQUEST),
    }
}

fn said(said: Said) -> Response<Answer> {
    match said {
        Said::Known(inspected) => json(&*inspected),
        Said::Unknown => empty(StatusCode::NOT_FOUND),
        Said::Disagrees => empty(StatusCode::CONFLICT),
        Said::Failed => empty(StatusCode::BAD_GATEWAY),
    }
}

fn json(value: &impl Serialize) -> Response<Answer> {
    let Ok(body) = serde_json::to_vec(value) else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Answer::Whole(Full::new(Bytes::from(body))));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn empty(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Full::default()));
    *response.status_mut() = status;
    response
}
