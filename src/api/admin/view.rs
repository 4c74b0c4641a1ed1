//! What status shows, and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::wire;
use crate::api::date;
use crate::sessions::{LastFailure, Report};
use crate::telemetry::audit::{HandedOut, Party};

/// Who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Viewer {
    /// The daemon's own user or root, on this host: sees and may do everything.
    Administrator,
    /// Anybody else sees its own.
    User(Own),
}

/// What is a viewer's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// All of this user: what its programs got outside containers, and in containers of its own.
    Uid(u32),
    /// What the caller of this name got: a container sees nothing of the user outside that has the
    /// same number.
    Name(Arc<str>),
    /// Nothing, as it is not known who looks.
    Nothing,
}

impl Viewer {
    pub(super) fn sees(&self, party: &Party) -> bool {
        match self {
            Self::Administrator => true,
            Self::User(Own::Uid(uid)) => party.owner == Some(*uid),
            Self::User(Own::Name(name)) => *name == party.name,
            Self::User(Own::Nothing) => false,
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
            .entry(&line.party.name)
            .or_insert_with(|| (&line.party.evidence, BTreeSet::new()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::audit::Share;

    fn party(name: &str, uid: u32, owner: Option<u32>) -> Party {
        Party {
            name: Arc::from(name),
            evidence: Arc::from("for tests"),
            uid: Some(uid),
            owner,
            share: Share::of(&name),
        }
    }

    #[test]
    fn users_see_their_own_whatever_it_is_called_and_containers_only_themselves() {
        let shell = party("uid 1000", 1000, Some(1000));
        let unit = party("unit web.service uid 1000", 1000, Some(1000));
        let rootless = party("container aa of uid 1000 uid 100999", 100_999, Some(1000));
        let contained = party("container bb uid 1000", 1000, None);
        let other = party("uid 1001", 1001, Some(1001));
        let all = [&shell, &unit, &rootless, &contained, &other];
        let seen = |viewer: &Viewer| all.map(|party| viewer.sees(party));
        let user = Viewer::User(Own::Uid(1000));
        assert_eq!(seen(&user), [true, true, true, false, false]);
        let inside = Viewer::User(Own::Name(Arc::clone(&contained.name)));
        assert_eq!(seen(&inside), [false, false, false, true, false]);
        assert_eq!(seen(&Viewer::User(Own::Nothing)), [false; 5]);
        assert_eq!(seen(&Viewer::Administrator), [true; 5]);
    }
}
