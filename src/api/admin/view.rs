//! What status shows, and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::wire;
use crate::api::date;
use crate::sessions::{LastFailure, Report};
use crate::telemetry::audit::HandedOut;

/// Who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Viewer {
    /// The daemon's own user or root, on this host: sees and may do everything.
    Administrator,
    /// Anybody else, by its name in the audit trail: sees itself.
    User(Arc<str>),
}

impl Viewer {
    pub(super) fn sees(&self, caller: &str) -> bool {
        match self {
            Self::Administrator => true,
            Self::User(name) => **name == *caller,
        }
    }
}

/// Sessions that this viewer may see: a user's are those it was handed. `handed_out` is what the
/// viewer may see of that.
pub(super) fn sessions(
    viewer: &Viewer,
    reports: Vec<Report>,
    handed_out: &[HandedOut],
) -> Vec<wire::Session> {
    let own: BTreeSet<&str> = handed_out
        .iter()
        .map(|line| line.access_key_id.as_str())
        .collect();
    let seen = reports.into_iter().filter(|report| match viewer {
        Viewer::Administrator => true,
        Viewer::User(_) => {
            let held = report.held.as_ref();
            held.is_some_and(|held| own.contains(held.access_key_id.as_str()))
        }
    });
    seen.map(|report| session(&report, *viewer == Viewer::Administrator))
        .collect()
}

/// One session; what upstream said is for administrators only.
pub(super) fn session(report: &Report, with_messages: bool) -> wire::Session {
    let held = report.held.as_ref();
    let failure = report.failure.as_ref();
    let next = match (held, failure) {
        (_, Some(failure)) => Some(failure.again_in.as_secs()),
        (Some(held), None) => Some(held.renews_in.as_secs()),
        (None, None) => None,
    };
    wire::Session {
        role: report.role.to_string(),
        session_name: report.session_name.clone(),
        access_key_id: held.map(|held| held.access_key_id.to_string()),
        expires: held.map(|held| date(held.expires_at)),
        remaining_seconds: held.map(|held| held.remaining.as_secs()),
        next_fetch_seconds: next,
        fetching: report.in_flight,
        failure: failure.map(|failure| told(failure, with_messages)),
    }
}

fn told(failure: &LastFailure, with_message: bool) -> wire::Failure {
    wire::Failure {
        kind: failure.error.kind.as_str().to_owned(),
        message: with_message.then(|| failure.error.message.to_string()),
        seconds_ago: failure.age.as_secs(),
    }
}

/// Upstreams that were called, each once.
pub(super) fn upstreams(reports: &[Report]) -> Vec<wire::Upstream> {
    let paced = reports
        .iter()
        .filter_map(|report| Some((report.upstream.as_str(), report.pace?)));
    let by_name: BTreeMap<&str, _> = paced.collect();
    by_name
        .into_iter()
        .map(|(name, pace)| wire::Upstream {
            name: name.to_owned(),
            per_second: pace.per_second,
            throttled: pace.slowed,
        })
        .collect()
}

/// Callers with the roles they were handed.
pub(super) fn callers(handed_out: &[HandedOut]) -> Vec<wire::Caller> {
    let mut by_name: BTreeMap<&str, (&str, BTreeSet<&str>)> = BTreeMap::new();
    for line in handed_out {
        let (_, roles) = by_name
            .entry(&line.caller)
            .or_insert_with(|| (&line.evidence, BTreeSet::new()));
        roles.insert(&line.role);
    }
    by_name
        .into_iter()
        .map(|(caller, (evidence, roles))| wire::Caller {
            caller: caller.to_owned(),
            evidence: evidence.to_owned(),
            roles: roles.into_iter().map(str::to_owned).collect(),
        })
        .collect()
}
