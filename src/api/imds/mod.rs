//! The EC2 instance metadata service, versions 1 and 2, as far as it hands out credentials and
//! what SDKs ask beside them.
//!
//! Statuses steer clients in opposite directions, so each here is chosen: PUT of a token always
//! answers 200; a bad token is 401 even where IMDSv1 is on; no role is 404 with an empty body
//! (CRT takes any body for the role's name); not ready is 503.

mod document;
mod leaves;
mod memory;
mod route;
mod token;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

pub use memory::Memory;
use memory::telling;
pub use route::{LABELS, NO_ROUTE, NoRoute, Route};
pub use token::{InvalidToken, MAX_TTL, MIN_TTL, TOKEN_LEN, Tokens};

use super::{Client, Deps, Guest, Temper, slots};
use crate::clock::BootTime;
use crate::config;
use crate::grants::Wanted;
use crate::http::{
    CachedHeaders, Refused, Request, Response, Segments, first_of, not_allowed, text,
};
use crate::telemetry::metrics::{Metrics, RequestCounters};
use crate::types::RoleName;
use crate::vending::{Handout, Proof, Refusal, Want};
use leaves::Leaves;

const TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const TOKEN_TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");

pub(super) use document::flat as flat_document;

/// The protocol's name, in audit and metrics.
const API: &str = "imds";

/// What stands before a role's name where its document is, as SDKs write it.
const DOCUMENTS: &str = "/latest/meta-data/iam/security-credentials/";

/// The metadata service of one listener.
#[derive(Debug)]
pub struct Imds {
    tokens: Arc<Tokens>,
    leaves: Leaves,
    v1: bool,
    minio_js: bool,
    headers: CachedHeaders,
    /// The same with a token's remaining life, whatever that is.
    telling: CachedHeaders,
    counters: RequestCounters,
}

/// What a request showed.
enum Shown {
    /// A token that is good until then.
    Token(BootTime),
    /// No token.
    Nothing,
}

impl Imds {
    /// Serves what this listener's configuration says.
    pub fn new(
        listener: &config::Listener,
        tokens: Arc<Tokens>,
        since: SystemTime,
        metrics: &Metrics,
    ) -> Self {
        let headers = CachedHeaders::new("text/plain", Some("EC2ws"));
        Self {
            tokens,
            leaves: Leaves::new(listener.instance.clone(), since),
            v1: listener.imdsv1,
            minio_js: listener.minio_js_alias,
            telling: headers.clone().with(TOKEN_TTL, HeaderValue::from(0)),
            headers,
            counters: metrics.requests(API, LABELS),
        }
    }

    /// Answers with a document as SDKs ask for it, if it needs no more than what is remembered: of
    /// this connection, or of others of the same caller.
    pub fn at_once(&self, deps: &Deps, guest: &Guest, request: &Request) -> Option<Response> {
        if *request.method() != Method::GET {
            return None;
        }
        let token = first_of(request.headers(), &TOKEN)?.as_bytes();
        let (memory, path) = (&guest.imds, request.uri().path());
        let recalled = memory.recall(path, token);
        let again = recalled.is_some();
        let (role, end) = recalled.or_else(|| self.first(guest, path, token))?;
        let now = deps.clock.boot();
        if now >= end {
            return None;
        }
        let vending = &deps.vending;
        let handout = vending.at_once(&guest.visit, &role, Proof::Shown, now)?;
        let left = end.since(now).as_secs();
        let document = self.document(&handout);
        let response = if again {
            memory.answer(left, &self.telling, document)
        } else {
            memory.remember(path, token, role, end);
            telling(&self.telling, left).into_answer(StatusCode::OK, document)
        };
        self.counters.count(Route::Document("").label(), 200);
        Some(response)
    }

    /// The role whose document is at this path, as SDKs write it, and the end of this token of the
    /// caller.
    fn first(&self, guest: &Guest, path: &str, token: &[u8]) -> Option<(Wanted, BootTime)> {
        let caller = guest.visit.caller();
        if !caller.is_placed() {
            return None;
        }
        let name = RoleName::new(path.strip_prefix(DOCUMENTS)?).ok()?;
        let end = self.tokens.open(caller.principal().as_ref(), token).ok()?;
        Some((Wanted::ChosenName(name), end))
    }

    /// Answers one request.
    pub async fn answer(
        &self,
        deps: &Deps,
        guest: &Guest,
        guarded: Result<(), Refused>,
        request: &Request,
    ) -> Response {
        let (label, response) = match guarded {
            Err(refused) => (NO_ROUTE, refuse(refused)),
            Ok(()) => match Segments::parse(request.uri().path()) {
                Err(error) => (NO_ROUTE, self.no_route(NoRoute::from(error), request)),
                Ok(segments) => match Route::parse(request.method(), &segments) {
                    Err(none) => (NO_ROUTE, self.no_route(none, request)),
                    Ok(Route::IssueToken) => (
                        Route::IssueToken.label(),
                        self.issue(deps, guest, request).await,
                    ),
                    Ok(route) => (route.label(), self.read(deps, guest, route, request).await),
                },
            },
        };
        self.counters.count(label, response.status().as_u16());
        response
    }

    /// `PUT` of a token: 200 for everybody, 400 only for a wrong TTL, which is final for all SDKs.
    async fn issue(&self, deps: &Deps, guest: &Guest, request: &Request) -> Response {
        let ttl = request
            .headers()
            .get(TOKEN_TTL)
            .and_then(|ttl| ttl.to_str().ok());
        let ttl = ttl.and_then(|ttl| ttl.trim().parse::<u32>().ok());
        let Some(ttl) = ttl.filter(|ttl| (MIN_TTL..=MAX_TTL).contains(ttl)) else {
            return text(StatusCode::BAD_REQUEST, "");
        };
        let caller = guest.visit.caller();
        deps.vending.identify(caller).await;
        let client = Client::of(request.headers(), deps.patience);
        let want = want(Proof::Shown, client.patience, Wanted::First);
        deps.vending.first_sign(&guest.visit, &want).await;
        match self.tokens.issue(caller.principal().as_ref(), ttl) {
            Ok(token) => {
                let mut response = self.headers.answer(StatusCode::OK, Bytes::from(token));
                response
                    .headers_mut()
                    .insert(TOKEN_TTL, HeaderValue::from(ttl));
                response
            }
            Err(error) => {
                tracing::error!(%error, "an ImdsToken could not be made");
                text(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }

    async fn read(
        &self,
        deps: &Deps,
        guest: &Guest,
        route: Route<'_>,
        request: &Request,
    ) -> Response {
        let spent = if request.headers().contains_key(TOKEN) {
            deps.vending.identify(guest.visit.caller()).await
        } else {
            Duration::ZERO
        };
        let shown = match self.shown(deps, guest, request) {
            Ok(shown) => shown,
            Err(InvalidToken) => return text(StatusCode::UNAUTHORIZED, ""),
        };
        let proof = match shown {
            Shown::Token(_) => Proof::Shown,
            Shown::Nothing if self.v1 => Proof::NotAsked,
            Shown::Nothing => Proof::Missing,
        };
        let client = Client::of(request.headers(), deps.patience);
        let role = wanted(route);
        let answered = match role.clone() {
            Ok(role) => {
                let want = want(proof, client.patience.saturating_sub(spent), role);
                self.resource(deps, guest, route, &want, client.temper)
                    .await
            }
            Err(refusal) => Err(refusal),
        };
        if let (Shown::Token(end), Ok(_), Ok(Wanted::ChosenName(_))) = (&shown, &answered, &role)
            && let Some(token) = request.headers().get(TOKEN)
        {
            let role = role.clone().unwrap_or(Wanted::First);
            guest
                .imds
                .remember(request.uri().path(), token.as_bytes(), role, *end);
        }
        match shown {
            Shown::Nothing if answered.is_ok() => drop(deps.metrics.imds_v1_requests.inc()),
            Shown::Nothing | Shown::Token(_) => {}
        }
        let mut response = answered.unwrap_or_else(|refusal| {
            let document = matches!(route, Route::Document(_));
            match client.temper {
                Temper::Aborts if document => text(StatusCode::UNAUTHORIZED, ""),
                Temper::Aborts | Temper::Plain => refusal_status(refusal, proof),
            }
        });
        if let Shown::Token(end) = shown {
            let left = end.since(deps.clock.boot()).as_secs();
            response
                .headers_mut()
                .insert(TOKEN_TTL, HeaderValue::from(left));
        }
        response
    }

    fn shown(&self, deps: &Deps, guest: &Guest, request: &Request) -> Result<Shown, InvalidToken> {
        let Some(token) = request.headers().get(TOKEN) else {
            deps.metrics.imds_token_missing.inc();
            return Ok(Shown::Nothing);
        };
        let caller = guest.visit.caller();
        let opened = self
            .tokens
            .open(caller.principal().as_ref(), token.as_bytes());
        if opened.is_err() {
            deps.metrics.imds_token_missing.inc();
        }
        opened.map(Shown::Token)
    }

    async fn resource(
        &self,
        deps: &Deps,
        guest: &Guest,
        route: Route<'_>,
        want: &Want,
        temper: Temper,
    ) -> Result<Response, Refusal> {
        let (vending, visit) = (&deps.vending, &guest.visit);
        match route {
            Route::RoleList => {
                let role = match temper {
                    Temper::Plain => vending.name(visit, want).await?,
                    // It would not survive a document that is not ready: no name before there is one.
                    Temper::Aborts => vending.ready_name(visit, want).await?,
                };
                Ok(self.ok(Bytes::copy_from_slice(role.role.as_str().as_bytes())))
            }
            Route::Document(_) => {
                let handout = vending.ask(visit, want).await?;
                Ok(self.ok(self.document(&handout)))
            }
            Route::IamInfo => {
                let (role, account) = vending.own_role(visit, want).await?;
                Ok(self.ok(leaves::iam_info(&role.role, &account, deps.clock.now())))
            }
            Route::IssueToken
            | Route::Versions
            | Route::Root
            | Route::MetaData
            | Route::Iam
            | Route::Placement
            | Route::AvailabilityZone
            | Route::Region
            | Route::InstanceId
            | Route::InstanceType
            | Route::Services
            | Route::Domain
            | Route::Partition
            | Route::Dynamic
            | Route::Identity
            | Route::IdentityDocument => {
                let known = vending.role(visit, want).await;
                if want.proof == Proof::Missing && known.is_err() {
                    return Err(Refusal::ProofMissing);
                }
                let account = known.map(|(_, account)| account).unwrap_or_default();
                let body = self.leaves.body(route, &account);
                Ok(body.map_or_else(not_found, |body| self.ok(body)))
            }
        }
    }

    fn document(&self, handout: &Handout) -> Bytes {
        let slot = if self.minio_js {
            slots::IMDS_MINIO_JS
        } else {
            slots::IMDS
        };
        handout.session.rendered(slot, |session| {
            document::render(session, handout.account().id.as_ref(), self.minio_js)
        })
    }

    fn ok(&self, body: Bytes) -> Response {
        self.headers.answer(StatusCode::OK, body)
    }

    /// Without a token nothing is told where one is needed, not even what is not there.
    fn no_route(&self, none: NoRoute, request: &Request) -> Response {
        match none {
            NoRoute::BadPath => text(StatusCode::BAD_REQUEST, ""),
            NoRoute::NotFound if !self.v1 && !request.headers().contains_key(TOKEN) => {
                text(StatusCode::UNAUTHORIZED, "")
            }
            NoRoute::NotFound => not_found(),
            NoRoute::TokenElsewhere => text(StatusCode::FORBIDDEN, ""),
            NoRoute::Method(allow) => not_allowed(allow),
        }
    }
}

const fn want(proof: Proof, patience: Duration, role: Wanted) -> Want {
    Want {
        role,
        proof,
        identity: None,
        assumption: None,
        patience,
        api: API,
    }
}

/// Which role a route is about. A name that no role can have is nobody's role.
fn wanted(route: Route<'_>) -> Result<Wanted, Refusal> {
    if let Route::Document(name) = route {
        let name = RoleName::new(name).map_err(|_invalid| Refusal::NoSuchRole)?;
        Ok(Wanted::ChosenName(name))
    } else {
        Ok(Wanted::First)
    }
}

/// Where a token is needed and missing, every refusal says just that.
fn refusal_status(refusal: Refusal, proof: Proof) -> Response {
    let status = match refusal {
        Refusal::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::ProofMissing => StatusCode::UNAUTHORIZED,
        Refusal::NotIdentified | Refusal::NoGrant | Refusal::SeveralRoles | Refusal::NoSuchRole
            if proof == Proof::Missing =>
        {
            StatusCode::UNAUTHORIZED
        }
        Refusal::NotIdentified
        | Refusal::NoGrant
        | Refusal::SeveralRoles
        | Refusal::NoSuchRole
        | Refusal::Excess(_)
        | Refusal::DeniedUpstream
        | Refusal::Misconfigured
        | Refusal::NotOffered => StatusCode::NOT_FOUND,
    };
    text(status, "")
}

fn refuse(refused: Refused) -> Response {
    match refused {
        Refused::Malformed => text(StatusCode::BAD_REQUEST, ""),
        Refused::ForeignHost | Refused::Forwarded | Refused::Browser => {
            text(StatusCode::FORBIDDEN, "")
        }
    }
}

fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "")
}
