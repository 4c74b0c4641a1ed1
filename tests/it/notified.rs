//! What the service manager is told: ready, what is missing, and signs of life.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::process::{BASE_SECRET, DEADLINE, Daemon, LISTENER, prod, to_us};
use crate::support::sts::{Credentials, Reply, ScriptedSts};

/// The first fetch has ended: whoever asks to refresh from now on does not join it.
const DENIED: &str = "prod/web (denied)";

/// The service manager's ear.
struct Manager {
    socket: UnixDatagram,
    path: String,
    _folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify").to_str().unwrap().to_owned();
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self {
            socket,
            path,
            _folder: folder,
        }
    }

    fn start(&self, configuration: &str, variables: &[(&str, &str)]) -> Daemon {
        let mut all = vec![BASE_SECRET, ("NOTIFY_SOCKET", self.path.as_str())];
        all.extend(variables);
        Daemon::start_with(configuration, &all)
    }

    /// What is told next.
    fn told(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// What is told until this is.
    fn until(&self, wanted: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let told = self.told();
            let last = told.contains(wanted);
            all.push(told);
            if last {
                return all;
            }
        }
    }
}

/// An STS that denies until it is told otherwise.
async fn reluctant() -> (ScriptedSts, Arc<AtomicBool>) {
    let willing = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&willing);
    let sts = ScriptedSts::start(move |request| {
        if asked.load(Ordering::Relaxed) {
            Reply::session(request.field("Action"), &Credentials::default())
        } else {
            Reply::error(403, "AccessDenied", "not yet")
        }
    });
    (sts.await, willing)
}

fn prefetching(sts: &ScriptedSts, deadline: &str) -> String {
    let account = prod(&sts.url(), "", &["web"]);
    let grant = to_us("prod/web");
    format!(
        "{LISTENER}{account}prefetch = true\nsession-name = \"web\"\n{grant}\
         [limits]\nready-deadline = \"{deadline}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_when_every_prefetched_role_is_held() {
    let (sts, willing) = reluctant().await;
    let manager = Manager::new();
    let mut daemon = manager.start(&prefetching(&sts, "1h"), &[]);
    let before = manager.until("1 of 1 prefetched roles missing: prod/web (denied)");
    assert!(
        before.iter().all(|told| !told.contains("READY=1")),
        "{before:?}"
    );
    // A reload changes nothing of it.
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for(|event| {
        let message = event["message"].as_str().unwrap_or_default();
        message.starts_with("reloaded")
    });
    willing.store(true, Ordering::Relaxed);
    daemon.says(&["refresh", "prod/web"]);
    let told = manager.until("READY=1");
    assert!(told.last().unwrap().contains("STATUS=serving"), "{told:?}");
    assert!(!told.last().unwrap().contains("missing"), "{told:?}");
    daemon.signal(Signal::SIGTERM);
    manager.until("STOPPING=1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_prefetched_role_that_is_missing_is_waited_for() {
    let willing = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&willing);
    let sts = ScriptedSts::start(move |request| {
        let is_late = request.field("RoleArn").ends_with("/late");
        if is_late && !asked.load(Ordering::Relaxed) {
            return Reply::error(403, "AccessDenied", "not yet");
        }
        Reply::session(request.field("Action"), &Credentials::default())
    })
    .await;
    let late = "[account.prod.role.late]\nprefetch = true\nsession-name = \"late\"\n";
    let grant = to_us("prod/late");
    let text = prefetching(&sts, "1h").replacen("[[grant]]", &format!("{late}{grant}[[grant]]"), 1);
    let manager = Manager::new();
    let daemon = manager.start(&text, &[]);
    let before = manager.until("1 of 2 prefetched roles missing: prod/late (denied)");
    assert!(
        before.iter().all(|told| !told.contains("READY=1")),
        "{before:?}"
    );
    willing.store(true, Ordering::Relaxed);
    daemon.says(&["refresh", "prod/late"]);
    let told = manager.until("READY=1");
    assert!(!told.last().unwrap().contains("missing"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_at_the_deadline_and_tells_what_is_missing() {
    let (sts, willing) = reluctant().await;
    let manager = Manager::new();
    let daemon = manager.start(&prefetching(&sts, "100ms"), &[]);
    let told = manager.until("READY=1");
    let last = told.last().unwrap();
    assert!(
        last.contains("STATUS=serving; 1 of 1 prefetched roles missing: prod/web"),
        "{last}"
    );
    if !last.contains(DENIED) {
        manager.until(DENIED);
    }
    willing.store(true, Ordering::Relaxed);
    daemon.says(&["refresh", "prod/web"]);
    let told = manager.until("STATUS=serving");
    assert!(
        told.iter().all(|told| !told.contains("READY=1")),
        "it is told once: {told:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_ready_after_it_was_asked_to_end_makes_it_no_more_ready() {
    let (sts, willing) = reluctant().await;
    let manager = Manager::new();
    let lingering = format!("{}linger = \"1h\"\n", prefetching(&sts, "1h"));
    let daemon = manager.start(&lingering, &[]);
    manager.until(DENIED);
    daemon.signal(Signal::SIGTERM);
    manager.until("STATUS=asked to end, serving still; 1 of 1 prefetched roles missing");
    willing.store(true, Ordering::Relaxed);
    daemon.says(&["refresh", "prod/web"]);
    let mut told = manager.told();
    while told.contains("missing") {
        told = manager.told();
    }
    assert!(
        told.starts_with("STATUS=asked to end, serving still"),
        "{told}"
    );
    let status = daemon.says(&["status", "--json"]);
    assert!(status.contains("\"ready\": false"), "{status}");
}

/// The role is not wanted any more: nothing is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_decides_which_roles_are_waited_for() {
    let (sts, _) = reluctant().await;
    let manager = Manager::new();
    let mut daemon = manager.start(&prefetching(&sts, "1h"), &[]);
    manager.until("1 of 1 prefetched roles missing: prod/web (denied)");
    daemon.rewrite(&prefetching(&sts, "1h").replace("prefetch = true", "prefetch = false"));
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for(|event| {
        let message = event["message"].as_str().unwrap_or_default();
        message.starts_with("reloaded")
    });
    let told = manager.until("READY=1");
    assert!(!told.last().unwrap().contains("missing"), "{told:?}");
}

/// In microseconds, with ten seconds to spare.
#[test]
fn what_may_take_longer_than_the_unit_says_is_told() {
    let manager = Manager::new();
    let limits = "[limits]\nready-deadline = \"20m\"\nlinger = \"30m\"\ndrain = \"40m\"\n";
    let mut daemon = manager.start(&format!("{LISTENER}{limits}"), &[]);
    manager.until("EXTEND_TIMEOUT_USEC=1210000000");
    manager.until("READY=1");
    daemon.signal(Signal::SIGTERM);
    manager.until("EXTEND_TIMEOUT_USEC=1810000000");
    daemon.end(Signal::SIGTERM);
    let short = limits.replace("\"30m\"", "\"0s\"");
    daemon.rewrite(&format!("{LISTENER}{short}"));
    daemon.restart_ended();
    manager.until("READY=1");
    daemon.end(Signal::SIGTERM);
    manager.until("STOPPING=1");
    manager.until("EXTEND_TIMEOUT_USEC=2410000000");
}

#[test]
fn the_watchdog_is_fed_by_requests_that_are_answered() {
    let manager = Manager::new();
    let metrics = LISTENER.replace("[\"imds\"]", "[\"imds\", \"metrics\"]");
    let daemon = manager.start(&metrics, &[("WATCHDOG_USEC", "200000")]);
    for _ in 0..5 {
        manager.until("WATCHDOG=1");
    }
    let (_, page) = daemon.get("/metrics", &[]);
    let line = page.lines().find(|line| {
        line.starts_with("rolecall_requests_total{") && line.contains("route=\"health\"")
    });
    let answered = line.and_then(|line| line.rsplit(' ').next()).unwrap();
    assert!(answered.parse::<u32>().unwrap() >= 5, "{page}");
}
