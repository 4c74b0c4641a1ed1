//! Sessions of users themselves: nothing is decided of them, and they are recorded as others are.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Proof, Vending, Visit, Want, asker};
use crate::grants::Wanted;
use crate::telemetry::audit::{HandOut, LineKey};
use crate::types::{AccessKeyId, SessionName};

/// A session that was issued to a user, and is of no role.
#[derive(Clone, Copy, Debug)]
pub struct OwnSession<'a> {
    /// In which protocol.
    pub api: &'static str,
    /// What was asked for.
    pub reason: &'static str,
    /// Its name.
    pub name: &'a SessionName,
    /// Its key's id.
    pub access_key_id: &'a AccessKeyId,
    /// When it ends.
    pub expires_at: SystemTime,
}

impl Vending {
    /// Records that a user was given a session of its own.
    pub fn gave_own(&self, visit: &Visit, given: &OwnSession<'_>) {
        let want = Want {
            role: Wanted::First,
            proof: Proof::Shown,
            identity: None,
            assumption: None,
            patience: Duration::ZERO,
            api: given.api,
        };
        let name = asker::name(visit, &want);
        let key = LineKey::hand_out(Arc::clone(&name), None, given.access_key_id);
        self.audit.hand_out(key, || HandOut {
            party: asker::party(visit, &want, name),
            listener: visit.listener(),
            api: given.api,
            role: None,
            grant: None,
            reason: Arc::from(given.reason),
            session_name: Some(Arc::from(given.name.as_str())),
            source_identity: None,
            access_key_id: given.access_key_id.clone(),
            expires_at: given.expires_at,
        });
    }
}
