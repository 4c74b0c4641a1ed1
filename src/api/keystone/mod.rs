//! OpenStack Keystone's Identity API, as far as EC2 credentials need it: keys, signatures that
//! services have verified, and the tokens that go with them.
//!
//! Source: Identity API v2.0, extension OS-KSEC2, and v3's OS-EC2; where the documents and real
//! servers differ, as docs/api-coverage.md says.

mod answer;
mod application;
mod bearer;
mod body;
mod credentials;
mod discovery;
#[cfg(fuzzing)]
pub mod fuzzing;
mod listing;
mod login;
mod names;
mod route;
mod signed;
mod subject;
mod token;

use answer::{Fault, Reply};
use bearer::Shown;
use body::Body;
use discovery::Catalogs;
use names::Names;
use route::{LABELS, NO_ROUTE, NoRoute, Route};
pub use route::{Needs, Row, Version, What, rows};
use subject::Subjects;

use super::public_url::PublicUrl;
use super::{Deps, Prover};
use crate::config::{self, Mount};
use crate::http::{Method, Refused, Request, Response, Segments, StatusCode};
use crate::telemetry::metrics::RequestCounters;

/// The protocol's name, in audit and metrics.
const API: &str = "keystone";

/// The id of the one domain.
const DOMAIN: &str = "default";
/// Its name.
const DOMAIN_NAME: &str = "Default";

/// Keystone on one mount.
#[derive(Debug)]
pub struct Keystone {
    url: PublicUrl,
    subjects: Subjects,
    names: Names,
    catalogs: Catalogs,
    counters: RequestCounters,
}

/// One request.
struct Call<'a> {
    keystone: &'a Keystone,
    prover: Prover<'a>,
    route: Route<'a>,
    request: &'a Request,
    shown: Shown,
}

/// Whether this path below a mount is this protocol's.
pub(super) fn owns(below: &str) -> bool {
    let version = below.strip_prefix('/').unwrap_or(below);
    let version = version.split('/').next().unwrap_or_default();
    matches!(version, "" | "v2.0" | "v3")
}

impl Keystone {
    /// As Keystone itself has it where nobody says otherwise.
    pub(super) const LONGEST_BODY: usize = 114_688;

    /// Serves what this mount's configuration says.
    pub fn new(rules: &Mount, listener: &config::Listener, deps: &Deps) -> Self {
        Self {
            url: PublicUrl::new(rules, listener),
            subjects: Subjects::default(),
            names: Names::default(),
            catalogs: Catalogs::default(),
            counters: deps.metrics.requests(API, LABELS),
        }
    }

    /// Answers one request for this path below the mount.
    pub async fn answer(
        &self,
        prover: Prover<'_>,
        guarded: Result<(), Refused>,
        below: &str,
        request: &Request,
    ) -> Response {
        let segments = Segments::parse(below);
        let route = match &segments {
            Ok(segments) => Route::parse(request.method().as_str(), segments),
            Err(_hostile) => Err(NoRoute::NotFound),
        };
        let route = match guarded {
            Ok(()) => route.map_err(Fault::from),
            Err(refused) => Err(Fault::from(refused)),
        };
        let label = route
            .as_ref()
            .map_or(NO_ROUTE, |route| route.row.what.label());
        let served = match route {
            Ok(route) => self.serve(prover, route, request).await,
            Err(fault) => Err(fault),
        };
        let response = match served {
            Ok(reply) => reply.into_response(),
            Err(fault) => fault.into_response(|| self.url(prover)),
        };
        self.counters.count(label, response.status().as_u16());
        response
    }

    /// A request that was not read.
    pub(super) fn refuse_long(&self) -> Response {
        let fault = Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "Request is too large.");
        let response = fault.into_response(String::new);
        self.counters.count(NO_ROUTE, response.status().as_u16());
        response
    }

    async fn serve(
        &self,
        prover: Prover<'_>,
        route: Route<'_>,
        request: &Request,
    ) -> Result<Reply, Fault> {
        let what = route.row.what;
        let body = if request.method() == Method::POST {
            Body::of(request, what)?
        } else {
            Body::default()
        };
        // Who logs in may still show a token that has ended.
        let looked_at = route.row.needs != Needs::Nothing || signed::is_in_auth(&route, &body);
        let shown = if looked_at {
            self.shown(prover, request).await?
        } else {
            Shown::Nothing
        };
        let without_token = matches!(shown, Shown::Nothing)
            && what == What::Ec2Tokens
            && prover.deps.rules.ec2tokens_without_token;
        if !without_token {
            shown.check(route.row.needs, what)?;
        }
        let call = Call {
            keystone: self,
            prover,
            route,
            request,
            shown,
        };
        call.answer(body).await
    }

    /// Where clients find this mount.
    fn url(&self, prover: Prover<'_>) -> String {
        self.url.of(prover.guest.connection.local)
    }
}

impl Call<'_> {
    async fn answer(&self, body: Body) -> Result<Reply, Fault> {
        match self.route.row.what {
            What::Versions => Ok(self.versions()),
            What::Version => Ok(self.version()),
            What::Extensions => Ok(Self::extensions()),
            What::Extension => self.extension(),
            What::Login => self.login(&body).await,
            What::Validate => self.validate().await,
            What::Revoke => self.revoke().await,
            What::Ec2Tokens => self.ec2_tokens(body).await,
            What::S3Tokens => self.s3_tokens(body).await,
            What::MakeKey => self.make_key(&body).await,
            What::Keys => self.keys().await,
            What::ShowKey => self.show_key().await,
            What::DeleteKey => self.delete_key().await,
            What::ApplicationCredentials => self.application_credentials().await,
            What::ApplicationCredential => self.application_credential().await,
            What::Users => self.users().await,
            What::User => self.user().await,
            What::Projects => self.projects(),
            What::Project => self.project(),
            What::OwnProjects => self.own_projects(),
            What::UserProjects => self.user_projects().await,
            What::UserRoles => self.user_roles().await,
            What::Roles => self.roles(),
            What::Role => self.role(),
            What::RoleAssignments => self.role_assignments().await,
            What::Domains => Ok(self.domains()),
            What::Domain => self.domain(),
            What::OwnDomains => Ok(self.own_domains()),
            What::Catalog => Ok(self.own_catalog()),
            What::Services => Ok(self.services()),
            What::Service => self.service(),
            What::Endpoints => Ok(self.endpoints()),
            What::Regions => Ok(self.regions()),
        }
    }

    /// Where clients find this mount.
    fn url(&self) -> String {
        self.keystone.url(self.prover)
    }
}
