//! An issuer of web identities on a port of its own: its discovery document and its keys are what
//! the test says, however wrong.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::signer::{Signer, key_set};
use super::sts::{Reply, ScriptedSts};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";

#[derive(Debug, Default)]
struct Script {
    keys: String,
    discovery: Option<Reply>,
}

/// The issuer. It ends with its handle.
#[derive(Debug)]
pub(crate) struct Issuer {
    server: ScriptedSts,
    script: Arc<Mutex<Script>>,
}

impl Issuer {
    /// Publishes the keys of these.
    pub(crate) async fn start(signers: &[&Signer]) -> Self {
        let script = Arc::new(Mutex::new(Script {
            keys: key_set(signers),
            discovery: None,
        }));
        let said = Arc::clone(&script);
        let server = ScriptedSts::start(move |request| {
            let own = format!("http://{}", request.header("host"));
            let said = said.lock().unwrap();
            match request.target.as_str() {
                DISCOVERY => said.discovery.clone().unwrap_or_else(|| {
                    Reply::new(
                        200,
                        format!(r#"{{"issuer":"{own}","jwks_uri":"{own}{KEYS}"}}"#),
                    )
                }),
                KEYS => Reply::new(200, said.keys.clone()),
                _ => Reply::new(404, ""),
            }
        });
        Self {
            server: server.await,
            script,
        }
    }

    /// What it calls itself.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Publishes the keys of these instead.
    pub(crate) fn publish(&self, signers: &[&Signer]) {
        self.script.lock().unwrap().keys = key_set(signers);
    }

    /// Answers this instead of its discovery document; `None` ends that.
    pub(crate) fn discovery(&self, reply: Option<Reply>) {
        self.script.lock().unwrap().discovery = reply;
    }

    /// How often it was asked for anything.
    pub(crate) fn asked(&self) -> usize {
        self.server.received().len()
    }
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> u64 {
    let now = rolecall::clock::Clock::System.now();
    let since: Duration = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    since.as_secs()
}
