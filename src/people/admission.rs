//! Who asks to be let in, who was, and why somebody was not.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method};

use crate::caller::CallerKey;
use crate::grants::Person;

/// What a request is known by before it has proved anything.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The uid of its process, where the kernel tells it.
    pub uid: Option<u32>,
    /// As whom its connections are counted.
    pub counted: &'a CallerKey,
    /// Whether it came over a unix socket.
    pub over_unix: bool,
    /// The subject of the certificate that its peer showed, as RFC 4514 writes it.
    pub subject: Option<&'a str>,
    /// The address of its peer, where it came over the network.
    pub address: Option<IpAddr>,
    /// The listener that it came to.
    pub listener: &'a str,
    /// Whether nobody on the way could read it.
    pub secure: bool,
    /// What it wants to do.
    pub method: &'a Method,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proven {
    /// The connection's own caller, by the kernel's evidence.
    Peer {
        /// Whether it administers.
        administrator: bool,
    },
    /// Somebody who proved a name.
    Person(Arc<Person>),
}

/// Who was let in, and what it takes along.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Who it is.
    pub who: Proven,
    /// The cookie that proves it from now on, where one was made.
    pub cookie: Option<HeaderValue>,
    /// What this visitor's session may be called in public: it proves nothing.
    pub session: Option<Arc<str>>,
}

/// Nobody may pass with this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// Nothing that the mount takes is shown: 401.
    #[error("the request proves no name")]
    Missing,
    /// What is shown is wrong, or no longer counts: 401.
    #[error("the name or its proof is wrong")]
    Wrong,
    /// Too much was wrong lately; nothing is looked at for so long: 429 with `Retry-After`.
    #[error("too much was wrong lately")]
    Throttled(Duration),
    /// This person is in none of the groups that the mount asks for: 403.
    #[error("the mount is for members of other groups")]
    NotMember(Arc<str>),
    /// A proxy's header in the request of somebody who is not that proxy: 403.
    #[error("the proxy's header does not come from the proxy")]
    ForeignProxy,
    /// Only a cookie proves this person, and the request could be another site's: 403.
    #[error("a cookie alone changes nothing")]
    CrossSite(Arc<str>),
    /// Who could tell does not answer, or too many ask: 503 with `Retry-After`.
    #[error("what would prove the name cannot be asked now")]
    NotReady,
}

impl Unproven {
    /// Who asks, where that is known all the same.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::NotMember(name) | Self::CrossSite(name) => Some(name),
            Self::Missing
            | Self::Wrong
            | Self::Throttled(_)
            | Self::ForeignProxy
            | Self::NotReady => None,
        }
    }

    /// When to ask again, where asking again may help.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled(wait) => Some(*wait),
            Self::NotReady => Some(Duration::from_secs(1)),
            Self::Missing
            | Self::Wrong
            | Self::NotMember(_)
            | Self::ForeignProxy
            | Self::CrossSite(_) => None,
        }
    }
}
