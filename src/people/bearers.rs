//! The newest token of each principal: what a session was obtained with is renewed with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use crate::secret::{LatestToken, SecretString};

/// Who a token stands for, whatever else it says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Principal {
    pub(super) issuer: Arc<str>,
    pub(super) subject: Arc<str>,
    pub(super) audiences: Vec<Arc<str>>,
}

/// All principals whose tokens somebody uses. They outlive the configuration's issuers: a session
/// that a reload keeps goes on with the same principal's tokens.
#[derive(Debug, Default)]
pub(super) struct Bearers(Mutex<HashMap<Principal, Weak<LatestToken>>>);

impl Bearers {
    /// The principal's newest token, this one seen.
    pub(super) fn see(
        &self,
        principal: Principal,
        token: &str,
        expires_at: SystemTime,
    ) -> Arc<LatestToken> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = known.get(&principal).and_then(Weak::upgrade) {
            latest.see(token, expires_at);
            return latest;
        }
        if known.len() == known.capacity() {
            known.retain(|_, latest| latest.strong_count() > 0);
        }
        let latest = Arc::new(LatestToken::new(SecretString::from(token), expires_at));
        known.insert(principal, Arc::downgrade(&latest));
        latest
    }
}
