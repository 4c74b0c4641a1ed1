//! The container-credentials protocol: ECS's relative and full form, and EKS Pod Identity's shape.
//!
//! Every path but the unguessable one asks for `Authorization`, unless the listener is tokenless:
//! one GET without a header is what a forged server-side request can send. It is a token of ours,
//! or one of an issuer that the configuration believes: that one says who asks. Errors are JSON, as
//! the ECS agent writes them: Go v1 hides any other behind a serialisation error.

mod document;
mod route;
mod token;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap};
use tokio::time::Instant;

pub use route::{LABELS, NO_ROUTE, NoRoute, Route};
pub use token::{AuthorizationTokens, Claims, InvalidToken};

use super::{Client, Deps, Guest, slots};
use crate::caller::{Evidence, ProcessId};
use crate::config::{self, Holder};
use crate::grants::{Known, Wanted, WebIdentity};
use crate::http::{CachedHeaders, Refused, Request, Response, Segments, json_error, not_allowed};
use crate::people::{self, Issuers, NotProven};
use crate::telemetry::metrics::{Metrics, RequestCounters, TokenCounters};
use crate::vending::{Proof, Refusal, Want};
use document::Form;

/// The protocol's name, in audit and metrics.
const API: &str = "container";

/// The container protocol of one listener.
#[derive(Debug)]
pub struct Container {
    tokens: AuthorizationTokens,
    issuers: Arc<Issuers>,
    tokenless: bool,
    minio_js: bool,
    headers: CachedHeaders,
    counters: RequestCounters,
    identities: TokenCounters,
}

/// What a request has shown, and what it asks for.
struct Shown {
    role: Wanted,
    proof: Proof,
    identity: Option<Arc<WebIdentity>>,
}

impl Shown {
    /// Nothing of anybody but us.
    const fn ours(role: Wanted, proof: Proof) -> Self {
        Self {
            role,
            proof,
            identity: None,
        }
    }
}

/// Whether a path is this protocol's, on a listener that serves instance metadata too.
pub fn owns(path: &str) -> bool {
    let first = path.split('/').find(|segment| !segment.is_empty());
    matches!(first, Some("creds" | "role" | "v1" | "v2"))
}

/// Why a request gets no credentials.
#[derive(Clone, Copy)]
enum Failure {
    NoRoute(NoRoute),
    /// The token or id is missing.
    TokenMissing,
    /// The token is not ours, another caller's, or its process is gone.
    TokenWrong,
    /// The id is not ours.
    IdWrong,
    Refused(Refusal),
}

impl Container {
    /// Serves what this listener's configuration says.
    pub fn new(
        listener: &config::Listener,
        tokens: AuthorizationTokens,
        issuers: Arc<Issuers>,
        metrics: &Metrics,
    ) -> Self {
        Self {
            tokens,
            issuers,
            identities: metrics.web_identities(),
            tokenless: listener.tokenless,
            minio_js: listener.minio_js_alias,
            headers: CachedHeaders::new("application/json", None),
            counters: metrics.requests(API, LABELS),
        }
    }

    /// Answers one request.
    pub async fn answer(
        &self,
        deps: &Deps,
        guest: &Guest,
        guarded: Result<(), Refused>,
        request: &Request,
    ) -> Response {
        let mut label = NO_ROUTE;
        let response = match guarded {
            Err(refused) => refuse(refused),
            Ok(()) => match self.credentials(deps, guest, request, &mut label).await {
                Ok(document) => self.headers.answer(StatusCode::OK, document),
                Err(failure) => fail(failure),
            },
        };
        self.counters.count(label, response.status().as_u16());
        response
    }

    async fn credentials(
        &self,
        deps: &Deps,
        guest: &Guest,
        request: &Request,
        label: &mut usize,
    ) -> Result<Bytes, Failure> {
        let segments = Segments::parse(request.uri().path());
        let segments = segments.map_err(|error| Failure::NoRoute(NoRoute::from(error)))?;
        let route = Route::parse(request.method(), &segments).map_err(Failure::NoRoute)?;
        *label = route.label();
        let ecs = matches!(route, Route::Id(_));
        let patience = Client::of(request.headers(), deps.patience).patience;
        let begun = Instant::now();
        // Whose token it is can be told only of a caller that is known not to be a forwarder.
        deps.vending.identify(guest.visit.caller()).await;
        let shown = self.proven(deps, guest, request, route, patience).await?;
        let want = Want {
            role: shown.role,
            proof: shown.proof,
            identity: shown.identity,
            assumption: None,
            patience: patience.saturating_sub(begun.elapsed()),
            api: API,
        };
        let asked = deps.vending.ask(&guest.visit, &want).await;
        let handout = asked.map_err(Failure::Refused)?;
        let (slot, form) = match (ecs, self.minio_js) {
            (true, _) => (slots::ECS, Form::Ecs),
            (false, false) => (slots::CONTAINER, Form::Plain),
            (false, true) => (slots::CONTAINER_MINIO_JS, Form::MinioJs),
        };
        Ok(handout
            .session
            .rendered(slot, |session| document::render(session, form, &handout)))
    }

    /// What is asked for and by whom, once the request has shown what its path asks for.
    async fn proven(
        &self,
        deps: &Deps,
        guest: &Guest,
        request: &Request,
        route: Route<'_>,
        patience: Duration,
    ) -> Result<Shown, Failure> {
        let chosen = match route {
            Route::Id(id) => return self.named(deps, guest, id).await,
            Route::Role(wanted) => Some(wanted),
            Route::Own => None,
        };
        let Some(token) = authorization(request.headers())? else {
            let role = chosen.unwrap_or(Wanted::First);
            return if self.tokenless {
                Ok(Shown::ours(role, Proof::NotAsked))
            } else {
                Err(Failure::TokenMissing)
            };
        };
        if people::is_token(token) {
            let identity = self.identity(token, patience).await?;
            return Ok(Shown {
                role: chosen.unwrap_or(Wanted::First),
                proof: Proof::Shown,
                identity: Some(identity),
            });
        }
        let claims = self
            .tokens
            .open(token)
            .map_err(|InvalidToken| Failure::TokenWrong)?;
        let proof = proof(deps, guest, &claims).await?;
        let proof = proof.ok_or(Failure::TokenWrong)?;
        let role = match (chosen, claims.role) {
            (Some(chosen), Some(role)) if !chosen.is(&role) => {
                return Err(Failure::Refused(Refusal::NoSuchRole));
            }
            (_, Some(role)) => Wanted::Chosen(role),
            (Some(chosen), None) => chosen,
            (None, None) => Wanted::First,
        };
        Ok(Shown::ours(role, proof))
    }

    /// What an unguessable id stands for.
    async fn named(&self, deps: &Deps, guest: &Guest, id: &str) -> Result<Shown, Failure> {
        let claims = self
            .tokens
            .open_id(id)
            .map_err(|InvalidToken| Failure::IdWrong)?;
        let proof = proof(deps, guest, &claims).await?;
        let proof = proof.ok_or(Failure::IdWrong)?;
        let role = claims.role.map_or(Wanted::First, Wanted::Chosen);
        Ok(Shown::ours(role, proof))
    }

    /// Who a web identity token stands for.
    async fn identity(&self, token: &str, patience: Duration) -> Result<Arc<WebIdentity>, Failure> {
        match self.issuers.verify(token, patience).await {
            Ok(identity) => {
                self.identities.verified.inc();
                Ok(identity)
            }
            Err(NotProven::Refused(_)) => {
                self.identities.refused.inc();
                Err(Failure::TokenWrong)
            }
            // Whoever it is: who cannot be told from others gets nothing of theirs.
            Err(NotProven::NotReady) => {
                self.identities.not_ready.inc();
                Err(Failure::Refused(Refusal::NotReady))
            }
        }
    }
}

/// The one token that a request shows.
fn authorization(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Failure::TokenWrong);
    }
    let token = value.to_str().map_err(|_not_text| Failure::TokenWrong)?;
    Ok(Some(token.strip_prefix("Bearer ").unwrap_or(token)))
}

/// What it proves that this caller shows a token of these claims; `None` where it is another's.
/// Where that cannot be seen now, nothing is wrong with the token.
async fn proof(deps: &Deps, guest: &Guest, claims: &Claims) -> Result<Option<Proof>, Failure> {
    let caller = guest.visit.caller();
    let mut uid = caller.facts().uid;
    if uid == Known::NotYet {
        deps.vending.identify(caller).await;
        uid = caller.facts().uid;
    }
    let is_container = matches!(caller.evidence(), Evidence::ContainerAddress { .. });
    let Some(proof) = proof_by(&uid, is_container, claims)? else {
        return Ok(None);
    };
    let lives = claims.process.map_or(Ok(true), ProcessId::lives);
    match lives {
        Ok(lives) => Ok(lives.then_some(proof)),
        Err(error) => {
            tracing::warn!(%error, "the process of a token cannot be looked at");
            Err(Failure::Refused(Refusal::NotReady))
        }
    }
}

/// A token is its owner's. Who is known to be somebody else is refused with any; who cannot be
/// known stands for the owner of one that is anybody's who has it. A container that is known by its
/// address stands for itself, with one that is for containers.
const fn proof_by(
    uid: &Known<u32>,
    is_container: bool,
    claims: &Claims,
) -> Result<Option<Proof>, Failure> {
    match (claims.holder, uid) {
        (Holder::Container, _) if is_container => Ok(Some(Proof::Shown)),
        (Holder::Container, _) => Ok(None),
        (_, Known::Yes(uid)) if *uid == claims.uid => Ok(Some(Proof::Shown)),
        (Holder::Bearer, Known::No) => Ok(Some(Proof::Bearer(claims.uid))),
        (Holder::Owner | Holder::Bearer, Known::Yes(_)) | (Holder::Owner, Known::No) => Ok(None),
        (Holder::Owner | Holder::Bearer, Known::NotYet) => Err(Failure::Refused(Refusal::NotReady)),
    }
}

fn refuse(refused: Refused) -> Response {
    match refused {
        Refused::Malformed => json_error(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "the request is malformed",
        ),
        Refused::ForeignHost => json_error(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "the Host is not this service's",
        ),
        Refused::Forwarded => json_error(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "forwarded requests are refused",
        ),
        Refused::Browser => json_error(StatusCode::FORBIDDEN, "Forbidden", "browsers are refused"),
    }
}

fn fail(failure: Failure) -> Response {
    let (status, code, message) = match failure {
        Failure::NoRoute(NoRoute::Method) => return not_allowed("GET, HEAD"),
        Failure::NoRoute(NoRoute::BadPath) => (
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "the path is malformed",
        ),
        Failure::NoRoute(NoRoute::NoId) => (
            StatusCode::BAD_REQUEST,
            "NoIdInRequest",
            "the path has no credentials id",
        ),
        Failure::NoRoute(NoRoute::NotFound) => (
            StatusCode::NOT_FOUND,
            "NotFound",
            "nothing is served at this path",
        ),
        Failure::TokenMissing => (
            StatusCode::UNAUTHORIZED,
            "AuthorizationMissing",
            "the Authorization header is missing",
        ),
        Failure::TokenWrong => (
            StatusCode::UNAUTHORIZED,
            "AuthorizationInvalid",
            "the Authorization token is not valid for this caller",
        ),
        Failure::IdWrong => (
            StatusCode::BAD_REQUEST,
            "InvalidIdInRequest",
            "the credentials id is not valid for this caller",
        ),
        Failure::Refused(refusal) => refusal_answer(refusal),
    };
    json_error(status, code, message)
}

const fn refusal_answer(refusal: Refusal) -> (StatusCode, &'static str, &'static str) {
    match refusal {
        Refusal::NotIdentified => (
            StatusCode::UNAUTHORIZED,
            "NotIdentified",
            "the caller could not be identified",
        ),
        Refusal::ProofMissing => (
            StatusCode::UNAUTHORIZED,
            "AuthorizationMissing",
            "the Authorization header is missing",
        ),
        Refusal::NoGrant | Refusal::SeveralRoles | Refusal::Excess(_) => (
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "no role for this caller",
        ),
        Refusal::NoSuchRole => (
            StatusCode::NOT_FOUND,
            "NoSuchRole",
            "no such role for this caller",
        ),
        Refusal::DeniedUpstream => (
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "the role was denied upstream",
        ),
        Refusal::Misconfigured | Refusal::NotOffered => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Misconfigured",
            "the role does not work; the log says why",
        ),
        Refusal::NotReady => (
            StatusCode::SERVICE_UNAVAILABLE,
            "CredentialsUninitialized",
            "no credentials yet; try again",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_owners_and_a_bearer_token_also_nobodys() {
        let of = |holder| Claims {
            uid: 1000,
            role: None,
            process: None,
            holder,
        };
        let (bound, bearer) = (of(Holder::Owner), of(Holder::Bearer));
        let proven = |uid: Known<u32>, claims| proof_by(&uid, false, claims).ok().flatten();
        for claims in [&bound, &bearer] {
            assert_eq!(proven(Known::Yes(1000), claims), Some(Proof::Shown));
            assert_eq!(proven(Known::Yes(0), claims), None);
            let not_yet = proof_by(&Known::NotYet, false, claims);
            assert!(matches!(not_yet, Err(Failure::Refused(Refusal::NotReady))));
        }
        assert_eq!(proven(Known::No, &bound), None);
        assert_eq!(proven(Known::No, &bearer), Some(Proof::Bearer(1000)));
    }

    #[test]
    fn a_token_for_containers_is_of_use_to_one_that_is_known_by_its_address_alone() {
        let claims = Claims {
            uid: 1000,
            role: None,
            process: None,
            holder: Holder::Container,
        };
        let proven = |uid, is_container| proof_by(&uid, is_container, &claims).ok().flatten();
        assert_eq!(proven(Known::No, true), Some(Proof::Shown));
        for uid in [Known::Yes(1000), Known::No, Known::NotYet] {
            assert_eq!(proven(uid, false), None);
        }
    }
}
