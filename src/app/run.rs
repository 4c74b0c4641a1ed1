//! What goes on from a bound daemon's first connection to its last.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Bound, Daemon, Reloader, control, watchdog};
use crate::api::admin::Admin;
use crate::api::imds::Tokens;
use crate::authority::signature::DerivedKeys;
use crate::clock::Clock;
use crate::listener::{Inside, Listener, Parking, Peers, Shared};
use crate::runtime::Containers;
use crate::shutdown::Asked;
use crate::systemd;

/// How often the ImdsTokens' key is looked at; it is changed once a day.
const KEY_WATCH: Duration = Duration::from_mins(10);
/// How long one key of the ImdsTokens seals.
const KEY_AGE: Duration = Duration::from_hours(24);

/// How often it is asked which derived keys are still of use.
const FORGETTING: Duration = Duration::from_mins(1);

impl Bound {
    /// Serves until it is asked to end, or nobody is left to ask. `reloader` is what a reload goes to.
    pub async fn run(self, mut asked: mpsc::Receiver<Asked>, reloader: Reloader) {
        let Self {
            daemon,
            listeners,
            admin,
            shared,
            imds,
        } = self;
        let sockets = listeners.iter().map(|listener| &listener.bound);
        let made: Vec<_> = sockets
            .chain([&admin])
            .filter_map(|s| s.made.clone())
            .collect();
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (rounds, ended) = (Arc::clone(&shared), CancellationToken::new());
        let _ends_with_this = ended.clone().drop_guard();
        drop(tokio::spawn(async move {
            ended.run_until_cancelled(rounds.go_round()).await
        }));
        for listener in listeners {
            tracing::info!(listener = %listener.name, address = %listener.bound.address, "listening");
            drop(tasks.spawn(listener.run(Arc::clone(&shared))));
        }
        let admin = Listener {
            name: Arc::from(control::NAME),
            bound: admin,
            peers: Peers::Networks(Vec::new()),
            tls: None,
            // Apart from the others': whoever has used up all there can still ask what goes on.
            seats: shared.seats(Parking::PEOPLE),
            handler: control::admin(&daemon, reloader.ask()),
        };
        let within = Inside::new(
            Arc::clone(&admin.name),
            Arc::clone(&admin.handler),
            Arc::clone(&shared),
        );
        tracing::info!(listener = %admin.name, address = %admin.bound.address, "listening");
        drop(tasks.spawn(admin.run(Arc::clone(&shared))));
        let background = background(
            Arc::clone(&daemon),
            Arc::clone(&shared),
            imds,
            within,
            stop.clone(),
        );
        drop(tasks.spawn(background));
        let end_asked = async {
            while asked.recv().await == Some(Asked::Reload) {
                reloader.by_signal();
            }
        };
        // A reload that hangs, on a file or a name service, keeps nobody from ending the daemon.
        tokio::select! {
            () = end_asked => {}
            () = reloader.run(&daemon) => {}
        }
        linger(&daemon).await;
        serve_last(&daemon, &shared).await;
        // While nobody else can have their place: the next daemon's may lie there at the end.
        for path in made {
            drop(std::fs::remove_file(path));
        }
        end(&daemon, &shared, &stop, &tasks).await;
    }
}

/// All that goes on beside serving.
async fn background(
    daemon: Arc<Daemon>,
    shared: Arc<Shared>,
    imds: Arc<Tokens>,
    within: Inside<Admin>,
    stop: CancellationToken,
) {
    let sessions = daemon.vending.sessions().run(stop.clone());
    let others = stop.run_until_cancelled(async {
        tokio::join!(
            daemon.vending.audit().run(),
            daemon.vending.run(),
            forget_derived(&daemon.derived),
            shared.watch(),
            rotate(&imds, &daemon.clock),
            watchdog::feed(within),
            daemon.get_ready(),
            daemon.let_go_of_changed(),
            follow_containers(daemon.containers.as_ref()),
        )
    });
    tokio::join!(sessions, others);
}

/// Forgets what was derived from secrets, where nobody signs with them any more.
async fn forget_derived(derived: &DerivedKeys) -> ! {
    loop {
        tokio::time::sleep(FORGETTING).await;
        derived.forget_unused();
    }
}

/// Keeps in step with the unit that tells of containers, where there is one.
pub(super) async fn follow_containers(containers: Option<&Containers>) -> ! {
    match containers {
        Some(containers) => containers.run().await,
        None => std::future::pending().await,
    }
}

/// Changes the ImdsTokens' key once a day.
async fn rotate(imds: &Tokens, clock: &Clock) -> ! {
    loop {
        let old = imds
            .seals()
            .age(clock.now())
            .is_some_and(|age| age >= KEY_AGE);
        if old && let Err(error) = imds.seals().rotate() {
            tracing::warn!(%error, "the key of ImdsTokens could not be changed; the old one stays");
        }
        tokio::time::sleep(KEY_WATCH).await;
    }
}

/// Serves on, where a sidecar is told to end together with those whom it serves: they need
/// credentials to the last. A second signal ends the process meanwhile.
async fn linger(daemon: &Daemon) {
    let linger = daemon.config.load().limits.linger;
    if linger.is_zero() {
        return;
    }
    systemd::extend(linger);
    daemon.readiness.end();
    let seconds = linger.as_secs_f64();
    tracing::info!(
        seconds,
        "asked to end: callers are served for as long as this"
    );
    tokio::time::sleep(linger).await;
}

/// Tells the service manager and everybody who is served that it ends.
async fn serve_last(daemon: &Daemon, shared: &Shared) {
    let drain = daemon.config.load().limits.drain;
    systemd::stopping();
    systemd::extend(drain);
    daemon.readiness.end();
    shared.answer_last(drain).await;
}

async fn end(daemon: &Daemon, shared: &Shared, stop: &CancellationToken, tasks: &TaskTracker) {
    let drain = daemon.config.load().limits.drain;
    tracing::info!("ending: no more connections are accepted");
    stop.cancel();
    shared.drain(drain).await;
    tasks.close();
    systemd::extend(drain);
    drop(tokio::time::timeout(drain, tasks.wait()).await);
    daemon.vending.audit().tell_counts();
    daemon.keep_last().await;
}
