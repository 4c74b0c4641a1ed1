//! Identity Federation's REST API: connectors, what they give, and the accounts behind them.
//!
//! Source: the REST API document of Identity Federation for AWS, version 2, and the vendor's
//! published scripts.
//!
//! Where to begin: a row of `route` says what a request is for. `give` answers for connectors, and
//! `manage` for administrators, who send what `draft` reads; `shown` is how objects look, `reply`
//! and `problem` write the answers.

mod draft;
#[cfg(fuzzing)]
pub mod fuzzing;
mod give;
mod manage;
mod problem;
mod reply;
mod route;
mod shown;

use std::sync::Arc;

use problem::Problem;
use reply::{Login, Reply, Stamps, Who};
pub use route::{COMMON, ROWS, Row, VERSIONS, What};
use route::{LABELS, NO_ROUTE, NoRoute, Route};

use super::peoples::Asker;
use super::public_url::PublicUrl;
use super::{Deps, Guest};
use crate::config::{self, Mount};
use crate::grants::Wanted;
use crate::http::{MAX_BODY, Query, Refused, Request, Response, Segments, StatusCode};
use crate::people::Unproven;
use crate::telemetry::metrics::RequestCounters;
use crate::vending::{Proof, Refusal, Visit, Want};

/// The protocol's name, in audit and metrics.
const API: &str = "connectors";

/// Where the API lies below its mount.
const REST: &str = "/rest/identity-federation-for-aws/";

/// Where the console servlet lies.
const SERVLET: &str = "/plugins/servlet/identity-federation-for-aws/";

/// Where it signs browsers in.
const SIGNIN: &str = "/plugins/servlet/identity-federation-for-aws/aws-console-login/";

/// What answers, and that it does.
const STATUS: &str = concat!(
    r#"{"name":"rolecall","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","status":"OK"}"#
);

/// The connectors API on one mount.
#[derive(Debug)]
pub struct Connectors {
    rules: Mount,
    url: PublicUrl,
    stamps: Arc<Stamps>,
    counters: RequestCounters,
}

/// One request of somebody who proved a name.
struct Call<'a> {
    mount: &'a Connectors,
    deps: &'a Deps,
    guest: &'a Guest,
    asker: &'a Asker,
    route: Route<'a>,
    /// The path below the mount.
    below: &'a str,
    request: &'a Request,
}

/// Whether this path below a mount is this protocol's.
pub(super) fn owns(below: &str) -> bool {
    below.starts_with(REST) || below.starts_with(SERVLET)
}

/// Whether this path is the console servlet's, which links lead to.
pub(super) fn is_servlet(below: &str) -> bool {
    below.starts_with(SERVLET)
}

impl Connectors {
    /// Serves what this mount's configuration says.
    pub fn new(rules: &Mount, listener: &config::Listener, deps: &Deps) -> Self {
        Self {
            rules: rules.clone(),
            url: PublicUrl::new(rules, listener),
            stamps: Arc::default(),
            counters: deps.metrics.requests(API, LABELS),
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
        let stamp = self.stamps.stamp(&deps.clock);
        let segments = Segments::parse(below);
        let route = match &segments {
            Ok(segments) => Route::parse(request.method().as_str(), segments),
            Err(_hostile) => Err(NoRoute::NotFound),
        };
        let label = route
            .as_ref()
            .map_or(NO_ROUTE, |route| route.row.what.label());
        let served = match (&asker, route) {
            (Err(unproven), _) => Err(Problem::from(unproven)),
            (Ok(_), Err(missing)) => Err(Problem::from(missing)),
            (Ok(asker), Ok(route)) => {
                let call = Call {
                    mount: self,
                    deps,
                    guest,
                    asker,
                    route,
                    below,
                    request,
                };
                call.serve().await
            }
        };
        let (reply, login) = match served {
            Ok(reply) => (reply, Login::Ok),
            Err(problem) => {
                let login = problem.login();
                (problem.into_reply(), login)
            }
        };
        let who = match &asker {
            Ok(asker) => Some(Who {
                name: &asker.name,
                session: asker.session.as_deref(),
            }),
            Err(unproven) => unproven.name().map(|name| Who {
                name,
                session: None,
            }),
        };
        let response = stamp.answer(reply, who, login);
        self.counters.count(label, response.status().as_u16());
        response
    }

    /// What the guard refuses.
    pub(super) fn refuse(&self, deps: &Deps, refused: Refused) -> Response {
        self.fail(deps, Problem::from(refused))
    }

    /// A request that was not read.
    pub(super) fn refuse_long(&self, deps: &Deps) -> Response {
        let message = format!("send at most {MAX_BODY} bytes");
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, message);
        self.fail(deps, problem)
    }

    fn fail(&self, deps: &Deps, problem: Problem) -> Response {
        let login = problem.login();
        let stamp = self.stamps.stamp(&deps.clock);
        let response = stamp.answer(problem.into_reply(), None, login);
        self.counters.count(NO_ROUTE, response.status().as_u16());
        response
    }
}

impl Call<'_> {
    async fn serve(&self) -> Result<Reply, Problem> {
        let (route, asker) = (&self.route, self.asker);
        if route.row.administrators && !asker.administrator {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "only administrators may do this",
            ));
        }
        match route.row.what {
            What::List => shown::list(self).await,
            What::Make => manage::make_connector(self).await,
            What::Show => shown::show(self).await,
            What::Replace => manage::replace_connector(self).await,
            What::Delete => manage::delete_connector(self).await,
            What::Identity => give::identity(self).await,
            What::Credentials => give::credentials(self).await,
            What::ConsoleUrl => give::console_url(self).await,
            What::Registry => give::registry(self).await,
            What::Signin => give::signin(self).await,
            What::Accounts => manage::accounts(self),
            What::MakeAccount => manage::make_account(self).await,
            What::ShowAccount => manage::account(self),
            What::ReplaceAccount => manage::replace_account(self).await,
            What::DeleteAccount => manage::delete_account(self).await,
            What::Status => Ok(Reply::text(STATUS.into())),
        }
    }

    /// What vending knows of who asks.
    fn visit(&self) -> &Visit {
        self.asker.visit(self.guest)
    }

    fn query(&self) -> Query<'_> {
        Query::parse(self.request.uri().query())
    }

    fn want(&self, role: Wanted) -> Want {
        Want {
            role,
            proof: if self.asker.administrator {
                Proof::Administrator
            } else {
                Proof::Shown
            },
            identity: None,
            assumption: None,
            patience: self.deps.patience.of_people(),
            api: API,
        }
    }

    /// Vending refused this.
    fn refused(&self, refusal: Refusal, wanted: Wanted) -> Problem {
        let vending = &self.deps.vending;
        Problem::of(refusal, || vending.delay(self.visit(), &self.want(wanted)))
    }

    /// Where people's clients find this mount.
    fn base_url(&self) -> String {
        self.mount.url.of(self.guest.connection.local)
    }
}
