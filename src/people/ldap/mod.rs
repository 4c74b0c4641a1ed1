//! An LDAP directory: who has which password, who is in which group.
//!
//! Everything said to it is encrypted, nothing it says is trusted to end: messages, results, depth
//! and time are bounded. Where it refers elsewhere nobody goes.

mod ber;
mod dial;
mod message;
mod session;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use super::directory::{Asked, Directory, Member, NotMember, is_name};
use super::told::Told;
use crate::clock::Clock;
use crate::config;
use crate::grants::Way;
use crate::secret::{ExposeSecret, SecretString};
use crate::transport::{Thread, causes, printable};
use ber::Malformed;
use dial::Dial;
use message::Ended;
use session::Session;

/// How long one question may take, whatever it consists of.
const DEADLINE: Duration = Duration::from_secs(5);

/// So many questions are asked at once, each on a connection of its own.
const AT_ONCE: usize = 4;

/// So many are asked or wait for their turn; what comes above is told that there is no answer.
const OPEN: usize = 64;

/// A connection that was not used for so long is not used again: routers forget those.
const IDLE: Duration = Duration::from_mins(1);

/// A connection as it is kept.
type Connection = Session<TlsStream<TcpStream>>;

/// Who has this name, if this is the password, where one is to be proved?
struct Question {
    name: String,
    password: Option<SecretString>,
}

/// A directory, as it is asked.
#[derive(Clone, Debug)]
pub struct Ldap(Arc<Shared>);

struct Shared {
    config: config::Ldap,
    dial: Dial,
    thread: Thread,
    deadline: Duration,
    clock: Clock,
    open: Arc<Semaphore>,
    turns: Semaphore,
    idle: Mutex<Vec<(Connection, Instant)>>,
    told: Told,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ldap")
            .field("url", &self.config.url)
            .finish_non_exhaustive()
    }
}

/// Why a directory gives no answer. Who asks is told none of it.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("its address cannot be read")]
    Address,
    #[error("{} cannot be used", .0.display())]
    Authorities(
        std::path::PathBuf,
        #[source] Box<dyn std::error::Error + Send + Sync>,
    ),
    #[error("it cannot be reached")]
    Unreachable(#[source] io::Error),
    #[error("TLS with it fails")]
    Tls(#[source] io::Error),
    #[error("it does not begin TLS: {}", said(.0))]
    NoTls(Ended),
    #[error("it broke off")]
    Broken(#[source] io::Error),
    #[error("it hung up")]
    Closed,
    #[error("it cannot be understood")]
    Malformed(#[from] Malformed),
    #[error("it refuses {what}: {}", said(ended))]
    Refused { what: &'static str, ended: Ended },
    #[error("it refers {0} to another directory")]
    Elsewhere(&'static str),
    #[error("it has nothing at {0:?}")]
    NoBase(String),
    #[error("a name is that of several users, or of none that can be signed in")]
    Ambiguous,
    #[error("somebody is in more groups than are believed")]
    Many,
    #[error("it took too long")]
    Late,
    #[error("too many questions are open")]
    Busy,
    #[error("the question did not end by itself")]
    Fault,
}

/// A server's words may hold what it was told; they end at the first line.
fn said(ended: &Ended) -> String {
    format!("code {} {:?}", ended.code.0, printable(&ended.words))
}

impl Ldap {
    /// The directory of this configuration. Nothing is connected or read yet.
    pub fn new(config: config::Ldap, clock: Clock) -> Self {
        Self::within(config, clock, DEADLINE)
    }

    fn within(config: config::Ldap, clock: Clock, deadline: Duration) -> Self {
        Self(Arc::new(Shared {
            dial: Dial::new(&config),
            config,
            thread: Thread::default(),
            deadline,
            clock,
            open: Arc::new(Semaphore::new(OPEN)),
            turns: Semaphore::new(AT_ONCE),
            idle: Mutex::default(),
            told: Told::default(),
        }))
    }

    /// Asks on a thread of its own, to the end even if nobody waits any more.
    async fn ask(&self, question: Question) -> Result<Member, NotMember> {
        let shared = Arc::clone(&self.0);
        let asked = match Arc::clone(&self.0.open).try_acquire_owned() {
            Err(_full) => Ok(Err(NoAnswer::Busy)),
            Ok(place) => {
                let asked = self.0.thread.run(async move {
                    let _place = place;
                    let asked = timeout(shared.deadline, shared.ask(&question)).await;
                    asked.unwrap_or(Err(NoAnswer::Late))
                });
                asked.await
            }
        };
        match asked.unwrap_or(Err(NoAnswer::Fault)) {
            Ok(answer) => answer,
            Err(why) => {
                self.0.tell(&why);
                Err(NotMember::NotReady)
            }
        }
    }
}

impl Shared {
    /// Asks on a connection that is there, or on a new one: that one which was kept is open still
    /// shows only when it is used.
    async fn ask(&self, question: &Question) -> Result<Result<Member, NotMember>, NoAnswer> {
        let _turn = self.turns.acquire().await;
        if let Some(mut kept) = self.kept() {
            match question.put(&mut kept, &self.config).await {
                Ok(answer) => {
                    self.keep(kept);
                    return Ok(answer);
                }
                Err(NoAnswer::Closed | NoAnswer::Broken(_)) => {}
                Err(why) => return Err(why),
            }
        }
        let mut new = self.dial.connect().await?;
        let answer = question.put(&mut new, &self.config).await?;
        self.keep(new);
        Ok(answer)
    }

    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
    }

    /// Tells the operator what is wrong with the directory.
    fn tell(&self, why: &NoAnswer) {
        if !self.told.is_due((), self.clock.boot()) {
            return;
        }
        let directory = self.config.url.as_str();
        tracing::warn!(directory, reason = %causes(why), "a directory of people gives no answer");
    }
}

impl Directory for Ldap {
    fn way(&self) -> Way {
        Way::Ldap
    }

    fn verify<'a>(&'a self, name: &'a str, password: &'a SecretString) -> Asked<'a, Member> {
        Box::pin(async move {
            if !is_name(name) {
                return Err(NotMember::Unknown);
            }
            // To bind with no password is to bind as nobody, and succeeds (RFC 4513, 5.1.2).
            if password.expose_secret().is_empty() {
                return Err(NotMember::Wrong);
            }
            let (name, password) = (name.to_owned(), Some(password.clone()));
            self.ask(Question { name, password }).await
        })
    }

    fn member<'a>(&'a self, name: &'a str) -> Asked<'a, Member> {
        Box::pin(async move {
            if !is_name(name) {
                return Err(NotMember::Unknown);
            }
            let name = name.to_owned();
            let password = None;
            self.ask(Question { name, password }).await
        })
    }
}

impl Question {
    async fn put(
        &self,
        on: &mut Connection,
        config: &config::Ldap,
    ) -> Result<Result<Member, NotMember>, NoAnswer> {
        on.member(config, &self.name, self.password.as_ref()).await
    }
}

/// Reads messages as a session does.
#[cfg(fuzzing)]
pub(super) fn fuzzing(mut bytes: &[u8]) {
    while let Ok(Some(length)) = ber::message_length(bytes) {
        assert!(length <= ber::LONGEST + 6);
        let Some((whole, rest)) = bytes.split_at_checked(length) else {
            return;
        };
        let _read = message::read(whole);
        bytes = rest;
    }
}
