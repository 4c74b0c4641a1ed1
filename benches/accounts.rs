//! What people's requests of AFP's API cost: `cargo bench --bench accounts`.
//!
//! A daemon is made of a configuration, as `rolecall serve` makes it, and asked over one kept
//! connection: for the list of a person with a thousand roles, once by a grant for each and once by
//! groups that one grant's pattern matches, and for credentials with a password that was right a
//! moment ago, beside a metadata document. What is told is the process's CPU time without that of
//! the thread that asks. Prints one JSON object.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints what it measured"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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

const ROLES: usize = 1000;
const LISTS: u32 = 500;
const DOCUMENTS: u32 = 20_000;
const ROUNDS: usize = 5;

/// Of the password `password`, at bcrypt's lowest cost: it is remembered after the first request.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm";

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<serde_json::Value, Failure> {
    let directory = tempfile::tempdir()?;
    let config = configuration(directory.path())?;
    let (tell, told) = channel();
    let (ask, asked) = mpsc::channel(1);
    let serving = thread::spawn(move || serve(config, &tell, asked));
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

/// Where the daemon listens: for programs, and for people.
struct Addresses {
    metadata: SocketAddr,
    api: SocketAddr,
}

fn serve(
    config: Config,
    tell: &Sender<Addresses>,
    asked: mpsc::Receiver<Asked>,
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
        };
        let again = config.clone();
        let bound = app::bind(config, outside)?;
        let address = |name: &str| -> Result<SocketAddr, Failure> {
            let mut addresses = bound.addresses().iter();
            let found = addresses.find(|address| &*address.listener == name);
            Ok(found.ok_or("a listener is not there")?.address.parse()?)
        };
        tell.send(Addresses {
            metadata: address("metadata")?,
            api: address("api")?,
        })?;
        let reloader = Reloader::new(Arc::new(move || Ok(again.clone())), None);
        bound.run(asked, reloader).await;
        Ok(())
    })
}

fn measure(addresses: &Addresses) -> Result<serde_json::Value, Failure> {
    let mut metadata = Client::connect(addresses.metadata)?;
    let put = "PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\n\
               X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n";
    let token = metadata.ask(put)?;
    let document = format!(
        "GET /latest/meta-data/iam/security-credentials/demo HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         X-aws-ec2-metadata-token: {token}\r\n\r\n"
    );
    let mut api = Client::connect(addresses.api)?;
    let of_person = |name: &str, path: &str| {
        let proof = STANDARD.encode(format!("{name}:password"));
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {proof}\r\n\r\n")
    };
    let credentials = of_person("ann", "/account/local/demo/credentials");
    let mut figures = serde_json::Map::new();
    let (mut documents, mut peoples) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        documents.push(metadata.cost(&document, DOCUMENTS)?);
        peoples.push(api.cost(&credentials, DOCUMENTS)?);
    }
    let mut lists = serde_json::Map::new();
    for (name, kind) in [("ann", "grants"), ("bob", "groups")] {
        let list = of_person(name, "/account");
        let told = api.ask(&list)?;
        if told.matches("role-").count() != ROLES {
            return Err(format!("not a thousand roles: {told}").into());
        }
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(api.cost(&list, LISTS)?);
        }
        lists.insert(format!("list_{kind}_ns"), least(&rounds).into());
    }
    figures.extend(lists);
    let (program, person) = (least(&documents), least(&peoples));
    figures.insert("metadata_ns".to_owned(), program.into());
    figures.insert("credentials_ns".to_owned(), person.into());
    let percent = person * 100 / program.max(1);
    figures.insert("credentials_percent_of_metadata".to_owned(), percent.into());
    Ok(figures.into())
}

/// What the machine does beside only adds to it.
fn least(rounds: &[u64]) -> u64 {
    rounds.iter().copied().min().unwrap_or_default()
}

/// One kept connection.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let buffer = vec![0; 256 * 1024];
        Ok(Self { stream, buffer })
    }

    /// Asks once; the body of an answer that is 200.
    fn ask(&mut self, request: &str) -> Result<String, Failure> {
        self.stream.write_all(request.as_bytes())?;
        let mut read = 0;
        loop {
            let room = self
                .buffer
                .get_mut(read..)
                .ok_or("the answer is too long")?;
            let more = self.stream.read(room)?;
            read += more;
            let so_far = self.buffer.get(..read).unwrap_or_default();
            let text = std::str::from_utf8(so_far)?;
            if more == 0 {
                return Err(format!("the connection ended: {text}").into());
            }
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let mut lines = head.lines();
            if !head.starts_with("HTTP/1.1 200") {
                return Err(text.into());
            }
            let length = lines.find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then_some(value)
            });
            if body.len() >= length.ok_or("an answer has no length")?.parse()? {
                return Ok(body.to_owned());
            }
        }
    }

    /// Nanoseconds of CPU that one of so many requests costs the daemon.
    fn cost(&mut self, request: &str, times: u32) -> Result<u64, Failure> {
        self.ask(request)?;
        let begun = others_time()?;
        for _ in 0..times {
            self.ask(request)?;
        }
        let spent = others_time()?.saturating_sub(begun);
        Ok(u64::try_from((spent / times).as_nanos())?)
    }
}

/// The CPU time of all threads but this.
fn others_time() -> Result<Duration, Failure> {
    let all = Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?);
    let own = Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?);
    Ok(all.saturating_sub(own))
}

/// Ann has a thousand roles by a grant each, Bob by a group each; both have one more way in.
fn configuration(directory: &Path) -> Result<Config, Failure> {
    let at = directory.display();
    let own = nix::unistd::geteuid();
    let mut text = format!(
        "[[listener]]\nname = \"metadata\"\nbind = \"127.0.0.1:0\"\napis = \"imds\"\n\
         [[listener]]\nname = \"api\"\nbind = \"127.0.0.1:0\"\napis = \"accounts\"\n\
         [people]\nusers-file = \"{at}/users\"\ngroups-file = \"{at}/groups\"\n\
         [state]\ndirectory = \"{at}/state\"\n[admin]\nsocket = \"{at}/admin.sock\"\n\
         [account.local]\nid = \"000000000000\"\ncredentials = {{ from = \"local\" }}\n\
         [account.local.role.demo]\n\
         [[grant]]\nrole = \"local/demo\"\nwhen = {{ uid = {own} }}\n\
         [[grant]]\nrole = \"local/demo\"\nwhen = {{ principal = \"ann\" }}\n\
         [[grant]]\nrole = \"local/{{role}}\"\n\
         when = {{ group = {{ regex = \"aws-(?<role>role-[0-9]+)\" }} }}\n"
    );
    let mut groups = String::new();
    for number in 0..ROLES {
        write!(
            text,
            "[account.local.role.role-{number}]\n[[grant]]\nrole = \"local/role-{number}\"\n\
             when = {{ principal = \"ann\" }}\n"
        )?;
        writeln!(groups, "aws-role-{number}: bob")?;
    }
    let users = format!("ann:{HASH}\nbob:{HASH}\n");
    for (name, content) in [
        ("rolecall.toml", &text),
        ("users", &users),
        ("groups", &groups),
    ] {
        let file = directory.join(name);
        std::fs::write(&file, content)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    }
    let surroundings = Surroundings::process(Purpose::Serve);
    let file = directory.join("rolecall.toml");
    Ok(Config::load(Some(&file), &surroundings)?.0)
}
