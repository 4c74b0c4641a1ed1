//! The admin socket: what the command line asks of a running daemon, as JSON over HTTP/1.1.
//!
//! The kernel's peer credentials say who asks. The daemon's own user and root, on the host itself,
//! may do everything; anybody else sees itself, and gets its own credentials by the same grants as
//! everywhere, through [`vending`](crate::vending).

mod answer;
mod control;
mod exchange;
mod explain;
mod keys;
mod route;
mod token;
mod tokens;
mod verify;
mod view;
pub mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use nix::unistd::Uid;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

pub use answer::NEXT;
pub use control::{Control, Door, ReloadFuture};
pub use exchange::Server;
pub use explain::{NoDoor, Question, explained};
pub use route::{LABELS, NO_ROUTE, NoRoute, Route, Stored};
pub use verify::{Asked, NotSigned, When as SignatureWhen, signed, verdict};

use super::container::AuthorizationTokens;
use super::{Guest, date};
use crate::authority::Authority;
use crate::caller::{Caller, PerCaller};
use crate::clock::Clock;
use crate::config;
use crate::grants::{Known, Place, Select, Wanted};
use crate::http::{Answer, Connection, Guard, Handler, MAX_BODY, Request, Response};
use crate::secret::{ExposeSecret as _, SecretString};
use crate::sessions::Selector;
use crate::store::Store;
use crate::telemetry::audit::Party;
use crate::telemetry::metrics::{Metrics, RequestCounters};
use crate::types::RoleRef;
use crate::vending::{Handout, Proof, Refusal, Vending, Want};
use answer::{Answers, Failure};
use view::{Own, Viewer};

/// No question is longer.
pub const LARGEST_QUESTION: usize = MAX_BODY;

/// The protocol's name, in audit and metrics.
const API: &str = "admin";

/// How long credentials are waited for: somebody sits there, and SDKs give a credential_process a
/// minute.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a store is waited for that is being opened: a daemon that has just started takes
/// milliseconds for that, and commands are given an answer within ten seconds.
const OPENING: Duration = Duration::from_secs(5);

/// How long a question for the next audit event is held.
const AUDIT_WAIT: Duration = Duration::from_secs(20);

/// How many such questions of one caller are held at once: each takes one of its seats.
const AUDIT_WAITS: usize = 8;

/// Answers the admin socket.
#[derive(Debug)]
pub struct Admin {
    vending: Arc<Vending>,
    tokens: AuthorizationTokens,
    store: Store,
    authority: Arc<Authority>,
    rules: Arc<config::Authority>,
    clock: Clock,
    control: Box<dyn Control>,
    guard: Guard,
    answers: Answers,
    counters: RequestCounters,
    metrics: Arc<Metrics>,
    own_uid: u32,
    audit_waits: PerCaller<Semaphore>,
}

/// What is known of keys and sessions that sign.
#[derive(Debug)]
pub struct Signing {
    /// What is made through APIs.
    pub store: Store,
    /// Opens the sessions that it issued.
    pub authority: Arc<Authority>,
    /// How signatures count.
    pub rules: Arc<config::Authority>,
}

impl Admin {
    /// The admin API of a daemon.
    pub fn new(
        vending: Arc<Vending>,
        tokens: AuthorizationTokens,
        signing: Signing,
        clock: Clock,
        control: Box<dyn Control>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            vending,
            tokens,
            store: signing.store,
            authority: signing.authority,
            rules: signing.rules,
            clock,
            control,
            guard: Guard::default(),
            answers: Answers::new(),
            counters: metrics.requests(API, LABELS),
            metrics,
            own_uid: Uid::effective().as_raw(),
            audit_waits: PerCaller::default(),
        }
    }

    /// Commands may come before the store is open. What fails then is asked again when it is known to
    /// be open, or why it is not; what needs nothing of it waits for nothing.
    async fn answer_settled(
        &self,
        guest: &Guest,
        route: Route,
        body: &[u8],
    ) -> Result<Response, Failure> {
        if self.store.is_settled() {
            return self.answer(guest, route, body).await;
        }
        let begun = Instant::now();
        let early = self.answer(guest, route.clone(), body).await;
        let left = OPENING.saturating_sub(begun.elapsed());
        let may_pass = early.as_ref().is_err_and(Failure::may_pass);
        if !may_pass || left.is_zero() || timeout(left, self.store.settled()).await.is_err() {
            return early;
        }
        self.answer(guest, route, body).await
    }

    async fn answer(&self, guest: &Guest, route: Route, body: &[u8]) -> Result<Response, Failure> {
        let viewer = self.viewer(guest).await;
        match route {
            Route::Health => {
                let ready = self.control.is_ready();
                Ok(self.answers.value(&wire::Health { ready }))
            }
            Route::Status => Ok(self.answers.value(&self.status(&viewer))),
            Route::Credentials(role) => {
                let handout = self.ask(guest, &viewer, role).await?;
                Ok(self.answers.value(&credentials(&handout)))
            }
            Route::Token(role) => {
                let token = self.token(guest, &viewer, role).await?;
                Ok(self.answers.value(&token))
            }
            Route::Console(role) => {
                let console = self.console(guest, &viewer, role).await?;
                Ok(self.answers.value(&console))
            }
            Route::Registry(server, role) => {
                let login = self.registry(guest, &viewer, &server, role).await?;
                Ok(self.answers.value(&login))
            }
            Route::Refresh => {
                only_administrators(&viewer, "refresh roles")?;
                Ok(self.answers.value(&self.refresh(&parse(body)?).await?))
            }
            Route::Forget => {
                only_administrators(&viewer, "drop sessions")?;
                let asked: wire::Forget = parse(body)?;
                let forgotten = self.vending.sessions().forget(&role(&asked.role)?).await;
                let sessions = forgotten.map_err(|error| {
                    let message = "its sessions are dropped, but may come back with the next start";
                    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message)
                        .reason(Some(error.to_string()))
                })?;
                Ok(self.answers.value(&wire::Forgotten { sessions }))
            }
            Route::Reload => {
                only_administrators(&viewer, "reload the configuration")?;
                let reloaded = self.control.reload().await;
                let changes = reloaded.map_err(|errors| {
                    let message =
                        "the configuration was refused; the daemon goes on with the old one";
                    Failure::new(StatusCode::UNPROCESSABLE_ENTITY, message).reason(Some(errors))
                })?;
                Ok(self.answers.value(&wire::Reloaded { changes }))
            }
            Route::Explain(question) => {
                let told = self.explain(guest, &viewer, &question).await?;
                Ok(self.answers.value(&told))
            }
            Route::Stored(what) => self.stored(&viewer, what, body).await,
            Route::Verify(asked) => {
                only_administrators(&viewer, "have signatures explained")?;
                Ok(self.answers.value(&self.verify(asked, body)?))
            }
            Route::Audit { after, wait } => {
                if wait {
                    self.await_event(guest, after).await?;
                }
                Ok(self.audit(&viewer, after))
            }
        }
    }

    async fn stored(
        &self,
        viewer: &Viewer,
        what: Stored,
        body: &[u8],
    ) -> Result<Response, Failure> {
        only_administrators(viewer, "see, make or delete keys")?;
        Ok(match what {
            Stored::Tokens => self.answers.value(&self.bearer_tokens()?),
            Stored::MakeToken => self.answers.value(&self.make_token(&parse(body)?).await?),
            Stored::Keys => self.answers.value(&self.access_keys()?),
            Stored::MakeKey => self.answers.value(&self.make_key(&parse(body)?).await?),
            Stored::Delete => self.answers.value(&self.delete_key(&parse(body)?).await?),
            Stored::Devices => self.answers.value(&self.devices()?),
            Stored::Enrol => self.answers.value(&self.enrol(&parse(body)?).await?),
            Stored::Remove => self
                .answers
                .value(&self.remove_device(&parse(body)?).await?),
        })
    }

    /// Administrators are only known on the host itself: uid 0 of a container is somebody else.
    async fn viewer(&self, guest: &Guest) -> Viewer {
        let caller = guest.visit.caller();
        self.vending.identify(caller).await;
        let facts = caller.facts();
        let here = matches!(facts.place.yes().map(AsRef::as_ref), Some(Place::Host(_)));
        match facts.uid {
            Known::Yes(uid) if here && (uid == 0 || uid == self.own_uid) => Viewer::Administrator,
            Known::Yes(uid) if here => Viewer::User(Own::Uid(uid)),
            Known::Yes(_) => Viewer::User(Own::Name(Party::name(caller.name()))),
            Known::No | Known::NotYet => Viewer::User(Own::Nothing),
        }
    }

    fn status(&self, viewer: &Viewer) -> wire::Status {
        let audit = self.vending.audit();
        let handed_out = audit.handed_out(|party| viewer.sees(party));
        let roles = handed_out.iter().map(|line| RoleRef::parse(&line.role));
        let roles: BTreeSet<RoleRef> = roles.filter_map(Result::ok).collect();
        let reports = self.vending.sessions().report_of(|role| match viewer {
            Viewer::Administrator => true,
            Viewer::User(_) => roles.contains(role),
        });
        wire::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uid: self.own_uid,
            uptime_seconds: self.control.uptime().as_secs(),
            ready: self.control.is_ready(),
            configuration: self.control.configuration(),
            confinement: match viewer {
                Viewer::Administrator => self.control.confinement(),
                Viewer::User(_) => None,
            },
            clock_skew_seconds: self.metrics.clock_skew.get(),
            listeners: self.control.sockets(),
            upstreams: match viewer {
                Viewer::Administrator => view::upstreams(&reports),
                Viewer::User(_) => Vec::new(),
            },
            sessions: view::sessions(viewer, reports, &handed_out),
            callers: view::callers(&handed_out),
        }
    }

    async fn ask(
        &self,
        guest: &Guest,
        viewer: &Viewer,
        role: Option<RoleRef>,
    ) -> Result<Handout, Failure> {
        let want = want(role, PATIENCE);
        let asked = self.vending.ask(&guest.visit, &want).await;
        asked.map_err(|refusal| self.refused(guest.visit.caller(), viewer, &want, refusal))
    }

    /// What upstream said is told to administrators, of a role that is granted.
    fn refused(&self, caller: &Caller, viewer: &Viewer, want: &Want, refusal: Refusal) -> Failure {
        let role = match &want.role {
            Wanted::Chosen(role) => Some(role),
            Wanted::First | Wanted::ChosenName(_) | Wanted::NoSuch(_) => None,
        };
        let reports = match (viewer, refusal.is_upstreams()) {
            (Viewer::Administrator, true) => self.vending.sessions().report(),
            (Viewer::Administrator, false) | (Viewer::User(_), _) => Vec::new(),
        };
        let failure = reports
            .iter()
            .filter(|report| role.is_some_and(|role| report.role == *role))
            .find_map(|report| report.failure.as_ref());
        let reason = failure.map(|failure| failure.error.message.to_string());
        let name = role.map_or_else(|| "your role".to_owned(), ToString::to_string);
        Failure::refused(refusal, caller.name(), &name).reason(reason)
    }

    async fn refresh(&self, asked: &wire::Refresh) -> Result<wire::Refreshed, Failure> {
        let selector = match &asked.role {
            Some(text) => Selector::Role(role(text)?),
            None => Selector::All,
        };
        let fetches = self.vending.sessions().refresh(&selector).await;
        let fetches = fetches.into_iter().map(|(role, result)| wire::Fetch {
            role: role.to_string(),
            failure: result.err().map(|error| wire::Failure {
                kind: error.kind.as_str().to_owned(),
                message: Some(error.message.to_string()),
                seconds_ago: 0,
            }),
        });
        Ok(wire::Refreshed {
            fetches: fetches.collect(),
        })
    }

    /// Waits for an event after this one.
    async fn await_event(&self, guest: &Guest, after: u64) -> Result<(), Failure> {
        let caller = guest.visit.caller().key();
        let waits = self.audit_waits.of(caller, || Semaphore::new(AUDIT_WAITS));
        let Ok(_place) = waits.try_acquire() else {
            let message = "as many programs follow the audit trail for you as may at once";
            let failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, message);
            return Err(failure.remedy("end one of them"));
        };
        let mut newest = self.vending.audit().watch();
        // Whether an event came or not, what is there is the answer.
        drop(timeout(AUDIT_WAIT, newest.wait_for(|newest| *newest > after)).await);
        Ok(())
    }

    fn audit(&self, viewer: &Viewer, after: u64) -> Response {
        let audit = self.vending.audit();
        let events = audit.events_after(after);
        let next = events.last().map_or(after, |event| event.sequence);
        let seen = events.iter().filter(|event| viewer.sees(event.party()));
        self.answers.lines(seen.map(|event| &**event), next)
    }
}

impl Handler for Admin {
    type Visit = Guest;

    fn visit(&self, connection: Connection) -> Guest {
        Guest::new(connection, Select::First, &self.metrics)
    }

    fn handle<'a>(&'a self, guest: &'a Guest, request: &'a Request) -> Answer<'a> {
        Answer::later(self.reply(guest, request))
    }
}

impl Admin {
    async fn reply(&self, guest: &Guest, request: &Request) -> Response {
        let guarded = self.guard.check(&guest.connection, request, None);
        let route = Route::parse(request.method(), request.uri());
        let label = route.as_ref().map_or(NO_ROUTE, Route::label);
        let answered = match (guarded, route) {
            (Err(_), _) => Err(Failure::new(StatusCode::FORBIDDEN, "refused")),
            (Ok(()), Err(no_route)) => Err(Failure::from(no_route)),
            (Ok(()), Ok(route)) => self.answer_settled(guest, route, request.body()).await,
        };
        let response = answered.unwrap_or_else(|failure| self.answers.failure(&failure));
        self.counters.count(label, response.status().as_u16());
        response
    }
}

impl From<NoRoute> for Failure {
    fn from(no_route: NoRoute) -> Self {
        match no_route {
            NoRoute::NotFound => Self::new(StatusCode::NOT_FOUND, "there is no such question"),
            NoRoute::Method(allow) => Self::Method(allow),
            NoRoute::Query(wrong) => Self::new(StatusCode::BAD_REQUEST, wrong),
        }
    }
}

fn only_administrators(viewer: &Viewer, what: &str) -> Result<(), Failure> {
    match viewer {
        Viewer::Administrator => Ok(()),
        Viewer::User(_) => {
            let message = format!("only the daemon's user and root may {what}");
            let remedy = "run the command with sudo, on the host itself";
            Err(Failure::new(StatusCode::FORBIDDEN, message).remedy(remedy))
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let message = "the question is not understood";
        Failure::new(StatusCode::BAD_REQUEST, message).reason(Some(error.to_string()))
    })
}

fn role(text: &str) -> Result<RoleRef, Failure> {
    RoleRef::parse(text).map_err(|error| Failure::new(StatusCode::BAD_REQUEST, error.to_string()))
}

/// A unix socket's peer chose to ask.
fn want(role: Option<RoleRef>, patience: Duration) -> Want {
    Want {
        role: role.map_or(Wanted::First, Wanted::Chosen),
        proof: Proof::Shown,
        identity: None,
        assumption: None,
        patience,
        api: API,
    }
}

fn credentials(handout: &Handout) -> wire::Credentials {
    let (session, account) = (&handout.session, handout.account());
    let keys = &session.credentials;
    let secret = |secret: &SecretString| {
        wire::Secret::new(SecretString::from(secret.expose_secret().to_owned()))
    };
    wire::Credentials {
        version: 1,
        access_key_id: keys.access_key_id.to_string(),
        secret_access_key: secret(&keys.secret_access_key),
        session_token: secret(&keys.session_token),
        expiration: date(session.expires_at),
        account_id: account.id.as_ref().map(ToString::to_string),
        role: handout.role().to_string(),
        region: account.region.as_ref().map(ToString::to_string),
    }
}
