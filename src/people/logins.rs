//! Cookies: who proved a name with a password shows one instead of it for a while.
//!
//! `JSESSIONID` is what Atlassian's clients keep. It ends after half an hour without use, after a
//! working day at the latest, and with what it stands on. A directory's password it cannot be held
//! against again: such a cookie ends earlier.
//!
//! Browsers send a host's cookies to whatever listens there, on any port: what another user of this
//! host collects so proves nothing in that user's hands.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{COOKIE, HeaderValue};

use super::memory::{Mark, Marker};
use super::roster::Standing;
use crate::clock::{BootTime, Clock};
use crate::grants::Way;
use crate::secret::{ExposeSecret as _, SecretString, random};

/// The cookie's name.
const NAME: &str = "JSESSIONID";
/// It ends when it was not used for so long.
const IDLE: Duration = Duration::from_mins(30);
/// It ends in any case.
const LONGEST: Duration = Duration::from_hours(8);
/// How many there are at once.
const MOST: usize = 10_000;
/// How many somebody has at once: who proves a name over and over ends nobody else's.
const MOST_OF_ONE: usize = 64;
/// How many cookies of one request are looked at.
const LOOKED_AT: usize = 16;

/// Who has a cookie.
#[derive(Debug)]
pub(super) struct Logins {
    clock: Clock,
    of_directories: Duration,
    marker: Marker,
    open: Mutex<HashMap<Mark, Login>>,
}

#[derive(Debug)]
struct Login {
    /// The user of this host who got it, where the kernel told one.
    uid: Option<u32>,
    standing: Standing,
    public: Arc<str>,
    until: BootTime,
    seen: BootTime,
}

/// A cookie that was made.
#[derive(Clone)]
pub(super) struct Ticket {
    value: SecretString,
    pub(super) public: Arc<str>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({})", self.public)
    }
}

/// A cookie that was shown.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    mark: Mark,
    pub(super) standing: Standing,
    pub(super) public: Arc<str>,
}

impl Ticket {
    /// As a header. `secure`: it goes over TLS only.
    pub(super) fn header(&self, secure: bool) -> Option<HeaderValue> {
        let secure = if secure { "; Secure" } else { "" };
        let value = self.value.expose_secret();
        let text = format!("{NAME}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
        let mut header = HeaderValue::from_str(&text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

impl Logins {
    /// `of_directories`: how long a cookie lives whose password a directory took.
    pub(super) fn new(clock: Clock, of_directories: Duration) -> Self {
        Self {
            clock,
            of_directories,
            marker: Marker::default(),
            open: Mutex::default(),
        }
    }

    /// Makes a cookie for somebody of this standing, who is this user of the host where the kernel
    /// tells; none without randomness.
    pub(super) fn open(&self, uid: Option<u32>, standing: &Standing) -> Option<Ticket> {
        // In hex, as Tomcat writes it.
        let value = format!("{:032X}", u128::from_ne_bytes(random().ok()?));
        let public = format!("{:08x}", u32::from_ne_bytes(random().ok()?));
        let public: Arc<str> = Arc::from(public);
        let mark = self.marker.mark(&value)?;
        let now = self.clock.boot();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST {
            open.retain(|_, login| login.is_open(now));
        }
        let own = open.values().filter(|login| login.standing == *standing);
        if own.count() >= MOST_OF_ONE {
            end_longest_unused(&mut open, |login| login.standing == *standing);
        } else if open.len() >= MOST {
            end_longest_unused(&mut open, |_| true);
        }
        let login = Login {
            uid,
            standing: standing.clone(),
            public: Arc::clone(&public),
            until: now.plus(self.lifetime(standing.way)),
            seen: now,
        };
        open.insert(mark, login);
        Some(Ticket {
            value: SecretString::from(value),
            public,
        })
    }

    fn lifetime(&self, way: Way) -> Duration {
        if matches!(way, Way::Ldap | Way::Pam) {
            LONGEST.min(self.of_directories)
        } else {
            LONGEST
        }
    }

    /// What the cookies of this user's request stand for, where one of them does.
    pub(super) fn shown(&self, uid: Option<u32>, headers: &HeaderMap) -> Option<Shown> {
        let cookies = headers.get_all(COOKIE).iter();
        let pairs = cookies.filter_map(|header| header.to_str().ok());
        let pairs = pairs.flat_map(|header| header.split(';'));
        let values = pairs.filter_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='));
        values
            .take(LOOKED_AT)
            .find_map(|value| self.find(uid, value))
    }

    fn find(&self, uid: Option<u32>, value: &str) -> Option<Shown> {
        let mark = self.marker.mark(value.trim_matches('"'))?;
        let now = self.clock.boot();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let login = open.get_mut(&mark)?;
        if !login.is_open(now) {
            open.remove(&mark);
            return None;
        }
        if login.uid.is_some() && login.uid != uid {
            return None;
        }
        login.seen = now;
        Some(Shown {
            mark,
            standing: login.standing.clone(),
            public: Arc::clone(&login.public),
        })
    }

    /// This cookie proves nothing any more.
    pub(super) fn end(&self, shown: &Shown) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&shown.mark);
    }
}

fn end_longest_unused(open: &mut HashMap<Mark, Login>, of: impl Fn(&Login) -> bool) {
    let some = open.iter().filter(|(_, login)| of(login));
    let longest_unused = some.min_by_key(|(_, login)| login.seen);
    if let Some(longest_unused) = longest_unused.map(|(unused, _)| *unused) {
        open.remove(&longest_unused);
    }
}

impl Login {
    fn is_open(&self, now: BootTime) -> bool {
        now.since(self.seen) < IDLE && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn logins() -> Logins {
        Logins::new(
            Clock::simulated(SystemTime::UNIX_EPOCH),
            Duration::from_hours(1),
        )
    }

    fn standing(name: &str) -> Standing {
        Standing::of(Way::Basic, Arc::from(name))
    }

    /// What a client sends back.
    fn sent(ticket: &Ticket) -> HeaderMap {
        let header = ticket.header(false).unwrap();
        let pair = header
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        cookies(&format!("a=b; {pair}; c=d"))
    }

    fn cookies(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(text).unwrap())])
    }

    #[tokio::test(start_paused = true)]
    async fn a_cookie_stands_for_who_got_it() {
        let logins = logins();
        let ticket = logins.open(None, &standing("ann")).unwrap();
        let shown = logins.shown(None, &sent(&ticket)).unwrap();
        assert_eq!(
            (shown.standing.clone(), &shown.public),
            (standing("ann"), &ticket.public)
        );
        for other in [
            "",
            "JSESSIONID=",
            "JSESSIONID=0",
            "xJSESSIONID=1",
            "JSESSIONID",
        ] {
            assert!(logins.shown(None, &cookies(other)).is_none(), "{other}");
        }
        logins.end(&shown);
        assert!(logins.shown(None, &sent(&ticket)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn another_applications_cookie_of_the_name_does_no_harm() {
        let logins = logins();
        let ticket = logins.open(None, &standing("ann")).unwrap();
        let own = sent(&ticket)
            .get(COOKIE)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            logins
                .shown(None, &cookies(&format!("JSESSIONID=other; {own}")))
                .is_some()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_unused_and_in_the_end() {
        let logins = logins();
        let used = logins.open(None, &standing("ann")).unwrap();
        let unused = logins.open(None, &standing("ann")).unwrap();
        for _ in 0..16 {
            assert!(logins.shown(None, &sent(&used)).is_some());
            tokio::time::advance(IDLE.saturating_sub(Duration::from_secs(1))).await;
        }
        assert!(logins.shown(None, &sent(&unused)).is_none());
        assert!(logins.shown(None, &sent(&used)).is_some());
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(logins.shown(None, &sent(&used)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_a_directorys_password_ends_earlier_however_it_is_used() {
        let logins = logins();
        for way in [Way::Ldap, Way::Pam] {
            let standing = Standing::of(way, Arc::from("ann"));
            let ticket = logins.open(None, &standing).unwrap();
            for _ in 0..59 {
                tokio::time::advance(Duration::from_mins(1)).await;
                assert!(logins.shown(None, &sent(&ticket)).is_some());
            }
            tokio::time::advance(Duration::from_mins(1)).await;
            assert!(logins.shown(None, &sent(&ticket)).is_none(), "{way:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_at_once() {
        let logins = logins();
        let first = logins.open(None, &standing("first")).unwrap();
        let second = logins.open(None, &standing("second")).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(logins.shown(None, &sent(&first)).is_some());
        for number in 2..=MOST {
            logins
                .open(None, &standing(&format!("user{number}")))
                .unwrap();
        }
        assert_eq!(logins.open.lock().unwrap().len(), MOST);
        assert!(logins.shown(None, &sent(&first)).is_some());
        assert!(logins.shown(None, &sent(&second)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_ends_the_cookies_of_others() {
        let logins = logins();
        let others = logins.open(None, &standing("bob")).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let first = logins.open(None, &standing("ann")).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..MOST {
            logins.open(None, &standing("ann")).unwrap();
        }
        assert!(logins.shown(None, &sent(&others)).is_some());
        assert!(logins.shown(None, &sent(&first)).is_none());
        assert_eq!(logins.open.lock().unwrap().len(), MOST_OF_ONE + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_user_of_the_host_got_hold_of_proves_nothing() {
        let logins = logins();
        let ticket = logins.open(Some(1000), &standing("ann")).unwrap();
        let stolen = sent(&ticket);
        assert!(logins.shown(Some(1001), &stolen).is_none());
        assert!(logins.shown(None, &stolen).is_none());
        assert!(logins.shown(Some(1000), &stolen).is_some());
        let elsewhere = logins.open(None, &standing("ann")).unwrap();
        assert!(logins.shown(None, &sent(&elsewhere)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn scripts_of_pages_do_not_see_it() {
        let ticket = logins().open(None, &standing("ann")).unwrap();
        let plain = ticket.header(false).unwrap();
        let text = plain.to_str().unwrap();
        assert!(text.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{text}");
        assert!(
            ticket
                .header(true)
                .unwrap()
                .to_str()
                .unwrap()
                .ends_with("; Secure")
        );
        assert!(plain.is_sensitive() && format!("{ticket:?}").len() < 20);
    }
}
