//! Who asks: the connection's caller, or whom the token that it showed stands for; and how the audit
//! trail tells it.

use std::sync::Arc;

use super::visit::{Decided, Visit};
use super::{Proof, Want};
use crate::caller::CallerKey;
use crate::grants::{Known, Names, Place, Placeholder, WebIdentity};
use crate::sessions::Session;
use crate::telemetry::audit::{Audit, AuditLine, HandOut, LineKey, Party, Share};

/// Who asks, as far as bounds go: whoever shows a user's own token stands for that user.
pub(super) fn whose(visit: &Visit, want: &Want) -> CallerKey {
    match want.proof {
        Proof::Bearer(owner) => CallerKey::Uid(owner),
        Proof::Shown | Proof::Administrator | Proof::NotAsked | Proof::Missing => {
            visit.caller().key()
        }
    }
}

/// Its name, for the audit trail: a token tells more than the connection that it came over.
pub(super) fn name(visit: &Visit, want: &Want) -> Arc<str> {
    let caller = visit.caller().name();
    match (&want.identity, want.proof) {
        (Some(identity), _) => Party::name(&format!("{} ({caller})", identity.name())),
        (None, Proof::Bearer(owner)) => Party::name(&format!("bearer for uid {owner} ({caller})")),
        (None, Proof::Shown | Proof::Administrator | Proof::NotAsked | Proof::Missing) => {
            Party::name(caller)
        }
    }
}

/// Who asks, with all evidence. Made only where an audit line is opened.
pub(super) fn party(visit: &Visit, want: &Want, name: Arc<str>) -> Party {
    let facts = visit.facts(want);
    let uid = match facts.uid {
        Known::Yes(uid) => Some(uid),
        Known::NotYet => visit.caller().evidence().uid(),
        Known::No => None,
    };
    let owner = match facts.place.yes().map(AsRef::as_ref) {
        Some(Place::Host(_)) => facts.uid.yes().copied(),
        Some(Place::Container(container)) => container.owner,
        None => None,
    };
    Party {
        name,
        evidence: evidence(visit, want),
        uid,
        owner,
        share: Share::of(&whose(visit, want)),
    }
}

/// All evidence for it.
pub(super) fn evidence(visit: &Visit, want: &Want) -> Arc<str> {
    let evidence = visit.caller().all_evidence();
    Party::evidence(match (&want.identity, want.proof) {
        (Some(identity), _) => {
            let WebIdentity {
                issuer, subject, ..
            } = identity.as_ref();
            format!("{evidence}; token of {issuer} for {subject}")
        }
        (None, Proof::Bearer(owner)) => format!("{evidence}; bearer token of uid {owner}"),
        (None, Proof::Shown | Proof::Administrator | Proof::NotAsked | Proof::Missing) => {
            evidence.to_string()
        }
    })
}

/// The caller is who its token says.
pub(super) fn with_identity(names: Names, identity: &WebIdentity) -> Names {
    let names = names
        .with(Placeholder::Caller, identity.name())
        .with(Placeholder::Subject, Arc::clone(&identity.subject));
    let Some(pod) = &identity.pod else {
        return names;
    };
    names
        .with(Placeholder::Namespace, Arc::clone(&pod.namespace))
        .with_known(Placeholder::Pod, pod.name.clone())
        .with_known(Placeholder::ServiceAccount, pod.service_account.clone())
}

/// The line that counts hand-outs of this session to this caller.
pub(super) fn hand_out(
    audit: &Audit,
    visit: &Visit,
    want: &Want,
    decided: &Decided,
    session: &Session,
) -> Arc<AuditLine> {
    let name = name(visit, want);
    let access_key_id = &session.credentials.access_key_id;
    let key = LineKey::hand_out(Arc::clone(&name), Some(decided.role()), access_key_id);
    audit.hand_out(key, || {
        let (grant, request) = (decided.grant(), decided.request());
        HandOut {
            party: party(visit, want, name),
            listener: visit.listener(),
            api: want.api,
            role: Some(decided.role().clone()),
            grant: Some(grant.id),
            reason: Arc::clone(decided.reason()),
            session_name: request.session_name.clone(),
            source_identity: request.source_identity.clone(),
            access_key_id: access_key_id.clone(),
            expires_at: session.expires_at,
        }
    })
}
