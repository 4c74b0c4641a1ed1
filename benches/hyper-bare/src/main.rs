//! The least that any HTTP responder made with hyper can cost: every request on every connection
//! gets the same body, and nothing else happens. `hyper-bare ADDRESS BODY-FILE`
use std::{convert::Infallible, env, error::Error, fs};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

async fn answer(stream: TcpStream, body: Bytes) -> Result<(), hyper::Error> {
    let service = service_fn(move |_| {
        let mut response = Response::new(Full::new(body.clone()));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        async { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn listen(address: &str, body: Bytes) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that breaks off ends its own connection and nothing else.
        tokio::spawn(answer(stream, body.clone()));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let [_, address, file] = <[String; 3]>::try_from(env::args().collect::<Vec<_>>())
        .map_err(|_| "usage: hyper-bare ADDRESS BODY-FILE")?;
    let body = Bytes::from(fs::read(file)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(listen(&address, body))
}
