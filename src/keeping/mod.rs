//! Held sessions survive a restart: they are written to one sealed file of the state directory as
//! they come and go, off the thread that serves, and read from it at the next start.
//!
//! The file is for this host and this directory's keys only. Remaining lives are told by the
//! boot-time clock; after another boot by wall time, where that can be believed. What cannot be
//! written is served all the same.

mod book;
mod file;
mod record;
mod wish;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::oneshot;

pub use file::Refusal;

use crate::authority::Seals;
use crate::clock::Clock;
use crate::sessions::{Keeper, Kept, NotSettled, Request, Session, SessionKey, Settle, Settled};
use book::Book;

/// The file's name in the state directory.
const FILE: &str = "sessions.sealed";

/// How often what could not be written is tried again, if nothing happens meanwhile.
const AGAIN: Duration = Duration::from_secs(30);

/// Where sessions are kept, and for whom.
#[derive(Debug)]
pub struct Place {
    /// The state directory.
    pub directory: PathBuf,
    /// What the file is sealed with.
    pub seals: Seals,
    /// Which host this is: [`host`].
    pub host: [u8; 32],
    /// Time.
    pub clock: Clock,
    /// No more bytes are kept.
    pub most: u64,
}

/// What names this host, of what `/etc/machine-id` says. Nothing else can be made of it.
pub fn host(machine_id: &str) -> [u8; 32] {
    let named = format!("rolecall held sessions of {}", machine_id.trim());
    let mut host = [0; 32];
    for (to, from) in host
        .iter_mut()
        .zip(digest(&SHA256, named.as_bytes()).as_ref())
    {
        *to = *from;
    }
    host
}

/// Removes what an earlier process kept in this directory, also what was put aside or not finished.
/// Whether there was anything.
pub fn discard(directory: &Path) -> io::Result<bool> {
    let file = directory.join(FILE);
    let aside = [book::REFUSED, book::NEW].map(|name| file.with_extension(name));
    let mut found = false;
    for path in std::iter::once(file).chain(aside) {
        match fs::remove_file(path) {
            Ok(()) => found = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The keeper: what it is told goes to a thread of its own, the latest of each key.
pub struct Keeping(Arc<Desk>);

impl fmt::Debug for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeping(..)")
    }
}

#[derive(Default)]
struct Desk {
    asked: Mutex<Asked>,
    told: Condvar,
}

#[derive(Default)]
struct Asked {
    /// What is held of a key; `None` for nothing.
    changes: BTreeMap<SessionKey, Option<Kept>>,
    waiting: Vec<(Settle, oneshot::Sender<Result<(), NotSettled>>)>,
    over: bool,
}

impl Asked {
    fn is_nothing(&self) -> bool {
        self.changes.is_empty() && self.waiting.is_empty() && !self.over
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, say: impl FnOnce(&mut Asked)) {
        say(&mut self.lock());
        self.told.notify_one();
    }

    /// What was asked since. Nothing, once this long has passed.
    fn next(&self, patience: Option<Duration>) -> Asked {
        let asked = self.lock();
        let mut asked = match patience {
            None => {
                let waited = self.told.wait_while(asked, |asked| asked.is_nothing());
                waited.unwrap_or_else(PoisonError::into_inner)
            }
            Some(patience) => {
                let waited = self
                    .told
                    .wait_timeout_while(asked, patience, |asked| asked.is_nothing());
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        std::mem::take(&mut *asked)
    }
}

impl Keeping {
    /// Reads what an earlier process kept at this place and hands it to `kept`, if it is nothing
    /// too; then keeps what it is told of. At once, on a thread of its own.
    pub fn start(place: Place, kept: impl FnOnce(Vec<Kept>) + Send + 'static) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let asked = Arc::clone(&desk);
        let thread = std::thread::Builder::new().name("keeping".to_owned());
        let _detached = thread.spawn(move || {
            let mut book = Book::new(place);
            kept(book.open());
            keep(&mut book, &asked);
        })?;
        Ok(Self(desk))
    }
}

/// Writes down what is asked until nobody can ask any more.
fn keep(book: &mut Book, desk: &Desk) {
    loop {
        let asked = desk.next(book.is_behind().then_some(AGAIN));
        let wanted: Vec<Settle> = asked.waiting.iter().map(|(what, _)| *what).collect();
        let settled = book.write(asked.changes, &wanted);
        let closed = asked.over || wanted.contains(&Settle::Closed);
        if closed {
            book.close();
        }
        for (_, tell) in asked.waiting {
            // Who waited may have gone.
            drop(tell.send(settled.clone()));
        }
        if closed {
            return;
        }
    }
}

impl Keeper for Keeping {
    fn keep(&self, request: &Request, session: &Arc<Session>) {
        let kept = Kept {
            key: request.key,
            wish: Some(Arc::clone(&request.wish)),
            session: Arc::clone(session),
            elsewhen: None,
        };
        self.0
            .tell(|asked| drop(asked.changes.insert(request.key, Some(kept))));
    }

    fn let_go(&self, key: &SessionKey) {
        self.0.tell(|asked| drop(asked.changes.insert(*key, None)));
    }

    fn settled(&self, what: Settle) -> Settled<'_> {
        let (tell, told) = oneshot::channel();
        self.0.tell(|asked| asked.waiting.push((what, tell)));
        Box::pin(async move {
            let gone = || NotSettled(Arc::from("held sessions are not kept any more"));
            told.await.unwrap_or_else(|_gone| Err(gone()))
        })
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.tell(|asked| asked.over = true);
    }
}
