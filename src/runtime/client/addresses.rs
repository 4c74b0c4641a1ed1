//! Which container holds an address.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::is_trusted;
use crate::grants::ContainerId;
use crate::runtime::wire::List;

/// Who holds an address, as far as is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// One container or pod.
    One,
    /// Several, or one whose network namespace others share: nobody can be told.
    Several,
    /// Nobody that is known, though it may be a container that has just begun.
    Perhaps,
    /// Nobody: containers are not known here.
    Nobody,
}

/// The container at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    One { id: ContainerId, owner: u32 },
    Several,
}

/// All addresses of containers that connect from them.
#[derive(Debug, Default)]
pub(super) struct Addresses(HashMap<IpAddr, Holder>);

impl Addresses {
    /// Those of a list. Only runtimes that speak for the host count: a user's own containers reach
    /// the host through a forwarder, whatever address its runtime names.
    pub(super) fn of(list: &List) -> Self {
        let listed = || list.containers.iter().filter(|one| is_trusted(one.owner));
        let shared: HashSet<&str> = listed().filter_map(|one| one.shares.as_deref()).collect();
        let mut addresses = HashMap::new();
        for one in listed() {
            let is_shared = shared.contains(one.id.as_str());
            for address in one.addresses.iter().filter(|address| may_be_one(address)) {
                let holder = if is_shared {
                    Holder::Several
                } else {
                    Holder::One {
                        id: ContainerId::new(&one.id),
                        owner: one.owner,
                    }
                };
                addresses
                    .entry(address.to_canonical())
                    .and_modify(|other| {
                        if *other != holder {
                            *other = Holder::Several;
                        }
                    })
                    .or_insert(holder);
            }
        }
        Self(addresses)
    }

    pub(super) fn holder(&self, address: IpAddr) -> Option<&Holder> {
        self.0.get(&address.to_canonical())
    }
}

/// Whether connections may come from this address to another network namespace.
fn may_be_one(address: &IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.is_unspecified() || v4.is_multicast()),
        IpAddr::V6(v6) => {
            let elsewhere = v6.is_loopback() || v6.is_unspecified() || v6.is_multicast();
            !(elsewhere || v6.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::wire::{Kind, Listed};

    fn listed(id: &str, owner: u32, addresses: &[&str], shares: Option<&str>) -> Listed {
        Listed {
            id: id.to_owned(),
            owner,
            kind: Kind::Container,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            shares: shares.map(str::to_owned),
        }
    }

    fn holder(containers: Vec<Listed>, address: &str) -> Option<Holder> {
        let addresses = Addresses::of(&List { containers });
        addresses.holder(address.parse().unwrap()).cloned()
    }

    fn one(id: &str) -> Holder {
        Holder::One {
            id: ContainerId::new(id),
            owner: 0,
        }
    }

    #[test]
    fn an_address_belongs_to_the_one_container_that_has_it() {
        let list = || {
            vec![
                listed("a", 0, &["172.17.0.2", "fd00::2"], None),
                listed("b", 0, &["172.17.0.3"], None),
            ]
        };
        assert_eq!(holder(list(), "172.17.0.2"), Some(one("a")));
        assert_eq!(holder(list(), "::ffff:172.17.0.3"), Some(one("b")));
        assert_eq!(holder(list(), "fd00::2"), Some(one("a")));
        assert_eq!(holder(list(), "172.17.0.4"), None);
    }

    #[test]
    fn an_address_of_two_is_nobodys() {
        let list = vec![
            listed("a", 0, &["10.0.0.2"], None),
            listed("b", 0, &["10.0.0.2"], None),
            listed("c", 0, &["10.0.0.2"], None),
        ];
        assert_eq!(holder(list, "10.0.0.2"), Some(Holder::Several));
    }

    #[test]
    fn an_address_in_a_shared_namespace_is_nobodys() {
        let list = vec![
            listed("a", 0, &["10.0.0.2"], None),
            listed("b", 0, &[], Some("a")),
        ];
        assert_eq!(holder(list, "10.0.0.2"), Some(Holder::Several));
    }

    #[test]
    fn a_users_runtime_can_neither_claim_nor_spoil_an_address() {
        let list = vec![
            listed("a", 0, &["10.0.0.2"], None),
            listed("evil", 1000, &["10.0.0.2", "10.0.0.3"], Some("a")),
        ];
        assert_eq!(holder(list.clone(), "10.0.0.2"), Some(one("a")));
        assert_eq!(holder(list, "10.0.0.3"), None);
    }

    #[test]
    fn addresses_that_no_connection_comes_from_are_left_out() {
        for address in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1"] {
            let list = vec![listed("a", 0, &[address], None)];
            assert_eq!(holder(list, address), None, "{address}");
        }
    }
}
