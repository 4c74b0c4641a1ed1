//! A TLS server with a certificate of an authority of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Answers everything with a file's text.
const SERVER: &str = r#"
import http.server, ssl, sys

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = open(sys.argv[3], "rb").read()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

/// The server. It ends with its handle.
#[derive(Debug)]
pub(crate) struct TlsServer {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl TlsServer {
    /// Serves this body as `localhost`.
    pub(crate) fn start(body: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        certificates(directory.path());
        std::fs::write(file("body"), body).unwrap();
        let mut process = Command::new("python3")
            .args(["-c", SERVER])
            .args(["chain.pem", "key.pem", "body"].map(file))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut port).unwrap();
        Self {
            process,
            port: port.trim().parse().unwrap(),
            directory,
        }
    }

    /// Serves this body from now on.
    pub(crate) fn answer(&self, body: &str) {
        std::fs::write(self.directory.path().join("body"), body).unwrap();
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// The certificate of its authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }
}

/// An authority, and a certificate of it for localhost.
pub(crate) fn certificates(directory: &Path) {
    std::fs::write(directory.join("names"), "subjectAltName=DNS:localhost").unwrap();
    for command in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=authority",
        "req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 \
         -extfile names -out chain.pem",
    ] {
        let made = Command::new("openssl")
            .args(command.split_whitespace())
            .current_dir(directory)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "openssl {command}: {said}");
    }
}
