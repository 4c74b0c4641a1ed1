//! Which callers are one: whose tokens are each other's, and who shares seats.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::identity::own_unit;
use crate::grants::{ContainerId, ContainerPlace, Place};

/// Whose connections share one bound. A user's own units and containers are that user: it could
/// make any number of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallerKey {
    /// A user's in a system unit; only root names those.
    Unit(Arc<str>, u32),
    /// Those of a container that root's runtime made.
    Container(ContainerId),
    /// A user's.
    Uid(u32),
    /// Those of somebody who proved this name.
    Person(Arc<str>),
    /// Those of another host, of IPv6 those of its network.
    Elsewhere(IpAddr),
    /// Those of all who are not identified.
    Nobody,
}

impl CallerKey {
    /// Another host's: one has any number of addresses in its IPv6 network.
    pub(super) fn elsewhere(address: IpAddr) -> Self {
        Self::Elsewhere(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => {
                let network = u128::from(v6) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(network))
            }
        })
    }

    pub(super) fn new(uid: u32, place: Option<&Place>) -> Self {
        match place {
            Some(Place::Host(host)) => match own_unit(host) {
                Some(unit) => Self::Unit(Arc::clone(unit), uid),
                None => Self::Uid(uid),
            },
            Some(Place::Container(ContainerPlace { id, owner: None })) => {
                Self::Container(id.clone())
            }
            Some(Place::Container(ContainerPlace {
                owner: Some(owner), ..
            })) => Self::Uid(*owner),
            None => Self::Uid(uid),
        }
    }
}

/// No user has this uid: the kernel takes it for "none".
const NO_UID: u32 = u32::MAX;

/// What a token is bound to: the uid, and the system unit or container where the caller is in one.
/// Never a pid or a port, which change while the caller stays the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    uid: u32,
    place: PrincipalPlace,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum PrincipalPlace {
    Host,
    Unit(Arc<str>),
    Container(ContainerPlace),
    Unknown,
}

impl Principal {
    pub(super) fn new(uid: u32, place: Option<&Place>) -> Self {
        let place = match place {
            None => PrincipalPlace::Unknown,
            Some(Place::Container(container)) => PrincipalPlace::Container(container.clone()),
            Some(Place::Host(host)) => match own_unit(host) {
                Some(unit) => PrincipalPlace::Unit(Arc::clone(unit)),
                None => PrincipalPlace::Host,
            },
        };
        Self { uid, place }
    }

    /// A container that is known by its address: whose process it is cannot be told.
    pub(super) fn of_container(id: &ContainerId) -> Self {
        let container = ContainerPlace {
            id: id.clone(),
            owner: None,
        };
        Self {
            uid: NO_UID,
            place: PrincipalPlace::Container(container),
        }
    }

    /// The principal of this uid on the host itself.
    pub const fn uid(uid: u32) -> Self {
        Self {
            uid,
            place: PrincipalPlace::Host,
        }
    }

    /// Appends bytes that no other principal gives.
    pub fn write_to(&self, context: &mut Vec<u8>) {
        context.extend_from_slice(&self.uid.to_be_bytes());
        match &self.place {
            PrincipalPlace::Host => context.push(0),
            PrincipalPlace::Unknown => context.push(1),
            PrincipalPlace::Container(ContainerPlace { id, owner }) => {
                context.push(2);
                if let Some(owner) = owner {
                    context.push(1);
                    context.extend_from_slice(&owner.to_be_bytes());
                } else {
                    context.push(0);
                }
                context.extend_from_slice(id.as_str().as_bytes());
            }
            PrincipalPlace::Unit(unit) => {
                context.push(3);
                context.extend_from_slice(unit.as_bytes());
            }
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.uid {
            NO_UID => f.write_str("anybody")?,
            uid => write!(f, "uid {uid}")?,
        }
        match &self.place {
            PrincipalPlace::Host => Ok(()),
            PrincipalPlace::Unit(unit) => write!(f, " in {unit}"),
            PrincipalPlace::Container(ContainerPlace { id, owner: None }) => {
                write!(f, " in {}", id.as_str())
            }
            PrincipalPlace::Container(ContainerPlace {
                id,
                owner: Some(owner),
            }) => write!(f, " in {} of uid {owner}", id.as_str()),
            PrincipalPlace::Unknown => write!(f, " somewhere"),
        }
    }
}
