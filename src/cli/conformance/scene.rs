//! What all checks begin with: where the endpoint is, a token, the role, its document.

use std::net::SocketAddr;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::finding::Finding;
use super::wire::{Answer, Connection, Request, Trouble};
use crate::cli::failure::{Exit, Failure};
use crate::clock::Clock;
use crate::secret::{ExposeSecret as _, SecretString};
use crate::types::RoleName;

pub(super) const TOKEN_PATH: &str = "/latest/api/token";
pub(super) const LIST: &str = "/latest/meta-data/iam/security-credentials/";
pub(super) const TOKEN: &str = "X-aws-ec2-metadata-token";
pub(super) const TOKEN_TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";

/// An endpoint, and what it was willing to tell at first.
pub(super) struct Scene {
    pub(super) endpoint: Endpoint,
    pub(super) allow_v1: bool,
    pub(super) hop_limit: u8,
    pub(super) clock: Clock,
    address: SocketAddr,
    token: Option<SecretString>,
    /// One of a second, and when it was issued.
    short_token: Option<(SecretString, Instant)>,
    role: Option<String>,
    document: Option<Answer>,
}

impl Scene {
    /// Asks what an SDK asks. Where the endpoint knows no tokens, it goes on without.
    pub(super) fn survey(
        endpoint: &Endpoint,
        role: Option<RoleName>,
        allow_v1: bool,
        hop_limit: u8,
    ) -> Result<Self, Failure> {
        let mut scene = Self {
            address: reachable(endpoint)?,
            endpoint: endpoint.clone(),
            allow_v1,
            hop_limit,
            clock: Clock::System,
            token: None,
            short_token: None,
            role: role.map(|role| role.as_str().to_owned()),
            document: None,
        };
        let issued = scene.ask(&scene.put_token("21600"));
        scene.token = issued.as_ref().ok().and_then(usable_token);
        let short = scene.ask(&scene.put_token("1"));
        let short = short.ok().as_ref().and_then(usable_token);
        scene.short_token = short.map(|token| (token, Instant::now()));
        let list = scene.ask(&scene.get(LIST));
        if let (Err(trouble), Err(_)) = (&issued, &list) {
            return Err(unreachable(endpoint).because(trouble));
        }
        if scene.role.is_none() {
            scene.role = list.ok().as_ref().and_then(first_role);
        }
        if let Ok(path) = scene.document_path() {
            scene.document = scene.ask(&scene.get(&path)).ok();
        }
        Ok(scene)
    }

    pub(super) fn open(&self) -> Result<Connection, Trouble> {
        Connection::open(self.address)
    }

    /// Asks on a connection of its own.
    pub(super) fn ask(&self, request: &Request) -> Result<Answer, Trouble> {
        self.open()?.ask(request)
    }

    /// A request with the right `Host` and nothing else.
    pub(super) fn bare(&self, method: &str, target: &str) -> Request {
        Request::new(method, target).with("Host", self.endpoint.authority())
    }

    /// The same with a token, where there are tokens.
    pub(super) fn request(&self, method: &str, target: &str) -> Request {
        let bare = self.bare(method, target);
        match &self.token {
            Some(token) => bare.with(TOKEN, token.expose_secret()),
            None => bare,
        }
    }

    pub(super) fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    /// Asks for a token of this life.
    pub(super) fn put_token(&self, life: &str) -> Request {
        self.bare("PUT", TOKEN_PATH)
            .with(TOKEN_TTL, life)
            .with("Content-Length", "0")
    }

    /// The token.
    pub(super) fn token(&self) -> Result<&str, Finding> {
        let token = self.token.as_ref().map(SecretString::expose_secret);
        token.ok_or_else(|| Finding::untold("no token is issued"))
    }

    /// A token of one second, and when it was issued.
    pub(super) fn short_token(&self) -> Result<(&str, Instant), Finding> {
        let token = self.short_token.as_ref();
        let token = token.map(|(token, issued)| (token.expose_secret(), *issued));
        token.ok_or_else(|| Finding::untold("no token of one second is issued"))
    }

    /// The role whose document is asked for.
    pub(super) fn role(&self) -> Result<&str, Finding> {
        let role = self.role.as_deref();
        role.ok_or_else(|| {
            Finding::untold("no role is listed for this caller; name one with --role")
        })
    }

    pub(super) fn document_path(&self) -> Result<String, Finding> {
        self.role().map(|role| format!("{LIST}{role}"))
    }

    /// The document, which is there with status 200.
    pub(super) fn document(&self) -> Result<&Answer, Finding> {
        self.role()?;
        let document = self.document.as_ref().filter(|answer| answer.status == 200);
        document.ok_or_else(|| Finding::untold("the role's document is not there"))
    }

    /// The document's keys and values.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, Finding> {
        let document = serde_json::from_slice(&self.document()?.body).ok();
        document.ok_or_else(|| Finding::untold("the document is no JSON object"))
    }

    /// The document's status, whatever it is.
    pub(super) fn document_status(&self) -> Option<u16> {
        self.document.as_ref().map(|answer| answer.status)
    }
}

fn reachable(endpoint: &Endpoint) -> Result<SocketAddr, Failure> {
    let told = endpoint.addresses();
    let addresses = told.map_err(|error| unreachable(endpoint).because(&error))?;
    let mut last = unreachable(endpoint).why("its name has no address");
    for address in addresses {
        match Connection::open(address) {
            Ok(_connected) => return Ok(address),
            Err(trouble) => last = unreachable(endpoint).because(&trouble),
        }
    }
    Err(last)
}

fn unreachable(endpoint: &Endpoint) -> Failure {
    Failure::new(Exit::Unreachable, format!("nobody answers at {endpoint}"))
        .remedy("name the endpoint as SDKs are told it; it must be reachable from here")
}

/// A token that can be shown again, whatever stands around it.
fn usable_token(issued: &Answer) -> Option<SecretString> {
    let text = issued.text();
    let token = text.trim();
    let usable = issued.is_success()
        && !token.is_empty()
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| SecretString::from(token))
}

/// The first that is listed, whatever stands around it.
fn first_role(list: &Answer) -> Option<String> {
    let text = list.text();
    let first = text.split(['\n', '<']).next()?.trim();
    let role = list.is_success().then(|| RoleName::new(first).ok())?;
    role.map(|role| role.as_str().to_owned())
}
