//! One question at a time, for documents of others that the daemon reads by itself: bounded in time and
//! size, never redirected, never to the daemon itself.

use std::path::PathBuf;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Uri;
use zeroize::Zeroizing;

use super::connector::Transport;
use super::errors::{cause, causes};
use super::own::literal;
use super::thread::Thread;
use crate::secret::{ExposeSecret, SecretString};

/// Asks others. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    thread: Thread,
    transport: Transport,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// From where.
    pub url: String,
    /// The whole `Authorization` header.
    pub authorization: Option<SecretString>,
    /// What is posted, encoded as a form; nothing is, where there is none.
    pub form: Option<SecretString>,
    /// How long it may take, the connection and the body included.
    pub deadline: Duration,
    /// How many bytes of the body are read at most.
    pub limit: usize,
}

/// What was answered. A redirection is an answer like any other: nobody follows it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, whole.
    pub body: Bytes,
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The URL is none that may be asked.
    #[error("the URL is neither https nor one of this host's loopback")]
    Scheme,
    /// No request can be made of it.
    #[error("{0} cannot be sent")]
    Unsendable(&'static str),
    /// The connection could not be had, or broke.
    #[error("{0}")]
    Failed(String),
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// The body is too long.
    #[error("the answer is longer than {0} bytes")]
    Long(usize),
}

impl Ask {
    /// A GET without authorization.
    pub const fn new(url: String, deadline: Duration, limit: usize) -> Self {
        Self {
            url,
            authorization: None,
            form: None,
            deadline,
            limit,
        }
    }

    /// The same with `Authorization: Bearer TOKEN`.
    #[must_use]
    pub fn bearer(self, token: &SecretString) -> Self {
        let header = SecretString::from(format!("Bearer {}", token.expose_secret()));
        Self {
            authorization: Some(header),
            ..self
        }
    }

    /// The same with the name and password of RFC 7617.
    #[must_use]
    pub fn basic(self, name: &str, password: &SecretString) -> Self {
        let pair = Zeroizing::new(format!("{name}:{}", password.expose_secret()));
        let header = SecretString::from(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        Self {
            authorization: Some(header),
            ..self
        }
    }

    /// The same as a POST of this form, encoded already.
    #[must_use]
    pub fn posting(self, form: SecretString) -> Self {
        Self {
            form: Some(form),
            ..self
        }
    }
}

impl Client {
    pub(crate) const fn new(thread: Thread, transport: Transport) -> Self {
        Self { thread, transport }
    }

    /// The same, and the authorities in this file are trusted too; `named_by` is the key of the
    /// configuration that names it. The file is read at the first call.
    #[must_use]
    pub fn trusting(&self, named_by: &'static str, file: PathBuf) -> Self {
        Self {
            thread: self.thread.clone(),
            transport: self.transport.trusting(named_by, file),
        }
    }

    /// Asks once, over https, or over plain http on this host's loopback.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, AskError> {
        if !is_fit(&ask.url) {
            return Err(AskError::Scheme);
        }
        let transport = self.transport.clone();
        let asked = self.run(async move { transport.ask(&ask).await });
        asked.await.map_err(AskError::Failed)?
    }

    /// Does other work with others on the thread that asks; it goes on to its end if the returned
    /// future is dropped. What went wrong, if it did not come to an end.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        self.thread.run(work).await.map_err(|error| causes(&error))
    }
}

/// Answers that anybody on the way could forge are not asked for.
fn is_fit(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => {
            host.eq_ignore_ascii_case("localhost")
                || literal(host).is_some_and(|address| address.is_loopback())
        }
        Some(_) | None => false,
    }
}

impl Transport {
    /// Asks once, whatever the scheme, on the runtime that this is called on.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Answer, AskError> {
        let asked = tokio::time::timeout(ask.deadline, self.exchange(ask));
        asked
            .await
            .unwrap_or_else(|_elapsed| Err(AskError::Late(ask.deadline)))
    }

    async fn exchange(&self, ask: &Ask) -> Result<Answer, AskError> {
        let unsendable = |what| AskError::Unsendable(what);
        let mut request =
            HttpRequest::get(ask.url.as_str()).map_err(|_invalid| unsendable("the URL"))?;
        if let Some(form) = &ask.form {
            let set = request.set_method("POST");
            set.map_err(|_invalid| unsendable("the form"))?;
            let headers = request.headers_mut();
            headers.insert("content-type", "application/x-www-form-urlencoded");
            headers.insert("content-length", form.expose_secret().len().to_string());
            *request.body_mut() = SdkBody::from(form.expose_secret());
        }
        if let Some(authorization) = &ask.authorization {
            let value = authorization.expose_secret().to_owned();
            let set = request.headers_mut().try_insert("authorization", value);
            set.map_err(|_invalid| unsendable("the authorization token"))?;
        }
        let response = self.send(request).await;
        let response = response.map_err(|error| AskError::Failed(causes(&error)))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ask.limit).collect();
        let body = body.await.map_err(|error| {
            if cause::<LengthLimitError>(&*error).is_some() {
                AskError::Long(ask.limit)
            } else {
                AskError::Failed(causes(&*error))
            }
        })?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    use super::super::OwnAddresses;
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn client(own: &[SocketAddr]) -> Client {
        let own: OwnAddresses = own.iter().copied().collect();
        let transport = Transport::new(own, "mark".into(), None);
        Client::new(Thread::default(), transport)
    }

    /// Answers the first request with these bytes, and gives back what it was.
    async fn server(answer: Vec<u8>) -> (SocketAddr, oneshot::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, seen) = oneshot::channel();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            asked.send(String::from_utf8(request).unwrap()).unwrap();
            // The other side may have read enough.
            drop(stream.write_all(&answer).await);
            std::future::pending::<()>().await;
        });
        (address, seen)
    }

    fn get(address: SocketAddr) -> Ask {
        Ask::new(format!("http://{address}/keys?a=b"), LONG, 16)
    }

    #[tokio::test]
    async fn it_asks_once_with_the_token_and_gives_the_answer() {
        let (address, seen) =
            server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".into()).await;
        let token = SecretString::from("canary");
        let answer = client(&[]).ask(get(address).bearer(&token)).await.unwrap();
        assert_eq!(
            (answer.status, answer.body.as_ref()),
            (200, b"{}".as_slice())
        );
        let request = seen.await.unwrap();
        assert!(
            request.starts_with("GET /keys?a=b HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("authorization: Bearer canary\r\n"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn a_redirection_is_not_followed() {
        let answer = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\
                      content-length: 0\r\n\r\n";
        let (address, _seen) = server(answer.into()).await;
        assert_eq!(client(&[]).ask(get(address)).await.unwrap().status, 302);
    }

    #[tokio::test]
    async fn a_long_answer_is_refused_by_its_length_and_by_its_bytes() {
        let long = "x".repeat(17);
        for answer in [
            format!("HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{long}"),
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n11\r\n{long}\r\n"),
            format!("HTTP/1.1 200 OK\r\n\r\n{long}"),
        ] {
            let (address, _seen) = server(answer.into()).await;
            let error = client(&[]).ask(get(address)).await.unwrap_err();
            assert!(matches!(error, AskError::Long(16)), "{error}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_given_up() {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
            let (address, _seen) = server(answer.into()).await;
            let late = Ask {
                deadline: Duration::from_millis(20),
                ..get(address)
            };
            let error = client(&[]).ask(late).await.unwrap_err();
            assert!(matches!(error, AskError::Late(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn our_own_listeners_are_not_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        for host in ["127.0.0.1", "localhost"] {
            let url = format!("http://{host}:{}/", own.port());
            let asked = client(&[own]).ask(Ask::new(url, LONG, 16)).await;
            let error = asked.unwrap_err().to_string();
            assert!(error.contains("this daemon serves itself"), "{error}");
        }
    }

    #[tokio::test]
    async fn only_https_and_loopback_are_asked() {
        for url in [
            "http://192.0.2.1/",
            "http://example.org/",
            "http://169.254.169.254/",
            "ftp://localhost/",
            "https://",
            "/path",
            "",
        ] {
            let asked = client(&[]).ask(Ask::new(url.to_owned(), LONG, 16)).await;
            assert!(matches!(asked, Err(AskError::Scheme)), "{url}");
        }
    }

    #[tokio::test]
    async fn a_token_that_is_no_header_is_not_shown() {
        let token = SecretString::from("canary\nx: y");
        let get = get("127.0.0.1:9".parse().unwrap()).bearer(&token);
        let error = client(&[]).ask(get).await.unwrap_err();
        assert_eq!(error.to_string(), "the authorization token cannot be sent");
    }
}
