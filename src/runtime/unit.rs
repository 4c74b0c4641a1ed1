//! The unit that holds the runtimes' sockets: it watches them, and answers on a socket of its own.

mod answer;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::unistd::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::engine::{Engine, EngineError, EngineSpec};
use super::wire::{Change, Inspected, List, Listed};
use super::{cgroup, wire};
use crate::socket_file;
use crate::transport::causes;

/// Connections at once: the daemon asks a few questions at a time.
const CONNECTIONS: usize = 64;
/// Changes that a follower may lag behind before it has to begin anew.
const BACKLOG: usize = 256;
/// How long one runtime is waited for.
const DEADLINE: Duration = Duration::from_millis(1500);
/// One that did not list its containers in time is left out of lists for so long.
const LEFT_OUT: Duration = Duration::from_secs(10);
/// A runtime that is not there is tried again after this, then ever later.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After this long a runtime is trusted to stay.
const SETTLED: Duration = Duration::from_mins(1);
/// How long accepting pauses after an error that may stay.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The unit cannot have its socket.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// Another unit has it.
    #[error("{} is in use", .0.display())]
    InUse(PathBuf),
    /// It cannot be made.
    #[error("{} cannot be made", path.display())]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a unit is made of.
#[derive(Clone, Debug)]
pub struct UnitSpec {
    /// Where it answers.
    pub socket: PathBuf,
    /// Whom it asks.
    pub engines: Vec<EngineSpec>,
    /// Who may ask it, besides root and its own user.
    pub asker: Option<u32>,
    /// Where the host's processes are seen: `/proc`.
    pub processes: PathBuf,
}

/// The unit, its socket bound.
#[derive(Debug)]
pub struct Unit {
    path: PathBuf,
    listener: UnixListener,
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    engines: Vec<Arc<Source>>,
    followers: Mutex<Vec<mpsc::Sender<Bytes>>>,
    /// Who may ask.
    askers: BTreeSet<u32>,
    processes: PathBuf,
}

/// A runtime, and until when it is left out of lists.
#[derive(Debug)]
struct Source {
    engine: Engine,
    left_out: Mutex<Option<Instant>>,
}

/// What is said of an id.
#[derive(Debug)]
enum Said {
    Known(Box<Inspected>),
    Unknown,
    Disagrees,
    Failed,
}

impl Unit {
    /// Binds its socket: its owner and its group may connect.
    pub fn bind(spec: UnitSpec) -> Result<Self, UnitError> {
        let path = spec.socket.as_path();
        let failed = |source| UnitError::Bind {
            path: path.to_owned(),
            source,
        };
        socket_file::remove_stale(path).map_err(failed)?;
        let listener = StdListener::bind(path).map_err(|error| {
            if error.kind() == io::ErrorKind::AddrInUse {
                UnitError::InUse(path.to_owned())
            } else {
                failed(error)
            }
        })?;
        socket_file::give_mode(path, 0o660).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let engines = spec.engines.into_iter().map(|engine| {
            Arc::new(Source {
                engine: Engine::new(engine),
                left_out: Mutex::default(),
            })
        });
        let own = [0, geteuid().as_raw()];
        Ok(Self {
            listener: UnixListener::from_std(listener).map_err(failed)?,
            shared: Arc::new(Shared {
                engines: engines.collect(),
                followers: Mutex::default(),
                askers: spec.asker.into_iter().chain(own).collect(),
                processes: spec.processes,
            }),
            path: spec.socket,
        })
    }

    /// Answers until it is stopped.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for source in &self.shared.engines {
            let watching = watch(Arc::clone(source), Arc::clone(&self.shared));
            drop(tasks.spawn(stop.clone().run_until_cancelled_owned(watching)));
        }
        let accepting = accept(&self.listener, &self.shared, &tasks, &stop);
        stop.run_until_cancelled(accepting).await;
        drop(fs::remove_file(&self.path));
        tasks.close();
        tasks.wait().await;
    }
}

async fn accept(
    listener: &UnixListener,
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(seat) = Arc::clone(&seats).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _unnamed)) => stream,
            Err(error) => {
                tracing::error!(%error, "accepting pauses");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let asker = stream.peer_cred().map(|peer| peer.uid());
        match asker {
            Ok(uid) if shared.askers.contains(&uid) => {}
            Ok(uid) => {
                tracing::warn!(uid, "a connection of another user is closed");
                continue;
            }
            Err(_unknown) => continue,
        }
        let shared = Arc::clone(shared);
        let serving = async move {
            serve(stream, shared).await;
            drop(seat);
        };
        drop(tasks.spawn(stop.clone().run_until_cancelled_owned(serving)));
    }
}

/// Serves a connection to its end. An error is the peer's doing and nobody's concern.
async fn serve(stream: UnixStream, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer::answer(&shared, &request).await) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    drop(connection.await);
}

/// Watches one runtime, for ever.
async fn watch(source: Arc<Source>, shared: Arc<Shared>) -> ! {
    let engine = &source.engine;
    let mut pause = FIRST_PAUSE;
    loop {
        let begun = Instant::now();
        let error = engine.watch(&|id| shared.tell(id)).await;
        let socket = engine.spec.socket.display();
        if engine.is_down() {
            tracing::debug!(%socket, error = %causes(&error), "a container runtime is still away");
        } else {
            tracing::warn!(%socket, error = %causes(&error), "a container runtime cannot be watched");
            engine.set_down(true);
        }
        shared.tell(None);
        if begun.elapsed() > SETTLED {
            pause = FIRST_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl Shared {
    /// Tells all followers. One that lags behind is dropped: it begins anew.
    fn tell(&self, id: Option<String>) {
        // An id of another form is none that anybody asks for; it may stand for anything.
        let id = id.filter(|id| wire::is_id(id));
        let Some(line) = line(&Change { id }) else {
            return;
        };
        let mut followers = self.followers();
        followers.retain(|follower| follower.try_send(line.clone()).is_ok());
    }

    fn follow(&self) -> mpsc::Receiver<Bytes> {
        let (follower, lines) = mpsc::channel(BACKLOG);
        // The channel has room for its first line.
        let begun = line(&Change::default()).is_some_and(|line| follower.try_send(line).is_ok());
        if begun {
            self.followers().push(follower);
        }
        lines
    }

    fn followers(&self) -> std::sync::MutexGuard<'_, Vec<mpsc::Sender<Bytes>>> {
        let mut followers = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        followers.retain(|follower| !follower.is_closed());
        followers
    }

    /// What runs now, of all runtimes that say so in time.
    async fn list(&self) -> List {
        let mut asked = JoinSet::new();
        for source in &self.engines {
            let source = Arc::clone(source);
            drop(asked.spawn(async move { source.list().await }));
        }
        let containers = asked.join_all().await.into_iter().flatten().collect();
        List { containers }
    }

    /// What runs under this id, of the runtimes of this owner.
    async fn inspect(&self, id: &str, owner: u32) -> Said {
        let mut asked = JoinSet::new();
        for source in self.engines.iter().filter(|one| !one.engine.is_down()) {
            let (source, id) = (Arc::clone(source), id.to_owned());
            drop(asked.spawn(async move {
                let told = timeout(DEADLINE, source.engine.inspect(&id, owner)).await;
                let told = told.unwrap_or(Err(EngineError::Slow));
                told.inspect_err(|error| source.failed(error))
            }));
        }
        let mut failed = false;
        while let Some(told) = asked.join_next().await {
            match told {
                // An id is as good as random: no two runtimes have the same.
                Ok(Ok(Some(inspected))) => return self.checked(inspected),
                Ok(Ok(None)) => {}
                Ok(Err(_)) | Err(_) => failed = true,
            }
        }
        if failed { Said::Failed } else { Said::Unknown }
    }

    /// Holds what a runtime says against the control group of the process that it names.
    fn checked(&self, mut inspected: Inspected) -> Said {
        let Some(pid) = inspected.pid else {
            return Said::Known(Box::new(inspected));
        };
        let group = cgroup::read(&self.processes, pid).ok();
        inspected.cgroup = group.and_then(|content| cgroup::names(&content, &inspected.id));
        if inspected.cgroup.is_some() {
            Said::Known(Box::new(inspected))
        } else {
            tracing::warn!(
                id = %inspected.id,
                pid,
                "the process that a runtime names is in no control group of that container"
            );
            Said::Disagrees
        }
    }
}

impl Source {
    async fn list(&self) -> Vec<Listed> {
        if self.engine.is_down() || self.is_left_out() {
            return Vec::new();
        }
        match timeout(DEADLINE, self.engine.list()).await {
            Ok(Ok(listed)) => {
                let valid = |one: &Listed| wire::is_id(&one.id);
                listed.into_iter().filter(valid).collect()
            }
            Ok(Err(error)) => {
                self.failed(&error);
                Vec::new()
            }
            Err(_elapsed) => {
                *self.left_out() = Some(Instant::now() + LEFT_OUT);
                self.failed(&EngineError::Slow);
                Vec::new()
            }
        }
    }

    fn is_left_out(&self) -> bool {
        self.left_out().is_some_and(|until| Instant::now() < until)
    }

    fn left_out(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &EngineError) {
        let socket = self.engine.spec.socket.display();
        tracing::warn!(%socket, error = %causes(error), "a container runtime did not answer");
    }
}

fn line(change: &Change) -> Option<Bytes> {
    let mut line = serde_json::to_vec(change).ok()?;
    line.push(b'\n');
    Some(Bytes::from(line))
}
