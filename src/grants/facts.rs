//! What is known of a caller, as far as grants may ask.

use std::fmt;
use std::sync::Arc;

/// One fact of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// There is evidence for it.
    Yes(T),
    /// It was looked for, and there is no evidence that counts.
    No,
    /// Nobody has looked yet.
    NotYet,
}

/// A fact that can be looked up off the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Which container the caller runs in, or none.
    Container,
}

/// Where a caller runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Container {
    /// On the host itself (or in the daemon's own container).
    None,
    /// Under this container's control group.
    In(ContainerId),
}

/// A container's id as its control group tells it, or the path of the group where it has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(Arc<str>);

impl ContainerId {
    /// The container of this id.
    pub fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// All that grants may ask of one caller on one listener.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The uid that the kernel vouches for.
    pub uid: Known<u32>,
    /// Which container the caller is in.
    pub container: Known<Container>,
    /// The listener that is asked, by its name; grants for one listener match nowhere else.
    pub listener: Option<Arc<str>>,
}

impl Facts {
    /// The same caller on this listener.
    #[must_use]
    pub fn on(self, listener: Arc<str>) -> Self {
        Self {
            listener: Some(listener),
            ..self
        }
    }
}
