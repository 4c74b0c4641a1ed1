//! The accept loop: never spins, never ends by an error, never lets one caller take all seats.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Watch;
use super::connection;
use super::limits::{Limits, Seat, Seats};
use super::{Bound, Socket};
use crate::caller::{Caller, Desk, Reach};
use crate::http::{Connection, Handler, Local};

/// How long accepting pauses after an error that may stay, such as a full table of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// So many connections wait at once for it to be told whether a container of this host made them.
const DOUBTFUL: usize = 128;

/// What a connection is told for which there is no room even to wait.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What all listeners of a daemon share.
#[derive(Debug)]
pub struct Shared {
    desk: Arc<Desk>,
    limits: Limits,
    seats_of_all: Arc<Semaphore>,
    parking: Arc<Semaphore>,
    doubtful: Arc<Semaphore>,
    seats: Seats,
    watch: Watch,
    connections: TaskTracker,
    stop: CancellationToken,
}

impl Shared {
    /// Shared by this many listening sockets, which ask this desk and keep within these limits.
    pub fn new(desk: Arc<Desk>, limits: Limits, sockets: usize) -> Self {
        Self {
            desk,
            limits,
            // Each socket holds a seat for the next connection.
            seats_of_all: Arc::new(Semaphore::new(limits.connections.saturating_add(sockets))),
            parking: Arc::new(Semaphore::new(limits.waiting)),
            doubtful: Arc::new(Semaphore::new(DOUBTFUL)),
            seats: Seats::new(limits.connections_per_caller),
            watch: Watch::default(),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Watches for slow connections, for ever.
    pub async fn watch(&self) -> ! {
        self.watch.run(self.limits).await
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> usize {
        self.connections.len()
    }

    /// Accepts no more, tells every connection, and waits at most `deadline` for them to end.
    pub async fn drain(&self, deadline: Duration) {
        self.stop.cancel();
        self.watch.end();
        self.connections.close();
        drop(tokio::time::timeout(deadline, self.connections.wait()).await);
    }
}

/// One socket with the handler of its requests.
#[derive(Debug)]
pub struct Listener<H> {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its socket.
    pub bound: Bound,
    /// Whether peers of other hosts are let in.
    pub elsewhere: bool,
    /// Answers its requests.
    pub handler: Arc<H>,
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Accepted {
    /// Says a last word, if it can be said at once.
    fn tell(&self, words: &[u8]) {
        // Whether it is heard or not, the connection ends.
        drop(match self {
            Self::Tcp(stream, _) => stream.try_write(words),
            Self::Unix(stream) => stream.try_write(words),
        });
    }
}

impl<H: Handler> Listener<H> {
    /// Accepts until the daemon ends.
    pub async fn run(self, shared: Arc<Shared>) {
        let stop = shared.stop.clone();
        let listener = Arc::new(self);
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = listener.accept_for_ever(&shared) => {}
        }
    }

    /// While no seat is free connections wait in the kernel.
    async fn accept_for_ever(self: &Arc<Self>, shared: &Arc<Shared>) {
        while let Ok(seat) = Arc::clone(&shared.seats_of_all).acquire_owned().await {
            match accept(&self.bound.socket).await {
                Ok(accepted) => self.admit(accepted, shared, seat),
                Err(error) => pause(&self.bound.address, &error).await,
            }
        }
    }

    /// Identifies the caller and lets it in, at once or when it has turned out to be a container.
    fn admit(
        self: &Arc<Self>,
        accepted: Accepted,
        shared: &Arc<Shared>,
        of_all: OwnedSemaphorePermit,
    ) {
        let Some((caller, local)) = identify(&accepted, &shared.desk) else {
            return;
        };
        if caller.reach() == Reach::Here || self.elsewhere {
            self.seat(accepted, caller, local, shared, of_all);
            return;
        }
        let place = Arc::clone(&shared.doubtful).try_acquire_owned();
        let place = place.ok().filter(|_| shared.desk.may_be_container(&caller));
        let Some(place) = place else {
            tracing::debug!(listener = %self.name, "connection from another host closed");
            return;
        };
        let (listener, shared_too) = (Arc::clone(self), Arc::clone(shared));
        drop(shared.connections.spawn(async move {
            let confirmed = confirm(&accepted, &caller, &shared_too).await;
            drop(place);
            if let Some((container, reached)) = confirmed {
                listener.seat(accepted, container, reached, &shared_too, of_all);
            } else {
                tracing::debug!(
                    listener = %listener.name,
                    evidence = %caller.all_evidence(),
                    "connection from an address that is no one container's closed"
                );
            }
        }));
    }

    /// Gives the caller a seat, or lets it wait for one.
    fn seat(
        &self,
        accepted: Accepted,
        caller: Caller,
        local: Local,
        shared: &Arc<Shared>,
        of_all: OwnedSemaphorePermit,
    ) {
        let seats = shared.seats.of(caller.key());
        let connection = Connection {
            listener: Arc::clone(&self.name),
            caller: Arc::new(caller),
            local,
        };
        let handler = Arc::clone(&self.handler);
        if let Ok(of_caller) = Arc::clone(&seats.served).try_acquire_owned() {
            let seat = Seat {
                _of_all: of_all,
                _of_caller: of_caller,
            };
            let serving = serve(accepted, connection, handler, Arc::clone(shared), seat);
            drop(shared.connections.spawn(serving));
        } else if let Ok(own_place) = seats.waiting.try_acquire_owned()
            && let Ok(place) = Arc::clone(&shared.parking).try_acquire_owned()
        {
            drop(of_all);
            let shared_too = Arc::clone(shared);
            drop(shared.connections.spawn(async move {
                let Ok(of_caller) = seats.served.acquire_owned().await else {
                    return;
                };
                let seats_of_all = Arc::clone(&shared_too.seats_of_all);
                let Ok(again) = seats_of_all.acquire_owned().await else {
                    return;
                };
                drop((place, own_place));
                let seat = Seat {
                    _of_all: again,
                    _of_caller: of_caller,
                };
                serve(accepted, connection, handler, shared_too, seat).await;
            }));
        } else {
            tracing::debug!(
                caller = connection.caller.name(),
                "no room to wait for a seat"
            );
            accepted.tell(NO_ROOM);
        }
    }
}

async fn accept(socket: &Socket) -> io::Result<Accepted> {
    match socket {
        Socket::Tcp(listener) => accept_tcp(listener).await,
        Socket::Unix(listener) => accept_unix(listener).await,
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<Accepted> {
    let (stream, peer) = listener.accept().await?;
    Ok(Accepted::Tcp(stream, peer))
}

async fn accept_unix(listener: &UnixListener) -> io::Result<Accepted> {
    let (stream, _unnamed) = listener.accept().await?;
    Ok(Accepted::Unix(stream))
}

/// `None` where the connection is gone already.
fn identify(accepted: &Accepted, desk: &Desk) -> Option<(Caller, Local)> {
    match accepted {
        Accepted::Tcp(stream, peer) => {
            let address = stream.local_addr().ok()?;
            let caller = desk.identify_tcp(address, *peer, stream.as_fd());
            let original = caller.original_destination();
            Some((caller, Local::Tcp { address, original }))
        }
        Accepted::Unix(stream) => Some((desk.identify_unix(stream.as_fd()), Local::Unix)),
    }
}

/// The caller of a connection from elsewhere, if it turns out to be a container of this host.
async fn confirm(accepted: &Accepted, caller: &Caller, shared: &Shared) -> Option<(Caller, Local)> {
    let Accepted::Tcp(stream, _) = accepted else {
        return None;
    };
    let address = stream.local_addr().ok()?;
    let confirming = shared.desk.confirm(caller, address, stream.as_fd());
    let confirmed = shared.stop.run_until_cancelled(confirming).await??;
    let original = confirmed.original_destination();
    Some((confirmed, Local::Tcp { address, original }))
}

async fn serve<H: Handler>(
    accepted: Accepted,
    connection: Connection,
    handler: Arc<H>,
    shared: Arc<Shared>,
    _seat: Seat,
) {
    if shared.stop.is_cancelled() {
        return;
    }
    let activity = shared.watch.connection();
    let visit = handler.visit(connection);
    match accepted {
        Accepted::Tcp(stream, _) => {
            connection::serve(stream, &*handler, &visit, &activity).await;
        }
        Accepted::Unix(stream) => connection::serve(stream, &*handler, &visit, &activity).await,
    }
}

/// A peer that went away between its SYN and our accept is no reason to wait; anything else may
/// stay, and must not spin.
async fn pause(address: &str, error: &io::Error) {
    let errno = error
        .raw_os_error()
        .map_or(Errno::UnknownErrno, Errno::from_raw);
    if is_of_peer(errno) {
        tracing::debug!(%address, %error, "a connection was gone before it was accepted");
        tokio::task::yield_now().await;
    } else {
        tracing::error!(%address, %error, "accepting pauses");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The errors of the new connection that accept(2) passes on.
const fn is_of_peer(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNABORTED
            | Errno::ECONNRESET
            | Errno::EINTR
            | Errno::EPERM
            | Errno::EPROTO
            | Errno::ENOPROTOOPT
            | Errno::ENETDOWN
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
            | Errno::ENONET
            | Errno::EOPNOTSUPP
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn paused(errno: Errno) -> Duration {
        let begun = tokio::time::Instant::now();
        pause("test", &io::Error::from(errno)).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_may_stay_does_not_spin() {
        for errno in [
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::ENOMEM,
            Errno::EINVAL,
            Errno::EBADF,
        ] {
            assert!(paused(errno).await >= PAUSE, "{errno}");
        }
        for errno in [Errno::ECONNABORTED, Errno::EPERM, Errno::EINTR] {
            assert_eq!(paused(errno).await, Duration::ZERO, "{errno}");
        }
    }
}
