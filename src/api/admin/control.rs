//! What the admin socket needs of the daemon as a whole.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::wire::Socket;

/// What comes of a reload: what changed, or the errors for which nothing did.
pub type ReloadFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, String>> + Send + 'a>>;

/// The daemon, as its administrator steers it.
pub trait Control: Send + Sync + Debug {
    /// Whether it serves.
    fn is_ready(&self) -> bool;

    /// How long it has been running.
    fn uptime(&self) -> Duration;

    /// Where its configuration came from.
    fn configuration(&self) -> String;

    /// Its sockets.
    fn sockets(&self) -> Vec<Socket>;

    /// Has it read its configuration again.
    fn reload(&self) -> ReloadFuture<'_>;
}
