//! A scripted STS on a port of its own: answers what the test says, however wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The fields of query and form, decoded; `Action` is one.
    pub(crate) form: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Received {
    /// A field of the form, empty where it is not there.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// A header, empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is done with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A whole answer.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// The head and the first bytes of the body; then the connection is closed.
    Half(String),
    /// The connection is reset.
    Reset,
    /// Nothing, ever.
    Hang,
}

impl Reply {
    /// An answer of this status.
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The same answer with a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }

    /// A session as AWS answers it, whatever was asked for.
    pub(crate) fn session(action: &str, session: &Credentials) -> Self {
        Self::new(200, session.xml(action))
    }

    /// An error as AWS answers it.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(
            status,
            format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
                 <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>r</RequestId></ErrorResponse>"
            ),
        )
    }

    /// An error as Ceph answers it.
    pub(crate) fn s3_error(status: u16, code: &str) -> Self {
        Self::new(
            status,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
                 <Message></Message><RequestId>tx0</RequestId><HostId>h</HostId></Error>"
            ),
        )
    }
}

/// The session in an answer. The secrets are canaries: no log may show them.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: String,
    pub(crate) expiration: String,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            access_key_id: "ASIASCRIPTEDSTS00001".to_owned(),
            secret_access_key: "canary/secret/of/the/scripted/sts/000001".to_owned(),
            session_token: "canary-token-of-the-scripted-sts//".to_owned(),
            expiration: "2099-01-01T00:00:00Z".to_owned(),
        }
    }
}

impl Credentials {
    /// The whole body.
    pub(crate) fn xml(&self, action: &str) -> String {
        let Self {
            access_key_id,
            secret_access_key,
            session_token,
            expiration,
        } = self;
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <Credentials><AccessKeyId>{access_key_id}</AccessKeyId>\
             <SecretAccessKey>{secret_access_key}</SecretAccessKey>\
             <SessionToken>{session_token}</SessionToken><Expiration>{expiration}</Expiration>\
             </Credentials></{action}Result><ResponseMetadata><RequestId>r</RequestId>\
             </ResponseMetadata></{action}Response>"
        )
    }
}

/// The server. It ends with its handle.
#[derive(Debug)]
pub(crate) struct ScriptedSts {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    server: JoinHandle<()>,
}

impl Drop for ScriptedSts {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl ScriptedSts {
    /// Serves what `script` says, for every request anew.
    pub(crate) async fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<dyn Fn(&Received) -> Reply + Send + Sync> = Arc::new(script);
        let seen = Arc::clone(&received);
        let server = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(connection, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self {
            address,
            received,
            server,
        }
    }

    /// An STS that issues the same session to everybody.
    pub(crate) async fn generous() -> Self {
        Self::start(|request| Reply::session(request.field("Action"), &Credentials::default()))
            .await
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// Serves one connection until somebody ends it.
async fn serve(
    connection: TcpStream,
    script: Arc<dyn Fn(&Received) -> Reply + Send + Sync>,
    received: Arc<Mutex<Vec<Received>>>,
) {
    let mut connection = BufReader::new(connection);
    while let Some(request) = read(&mut connection).await {
        let reply = script(&request);
        received.lock().unwrap().push(request);
        match reply {
            Reply::Answer {
                status,
                headers,
                body,
            } => {
                let head = head(status, &headers, body.len());
                let answer = [head.as_bytes(), body.as_bytes()].concat();
                if connection.write_all(&answer).await.is_err() {
                    return;
                }
            }
            Reply::Half(body) => {
                let half = format!("{}{body}", head(200, &[], body.len() * 2));
                let _closed_anyway = connection.write_all(half.as_bytes()).await;
                return;
            }
            Reply::Reset => {
                connection.into_inner().set_zero_linger().unwrap();
                return;
            }
            Reply::Hang => std::future::pending().await,
        }
    }
}

fn head(status: u16, headers: &[(&'static str, String)], length: usize) -> String {
    let mut lines = vec![format!("HTTP/1.1 {status} Scripted")];
    lines.extend(
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    lines.push(format!("Content-Length: {length}\r\n\r\n"));
    lines.join("\r\n")
}

/// One request; `None` at the end of the connection.
async fn read(connection: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut first = String::new();
    connection.read_line(&mut first).await.ok()?;
    let mut words = first.split_whitespace();
    let mut request = Received {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..Received::default()
    };
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let value = value.trim().to_owned();
        request.headers.insert(name.to_ascii_lowercase(), value);
    }
    let length = request.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    let query = request.target.split_once('?');
    let mut fields = form(query.map_or("", |(_, query)| query));
    fields.extend(form(&request.body));
    request.form = fields;
    Some(request)
}

fn form(body: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        let bytes = percent_encoding::percent_decode_str(&spaced);
        bytes.decode_utf8_lossy().into_owned()
    };
    body.split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}
