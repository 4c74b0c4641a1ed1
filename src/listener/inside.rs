//! Connections of the daemon to itself, past its sockets: nobody can keep them from being served,
//! and what serves them is what serves everybody.

use std::fmt;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::accept::{Shared, Talk};
use super::limits::{Parking, Seats};
use crate::http::{Connection, Handler, Local};

/// A way to a handler that goes through no socket.
pub struct Inside<H> {
    /// The name of the listener that it is beside.
    name: Arc<str>,
    handler: Arc<H>,
    shared: Arc<Shared>,
    seats: Arc<Seats>,
}

impl<H> fmt::Debug for Inside<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<H: Handler> Inside<H> {
    /// One to this handler, with seats of its own.
    pub fn new(name: Arc<str>, handler: Arc<H>, shared: Arc<Shared>) -> Self {
        let seats = shared.seats(Parking::PEOPLE);
        Self {
            name,
            handler,
            shared,
            seats,
        }
    }

    /// A connection as a program of the daemon's own user would have it.
    pub fn connect(&self) -> io::Result<UnixStream> {
        let (near, far) = UnixStream::pair()?;
        let caller = self.shared.desk().identify_unix(far.as_fd());
        let own = self.seats.of(caller.key());
        let one = Arc::new(Semaphore::new(1)).try_acquire_owned();
        let seat = one.ok().and_then(|one| own.seat(one).ok());
        let seat = seat.ok_or(io::ErrorKind::WouldBlock)?;
        let talk = Talk {
            connection: Connection {
                listener: Arc::clone(&self.name),
                caller: Arc::new(caller),
                local: Local::Unix,
                encrypted: None,
            },
            handler: Arc::clone(&self.handler),
            shared: Arc::clone(&self.shared),
            parking: Parking::PEOPLE,
        };
        drop(tokio::spawn(async move {
            Box::pin(talk.over(far, &seat)).await;
        }));
        Ok(near)
    }
}
