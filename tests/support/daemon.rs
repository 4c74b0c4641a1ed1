//! The daemon in this process, on ports of its own, as `rolecall serve` would bind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus_client::metrics::counter::Counter;
use rolecall::app::{self, AskReload, Daemon, Outside, Reloader};
use rolecall::clock::Clock;
use rolecall::config::{Config, Purpose, Surroundings};
use rolecall::listener::Passed;
use rolecall::shutdown::Asked;
use rolecall::source::Environment;
use rolecall::telemetry::FetchRecorder;
use rolecall::telemetry::metrics::Metrics;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How long a test waits for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A running daemon.
pub(crate) struct TestDaemon {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) reload: AskReload,
    pub(crate) directory: TempDir,
    ask: mpsc::Sender<Asked>,
    running: JoinHandle<()>,
}

impl TestDaemon {
    /// Starts with this configuration, on the system's clocks. In it `{dir}` is the daemon's own
    /// directory and `{uid}` this process's uid.
    pub(crate) fn start(text: &str) -> Self {
        Self::start_at(text, Clock::System)
    }

    /// The same with this clock.
    pub(crate) fn start_at(text: &str, clock: Clock) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_in(directory, text, clock, Passed::default())
    }

    /// The same in this directory, with sockets that were handed over.
    pub(crate) fn start_in(directory: TempDir, text: &str, clock: Clock, passed: Passed) -> Self {
        Self::start_altered(directory, text, clock, passed, |_| {})
    }

    /// The same with what is done to each configuration that is read.
    pub(crate) fn start_altered(
        directory: TempDir,
        text: &str,
        clock: Clock,
        passed: Passed,
        alter: fn(&mut Config),
    ) -> Self {
        write(&directory, text);
        let file = directory.path().join("rolecall.toml");
        let load = Arc::new(move || {
            let surroundings = Surroundings::process(Purpose::Serve);
            let (mut config, _) = Config::load(Some(&file), &surroundings)?;
            alter(&mut config);
            Ok(config)
        });
        let config = load().unwrap_or_else(|error| panic!("{error}"));
        let environment = Environment::of_process();
        Self::run(
            directory,
            config,
            Reloader::new(load, None),
            clock,
            passed,
            environment,
        )
    }

    /// Starts with a configuration that was made, which cannot be reloaded.
    pub(crate) fn start_with(directory: TempDir, config: Config) -> Self {
        Self::start_among(directory, config, Environment::of_process())
    }

    /// The same with these variables in its environment, and no others.
    pub(crate) fn start_among(
        directory: TempDir,
        config: Config,
        environment: Environment,
    ) -> Self {
        let again = config.clone();
        let load = Arc::new(move || Ok(again.clone()));
        let reloader = Reloader::new(load, None);
        Self::run(
            directory,
            config,
            reloader,
            Clock::System,
            Passed::default(),
            environment,
        )
    }

    fn run(
        directory: TempDir,
        config: Config,
        reloader: Reloader,
        clock: Clock,
        passed: Passed,
        environment: Environment,
    ) -> Self {
        let metrics = Arc::new(Metrics::new(Counter::default()));
        let outside = Outside {
            clock,
            passed,
            environment,
            observer: Arc::new(FetchRecorder::new(Arc::clone(&metrics))),
            metrics,
            descriptors: 4096,
            confinement: app::Confinement::default(),
        };
        let bound = app::bind(config, outside).unwrap();
        let (ask, asked) = mpsc::channel(4);
        Self {
            daemon: Arc::clone(bound.daemon()),
            reload: reloader.ask(),
            directory,
            ask,
            running: tokio::spawn(bound.run(asked, reloader)),
        }
    }

    /// Replaces the configuration's file.
    pub(crate) fn write(&self, text: &str) {
        write(&self.directory, text);
    }

    /// The address of the listener of this name.
    pub(crate) fn address(&self, listener: &str) -> SocketAddr {
        let mut addresses = self.daemon.addresses.iter();
        let bound = addresses.find(|bound| &*bound.listener == listener);
        bound.unwrap().address.parse().unwrap()
    }

    /// Asks for an end and waits for it; what it took.
    pub(crate) async fn end(self) -> (Duration, TempDir) {
        let begun = tokio::time::Instant::now();
        self.ask.send(Asked::End).await.unwrap();
        tokio::time::timeout(DEADLINE, self.running)
            .await
            .unwrap()
            .unwrap();
        (begun.elapsed(), self.directory)
    }
}

fn write(directory: &TempDir, text: &str) {
    let path = directory.path().join("rolecall.toml");
    let text = text
        .replace("{dir}", directory.path().to_str().unwrap())
        .replace("{uid}", &nix::unistd::geteuid().to_string());
    std::fs::write(&path, text).unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, owner_only).unwrap();
}

/// What most tests need: metadata and container listeners, the built-in authority, one role for
/// this user.
pub(crate) const LOCAL: &str = r#"
[[listener]]
name = "metadata"
bind = ["127.0.0.1:0"]
apis = ["imds"]

[[listener]]
name = "container"
bind = ["127.0.0.1:0"]
apis = ["container"]
[[listener.token]]
file = "{dir}/token"
uri-file = "{dir}/uri"
owner = {uid}

[[listener]]
name = "metrics"
bind = ["127.0.0.1:0"]
apis = ["metrics"]

[account.local]
id = "000000000000"
credentials = { from = "local" }
[account.local.role.demo]

[[grant]]
role = "local/demo"
when = { uid = {uid} }
reason = "the tests' own user"

[state]
directory = "{dir}/state"
[admin]
socket = "{dir}/admin.sock"
"#;

/// The same with a role of an account at this STS endpoint, instead of the built-in authority.
pub(crate) fn upstream(endpoint: &str) -> String {
    LOCAL.replace(
        "[account.local]\nid = \"000000000000\"\ncredentials = { from = \"local\" }",
        &format!(
            "[account.local]\nid = \"123456789012\"\nregion = \"eu-central-1\"\nendpoint = \"{endpoint}\"\n\
             credentials = {{ from = \"key\", access-key-id = \"AKIABASE\", secret-access-key = \"file:{{dir}}/secret\" }}"
        ),
    )
}

/// A directory with the secret that [`upstream`] names.
pub(crate) fn with_secret() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "canary-base-secret").unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, owner_only).unwrap();
    directory
}

/// A moment in 2027, for clocks that tests set.
pub(crate) fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

/// Lets time pass for everybody who has this clock, on whatever thread.
pub(crate) fn later(clock: &Clock, by: Duration) {
    match clock {
        Clock::Simulated(simulation) => simulation.suspend(by),
        Clock::System => panic!("the system's clock goes its own way"),
    }
}
