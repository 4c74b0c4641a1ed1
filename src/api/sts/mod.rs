//! AWS STS, for callers who sign with keys of the daemon's own.
//!
//! Source: the API reference of AWS STS, version 2011-06-15, and STS as Ceph's gateway documents it.

mod answer;

use super::{Deps, Prover};
use crate::http::{Method, Query, Refused, Request, Response};
use answer::{Fault, fail};

/// STS on one mount.
#[derive(Debug)]
pub struct Sts {}

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
    pub fn new(_deps: &Deps) -> Self {
        Self {}
    }

    /// Answers one request.
    pub fn answer(
        &self,
        _prover: Prover<'_>,
        guarded: Result<(), Refused>,
        request: &Request,
    ) -> Response {
        if guarded.is_err() {
            return fail(Fault::AccessDenied);
        }
        let query = Query::parse(request.uri().query());
        match query.first("Action") {
            None => fail(Fault::MissingAction),
            Some(_) => fail(Fault::InvalidAction),
        }
    }
}
