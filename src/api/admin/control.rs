//! What the admin socket needs of the daemon as a whole.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::wire::{Confinement, Socket};
use crate::grants::Select;

/// What comes of a reload: what changed, or the errors for which nothing did.
pub type ReloadFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, String>> + Send + 'a>>;

/// A way in, as grants see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The listener's name.
    pub listener: Arc<str>,
    /// Who gets which role there where grants give several.
    pub select: Select,
    /// Whether programs get credentials there without being asked who they are.
    pub vends: bool,
}

/// The daemon, as its administrator steers it.
pub trait Control: Send + Sync + Debug {
    /// Whether it serves.
    fn is_ready(&self) -> bool;

    /// How long it has been running.
    fn uptime(&self) -> Duration;

    /// Where its configuration came from.
    fn configuration(&self) -> String;

    /// What it has given up, where it has its process for itself.
    fn confinement(&self) -> Option<Confinement>;

    /// Its sockets.
    fn sockets(&self) -> Vec<Socket>;

    /// All ways in to credentials.
    fn doors(&self) -> Vec<Door>;

    /// Has it read its configuration again.
    fn reload(&self) -> ReloadFuture<'_>;
}
