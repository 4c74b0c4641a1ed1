//! The connection to the unit: follows its changes, lists anew after each, and begins anew when it
//! is lost. Nothing that was learnt before a loss is believed after it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::addresses::{Addresses, At, Holder};
use super::books::{Answer, Boarding, Books, Key};
use super::is_trusted;
use crate::clock::Clock;
use crate::runtime::ask::{AskError, Connection, Lines};
use crate::runtime::wire::{Change, Inspected, List};
use crate::transport::causes;

/// How long the unit may take for one answer.
const DEADLINE: Duration = Duration::from_secs(3);
/// Lists that nobody waits for who is known to be a container are so far apart.
const PACE: Duration = Duration::from_millis(100);
/// So many lists may pass until one has a container that has just begun: docker says so only after
/// the container's program has been started, which may connect first.
const LISTS: usize = 8;
/// Other lists are so far apart, and at least as far as the last one took.
const LEAST_REST: Duration = Duration::from_millis(10);
/// A unit that is not there is tried again after this, then ever later.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Inspections at once.
const QUESTIONS: usize = 16;
/// No list is larger: twenty thousand containers of each of two runtimes have less.
const MAX_LIST: usize = 16 << 20;
/// Nothing that is told of one container is larger.
const MAX_INSPECT: usize = 1 << 20;
/// Longer texts are read on a thread of their own.
const LONG: usize = 32 << 10;

/// Why the unit is not followed.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("its socket is served by uid {0}, who is neither root nor the daemon's user")]
    Stranger(u32),
    #[error("it does not answer in time")]
    Slow,
    #[error("it went away")]
    Ended,
}

/// How far things are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    state: State,
    /// The last list that is done.
    done: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Starting,
    Up,
    Down,
}

/// Up to which number lists are wanted.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    /// At the lists' own pace.
    soon: u64,
    /// At once.
    now: u64,
}

#[derive(Debug)]
pub(super) struct Link {
    socket: PathBuf,
    pub(super) books: Books,
    addresses: Mutex<Addresses>,
    /// The number of the last list that has begun.
    begun: AtomicU64,
    wanted: watch::Sender<Wanted>,
    progress: watch::Sender<Progress>,
    questions: Semaphore,
}

impl Link {
    pub(super) fn new(socket: PathBuf, clock: Clock) -> Self {
        Self {
            socket,
            books: Books::new(clock),
            addresses: Mutex::default(),
            begun: AtomicU64::new(0),
            wanted: watch::Sender::default(),
            progress: watch::Sender::default(),
            questions: Semaphore::new(QUESTIONS),
        }
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether the unit is followed; waits while nobody has tried yet.
    pub(super) async fn is_up(&self) -> bool {
        let mut progress = self.progress.subscribe();
        let tried = progress.wait_for(|at| at.state != State::Starting);
        tried.await.is_ok_and(|at| at.state == State::Up)
    }

    pub(super) fn at(&self, address: IpAddr) -> At {
        match self.progress.borrow().state {
            State::Down => return At::Nobody,
            State::Starting => return At::Perhaps,
            State::Up => {}
        }
        match self.addresses().holder(address) {
            Some(Holder::One { .. }) => At::One,
            Some(Holder::Several) => At::Several,
            None => At::Perhaps,
        }
    }

    /// Who holds the address by lists and inspections that begin after this call: of a container
    /// that has just begun not the first list may know.
    pub(super) async fn confirm(self: &Arc<Self>, address: IpAddr) -> Answer {
        let mut progress = self.progress.subscribe();
        for _ in 0..LISTS {
            let is_known = self.addresses().holder(address).is_some();
            let number = self.want(is_known);
            let listed = progress.wait_for(|at| at.done >= number || at.state != State::Up);
            if !listed.await.is_ok_and(|at| at.state == State::Up) {
                return Answer::Failed;
            }
            let holder = self.addresses().holder(address).cloned();
            let answer = match holder {
                Some(Holder::One { id, owner }) => self.ask(&Key { id, owner }, number).await,
                Some(Holder::Several) => return Answer::Nothing,
                None => continue,
            };
            match answer {
                Answer::Told(told) if !told.addresses.contains(&address.to_canonical()) => {}
                // It has ended since, and the address may be another's.
                Answer::Nothing => {}
                Answer::Told(_) | Answer::Failed => return answer,
            }
        }
        Answer::Nothing
    }

    /// Wants a list that has not begun yet, and says its number.
    fn want(&self, at_once: bool) -> u64 {
        let number = self.begun() + 1;
        self.wanted.send_modify(|wanted| {
            wanted.soon = wanted.soon.max(number);
            if at_once {
                wanted.now = wanted.now.max(number);
            }
        });
        number
    }

    /// Inspects, together with all who ask the same; the question begins after list `after` has.
    pub(super) async fn ask(self: &Arc<Self>, key: &Key, after: u64) -> Answer {
        let mut landing = match self.books.board(key, after, self.begun()) {
            Boarding::Join(landing) => landing,
            Boarding::Full => return Answer::Failed,
            Boarding::Ask(teller, landing) => {
                let (link, key, own) = (Arc::clone(self), key.clone(), landing.clone());
                // Nobody's patience ends it: whoever asks next finds what it brought.
                drop(tokio::spawn(async move {
                    let answer = link.inspect(&key).await;
                    link.books.land(&key, &own, &answer);
                    teller.send_replace(Some(answer));
                }));
                landing
            }
        };
        let landed = landing.wait_for(Option::is_some).await;
        landed
            .ok()
            .and_then(|answer| answer.clone())
            .unwrap_or(Answer::Failed)
    }

    async fn inspect(&self, key: &Key) -> Answer {
        let Ok(_question) = self.questions.acquire().await else {
            return Answer::Failed;
        };
        let path = format!("/v1/containers/{}?owner={}", key.id.as_str(), key.owner);
        let asked = timeout(DEADLINE, self.get::<Inspected>(&path, MAX_INSPECT)).await;
        let told = match asked.map_err(|_elapsed| LinkError::Slow).flatten() {
            Ok(told) => told,
            Err(LinkError::Ask(AskError::Status(StatusCode::NOT_FOUND | StatusCode::CONFLICT))) => {
                return Answer::Nothing;
            }
            Err(error) => {
                tracing::warn!(container = key.id.as_str(), error = %causes(&error), "a container cannot be inspected");
                return Answer::Failed;
            }
        };
        match self.books.interest().keep(told, key.id.as_str(), key.owner) {
            Ok(told) => Answer::Told(Arc::new(told)),
            Err(error) => {
                let container = key.id.as_str();
                tracing::warn!(container, %error, "what a runtime tells of a container is not used");
                Answer::Nothing
            }
        }
    }

    async fn open(&self) -> Result<Connection, LinkError> {
        let connection = Connection::open(&self.socket).await?;
        if is_trusted(connection.server) {
            Ok(connection)
        } else {
            Err(LinkError::Stranger(connection.server))
        }
    }

    async fn get<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
        largest: usize,
    ) -> Result<T, LinkError> {
        let (status, body) = self.open().await?.get(path, largest).await?;
        if status != StatusCode::OK {
            return Err(AskError::Status(status).into());
        }
        if body.len() <= LONG {
            return Ok(parsed(&body)?);
        }
        let parsing = tokio::task::spawn_blocking(move || parsed(&body));
        Ok(parsing.await.map_err(|_panicked| LinkError::Ended)??)
    }

    /// Follows the unit, for ever.
    pub(super) async fn run(&self) -> ! {
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(error) = self.follow().await;
            let was = self.progress.borrow().state;
            self.lose();
            let socket = self.socket.display();
            match was {
                State::Up => pause = FIRST_PAUSE,
                State::Starting | State::Down => {}
            }
            if was == State::Down {
                tracing::debug!(%socket, error = %causes(&error), "the runtime unit is still away");
            } else {
                tracing::warn!(%socket, error = %causes(&error), "the runtime unit is away: containers are not known");
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn lose(&self) {
        self.books.forget_all();
        *self.addresses() = Addresses::default();
        self.progress
            .send_modify(|progress| progress.state = State::Down);
    }

    /// Follows the unit until that ends.
    async fn follow(&self) -> Result<Infallible, LinkError> {
        let begun = timeout(DEADLINE, async {
            let mut lines = self.open().await?.lines("/v1/events").await?;
            // The first line says that changes are seen from now on.
            change(&mut lines).await?;
            Ok::<_, LinkError>(lines)
        });
        let lines = begun.await.map_err(|_elapsed| LinkError::Slow)??;
        self.books.forget_all();
        self.list().await?;
        tracing::info!(socket = %self.socket.display(), "containers are known");
        tokio::select! {
            ended = self.keep_changes(lines) => ended,
            ended = self.keep_list() => ended,
        }
    }

    async fn keep_changes(&self, mut lines: Lines) -> Result<Infallible, LinkError> {
        loop {
            match change(&mut lines).await?.id {
                Some(id) => self.books.forget(&id),
                None => self.books.forget_all(),
            }
            self.want(false);
        }
    }

    /// Lists whenever that is wanted, one list at a time.
    async fn keep_list(&self) -> Result<Infallible, LinkError> {
        let mut wanted = self.wanted.subscribe();
        let (mut soon_from, mut now_from) = (Instant::now(), Instant::now());
        loop {
            let last = self.begun();
            let soon = wanted.wait_for(|wanted| wanted.soon > last).await;
            drop(soon.map_err(|_closed| LinkError::Ended)?);
            let now = async {
                drop(wanted.wait_for(|wanted| wanted.now > last).await);
                sleep_until(now_from).await;
            };
            tokio::select! {
                () = now => {}
                () = sleep_until(soon_from) => {}
            }
            let begun = Instant::now();
            soon_from = begun + PACE;
            self.list().await?;
            // Callers who come and come again keep the runtimes busy half of the time at most.
            now_from = Instant::now() + begun.elapsed().max(LEAST_REST);
        }
    }

    async fn list(&self) -> Result<(), LinkError> {
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let asked = timeout(DEADLINE, self.get::<List>("/v1/containers", MAX_LIST)).await;
        let list = asked.map_err(|_elapsed| LinkError::Slow)??;
        *self.addresses() = Addresses::of(&list);
        self.progress.send_modify(|progress| {
            *progress = Progress {
                state: State::Up,
                done: number,
            };
        });
        Ok(())
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, AskError> {
    Ok(serde_json::from_slice(body)?)
}

async fn change(lines: &mut Lines) -> Result<Change, LinkError> {
    let line = lines.next().await?.ok_or(LinkError::Ended)?;
    Ok(parsed(&line)?)
}
