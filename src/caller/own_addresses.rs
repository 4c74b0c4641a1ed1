//! Which addresses are this host's own.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{BootTime, Clock};
use crate::interfaces::interfaces;

/// An address that was there is believed for so long.
const HIT_AGE: Duration = Duration::from_secs(1);
/// A miss asks again, but no more often than this: peers from elsewhere must not cost a walk
/// through all interfaces each.
const MISS_AGE: Duration = Duration::from_millis(100);

/// The addresses of all interfaces, remembered for a second.
#[derive(Debug, Default)]
pub(super) struct OwnAddresses(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    at: Option<BootTime>,
    addresses: HashSet<IpAddr>,
}

impl OwnAddresses {
    /// Whether one of this network namespace's interfaces has the address.
    pub(super) fn contain(&self, address: IpAddr, clock: &Clock) -> bool {
        let address = address.to_canonical();
        if address.is_loopback() {
            return true;
        }
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.boot();
        let there = remembered.addresses.contains(&address);
        let believed = if there { HIT_AGE } else { MISS_AGE };
        let fresh = remembered.at.is_some_and(|at| now.since(at) < believed);
        if fresh {
            return there;
        }
        remembered.at = Some(now);
        remembered.addresses = interface_addresses();
        remembered.addresses.contains(&address)
    }
}

/// None where they cannot be listed: then no peer is of this host, unless its address is loopback.
fn interface_addresses() -> HashSet<IpAddr> {
    let all = interfaces().unwrap_or_default().into_iter();
    all.map(|(_, address)| address).collect()
}
