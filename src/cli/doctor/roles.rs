//! Whether upstream gives what the daemon asks for.

use std::collections::BTreeMap;

use super::finding::Finding;
use super::scene::Scene;
use crate::api::admin::wire::{Session, Status};

pub(super) fn look(scene: &Scene) -> Vec<Finding> {
    match &scene.status {
        Ok(status) => failing(status),
        Err(_unreachable) => vec![Finding::unseen(
            "only a running daemon knows what upstream said",
        )],
    }
}

/// A finding for each role whose last fetch failed, and for each account that asks for fewer calls.
fn failing(status: &Status) -> Vec<Finding> {
    let mut roles: BTreeMap<&str, Finding> = BTreeMap::new();
    for session in &status.sessions {
        if let Some(finding) = of_session(session) {
            roles.entry(&session.role).or_insert(finding);
        }
    }
    let throttled = status
        .upstreams
        .iter()
        .filter(|upstream| upstream.throttled);
    let slowed = throttled.map(|upstream| {
        let name = &upstream.name;
        let asked = Finding::warning(format!("upstream asks for fewer calls: {name}"));
        asked
            .means(format!("{} calls a second are made at most", upstream.per_second))
            .mend("longer sessions (`duration`), fewer of them (`session-name` without the caller), or a larger quota")
    });
    let found: Vec<Finding> = roles.into_values().chain(slowed).collect();
    if found.is_empty() {
        return vec![Finding::ok("no role's last fetch failed")];
    }
    found
}

fn of_session(session: &Session) -> Option<Finding> {
    let failure = session.failure.as_ref()?;
    let what = format!(
        "{} cannot be had: {} ({} s ago)",
        session.role,
        failure.message.as_deref().unwrap_or(&failure.kind),
        failure.seconds_ago
    );
    let found = match session.remaining_seconds {
        Some(left) => Finding::warning(what).means(format!(
            "the session that is held is served for {left} s more"
        )),
        None => Finding::fault(what).means("its callers get nothing"),
    };
    Some(found.mend(match failure.kind.as_str() {
        "denied" => {
            "the role's trust policy must allow the base credentials: `rolecall check --live`"
        }
        "throttled" => "wait: calls are spread by themselves; or ask for a larger quota",
        "unavailable" => "look at the way to upstream: name service, proxy, firewall",
        "base-credentials" => "renew the account's `credentials`, then `rolecall refresh`",
        _ => "`rolecall check --live` says what is wrong with the role or its account",
    }))
}
