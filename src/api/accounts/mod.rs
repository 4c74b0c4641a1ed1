//! AWS Federation Proxy's API: the accounts and roles that are a person's, their credentials, and a
//! console URL; and the only role of a machine.
//!
//! Source: the API document of afp-core, and what afp-cli, afp-web and afp-alppaca read of its
//! answers.
//!
//! Where to begin: `route` says what a request is for, and the answers are made here; `document` is
//! how credentials look, `answer` writes all of it and every error.

mod answer;
mod document;
#[cfg(fuzzing)]
pub mod fuzzing;
mod query;
mod route;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::peoples::Asker;
use super::{Client, Deps, Guest, slots, yield_often};
use crate::config::Mount;
use crate::grants::Wanted;
use crate::http::{Refused, Request, Response, Segments};
use crate::people::Unproven;
use crate::secret::ExposeSecret as _;
use crate::sessions::SigninAsk;
use crate::telemetry::metrics::RequestCounters;
use crate::types::{AccountAlias, AccountId, RoleName, RoleRef};
use crate::vending::{Handout, Proof, Refusal, Roles, Unexchanged, Want};
use answer::{Fault, UNKNOWN, fail};
use route::{NoRoute, Part, Route};

pub use route::{COMMON, MACHINES, PEOPLES};

/// The protocol's name, in audit and metrics.
const API: &str = "accounts";

/// How long exchanging a session for a sign-in may hold its credentials up.
const SIGNIN: Duration = Duration::from_secs(2);

/// AFP's API on one mount.
#[derive(Debug)]
pub struct Accounts {
    machine: bool,
    console: bool,
    counters: RequestCounters,
}

impl Accounts {
    /// Serves what this mount's configuration says.
    pub fn new(rules: &Mount, deps: &Deps) -> Self {
        Self {
            machine: rules.machine,
            console: rules.console,
            counters: deps.metrics.requests(API, route::LABELS),
        }
    }

    /// Answers one request for this path below the mount.
    pub async fn answer(
        &self,
        deps: &Deps,
        guest: &Guest,
        below: &str,
        asker: Result<Asker, Unproven>,
        request: &Request,
    ) -> Response {
        let segments = Segments::parse(below).map_err(|error| NoRoute::of(error, below));
        let route = segments
            .as_ref()
            .map_err(|none| *none)
            .and_then(|segments| Route::parse(request.method(), segments, self.machine));
        let label = route.map_or(route::NO_ROUTE, Route::label);
        let response = match (route, &asker) {
            (Ok(Route::Status), _) => status(deps),
            (_, Err(unproven)) => {
                let name = unproven.name().unwrap_or(UNKNOWN);
                fail(Fault::from(unproven), name)
            }
            (Err(none), Ok(asker)) => fail(no_route(none, below), &asker.name),
            (Ok(route), Ok(asker)) => {
                let served = self.serve(deps, guest, asker, route, request).await;
                served.unwrap_or_else(|fault| fail(fault, &asker.name))
            }
        };
        self.counters.count(label, response.status().as_u16());
        response
    }

    async fn serve(
        &self,
        deps: &Deps,
        guest: &Guest,
        asker: &Asker,
        route: Route<'_>,
        request: &Request,
    ) -> Result<Response, Fault<'static>> {
        match route {
            Route::Status => Ok(status(deps)),
            Route::List => list(deps, guest, asker, request).await,
            Route::Role(part, account, role) => {
                let role = named(account, role)?;
                self.role(deps, guest, asker, part, role, request).await
            }
            Route::RoleName => role_name(deps, guest, asker, request).await,
            Route::Document(role) => machine_document(deps, guest, asker, role, request).await,
        }
    }

    /// Credentials, a console URL, or both.
    async fn role(
        &self,
        deps: &Deps,
        guest: &Guest,
        asker: &Asker,
        part: Part,
        role: RoleRef,
        request: &Request,
    ) -> Result<Response, Fault<'static>> {
        let callback = match part {
            Part::Whole | Part::ConsoleUrl => callback(request)?,
            Part::Credentials => None,
        };
        let want = want(
            Wanted::Chosen(role),
            Proof::Shown,
            deps.patience.of_people(),
        );
        let handout = deps.vending.ask_fresh(asker.visit(guest), &want).await?;
        let offers = self.console && handout.offers().signin;
        let allowed = |url: String| handout.callback(&url).ok_or(Fault::Callback);
        let ask = SigninAsk {
            callback: callback.filter(|_| offers).map(allowed).transpose()?,
            patience: Some(SIGNIN),
        };
        match part {
            Part::ConsoleUrl if !offers => Err(Fault::Configuration),
            Part::ConsoleUrl => {
                let url = handout.signin(&ask).await.map_err(signin_fault)?;
                let url = Bytes::copy_from_slice(url.0.expose_secret().as_bytes());
                Ok(answer::text(url))
            }
            Part::Whole if offers => {
                let url = handout.signin(&ask).await.map_err(signin_fault)?;
                let body = document::render(&handout.session, Some(url.0.expose_secret()));
                Ok(answer::json(body, &asker.name))
            }
            Part::Whole | Part::Credentials => Ok(answer::json(credentials(&handout), &asker.name)),
        }
    }
}

/// However a sign-in endpoint fails, the cloud did: the role is the caller's.
const fn signin_fault(unexchanged: Unexchanged) -> Fault<'static> {
    match unexchanged.refusal {
        Refusal::NotOffered => Fault::Configuration,
        Refusal::NotIdentified
        | Refusal::NoGrant
        | Refusal::SeveralRoles
        | Refusal::NoSuchRole
        | Refusal::ProofMissing
        | Refusal::Excess(_)
        | Refusal::DeniedUpstream
        | Refusal::Misconfigured
        | Refusal::NotReady => Fault::Upstream,
    }
}

/// What the guard refuses.
pub(super) fn refuse(refused: Refused) -> Response {
    fail(Fault::from(refused), UNKNOWN)
}

/// A request that was not read.
pub(super) fn refuse_long() -> Response {
    fail(Fault::TooLarge, UNKNOWN)
}

const fn want(role: Wanted, proof: Proof, patience: Duration) -> Want {
    Want {
        role,
        proof,
        identity: None,
        assumption: None,
        patience,
        api: API,
    }
}

const fn no_route(none: NoRoute, below: &str) -> Fault<'_> {
    match none {
        NoRoute::BadPath => Fault::BadRequest,
        NoRoute::NotFound => Fault::NotFound(below),
        NoRoute::Method => Fault::Method,
    }
}

/// A role by names from a path: what can be no name is nobody's.
fn named(account: &str, role: &str) -> Result<RoleRef, Fault<'static>> {
    match (AccountAlias::new(account), RoleName::new(role)) {
        (Ok(account), Ok(role)) => Ok(RoleRef { account, role }),
        (Err(_), _) | (_, Err(_)) => Err(Fault::Denied),
    }
}

/// Whither the console is to send a browser in the end. AFP's clients may leave it empty.
fn callback(request: &Request) -> Result<Option<String>, Fault<'static>> {
    query::value(request.uri().query(), "callbackurl").map_err(|query::Unreadable| Fault::Callback)
}

fn credentials(handout: &Handout) -> Bytes {
    let session = &handout.session;
    session.rendered(slots::ACCOUNTS, |session| document::render(session, None))
}

/// Whether the daemon serves what it was told to. Nobody has to prove a name for it.
fn status(deps: &Deps) -> Response {
    if !deps.in_force.is_in_force() {
        return fail(Fault::Configuration, UNKNOWN);
    }
    answer::open(Bytes::from_static(
        b"{\"status\": \"200\", \"message\": \"OK\"}",
    ))
}

/// All accounts with their roles, in order; with their ids where they are asked for.
async fn list(
    deps: &Deps,
    guest: &Guest,
    asker: &Asker,
    request: &Request,
) -> Result<Response, Fault<'static>> {
    let want = want(Wanted::First, Proof::Shown, deps.patience.of_people());
    let roles = deps.vending.roles(asker.visit(guest), &want).await?;
    let accounts = by_account(&roles).await;
    let body = if query::has(request.uri().query(), "withid") {
        serde_json::to_vec(&accounts)
    } else {
        let names = accounts
            .into_iter()
            .map(|(alias, told)| (alias, told.roles));
        serde_json::to_vec(&names.collect::<BTreeMap<_, _>>())
    };
    Ok(answer::json(
        Bytes::from(body.unwrap_or_default()),
        &asker.name,
    ))
}

/// An account as `?withid` tells it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    id: Option<&'a str>,
    roles: BTreeSet<&'a str>,
}

async fn by_account(roles: &Roles) -> BTreeMap<&str, Told<'_>> {
    let mut accounts: BTreeMap<&str, Told<'_>> = BTreeMap::new();
    for (done, role) in (1..).zip(roles.iter()) {
        let told = accounts.entry(role.account.as_str());
        let told = told.or_insert_with(|| Told {
            id: roles.account_id(&role.account).map(AccountId::as_str),
            roles: BTreeSet::new(),
        });
        told.roles.insert(role.role.as_str());
        yield_often(done).await;
    }
    accounts
}

/// The name of a machine's only role, once it can be had: nothing else, and no newline.
async fn role_name(
    deps: &Deps,
    guest: &Guest,
    asker: &Asker,
    request: &Request,
) -> Result<Response, Fault<'static>> {
    let patience = Client::of(request.headers(), deps.patience).patience;
    let want = want(Wanted::First, Proof::NotAsked, patience);
    let role = deps.vending.name(asker.visit(guest), &want).await;
    let role = role.map_err(|refusal| machine_fault(refusal, Fault::Configuration))?;
    let name = Bytes::copy_from_slice(role.role.as_str().as_bytes());
    Ok(answer::text(name))
}

/// The credentials of a machine's only role, as the metadata service has them.
async fn machine_document(
    deps: &Deps,
    guest: &Guest,
    asker: &Asker,
    role: &str,
    request: &Request,
) -> Result<Response, Fault<'static>> {
    let patience = Client::of(request.headers(), deps.patience).patience;
    let want = want(Wanted::First, Proof::NotAsked, patience);
    let visit = asker.visit(guest);
    let own = deps.vending.role(visit, &want).await;
    if let Ok((own, _)) = &own
        && own.role.as_str() != role
    {
        return Err(Fault::Denied);
    }
    let handout = deps.vending.ask(visit, &want).await;
    let handout = handout.map_err(|refusal| machine_fault(refusal, Fault::Denied))?;
    let body = super::imds::flat_document(&handout.session);
    Ok(answer::json(body, &asker.name))
}

/// Why a machine has no role: it has none of its own, or upstream denies what it has.
fn machine_fault(refusal: Refusal, denied_upstream: Fault<'static>) -> Fault<'static> {
    match refusal {
        Refusal::NotIdentified
        | Refusal::NoGrant
        | Refusal::SeveralRoles
        | Refusal::NoSuchRole
        | Refusal::ProofMissing
        | Refusal::Excess(_) => Fault::Configuration,
        Refusal::DeniedUpstream => denied_upstream,
        Refusal::Misconfigured | Refusal::NotOffered | Refusal::NotReady => Fault::from(refusal),
    }
}
