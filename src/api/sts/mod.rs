//! AWS STS, for callers who sign with keys of the daemon's own.
//!
//! Source: the API reference of AWS STS, version 2011-06-15, and STS as Ceph's gateway documents it.

mod answer;
mod ask;
mod assume;
mod check;
mod fault;
#[cfg(fuzzing)]
pub mod fuzzing;
mod own;
mod packed;
mod parameters;
mod signer;
mod table;
mod web;

use super::{Deps, Prover};
use crate::http::{Method, Query, Refused, Request, Response, not_allowed};
use crate::people::NoCode;
use crate::telemetry::metrics::RequestCounters;
use answer::{Answer, Answers};
use ask::{
    Action, AssumeRole, AssumeRoleWithWebIdentity, GetFederationToken, GetSessionToken,
    SecondFactor,
};
use fault::Fault;
use parameters::Parameters;
use signer::Signer;
pub use table::{Failure, Operation, Parameter, of_none, operations};

/// The protocol's name, in audit and metrics.
const API: &str = "sts";

/// What requests are counted by: the operations, and what names none.
const LABELS: &[&str] = &[
    "AssumeRole",
    "AssumeRoleWithWebIdentity",
    "GetCallerIdentity",
    "GetFederationToken",
    "GetSessionToken",
    "other",
];
const NONE: usize = 5;

/// STS on one mount.
#[derive(Debug)]
pub struct Sts {
    counters: RequestCounters,
    answers: Answers,
}

/// Whether this request is for STS: everything that is posted to the root of a mount, and what names
/// an action in its query.
pub(super) fn owns(below: &str, request: &Request) -> bool {
    let at_root = matches!(below, "" | "/");
    let names_action = || {
        Query::parse(request.uri().query())
            .first("Action")
            .is_some()
    };
    at_root && (request.method() == Method::POST || names_action())
}

impl Sts {
    /// Serves STS.
    pub fn new(deps: &Deps) -> Self {
        Self {
            counters: deps.metrics.requests(API, LABELS),
            answers: Answers::default(),
        }
    }

    /// A request that was not read.
    pub(super) fn refuse_long(&self) -> Response {
        let response = self.answers.fail(&Fault::TooLarge);
        self.counters.count(NONE, response.status().as_u16());
        response
    }

    /// Answers one request.
    pub async fn answer(
        &self,
        prover: Prover<'_>,
        guarded: Result<(), Refused>,
        request: &Request,
    ) -> Response {
        let (label, response) = if guarded.is_err() {
            (NONE, self.answers.fail(&Fault::DENIED))
        } else if matches!(*request.method(), Method::GET | Method::HEAD | Method::POST) {
            self.serve(&prover, request).await
        } else {
            (NONE, not_allowed("GET, HEAD, POST"))
        };
        self.counters.count(label, response.status().as_u16());
        response
    }

    async fn serve(&self, prover: &Prover<'_>, request: &Request) -> (usize, Response) {
        let read = Parameters::read(request);
        let read = read.and_then(|parameters| Ok((Action::named(&parameters)?, parameters)));
        let (action, parameters) = match read {
            Ok(read) => read,
            Err(fault) => return (NONE, self.answers.fail(&fault)),
        };
        let response = match perform(prover, request, action, &parameters).await {
            Ok(answer) => self.answers.of(action, &answer),
            Err(fault) => self.answers.fail(&fault),
        };
        let label = LABELS.iter().position(|label| *label == action.as_str());
        (label.unwrap_or(NONE), response)
    }
}

/// Who asks is proved before anything is said of what is asked.
async fn perform(
    prover: &Prover<'_>,
    request: &Request,
    action: Action,
    parameters: &Parameters<'_>,
) -> Result<Answer, Fault> {
    if action == Action::AssumeRoleWithWebIdentity {
        let asked = AssumeRoleWithWebIdentity::read(parameters)?;
        // In a box, as all that is seldom asked: other requests need not carry the room that it takes.
        return Box::pin(web::assume(prover, request, asked)).await;
    }
    let signer = Signer::of(prover, request)?;
    match action {
        Action::AssumeRole => {
            let asked = AssumeRole::read(parameters)?;
            let mfa = second_factor(prover, &signer, asked.second_factor.as_ref()).await?;
            assume::assume(prover, &signer, asked, mfa).await
        }
        Action::GetSessionToken => {
            let asked = GetSessionToken::read(parameters)?;
            let mfa = second_factor(prover, &signer, asked.second_factor.as_ref()).await?;
            Box::pin(own::session_token(prover, &signer, &asked, mfa)).await
        }
        Action::GetFederationToken => {
            let asked = GetFederationToken::read(parameters)?;
            Box::pin(own::federation_token(prover, &signer, asked)).await
        }
        Action::GetCallerIdentity | Action::AssumeRoleWithWebIdentity => {
            let policy = prover.deps.vending.policy();
            Ok(Answer::Identity(signer.identity(&policy)))
        }
    }
}

/// Whether a second factor was shown, now or when the caller's session was made.
async fn second_factor(
    prover: &Prover<'_>,
    signer: &Signer,
    shown: Option<&SecondFactor>,
) -> Result<bool, Fault> {
    let Some(SecondFactor { serial, code }) = shown else {
        return Ok(signer.showed_mfa());
    };
    let user = signer.holder().ok_or(Fault::NO_DEVICE)?;
    let counts = prover.deps.codes.use_one(user, serial, code).await;
    counts.map_err(|error| {
        // Few codes are looked at before a device is locked: what is not can be any number.
        if matches!(error, NoCode::Wrong | NoCode::Used) {
            tracing::info!(%user, %serial, %error, "a code of an MFA device was refused");
        } else {
            tracing::debug!(%user, %serial, %error, "a code of an MFA device was not looked at");
        }
        match error {
            NoCode::NoDevice => Fault::NO_DEVICE,
            NoCode::Wrong | NoCode::Used | NoCode::Locked(_) => Fault::WRONG_CODE,
            NoCode::Unavailable(_) => Fault::ServiceUnavailable,
        }
    })?;
    Ok(true)
}
