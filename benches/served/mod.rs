//! A daemon in this process, made of a configuration as `rolecall serve` makes it, and kept
//! connections to it whose requests are weighed: by the process's CPU time without that of the
//! thread that asks.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use prometheus_client::metrics::counter::Counter;
use rolecall::app::{self, Outside, Reloader};
use rolecall::clock::Clock;
use rolecall::config::{Config, Purpose, Surroundings};
use rolecall::listener::Passed;
use rolecall::shutdown::Asked;
use rolecall::source::Environment;
use rolecall::telemetry::metrics::Metrics;
use tokio::sync::mpsc;

/// How often each cost is taken: what the machine does beside only adds to it, so the least counts.
pub(super) const ROUNDS: usize = 5;

pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// Where the daemon's listeners are.
pub(super) struct Addresses(Vec<(Arc<str>, SocketAddr)>);

impl Addresses {
    pub(super) fn connect(&self, listener: &str) -> Result<Client, Failure> {
        let mut addresses = self.0.iter();
        let found = addresses.find(|(name, _)| &**name == listener);
        let (_, address) = found.ok_or("a listener is not there")?;
        Client::connect(*address)
    }
}

/// Serves what the configuration of this text says, in this directory, while `measure` runs.
pub(super) fn during(
    directory: &Path,
    files: &[(&str, &str)],
    measure: impl FnOnce(&Addresses) -> Result<serde_json::Value, Failure>,
) -> Result<serde_json::Value, Failure> {
    let config = configuration(directory, files)?;
    let (tell, told) = channel();
    let (ask, asked) = mpsc::channel(1);
    let serving = thread::spawn(move || {
        serve(config, asked, |addresses| {
            drop(tell.send(addresses));
        })
    });
    let figures = match told.recv() {
        Ok(addresses) => measure(&addresses),
        Err(_ended) => Err("the daemon did not start".into()),
    };
    let ended = ask.blocking_send(Asked::End);
    match serving.join() {
        Ok(served) => served.and(figures).and_then(|figures| {
            ended?;
            Ok(figures)
        }),
        Err(_panicked) => Err("the daemon panicked".into()),
    }
}

/// Writes these files, of which `rolecall.toml` is the configuration.
fn configuration(directory: &Path, files: &[(&str, &str)]) -> Result<Config, Failure> {
    for (name, content) in files {
        let file = directory.join(name);
        std::fs::write(&file, content)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    }
    let surroundings = Surroundings::process(Purpose::Serve);
    let file = directory.join("rolecall.toml");
    Ok(Config::load(Some(&file), &surroundings)?.0)
}

fn serve(
    config: Config,
    asked: mpsc::Receiver<Asked>,
    tell: impl FnOnce(Addresses),
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let outside = Outside {
            clock: Clock::System,
            passed: Passed::default(),
            environment: Environment::of_process(),
            metrics: Arc::new(Metrics::new(Counter::default())),
            observer: Arc::new(()),
            descriptors: 1024,
            confinement: app::Confinement::default(),
        };
        let again = config.clone();
        let bound = app::bind(config, outside)?;
        let addresses = bound.addresses().iter();
        let over_tcp =
            addresses.filter_map(|at| Some((Arc::clone(&at.listener), at.address.parse().ok()?)));
        tell(Addresses(over_tcp.collect()));
        let reloader = Reloader::new(Arc::new(move || Ok(again.clone())), None);
        bound.run(asked, reloader).await;
        Ok(())
    })
}

/// One kept connection.
pub(super) struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let answer = Vec::new();
        Ok(Self { stream, answer })
    }

    /// Asks once; the body of an answer that is 200.
    pub(super) fn ask(&mut self, request: &str) -> Result<&str, Failure> {
        self.stream.write_all(request.as_bytes())?;
        self.answer.clear();
        let mut some = [0; 16 * 1024];
        let body = loop {
            let more = self.stream.read(&mut some)?;
            self.answer
                .extend_from_slice(some.get(..more).unwrap_or_default());
            let mut places = self.answer.windows(4);
            if let Some(end) = places.position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if more == 0 {
                return Err("the connection ended".into());
            }
        };
        let head = std::str::from_utf8(self.answer.get(..body).unwrap_or_default())?;
        if !head.starts_with("HTTP/1.1 200") {
            return Err(head.into());
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then_some(value)
        });
        let end = body + length.ok_or("an answer has no length")?.parse::<usize>()?;
        let read = self.answer.len();
        self.answer.resize(end.max(read), 0);
        self.stream
            .read_exact(self.answer.get_mut(read..).unwrap_or_default())?;
        let body = self.answer.get(body..end);
        Ok(std::str::from_utf8(body.unwrap_or_default())?)
    }

    /// Nanoseconds of CPU that one of so many requests costs the daemon.
    pub(super) fn cost(&mut self, request: &str, times: u32) -> Result<u64, Failure> {
        self.ask(request)?;
        self.cost_of(std::iter::repeat_n(request, usize::try_from(times)?))
    }

    /// The same of one of these.
    pub(super) fn cost_of<'r>(
        &mut self,
        requests: impl Iterator<Item = &'r str>,
    ) -> Result<u64, Failure> {
        let mut times = 0;
        let begun = others_time()?;
        for request in requests {
            self.ask(request)?;
            times += 1;
        }
        let spent = others_time()?.saturating_sub(begun);
        Ok(u64::try_from((spent / times.max(1)).as_nanos())?)
    }
}

/// The CPU time of all threads but this.
fn others_time() -> Result<Duration, Failure> {
    let all = Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?);
    let own = Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?);
    Ok(all.saturating_sub(own))
}

/// What the machine does beside only adds to it.
pub(super) fn least(rounds: &[u64]) -> u64 {
    rounds.iter().copied().min().unwrap_or_default()
}
