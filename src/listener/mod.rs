//! Sockets: bound here or handed over, accepted from within bounds, served, and drained.
//!
//! A listener knows connections and the border of [`http::Handler`](crate::http::Handler); it knows
//! no API. Who is at the other end is asked once, at accept, and belongs to the connection.

mod accept;
mod activity;
mod bind;
mod connection;
mod elsewhere;
#[cfg(fuzzing)]
pub mod fuzzing;
mod inside;
mod limits;
mod subject;
mod tls;
mod turns;

#[cfg(test)]
mod tests;

pub use accept::{Listener, Shared};
pub use bind::{BindError, Bound, Kind, Passed, PassedSocket, Socket, bind, bind_unix};
pub use elsewhere::Peers;
pub use inside::Inside;
pub use limits::{CallerLimits, Limits, Parking, Seats};
pub use tls::{Tls, TlsError};
