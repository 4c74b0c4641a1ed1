//! The accept loop: never spins, never ends by an error, never lets one caller take all seats.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Watch;
use super::connection::Service;
use super::elsewhere::{Doubtful, Peers};
use super::limits::{CallerSeats, Limits, Parking, Seat, Seats};
use super::tls::Tls;
use super::turns::Rounds;
use super::{Bound, Socket};
use crate::caller::{Caller, CallerKey, Desk, Reach};
use crate::http::{Connection, Handler, Local};

/// How long accepting pauses after an error that may stay, such as a full table of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// How long each answer is the last of its connection, before the daemon accepts no more: whoever asks
/// again and again has come to its end by then. Part of what the drain may take.
const LAST_ANSWERS: Duration = Duration::from_millis(50);

/// What a connection is told for which there is no room even to wait, or none in time.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What all listeners of a daemon share.
#[derive(Debug)]
pub struct Shared {
    desk: Arc<Desk>,
    limits: Limits,
    seats_of_all: Arc<Semaphore>,
    parking: Arc<Semaphore>,
    /// Those of other hosts leave room for this one's.
    elsewhere: Arc<Semaphore>,
    doubtful: Doubtful,
    rounds: Arc<Rounds>,
    watch: Watch,
    connections: TaskTracker,
    /// Nobody is accepted any more.
    stop: CancellationToken,
    /// Nobody waits any more, to be identified or for a seat.
    hurry: CancellationToken,
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
            elsewhere: Arc::new(Semaphore::new((limits.connections / 2).max(1))),
            doubtful: Doubtful::default(),
            rounds: Arc::default(),
            watch: Watch::default(),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
            hurry: CancellationToken::new(),
        }
    }

    /// Who tells who connects.
    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The seats behind a door of the daemon, where the surplus waits so long.
    pub fn seats(&self, parking: Parking) -> Arc<Seats> {
        Arc::new(Seats::new(self.limits, parking, Arc::clone(&self.rounds)))
    }

    /// A place to wait, of this caller's and of all, if both have one.
    fn places(&self, own: &CallerSeats) -> Option<[OwnedSemaphorePermit; 2]> {
        let of_caller = own.place()?;
        let of_all = Arc::clone(&self.parking).try_acquire_owned().ok()?;
        Some([of_caller, of_all])
    }

    /// A place among those of other hosts, where the caller is of one.
    fn place_elsewhere(&self, caller: &Caller) -> Result<Option<OwnedSemaphorePermit>, NoRoom> {
        if caller.reach() == Reach::Here {
            return Ok(None);
        }
        let place = Arc::clone(&self.elsewhere).try_acquire_owned();
        place.map(Some).map_err(|_full| NoRoom)
    }

    /// Sees to it that callers answer in turn, for ever. It must be a task of its own.
    pub async fn go_round(&self) -> ! {
        self.rounds.run().await
    }

    /// Watches for slow connections, for ever.
    pub async fn watch(&self) -> ! {
        self.watch.run(self.limits).await
    }

    /// Has kept connections end: for a moment everybody is served as ever, and told with each answer
    /// that it is the last on this connection. Closed between two requests instead, a connection
    /// may be closed just as the second one is sent.
    pub async fn answer_last(&self, drain: Duration) {
        if self.watch.answer_last() {
            sleep(LAST_ANSWERS.min(drain / 2)).await;
        }
    }

    /// Accepts no more, tells every connection, and waits at most `deadline` for them to end.
    pub async fn drain(&self, deadline: Duration) {
        self.stop.cancel();
        self.watch.end();
        self.connections.close();
        let half = deadline / 2;
        if timeout(half, self.connections.wait()).await.is_err() {
            self.hurry.cancel();
            drop(timeout(half, self.connections.wait()).await);
        }
    }
}

/// Other hosts have all the connections that are theirs.
struct NoRoom;

/// One socket with the handler of its requests.
#[derive(Debug)]
pub struct Listener<H> {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Its socket.
    pub bound: Bound,
    /// Who of other hosts is let in.
    pub peers: Peers,
    /// The certificate of its TCP sockets.
    pub tls: Option<Arc<Tls>>,
    /// What each caller has there.
    pub seats: Arc<Seats>,
    /// Answers its requests.
    pub handler: Arc<H>,
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Accepted {
    /// Ends it: there is no room for this caller.
    fn refuse(&self, caller: &Caller, tls: Option<&Arc<Tls>>) {
        tracing::debug!(caller = caller.name(), "no room to wait for a seat");
        self.tell_plain(NO_ROOM, tls);
    }

    /// Says a last word, if it can be said at once and without TLS.
    fn tell_plain(&self, words: &[u8], tls: Option<&Arc<Tls>>) {
        if tls.is_some() && matches!(self, Self::Tcp(..)) {
            return;
        }
        // What was sent is taken first: closed with bytes unread, a connection is reset, and the
        // word may be lost. Whether it is heard or not, the connection ends.
        let mut sent = [0; 4096];
        drop(match self {
            Self::Tcp(stream, _) => stream
                .try_read(&mut sent)
                .and_then(|_| stream.try_write(words)),
            Self::Unix(stream) => stream
                .try_read(&mut sent)
                .and_then(|_| stream.try_write(words)),
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
        if caller.reach() == Reach::Here || self.peers == Peers::Anyone {
            self.receive(accepted, caller, local, shared, of_all);
            return;
        }
        let known = shared.desk.is_containers(&caller);
        let is_peer = self.peers.contain(&caller);
        // What has a container's address is asked about first: it may be more than a peer.
        let may_be_container = known || (!is_peer && shared.desk.may_be_container(&caller));
        let Some(address) = caller.address().filter(|_| may_be_container) else {
            if is_peer {
                self.receive(accepted, caller, local, shared, of_all);
            } else {
                tracing::debug!(listener = %self.name, "connection from another host closed");
            }
            return;
        };
        let Some(places) = shared.doubtful.place(address, known) else {
            tracing::debug!(listener = %self.name, %address, "no room to wait to be identified");
            return accepted.tell_plain(NO_ROOM, self.tls.as_ref());
        };
        let (listener, shared_too) = (Arc::clone(self), Arc::clone(shared));
        drop(shared.connections.spawn(async move {
            let confirmed = confirm(&accepted, &caller, &shared_too).await;
            drop(places);
            if let Some((container, reached)) = confirmed {
                listener.seat(accepted, container, reached, &shared_too, of_all);
            } else if is_peer {
                listener.seat(accepted, caller, local, &shared_too, of_all);
            } else {
                tracing::debug!(
                    listener = %listener.name,
                    evidence = %caller.all_evidence(),
                    "connection from an address that is no one container's closed"
                );
            }
        }));
    }

    /// Finds out where the caller runs before it gets a seat: what root's containers or a unit do as
    /// some user must not use up what that user has outside. Meanwhile it takes a place among those
    /// of its user who wait.
    fn receive(
        self: &Arc<Self>,
        accepted: Accepted,
        caller: Caller,
        local: Local,
        shared: &Arc<Shared>,
        of_all: OwnedSemaphorePermit,
    ) {
        let key = caller.key();
        if caller.is_placed() || matches!(key, CallerKey::Nobody | CallerKey::Elsewhere(_)) {
            self.seat(accepted, caller, local, shared, of_all);
            return;
        }
        let Some(places) = shared.places(&self.seats.of(key)) else {
            return accepted.refuse(&caller, self.tls.as_ref());
        };
        let (listener, shared_too) = (Arc::clone(self), Arc::clone(shared));
        drop(shared.connections.spawn(async move {
            let placing = shared_too.desk.look_up_place(&caller);
            let looked = shared_too.hurry.run_until_cancelled(placing).await;
            drop(places);
            if looked.is_some() {
                listener.seat(accepted, caller, local, &shared_too, of_all);
            } else {
                accepted.refuse(&caller, listener.tls.as_ref());
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
        let own = self.seats.of(caller.key());
        let connection = Connection {
            listener: Arc::clone(&self.name),
            caller: Arc::new(caller),
            local,
            encrypted: None,
        };
        let Ok(from_elsewhere) = shared.place_elsewhere(&connection.caller) else {
            return accepted.refuse(&connection.caller, self.tls.as_ref());
        };
        let served = Served {
            accepted,
            connection,
            tls: self.tls.clone(),
            _from_elsewhere: from_elsewhere,
            handler: Arc::clone(&self.handler),
            shared: Arc::clone(shared),
            parking: self.seats.parking,
        };
        match own.seat(of_all) {
            // In a box: what a connection needs is more than its task should carry about.
            Ok(seat) => drop(shared.connections.spawn(Box::pin(served.serve(seat)))),
            Err(of_all) => {
                drop(of_all);
                served.park(&own);
            }
        }
    }
}

/// An accepted connection with all that serves it.
struct Served<H> {
    accepted: Accepted,
    connection: Connection,
    tls: Option<Arc<Tls>>,
    _from_elsewhere: Option<OwnedSemaphorePermit>,
    handler: Arc<H>,
    shared: Arc<Shared>,
    parking: Parking,
}

impl<H: Handler> Served<H> {
    /// Lets it wait for a seat, if there is room to. It holds none of all callers' seats then.
    fn park(self, own: &Arc<CallerSeats>) {
        let Some(places) = self.shared.places(own) else {
            return self
                .accepted
                .refuse(&self.connection.caller, self.tls.as_ref());
        };
        let own = Arc::clone(own);
        let shared = Arc::clone(&self.shared);
        drop(shared.connections.spawn(async move {
            let seat = own.wait(&self.shared.seats_of_all);
            let seat = timeout(self.parking.connection, seat);
            let seat = self.shared.hurry.run_until_cancelled(seat).await;
            drop(places);
            match seat {
                Some(Ok(Some(seat))) => self.serve(seat).await,
                Some(Ok(None) | Err(_)) | None => {
                    self.accepted.tell_plain(NO_ROOM, self.tls.as_ref());
                }
            }
        }));
    }

    async fn serve(mut self, seat: Seat) {
        let (accepted, tls) = (self.accepted, self.tls.take());
        let talk = Talk {
            connection: self.connection,
            handler: self.handler,
            shared: self.shared,
            parking: self.parking,
        };
        match (accepted, tls) {
            // In a box of its own: plain connections need no room for it.
            (Accepted::Tcp(stream, _), Some(tls)) => {
                Box::pin(talk.encrypted(stream, tls, &seat)).await;
            }
            (Accepted::Tcp(stream, _), None) => talk.over(stream, &seat).await,
            (Accepted::Unix(stream), _) => talk.over(stream, &seat).await,
        }
    }
}

/// What serves the requests of a connection.
pub(super) struct Talk<H> {
    pub(super) connection: Connection,
    pub(super) handler: Arc<H>,
    pub(super) shared: Arc<Shared>,
    pub(super) parking: Parking,
}

impl<H: Handler> Talk<H> {
    async fn encrypted(mut self, stream: TcpStream, tls: Arc<Tls>, seat: &Seat) {
        let shaking = tls.shake(stream);
        match self.shared.hurry.run_until_cancelled(shaking).await {
            Some(Ok((shaken, encrypted))) => {
                self.connection.encrypted = Some(encrypted);
                self.over(shaken, seat).await;
            }
            Some(Err(error)) => {
                tracing::debug!(listener = %self.connection.listener, %error, "no handshake");
            }
            None => {}
        }
    }

    pub(super) async fn over(self, io: impl AsyncRead + AsyncWrite + Unpin + Send, seat: &Seat) {
        let service = Service {
            handler: &*self.handler,
            visit: &self.handler.visit(self.connection),
            activity: &self.shared.watch.connection(),
            turns: &seat.own.turns,
            parking: self.parking,
        };
        service.serve(io).await;
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
    let confirmed = shared.hurry.run_until_cancelled(confirming).await??;
    let original = confirmed.original_destination();
    Some((confirmed, Local::Tcp { address, original }))
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
        sleep(PAUSE).await;
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
mod tests;
