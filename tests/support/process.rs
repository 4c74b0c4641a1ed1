//! The real binary as a daemon, in a folder of its own, and what it logs.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;

/// Longer than anything takes that works.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Everything that can be logged, on standard error.
const TALKATIVE: &str = "to = [\"json\"]\nlevel = \"trace\"";

/// The configuration of a listener.
pub(crate) const LISTENER: &str =
    "[[listener]]\nname = \"all\"\nbind = [\"127.0.0.1:0\"]\napis = [\"imds\"]\n";

/// Where the base credentials of [`prod`] have their secret.
pub(crate) const BASE_SECRET: (&str, &str) = ("BASE_SECRET", "canary-base-secret");

/// The configuration of an account `prod` of the cloud at this endpoint, with these keys besides.
pub(crate) fn prod(endpoint: &str, besides: &str, roles: &[&str]) -> String {
    let mut text = format!(
        "[account.prod]\nid = \"123456789012\"\nregion = \"eu-central-1\"\nendpoint = \"{endpoint}\"\n{besides}\n\
         [account.prod.credentials]\nfrom = \"key\"\naccess-key-id = \"AKIABASE\"\nsecret-access-key = \"env:{}\"\n",
        BASE_SECRET.0
    );
    for role in roles {
        writeln!(text, "[account.prod.role.{role}]").unwrap();
    }
    text
}

/// The configuration that grants this role to this process's user.
pub(crate) fn to_us(role: &str) -> String {
    format!(
        "[[grant]]\nrole = \"{role}\"\nwhen = {{ uid = {} }}\n",
        Uid::effective()
    )
}

/// Waits until this is so; fails with these words where that takes too long.
pub(crate) fn await_that(otherwise: &str, is_so: impl Fn() -> bool) {
    let begun = tokio::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "{otherwise}");
        thread::yield_now();
    }
}

/// The binary, in an environment of its own: no user's configuration, no daemon, no journal.
pub(crate) fn rolecall(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rolecall"));
    command.args(arguments);
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// Where its first listener listens.
    pub(crate) address: String,
}

impl Daemon {
    /// Starts with this configuration, to which state, socket and the most talkative log on
    /// standard error are added, and waits until it listens. Everybody may reach its socket.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::start_with(configuration, &[])
    }

    /// The same, with variables in its environment.
    pub(crate) fn start_with(configuration: &str, variables: &[(&str, &str)]) -> Self {
        let mut daemon = Self::launch(configuration, TALKATIVE, variables);
        daemon.await_listening();
        daemon
    }

    /// Starts and waits for nothing. In the keys of `[log]` `{dir}` is its folder.
    pub(crate) fn launch(configuration: &str, log: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        write_configuration(folder.path(), configuration, log);
        let variables = variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let (child, lines) = spawn(folder.path(), &variables);
        Self {
            folder,
            variables,
            child,
            lines,
            seen: Vec::new(),
            address: String::new(),
        }
    }

    /// Ends it with this signal, and starts it again in the same folder.
    pub(crate) fn restart(&mut self, signal: Signal) {
        self.end(signal);
        self.restart_ended();
    }

    /// The same where it has ended.
    pub(crate) fn restart_ended(&mut self) {
        (self.child, self.lines) = spawn(self.folder.path(), &self.variables);
        self.await_listening();
    }

    /// Waits until it listens.
    fn await_listening(&mut self) {
        let first = self.wait_for(|event| event["message"] == "listening");
        self.address = first["address"].as_str().unwrap().to_owned();
        self.wait_for(|event| event["message"] == "listening" && event["listener"] == "admin");
    }

    /// Waits until it is ready, which it is some time after it listens.
    pub(crate) fn await_ready(&self) {
        await_that("it does not become ready", || {
            let status: Value = serde_json::from_str(&self.says(&["status", "--json"])).unwrap();
            status["ready"] == true
        });
    }

    /// Replaces its configuration file.
    pub(crate) fn rewrite(&self, configuration: &str) {
        write_configuration(self.folder.path(), configuration, TALKATIVE);
    }

    /// The same with a further key of `[state]`.
    pub(crate) fn rewrite_state(&self, configuration: &str, state: &str) {
        let path = self.folder.path().join("rolecall.toml");
        write_configuration(self.folder.path(), configuration, TALKATIVE);
        let written = fs::read_to_string(&path).unwrap();
        fs::write(
            path,
            written.replace("[state]\n", &format!("[state]\n{state}\n")),
        )
        .unwrap();
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("admin.sock")
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// A command that talks to it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = rolecall(arguments);
        command.env("ROLECALL_SOCKET", self.socket());
        command
    }

    /// Runs a command that talks to it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The standard output of a command that must succeed.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The next event of its log that is like this.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|_| panic!("no such event after\n{}", self.log()));
            let event = serde_json::from_str(&line);
            self.seen.push(line);
            match event {
                Ok(event) if wanted(&event) => return event,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// GETs from its first listener; status and whole answer.
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        get(&self.address, path, headers)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Ends it with this signal. How it ended; [`Self::log`] is complete afterwards.
    pub(crate) fn end(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        self.seen.extend(self.lines.iter());
        status
    }

    /// All that was read of its log so far.
    pub(crate) fn log(&self) -> String {
        self.seen.join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(folder: &Path, variables: &[(String, String)]) -> (Child, Receiver<String>) {
    let file = folder.join("rolecall.toml");
    let mut command = rolecall(&["serve", "--config", file.to_str().unwrap()]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = follow(child.stderr.take().unwrap());
    (child, lines)
}

fn write_configuration(folder: &Path, configuration: &str, log: &str) {
    let folder_name = folder.display();
    let log = log.replace("{dir}", folder.to_str().unwrap());
    let whole = format!(
        "{configuration}\n\
         [admin]\nsocket = \"{folder_name}/admin.sock\"\n\
         [state]\ndirectory = \"{folder_name}/state\"\n\
         [log]\n{log}\n"
    );
    fs::write(folder.join("rolecall.toml"), whole).unwrap();
}

/// The lines that something writes, as they come.
pub(crate) fn follow(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// GETs over a connection of its own.
pub(crate) fn get(address: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.extend([*name, ": ", *value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}
