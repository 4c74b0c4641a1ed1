//! The accept loop: never spins, never ends by an error, never lets one caller take all seats.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use nix::errno::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Watch;
use super::connection::Service;
use super::limits::{CallerSeats, Limits, Parking, Seat, Seats};
use super::tls::Tls;
use super::turns::Rounds;
use super::{Bound, Socket};
use crate::caller::{Caller, CallerKey, Desk, PerCaller, Reach};
use crate::http::{Connection, Handler, Local};

/// How long accepting pauses after an error that may stay, such as a full table of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// So many connections wait at once for it to be told whether a container of this host made them:
/// from addresses that containers have, and as many from others, which may be made up without end.
const DOUBTFUL: usize = 128;

/// And so many from each address, so that one container's loop leaves room for the others.
const DOUBTFUL_OF_EACH: usize = 16;

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
            elsewhere: Arc::new(Semaphore::new((limits.connections / 2).max(1))),
            doubtful: Doubtful::default(),
            rounds: Arc::default(),
            watch: Watch::default(),
            connections: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
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

    /// Accepts no more, tells every connection, and waits at most `deadline` for them to end.
    pub async fn drain(&self, deadline: Duration) {
        self.stop.cancel();
        self.watch.end();
        self.connections.close();
        drop(timeout(deadline, self.connections.wait()).await);
    }
}

/// Other hosts have all the connections that are theirs.
struct NoRoom;

/// Places of connections of which it is asked whether a container made them.
#[derive(Debug)]
struct Doubtful {
    containers: Arc<Semaphore>,
    others: Arc<Semaphore>,
    each: PerCaller<Semaphore, IpAddr>,
}

impl Default for Doubtful {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(DOUBTFUL));
        Self {
            containers: places(),
            others: places(),
            each: PerCaller::default(),
        }
    }
}

impl Doubtful {
    /// A place for a connection from this address.
    fn place(&self, address: IpAddr, is_containers: bool) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = self.each.of(address, || Semaphore::new(DOUBTFUL_OF_EACH));
        let all = if is_containers {
            &self.containers
        } else {
            &self.others
        };
        let own = own.try_acquire_owned().ok()?;
        Some([own, Arc::clone(all).try_acquire_owned().ok()?])
    }
}

/// Who of other hosts is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Whoever connects.
    Anyone,
    /// Those of these networks: where there are none, nobody.
    Networks(Vec<IpNet>),
}

impl Peers {
    fn contain(&self, caller: &Caller) -> bool {
        match self {
            Self::Anyone => true,
            Self::Networks(networks) => caller
                .address()
                .is_some_and(|address| networks.iter().any(|network| network.contains(&address))),
        }
    }
}

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
            let looked = shared_too.stop.run_until_cancelled(placing).await;
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
            Ok(seat) => drop(shared.connections.spawn(served.serve(seat))),
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
            let seat = self.shared.stop.run_until_cancelled(seat).await;
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
        if self.shared.stop.is_cancelled() {
            return;
        }
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
struct Talk<H> {
    connection: Connection,
    handler: Arc<H>,
    shared: Arc<Shared>,
    parking: Parking,
}

impl<H: Handler> Talk<H> {
    async fn encrypted(mut self, stream: TcpStream, tls: Arc<Tls>, seat: &Seat) {
        let shaking = tls.shake(stream);
        match self.shared.stop.run_until_cancelled(shaking).await {
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

    async fn over(self, io: impl AsyncRead + AsyncWrite + Unpin + Send, seat: &Seat) {
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
    let confirmed = shared.stop.run_until_cancelled(confirming).await??;
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
    use bytes::Bytes;
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::clock::Clock;
    use crate::http::{Request, Response};
    use crate::listener::limits::CallerLimits;

    /// Notes for each connection whether it was known by then where its caller runs.
    #[derive(Debug)]
    struct Placed(tokio::sync::mpsc::UnboundedSender<bool>);

    impl Handler for Placed {
        type Visit = ();

        fn visit(&self, connection: Connection) {
            self.0.send(connection.caller.is_placed()).unwrap();
        }

        async fn handle(&self, (): &(), _: &Request) -> Response {
            Response::new(Full::new(Bytes::new()))
        }
    }

    /// Connects, asks, and reads the answer to its end.
    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
        let get = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        stream.write_all(get).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[test]
    fn addresses_without_containers_take_no_place_of_those_with_one() {
        let doubtful = Doubtful::default();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut taken = Vec::new();
        for last in 0..200 {
            taken.extend(doubtful.place(address(last), false));
        }
        assert_eq!(taken.len(), DOUBTFUL);
        for last in 200..250 {
            assert!(doubtful.place(address(last), false).is_none());
            assert!(doubtful.place(address(last), true).is_some());
        }
        let own: Vec<_> = (0..=DOUBTFUL_OF_EACH)
            .filter_map(|_| doubtful.place(address(250), true))
            .collect();
        assert_eq!(own.len(), DOUBTFUL_OF_EACH);
    }

    #[test]
    fn peers_are_those_of_the_networks_that_are_named() {
        let desk = Desk::open(Clock::System).unwrap();
        let from = |address: &str| {
            let accepted = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let local = accepted.local_addr().unwrap();
            desk.identify_tcp(local, address.parse().unwrap(), accepted.as_fd())
        };
        let networks = ["203.0.113.0/24", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let peers = Peers::Networks(networks.into());
        for (address, is_peer) in [
            ("203.0.113.7:1", true),
            ("[::ffff:203.0.113.7]:1", true),
            ("[2001:db8::7]:1", true),
            ("198.51.100.7:1", false),
            ("[2001:db9::7]:1", false),
        ] {
            let caller = from(address);
            assert_eq!(caller.reach(), Reach::Elsewhere, "{address}");
            assert_eq!(peers.contain(&caller), is_peer, "{address}");
            assert!(!Peers::Networks(Vec::new()).contain(&caller));
        }
        let key = |address: &str| from(address).key();
        assert_ne!(key("203.0.113.7:1"), key("203.0.113.8:1"));
        assert_ne!(key("203.0.113.7:1"), CallerKey::Nobody);
        assert_eq!(key("203.0.113.7:1"), key("203.0.113.7:2"));
        assert_eq!(key("[2001:db8::7]:1"), key("[2001:db8::8]:1"));
        assert_ne!(key("[2001:db8::7]:1"), key("[2001:db8:0:1::7]:1"));
    }

    #[tokio::test]
    async fn other_hosts_leave_connections_to_this_one() {
        let each = CallerLimits {
            connections: 100,
            requests: 1,
        };
        let limits = Limits::new(8, each, 1024);
        let desk = Arc::new(Desk::open(Clock::System).unwrap());
        let shared = Shared::new(Arc::clone(&desk), limits, 1);
        let near = desk.of_uid(0);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        let mut taken = Vec::new();
        for last in 1..=8 {
            let peer = SocketAddr::from(([203, 0, 113, last], 1));
            let far = desk.identify_tcp(local, peer, socket.as_fd());
            taken.extend(shared.place_elsewhere(&far).ok().flatten());
        }
        assert_eq!(taken.len(), 4);
        assert!(
            shared
                .place_elsewhere(&near)
                .is_ok_and(|place| place.is_none())
        );
    }

    #[tokio::test]
    async fn nobody_has_a_seat_before_it_is_known_where_it_runs() {
        let each = CallerLimits {
            connections: 1,
            requests: 1,
        };
        let limits = Limits::new(8, each, 1024);
        let desk = Arc::new(Desk::open(Clock::System).unwrap());
        let shared = Arc::new(Shared::new(desk, limits, 2));
        let (placed, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let handler = Arc::new(Placed(placed));
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let unix = UnixListener::bind(&path).unwrap();
        for socket in [Socket::Tcp(tcp), Socket::Unix(unix)] {
            let listener = Listener {
                name: Arc::from("test"),
                bound: Bound {
                    socket,
                    address: "test".to_owned(),
                    hop_limit: None,
                    made: None,
                },
                peers: Peers::Networks(Vec::new()),
                tls: None,
                seats: shared.seats(Parking::PROGRAMS),
                handler: Arc::clone(&handler),
            };
            tokio::spawn(listener.run(Arc::clone(&shared)));
        }
        let going_round = Arc::clone(&shared);
        tokio::spawn(async move { going_round.go_round().await });
        for _ in 0..2 {
            let over_tcp = answer(TcpStream::connect(address).await.unwrap()).await;
            let over_unix = answer(UnixStream::connect(&path).await.unwrap()).await;
            for answer in [over_tcp, over_unix] {
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                assert_eq!(seen.recv().await, Some(true));
            }
        }
    }

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
