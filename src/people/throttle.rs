//! Who proves names wrongly is slowed: each name, and each peer.
//!
//! A failure fills a bucket, which leaks; what is full is not looked at. A peer from which a name was
//! proved lately is not held up by what others try with that name.
//!
//! Nobody guesses the secret of an access key: of those what counts is what each peer tries with
//! each, so that no guesses hold up whoever holds the key, nor those who sign beside who guesses.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::caller::CallerKey;
use crate::clock::{BootTime, Clock};

/// Failures of one name at once, and the time in which one of them is forgiven.
const OF_NAME: Measure = Measure {
    most: 10,
    forgiven: Duration::from_secs(30),
};
/// The same of one peer: it may be a whole office.
const OF_PEER: Measure = Measure {
    most: 30,
    forgiven: Duration::from_secs(5),
};
/// Proofs of one peer that are looked at or wait at once.
const OPEN_OF_PEER: usize = 16;
/// How much is remembered.
const REMEMBERED: usize = 20_000;

/// Who is at the other end, as far as guesses are counted.
///
/// As callers are counted: with the subordinate uids that a user has, or the addresses of a
/// network, nobody is many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A caller that is told from others.
    Caller(CallerKey),
    /// Somebody on this host who is not, at this address.
    Address(IpAddr),
    /// A visitor of the trusted proxy, by the address that it tells; all of whom it tells none are
    /// one.
    Visitor(Option<IpAddr>),
}

impl Peer {
    /// This caller, at this address.
    pub fn of(caller: &CallerKey, address: Option<IpAddr>) -> Self {
        match (caller, address) {
            (CallerKey::Nobody, Some(address)) => Self::Address(address),
            (key, _) => Self::Caller(key.clone()),
        }
    }

    /// A visitor of the trusted proxy's: one has any number of addresses in an IPv6 network.
    pub(super) fn behind_proxy(address: Option<IpAddr>) -> Self {
        Self::Visitor(address.map(|address| match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = u128::from(v6) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

#[derive(Clone, Copy, Debug)]
struct Measure {
    most: u32,
    forgiven: Duration,
}

/// Failures that are not forgiven yet: the moment at which the last of them will be.
#[derive(Clone, Copy, Debug)]
struct Bucket(BootTime);

impl Measure {
    /// How long nothing is looked at.
    fn wait(self, bucket: Option<&Bucket>, now: BootTime) -> Duration {
        let full = bucket.map_or(Duration::ZERO, |bucket| bucket.0.since(now));
        full.saturating_sub(self.forgiven * (self.most - 1))
    }

    fn failed(self, bucket: Option<&Bucket>, now: BootTime) -> Bucket {
        let from = bucket.map_or(now, |bucket| bucket.0.max(now));
        Bucket(from.plus(self.forgiven))
    }
}

/// Counts guesses.
#[derive(Debug)]
pub(super) struct Throttle {
    clock: Clock,
    of_keys: bool,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    names: HashMap<Tried, Bucket>,
    peers: HashMap<Peer, Bucket>,
    /// Looked up at each proof, and nobody fills it with names of their choice: its hashes are cheap
    /// rather than strong, as are those of what is known.
    open: HashMap<Peer, usize, RandomState>,
    known: HashSet<(Arc<str>, Peer), RandomState>,
}

/// A name, and of access keys who tried it.
type Tried = (Arc<str>, Option<Peer>);

/// One proof that is looked at. Unless somebody says how it ended it was none.
#[derive(Debug)]
pub struct Attempt {
    throttle: Arc<Throttle>,
    name: Arc<str>,
    peer: Option<Peer>,
}

impl Throttle {
    /// For passwords.
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Self::of(clock, false)
    }

    /// For access keys.
    pub(super) fn of_keys(clock: Clock) -> Arc<Self> {
        Self::of(clock, true)
    }

    fn of(clock: Clock, of_keys: bool) -> Arc<Self> {
        Arc::new(Self {
            clock,
            of_keys,
            counts: Mutex::default(),
        })
    }

    fn tried(&self, name: &Arc<str>, peer: Option<&Peer>) -> Tried {
        (Arc::clone(name), peer.filter(|_| self.of_keys).cloned())
    }

    /// Whether a proof of this name from this peer (`None`: one that speaks for many) is looked at;
    /// else how long none is.
    pub(super) fn begin(
        self: &Arc<Self>,
        name: &Arc<str>,
        peer: Option<Peer>,
    ) -> Result<Attempt, Duration> {
        let now = self.clock.boot();
        let name = &if self.of_keys {
            Arc::clone(name)
        } else {
            folded(name)
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = peer
            .clone()
            .is_some_and(|peer| counts.known.contains(&(Arc::clone(name), peer)));
        let by_name = if is_known {
            Duration::ZERO
        } else {
            let tried = self.tried(name, peer.as_ref());
            OF_NAME.wait(counts.names.get(&tried), now)
        };
        let by_peer = if is_known && self.of_keys {
            Duration::ZERO
        } else {
            let of_peer = peer.as_ref().and_then(|peer| counts.peers.get(peer));
            OF_PEER.wait(of_peer, now)
        };
        let wait = by_name.max(by_peer);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        if let Some(peer) = peer.clone() {
            let open = counts.open.entry(peer).or_default();
            if *open >= OPEN_OF_PEER {
                return Err(Duration::from_secs(1));
            }
            *open += 1;
        }
        drop(counts);
        Ok(Attempt {
            throttle: Arc::clone(self),
            name: Arc::clone(name),
            peer,
        })
    }
}

impl Attempt {
    /// It was right.
    pub fn succeeded(self) {
        let mut counts = self.counts();
        if let Some(peer) = self.peer.clone() {
            if counts.known.len() >= REMEMBERED {
                counts.known.clear();
            }
            counts.known.insert((Arc::clone(&self.name), peer));
        }
    }

    /// It was wrong.
    pub fn failed(self) {
        self.count();
        if let Some(peer) = self.peer.clone() {
            let mut counts = self.counts();
            counts.known.remove(&(Arc::clone(&self.name), peer));
        }
    }

    /// Some said that it was wrong, others said nothing.
    pub(super) fn undecided(self) {
        self.count();
    }

    fn count(&self) {
        let now = self.throttle.clock.boot();
        let mut counts = self.counts();
        let tried = self.throttle.tried(&self.name, self.peer.as_ref());
        let of_name = OF_NAME.failed(counts.names.get(&tried), now);
        remember(&mut counts.names, tried, of_name, now);
        if let Some(peer) = self.peer.clone() {
            let of_peer = OF_PEER.failed(counts.peers.get(&peer), now);
            remember(&mut counts.peers, peer, of_peer, now);
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        let counts = self.throttle.counts.lock();
        counts.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(peer) = self.peer.take() else {
            return;
        };
        let mut counts = self.counts();
        if let Entry::Occupied(mut open) = counts.open.entry(peer) {
            *open.get_mut() = open.get().saturating_sub(1);
            if *open.get() == 0 {
                open.remove();
            }
        }
    }
}

/// All spellings that a directory takes for one name: to it letters are large and small alike, and
/// several spaces are one (RFC 4518, section 2).
fn folded(name: &str) -> Arc<str> {
    let words: Vec<String> = name.split_whitespace().map(str::to_lowercase).collect();
    Arc::from(words.join(" "))
}

/// What is forgiven goes before anything else does.
fn remember<K: Eq + Hash>(of: &mut HashMap<K, Bucket>, key: K, bucket: Bucket, now: BootTime) {
    if of.len() >= REMEMBERED {
        of.retain(|_, held| held.0 > now);
    }
    if of.len() >= REMEMBERED {
        of.clear();
    }
    of.insert(key, bucket);
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const HERE: Option<Peer> = Some(user(1));

    fn throttle() -> Arc<Throttle> {
        Throttle::new(Clock::simulated(SystemTime::UNIX_EPOCH))
    }

    const fn user(number: u32) -> Peer {
        Peer::Caller(CallerKey::Uid(number))
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_slowed_wherever_its_guesses_come_from() {
        let throttle = throttle();
        let ann: Arc<str> = Arc::from("ann");
        for number in 0..OF_NAME.most {
            throttle.begin(&ann, Some(user(number))).unwrap().failed();
        }
        assert_eq!(
            throttle.begin(&ann, Some(user(99))).unwrap_err(),
            OF_NAME.forgiven
        );
        assert_eq!(throttle.begin(&ann, None).unwrap_err(), OF_NAME.forgiven);
        drop(throttle.begin(&Arc::from("bob"), Some(user(0))).unwrap());
        tokio::time::advance(OF_NAME.forgiven).await;
        throttle.begin(&ann, Some(user(99))).unwrap().failed();
        assert!(throttle.begin(&ann, Some(user(99))).is_err());
        tokio::time::advance(OF_NAME.forgiven * OF_NAME.most).await;
        for _ in 0..OF_NAME.most {
            throttle.begin(&ann, None).unwrap().failed();
        }
        assert!(throttle.begin(&ann, None).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn other_spellings_of_a_name_are_the_same_name() {
        let throttle = throttle();
        let spellings = ["ann lee", "Ann Lee", "ANN LEE", "ann  lee", "aNN \u{a0}lEE"];
        let mut spellings = spellings.into_iter().cycle();
        for number in 0..OF_NAME.most {
            let name = Arc::from(spellings.next().unwrap());
            throttle.begin(&name, Some(user(number))).unwrap().failed();
        }
        let again = throttle.begin(&Arc::from("Ann lee"), Some(user(99)));
        assert_eq!(again.unwrap_err(), OF_NAME.forgiven);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_slowed_whatever_names_it_tries() {
        let throttle = throttle();
        for number in 0..OF_PEER.most {
            let name = Arc::from(format!("user{number}"));
            throttle.begin(&name, HERE).unwrap().failed();
        }
        let ann = Arc::from("ann");
        assert_eq!(throttle.begin(&ann, HERE).unwrap_err(), OF_PEER.forgiven);
        drop(throttle.begin(&ann, Some(user(2))).unwrap());
        tokio::time::advance(OF_PEER.forgiven).await;
        drop(throttle.begin(&ann, HERE).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn where_a_name_was_proved_others_guesses_hold_nobody_up() {
        let throttle = throttle();
        let ann: Arc<str> = Arc::from("ann");
        throttle.begin(&ann, HERE).unwrap().succeeded();
        for number in 10..10 + OF_NAME.most {
            throttle.begin(&ann, Some(user(number))).unwrap().failed();
        }
        throttle.begin(&ann, HERE).unwrap().succeeded();
        throttle.begin(&ann, HERE).unwrap().failed();
        assert!(throttle.begin(&ann, HERE).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_of_a_key_hold_up_nobody_but_who_guesses() {
        let throttle = Throttle::of_keys(Clock::simulated(SystemTime::UNIX_EPOCH));
        let [anns, bobs]: [Arc<str>; 2] = ["AKANN", "AKBOB"].map(Arc::from);
        throttle.begin(&bobs, HERE).unwrap().succeeded();
        for _ in 0..OF_NAME.most {
            throttle.begin(&anns, HERE).unwrap().failed();
        }
        assert_eq!(throttle.begin(&anns, HERE).unwrap_err(), OF_NAME.forgiven);
        drop(throttle.begin(&anns, Some(user(2))).unwrap());
        drop(throttle.begin(&Arc::from("akann"), HERE).unwrap());
        for number in OF_NAME.most..OF_PEER.most {
            let id = Arc::from(format!("AK{number}"));
            throttle.begin(&id, HERE).unwrap().failed();
        }
        assert!(throttle.begin(&Arc::from("AKANY"), HERE).is_err());
        drop(throttle.begin(&bobs, HERE).unwrap());
        throttle.begin(&bobs, HERE).unwrap().failed();
        assert!(throttle.begin(&bobs, HERE).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_thousand_guesses_of_a_peer_are_little_to_remember() {
        let throttle = Throttle::of_keys(Clock::simulated(SystemTime::UNIX_EPOCH));
        let mut looked_at = 0;
        for number in 0..100_000_u32 {
            if let Ok(attempt) = throttle.begin(&Arc::from(format!("AK{number}")), HERE) {
                looked_at += 1;
                attempt.failed();
            }
            if number % 100 == 0 {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        }
        assert_eq!(looked_at, OF_PEER.most + 1000 / 5);
        let counts = throttle.counts.lock().unwrap();
        assert!(counts.names.len() <= 230 && counts.peers.len() == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_peer_does_not_take_all_places() {
        let throttle = throttle();
        let ann: Arc<str> = Arc::from("ann");
        let open: Vec<Attempt> = (0..OPEN_OF_PEER)
            .map(|_| throttle.begin(&ann, HERE).unwrap())
            .collect();
        assert!(throttle.begin(&ann, HERE).is_err());
        drop(throttle.begin(&ann, Some(user(2))).unwrap());
        drop(open);
        drop(throttle.begin(&ann, HERE).unwrap());
        assert!(throttle.counts.lock().unwrap().open.is_empty());
    }

    #[test]
    fn who_is_not_told_from_others_is_known_by_the_address() {
        let of = |key: &CallerKey, address: &str| Peer::of(key, address.parse().ok());
        assert_eq!(of(&CallerKey::Uid(7), "192.0.2.1"), user(7));
        let nobody = |address| of(&CallerKey::Nobody, address);
        assert_ne!(nobody("192.0.2.1"), nobody("192.0.2.2"));
        assert_eq!(nobody("none"), Peer::Caller(CallerKey::Nobody));
    }
}
