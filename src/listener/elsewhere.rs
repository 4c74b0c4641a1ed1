//! Connections from elsewhere: whose are let in, and how many wait until it is known whether a
//! container of this host made them.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::caller::{Caller, PerCaller};

/// So many connections wait at once for it to be told whether a container of this host made them:
/// from addresses that containers have, and as many from others, which may be made up without end.
const DOUBTFUL: usize = 128;

/// And so many from each address, so that one container's loop leaves room for the others.
const DOUBTFUL_OF_EACH: usize = 16;

/// Who of other hosts is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Whoever connects.
    Anyone,
    /// Those of these networks: where there are none, nobody.
    Networks(Vec<IpNet>),
}

impl Peers {
    /// Whether this caller is of them.
    pub(super) fn contain(&self, caller: &Caller) -> bool {
        match self {
            Self::Anyone => true,
            Self::Networks(networks) => caller
                .address()
                .is_some_and(|address| networks.iter().any(|network| network.contains(&address))),
        }
    }
}

/// Places of connections of which it is asked whether a container made them.
#[derive(Debug)]
pub(super) struct Doubtful {
    containers: Arc<Semaphore>,
    others: Arc<Semaphore>,
    each: PerCaller<Semaphore, IpAddr>,
}

impl Default for Doubtful {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(DOUBTFUL));
        Self {
            containers: places(),
            others: places(),
            each: PerCaller::default(),
        }
    }
}

impl Doubtful {
    /// A place for a connection from this address.
    pub(super) fn place(
        &self,
        address: IpAddr,
        is_containers: bool,
    ) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = self.each.of(address, || Semaphore::new(DOUBTFUL_OF_EACH));
        let all = if is_containers {
            &self.containers
        } else {
            &self.others
        };
        let own = own.try_acquire_owned().ok()?;
        Some([own, Arc::clone(all).try_acquire_owned().ok()?])
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::caller::{CallerKey, Desk, Reach};
    use crate::clock::Clock;

    #[test]
    fn addresses_without_containers_take_no_place_of_those_with_one() {
        let doubtful = Doubtful::default();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut taken = Vec::new();
        for last in 0..200 {
            taken.extend(doubtful.place(address(last), false));
        }
        assert_eq!(taken.len(), DOUBTFUL);
        for last in 200..250 {
            assert!(doubtful.place(address(last), false).is_none());
            assert!(doubtful.place(address(last), true).is_some());
        }
        let own: Vec<_> = (0..=DOUBTFUL_OF_EACH)
            .filter_map(|_| doubtful.place(address(250), true))
            .collect();
        assert_eq!(own.len(), DOUBTFUL_OF_EACH);
    }

    #[test]
    fn peers_are_those_of_the_networks_that_are_named() {
        let desk = Desk::open(Clock::System).unwrap();
        let from = |address: &str| {
            let accepted = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let local = accepted.local_addr().unwrap();
            desk.identify_tcp(local, address.parse().unwrap(), accepted.as_fd())
        };
        let networks = ["203.0.113.0/24", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let peers = Peers::Networks(networks.into());
        for (address, is_peer) in [
            ("203.0.113.7:1", true),
            ("[::ffff:203.0.113.7]:1", true),
            ("[2001:db8::7]:1", true),
            ("198.51.100.7:1", false),
            ("[2001:db9::7]:1", false),
        ] {
            let caller = from(address);
            assert_eq!(caller.reach(), Reach::Elsewhere, "{address}");
            assert_eq!(peers.contain(&caller), is_peer, "{address}");
            assert!(!Peers::Networks(Vec::new()).contain(&caller));
        }
        let key = |address: &str| from(address).key();
        assert_ne!(key("203.0.113.7:1"), key("203.0.113.8:1"));
        assert_ne!(key("203.0.113.7:1"), CallerKey::Nobody);
        assert_eq!(key("203.0.113.7:1"), key("203.0.113.7:2"));
        assert_eq!(key("[2001:db8::7]:1"), key("[2001:db8::8]:1"));
        assert_ne!(key("[2001:db8::7]:1"), key("[2001:db8:0:1::7]:1"));
    }
}
