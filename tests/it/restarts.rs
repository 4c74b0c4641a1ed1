//! Held sessions outlive the daemon, however that ends; nothing else comes back with them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use rolecall::clock::{Clock, Simulation};
use rolecall::listener::Passed;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::{LIST, ask, imds_get, imds_token};
use crate::support::daemon::{LOCAL, TestDaemon, noon, upstream, with_secret};
use crate::support::process::{BASE_SECRET, Daemon, await_that, prod, to_us};
use crate::support::sts::{Credentials, Reply, ScriptedSts};

const CREDS: &str = "[[listener]]\nname = \"container\"\nbind = [\"127.0.0.1:0\"]\n\
                     apis = [\"container\"]\ntokenless = true\n";

/// An STS whose sessions are numbered.
pub(crate) async fn counting() -> ScriptedSts {
    let calls = AtomicUsize::new(1);
    ScriptedSts::start(move |request| {
        let number = calls.fetch_add(1, Ordering::Relaxed);
        let credentials = Credentials {
            access_key_id: format!("ASIA{number:016}"),
            ..Credentials::default()
        };
        Reply::session(request.field("Action"), &credentials)
    })
    .await
}

/// A daemon whose role `prod/web` is obtained there.
pub(crate) fn start(sts: &ScriptedSts) -> Daemon {
    Daemon::start_with(&configuration(sts, ""), &[BASE_SECRET])
}

fn configuration(sts: &ScriptedSts, of_role: &str) -> String {
    let account = prod(&sts.url(), "", &["web"]);
    format!("{CREDS}{account}{of_role}{}", to_us("prod/web"))
}

fn file(daemon: &Daemon) -> PathBuf {
    daemon.path("state/sessions.sealed")
}

/// The access key id that is handed out now.
pub(crate) fn key(daemon: &Daemon) -> String {
    let (status, answer) = daemon.get("/creds", &[]);
    assert_eq!(status, 200, "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let document: Value = serde_json::from_str(body).unwrap();
    document["AccessKeyId"].as_str().unwrap().to_owned()
}

fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |facts| facts.len())
}

/// A file without sessions is shorter, and a session is longer.
const SHORT: u64 = 200;

/// The key that is handed out, once it is kept: the file has grown by more than its beginning.
pub(crate) fn kept_key(daemon: &Daemon) -> String {
    let file = file(daemon);
    let before = length(&file);
    let key = key(daemon);
    await_that("it was not kept", || length(&file) >= before + SHORT);
    key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_session_is_served_before_and_after() {
    let sts = counting().await;
    let mut daemon = start(&sts);
    let before = kept_key(&daemon);
    for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGKILL] {
        daemon.restart(signal);
        assert_eq!(key(&daemon), before);
    }
    assert_eq!(sts.received().len(), 1, "upstream was asked once");
    let mode = fs::metadata(file(&daemon)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let bytes = fs::read(file(&daemon)).unwrap();
    let secret = Credentials::default().secret_access_key;
    assert!(
        !bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
    );
    daemon.end(Signal::SIGTERM);
    assert!(!daemon.log().contains(&secret));
}

/// What is killed at once has perhaps not kept its session, or half of it; never anything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_killed_at_any_moment_starts_again_and_serves() {
    let sts = counting().await;
    let mut daemon = start(&sts);
    let mut last = String::new();
    for round in 0..12 {
        if round % 3 == 0 {
            // There may be none: it was killed too soon.
            drop(daemon.run(&["forget", "prod/web"]));
        }
        let now = key(&daemon);
        assert!(now >= last, "{now} is older than {last}");
        last = now;
        daemon.restart(Signal::SIGKILL);
    }
    assert!(key(&daemon) >= last);
    daemon.end(Signal::SIGTERM);
    assert!(!daemon.log().contains("are not used"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_forgotten_does_not_come_back() {
    let sts = counting().await;
    let mut daemon = start(&sts);
    let before = kept_key(&daemon);
    daemon.restart(Signal::SIGTERM);
    let told = daemon.says(&["forget", "prod/web"]);
    assert!(told.contains('1'), "{told}");
    daemon.restart(Signal::SIGKILL);
    assert_ne!(key(&daemon), before);
    assert_eq!(sts.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_asked_for_differently_is_fetched_anew() {
    let sts = counting().await;
    let mut daemon = start(&sts);
    let before = kept_key(&daemon);
    daemon.rewrite(&configuration(&sts, "duration = \"2h\"\n"));
    daemon.restart(Signal::SIGTERM);
    let changed = key(&daemon);
    assert_ne!(changed, before);
    // And back: what is let go is let go.
    daemon.rewrite(&configuration(&sts, ""));
    daemon.restart(Signal::SIGTERM);
    assert_ne!(key(&daemon), before);
    assert_eq!(sts.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_changed_is_put_aside_and_told() {
    let sts = counting().await;
    let mut daemon = start(&sts);
    let before = kept_key(&daemon);
    daemon.end(Signal::SIGTERM);
    let mut bytes = fs::read(file(&daemon)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file(&daemon), bytes).unwrap();
    daemon.restart_ended();
    // Before that the file's length is the old one's.
    let aside = daemon.path("state/sessions.refused");
    await_that("it was not put aside", || aside.exists());
    let after = kept_key(&daemon);
    assert_ne!(after, before);
    daemon.restart(Signal::SIGKILL);
    assert_eq!(key(&daemon), after);
    daemon.end(Signal::SIGTERM);
    let log = daemon.log();
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let told: Vec<Value> = events
        .filter(|event: &Value| event["level"] == "ERROR")
        .collect();
    assert_eq!(told.len(), 1, "{log}");
    let message = told[0]["message"].as_str().unwrap();
    assert!(message.contains("changed by somebody else"), "{message}");
    assert!(message.contains("fetched again"), "{message}");
    assert!(Path::new(told[0]["aside"].as_str().unwrap()).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_can_be_kept_everything_is_served_and_it_is_told_once() {
    let sts = counting().await;
    let mut daemon = start(&sts);
    fs::create_dir(daemon.path("state/sessions.new")).unwrap();
    let before = key(&daemon);
    let told = daemon.wait_for(|event| event["target"] == "rolecall::keeping::book");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("served all the same"), "{message}");
    for _ in 0..3 {
        daemon.says(&["refresh", "prod/web"]);
    }
    assert!(key(&daemon) > before);
    fs::remove_dir(daemon.path("state/sessions.new")).unwrap();
    let after = key(&daemon);
    // The end tries again.
    daemon.restart(Signal::SIGTERM);
    assert_eq!(key(&daemon), after);
    daemon.end(Signal::SIGTERM);
    let log = daemon.log();
    assert_eq!(log.matches("served all the same").count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory_nothing_is_kept_and_what_was_is_removed() {
    let sts = counting().await;
    let mut daemon = start(&sts);
    let before = kept_key(&daemon);
    let text = configuration(&sts, "");
    daemon.rewrite_state(&text, "sessions = \"memory\"");
    daemon.restart(Signal::SIGTERM);
    assert!(!file(&daemon).exists());
    assert_ne!(key(&daemon), before);
    daemon.end(Signal::SIGTERM);
    assert!(!file(&daemon).exists());
}

/// A host that is switched off and on, and whose clock is set.
struct Host {
    clock: Clock,
    directory: Option<TempDir>,
    text: String,
}

impl Host {
    fn new(sts: &ScriptedSts) -> Self {
        Self {
            clock: Clock::simulated(noon()),
            directory: Some(with_secret()),
            text: upstream(&sts.url()),
        }
    }

    fn simulation(&self) -> &Simulation {
        match &self.clock {
            Clock::Simulated(simulation) => simulation,
            Clock::System => unreachable!(),
        }
    }

    /// What a daemon that starts now answers, after which it ends.
    async fn asked(&mut self) -> (u16, String) {
        let directory = self.directory.take().unwrap();
        let clock = self.clock.clone();
        let daemon = TestDaemon::start_in(directory, &self.text, clock, Passed::default());
        let at = daemon.address("metadata");
        let answer = imds_get(at, &imds_token(at).await, &format!("{LIST}demo")).await;
        let (_, directory) = daemon.end().await;
        self.directory = Some(directory);
        if answer.status != 200 {
            return (answer.status, String::new());
        }
        let document = answer.json();
        (200, document["AccessKeyId"].as_str().unwrap().to_owned())
    }

    async fn key(&mut self) -> String {
        let (status, key) = self.asked().await;
        assert_eq!(status, 200);
        key
    }
}

#[tokio::test]
async fn what_has_ended_meanwhile_is_fetched() {
    let sts = counting().await;
    let mut host = Host::new(&sts);
    let first = host.key().await;
    host.simulation().suspend(Duration::from_mins(10));
    assert_eq!(host.key().await, first);
    host.simulation().suspend(Duration::from_mins(50));
    assert_ne!(host.key().await, first);
}

#[tokio::test]
async fn a_wall_clock_that_is_set_between_makes_nothing_live_longer() {
    let sts = counting().await;
    let mut host = Host::new(&sts);
    let first = host.key().await;
    // The same boot: its own clock knows.
    host.simulation()
        .set_wall(noon() - Duration::from_hours(24));
    assert_eq!(host.key().await, first);
    host.simulation().suspend(Duration::from_hours(1));
    assert_ne!(host.key().await, first);
}

#[tokio::test]
async fn after_another_boot_wall_time_tells_what_still_lives() {
    let sts = counting().await;
    let mut host = Host::new(&sts);
    let first = host.key().await;
    // Sooner than it is renewed.
    host.simulation().reboot(Duration::from_mins(10));
    assert_eq!(host.key().await, first);
    host.simulation().reboot(Duration::from_mins(49));
    assert_ne!(host.key().await, first);
}

#[tokio::test]
async fn a_clock_that_went_back_over_a_boot_is_not_believed() {
    let sts = counting().await;
    let mut host = Host::new(&sts);
    let first = host.key().await;
    host.simulation().reboot(Duration::ZERO);
    host.simulation().set_wall(noon() - Duration::from_hours(1));
    assert_ne!(host.key().await, first);
}

#[tokio::test]
async fn in_1970_nothing_is_served_or_fetched_until_the_clock_is_set() {
    let sts = counting().await;
    let mut host = Host::new(&sts);
    let first = host.key().await;
    host.simulation().reboot(Duration::from_mins(1));
    host.simulation().set_wall(SystemTime::UNIX_EPOCH);
    assert_eq!(host.asked().await.0, 503);
    assert_eq!(sts.received().len(), 1);
    host.simulation().set_wall(noon() + Duration::from_mins(2));
    assert_eq!(host.key().await, first);
    assert_eq!(sts.received().len(), 1);
}

#[tokio::test]
async fn tokens_and_ids_of_the_container_listener_outlive_a_restart() {
    let daemon = TestDaemon::start(LOCAL);
    let written = |daemon: &TestDaemon, name: &str| {
        fs::read_to_string(daemon.directory.path().join(name)).unwrap()
    };
    let (token, path) = (written(&daemon, "token"), written(&daemon, "uri"));
    let asked = async |daemon: &TestDaemon| {
        let at = daemon.address("container");
        let by_token = ask(at, "GET", "/creds", &[("Authorization", &token)]).await;
        let by_path = ask(at, "GET", &path, &[]).await;
        assert_eq!((by_token.status, by_path.status), (200, 200));
        [by_token, by_path].map(|answer| answer.json()["AccessKeyId"].clone())
    };
    let before = asked(&daemon).await;
    let (_, directory) = daemon.end().await;
    let again = TestDaemon::start_in(directory, LOCAL, Clock::System, Passed::default());
    assert_eq!(asked(&again).await, before);
}
