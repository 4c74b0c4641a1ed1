//! The daemon itself: what it keeps, where it logs, whom it asks about containers, and its bounds.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// `[state]`.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Where; `$STATE_DIRECTORY` or the user's state directory otherwise.
    pub directory: Option<PathBuf>,
    /// The key that seals secrets at rest, 32 bytes in hex or base64; generated otherwise.
    pub key: Option<SecretString>,
    /// What becomes of held sessions when the daemon ends.
    pub sessions: KeptSessions,
}

/// What becomes of held sessions when the daemon ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeptSessions {
    /// They are kept, sealed, and held again at the next start.
    #[default]
    Sealed,
    /// They end with it.
    Memory,
}

/// `[log]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The targets; chosen by what standard error is otherwise.
    pub to: Vec<LogTarget>,
    /// The level and filters, as tracing spells them.
    pub level: Option<String>,
}

/// Where log events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// systemd's journal, with fields.
    Journald,
    /// JSON lines on standard error.
    Json,
    /// Readable lines on standard error.
    Text,
    /// RFC 5424.
    Syslog(SyslogAddress),
    /// JSON lines in a file, reopened on SIGHUP.
    File(PathBuf),
}

/// Where a syslog server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A datagram socket, `/dev/log`.
    Local(PathBuf),
    /// `udp://host:port`.
    Udp(String),
    /// `tcp://host:port`.
    Tcp(String),
}

/// `[runtime]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Where the unit answers.
    pub socket: PathBuf,
    /// The runtimes that it asks.
    pub engines: Vec<RuntimeEngine>,
    /// Who may ask it beside root.
    pub asker: Option<u32>,
}

/// One `[[runtime.engine]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeEngine {
    /// How it is spoken to.
    pub kind: EngineKind,
    /// Where it listens.
    pub socket: PathBuf,
}

/// How a container runtime is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker's HTTP API.
    Docker,
    /// Podman's.
    Podman,
    /// Kubernetes' Container Runtime Interface.
    Cri,
}

impl EngineKind {
    /// As the configuration spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Cri => "cri",
        }
    }
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once for each caller; the surplus waits.
    pub connections_per_caller: usize,
    /// Requests answered at once for each caller; the surplus waits its turn.
    pub requests_per_caller: usize,
    /// Sessions fetched at once for each caller; the surplus waits its turn.
    pub flights_per_caller: usize,
    /// Held sessions.
    pub sessions: usize,
    /// How long readiness waits for prefetched roles.
    pub ready_deadline: Duration,
    /// How long callers are served still once an end is asked for.
    pub linger: Duration,
    /// How long open connections are let finish at the end.
    pub drain: Duration,
    /// How long callers wait for a flight, instead of what their SDKs are known to bear.
    pub patience: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_caller: 256,
            requests_per_caller: 64,
            flights_per_caller: 32,
            sessions: 20_000,
            ready_deadline: Duration::from_secs(30),
            linger: Duration::ZERO,
            drain: Duration::from_millis(200),
            patience: None,
        }
    }
}
