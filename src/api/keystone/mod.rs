//! OpenStack Keystone's Identity API, as far as EC2 credentials need it: keys, signatures that
//! services have verified, and the tokens that go with them.
//!
//! Source: Identity API v2.0, extension OS-KSEC2, and v3's OS-EC2; where the documents and real
//! servers differ, as docs/api-coverage.md says.

mod answer;

use super::{Deps, Prover};
use crate::config::{self, Mount};
use crate::http::{Refused, Request, Response, StatusCode};
use answer::fail;

/// Keystone on one mount.
#[derive(Debug)]
pub struct Keystone {
    /// Where its clients find it, without a slash at the end.
    public_url: Option<String>,
}

/// Whether this path below a mount is this protocol's.
pub(super) fn owns(below: &str) -> bool {
    let version = below.strip_prefix('/').unwrap_or(below);
    let version = version.split('/').next().unwrap_or_default();
    matches!(version, "" | "v2.0" | "v3")
}

impl Keystone {
    /// Serves what this mount's configuration says.
    pub fn new(_rules: &Mount, listener: &config::Listener, _deps: &Deps) -> Self {
        Self {
            public_url: listener.public_url.clone(),
        }
    }

    /// Answers one request for this path below the mount.
    pub fn answer(
        &self,
        _prover: Prover<'_>,
        guarded: Result<(), Refused>,
        _below: &str,
        _request: &Request,
    ) -> Response {
        match guarded {
            Ok(()) => fail(
                StatusCode::NOT_FOUND,
                "The resource could not be found.",
                self.public_url.as_deref(),
            ),
            Err(_) => fail(
                StatusCode::FORBIDDEN,
                "You are not authorized to perform the requested action.",
                None,
            ),
        }
    }
}
