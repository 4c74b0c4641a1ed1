//! One held session as it is written down, before it is sealed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::wish::WrittenWish;
use crate::clock::{BootTime, Clock};
use crate::secret::{ExposeSecret, SecretString};
use crate::sessions::{Elsewhen, Kept, Session, SessionCredentials, SessionKey};
use crate::types::AccessKeyId;

/// What happened to one key.
#[derive(Serialize, Deserialize)]
pub(super) enum Change<'a> {
    /// This is held from now on.
    #[serde(borrow)]
    Held(Box<Written<'a>>),
    /// Nothing is.
    LetGo([u8; 32]),
}

/// A held session. The order of the fields is the format.
#[derive(Serialize, Deserialize)]
pub(super) struct Written<'a> {
    key: [u8; 32],
    /// When it ends on the boot-time clock of this boot, in milliseconds.
    boot: &'a str,
    ends: u64,
    /// The same by wall time, and when that was written down.
    ends_at: u64,
    told_at: u64,
    life: u64,
    /// What the wire shows, in seconds.
    obtained_at: u64,
    expires_at: u64,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    #[serde(borrow)]
    wish: Option<WrittenWish<'a>>,
}

/// This boot, and now.
pub(super) struct Moment {
    pub(super) boot: String,
    pub(super) clock: Clock,
}

impl<'a> Written<'a> {
    pub(super) fn of(kept: &'a Kept, moment: &'a Moment) -> Self {
        let session = &kept.session;
        let credentials = &session.credentials;
        let now = moment.clock.now();
        let (boot, ends, elsewhen) = if let Some(elsewhen) = kept.elsewhen {
            // Of which boot it was need not be known: of another.
            ("", Duration::ZERO, elsewhen)
        } else {
            let left = session.remaining(&moment.clock);
            let elsewhen = Elsewhen {
                written: now,
                ends: now.checked_add(left).unwrap_or(now),
            };
            (moment.boot.as_str(), session.ends.since_boot(), elsewhen)
        };
        Self {
            key: kept.key.digest(),
            boot,
            ends: millis(ends),
            ends_at: millis(since_epoch(elsewhen.ends)),
            told_at: millis(since_epoch(elsewhen.written)),
            life: millis(session.life),
            obtained_at: since_epoch(session.obtained_at).as_secs(),
            expires_at: since_epoch(session.expires_at).as_secs(),
            access_key_id: credentials.access_key_id.as_str(),
            secret_access_key: credentials.secret_access_key.expose_secret(),
            session_token: credentials.session_token.expose_secret(),
            wish: kept.wish.as_deref().and_then(WrittenWish::of),
        }
    }

    pub(super) const fn key(&self) -> SessionKey {
        SessionKey::of_digest(self.key)
    }

    /// The session again; `None` where it is none, or has ended.
    pub(super) fn kept(&self, moment: &Moment) -> Option<Kept> {
        let credentials = SessionCredentials {
            access_key_id: AccessKeyId::new(self.access_key_id).ok()?,
            secret_access_key: SecretString::from(self.secret_access_key),
            session_token: SecretString::from(self.session_token),
        };
        let (life, ends) = (Duration::from_millis(self.life), at_boot(self.ends));
        let shown = (
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.obtained_at))?,
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.expires_at))?,
        );
        let same_boot = self.boot == moment.boot && !self.boot.is_empty();
        let elsewhen = if same_boot {
            None
        } else {
            Some(Elsewhen {
                written: wall(self.told_at)?,
                ends: wall(self.ends_at)?,
            })
        };
        let session = Session::kept(credentials, shown, ends, life);
        let now = moment.clock.boot();
        let lives = session.is_servable_at(now) && ends.since(now) <= life;
        (!same_boot || lives).then(|| Kept {
            key: self.key(),
            wish: self.wish.as_ref().and_then(WrittenWish::wish).map(Arc::new),
            session: Arc::new(session),
            elsewhen,
        })
    }
}

impl Change<'_> {
    /// Its bytes; `None` where nothing can be written, which cannot be.
    pub(super) fn encoded(&self) -> Option<Zeroizing<Vec<u8>>> {
        postcard::to_stdvec(self).ok().map(Zeroizing::new)
    }

    /// The change of these bytes, if they are exactly one.
    pub(super) fn decoded(bytes: &[u8]) -> Option<Change<'_>> {
        match postcard::take_from_bytes(bytes) {
            Ok((change, [])) => Some(change),
            Ok(_) | Err(_) => None,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

const fn at_boot(millis: u64) -> BootTime {
    BootTime::after_boot(Duration::from_millis(millis))
}

fn wall(millis: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}
