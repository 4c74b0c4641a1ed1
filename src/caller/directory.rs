//! What is looked up once and remembered: control groups' places, users' names.
//!
//! Everything here may take its time, so it runs on threads of its own, few at once, under a
//! deadline; what cannot be had in time is unknown to that caller and tried again for the next.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::sync::Semaphore;

use super::cgroup::Hierarchy;
use super::place::Container;
use super::process::PeerProcess;
use crate::clock::{BootTime, Clock};
use crate::grants::Known;

/// How long a caller waits for a fact that is not remembered.
const DEADLINE: Duration = Duration::from_secs(1);
/// How many groups and users are remembered.
const REMEMBERED: usize = 4096;
/// Names are asked for by so many threads at once: a directory service may hang.
const NAME_THREADS: usize = 4;
/// A name is asked for again after this time.
const NAME_AGE: Duration = Duration::from_mins(5);

/// The places of control groups. A group's id is never given to another, so what was found stays
/// true.
#[derive(Debug)]
pub(super) struct Places {
    hierarchy: Arc<OnceLock<Option<Hierarchy>>>,
    remembered: Arc<Mutex<HashMap<u64, Known<Container>>>>,
    walks: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            hierarchy: Arc::default(),
            remembered: Arc::default(),
            walks: Arc::new(Semaphore::new(1)),
        }
    }

    pub(super) fn remembered(&self, id: u64) -> Option<Known<Container>> {
        lock(&self.remembered).get(&id).cloned()
    }

    /// The container that the group of this id is in; not known yet where the look-up takes its
    /// time. It goes on all the same, and whoever asks next finds what it brought.
    pub(super) async fn look_up(&self, id: u64) -> Known<Container> {
        let looked_up = tokio::time::timeout(DEADLINE, async {
            let walk = Arc::clone(&self.walks).acquire_owned().await.ok()?;
            // Whoever walked before may have brought it.
            if let Some(known) = self.remembered(id) {
                return Some(known);
            }
            let hierarchy = Arc::clone(&self.hierarchy);
            let remembered = Arc::clone(&self.remembered);
            let found = tokio::task::spawn_blocking(move || {
                let _walk = walk;
                let known = container_of_group(hierarchy.get_or_init(find).as_ref(), id).ok()?;
                remember(&remembered, id, known.clone());
                Some(known)
            });
            Some(found.await.ok().flatten().unwrap_or(Known::No))
        });
        looked_up.await.ok().flatten().unwrap_or(Known::NotYet)
    }

    /// The container that this process is in.
    pub(super) async fn of_process(&self, process: &Arc<PeerProcess>) -> Known<Container> {
        let hierarchy = Arc::clone(&self.hierarchy);
        let process = Arc::clone(process);
        let found = tokio::task::spawn_blocking(move || {
            let hierarchy = hierarchy.get_or_init(find).as_ref()?;
            hierarchy.container(&process.cgroup_path().ok()??)
        });
        let found = tokio::time::timeout(DEADLINE, found).await;
        let container = found.ok().and_then(Result::ok).flatten();
        container.map_or(Known::No, Known::Yes)
    }
}

fn find() -> Option<Hierarchy> {
    let found = Hierarchy::find();
    if found.is_none() {
        tracing::warn!(
            "no unified control group hierarchy (cgroup2) is mounted, so nobody can be told to be \
             outside containers: grants to users match only where they say `container = \"any\"`"
        );
    }
    found
}

fn container_of_group(hierarchy: Option<&Hierarchy>, id: u64) -> io::Result<Known<Container>> {
    let Some(hierarchy) = hierarchy else {
        return Ok(Known::No);
    };
    let path = hierarchy.path(id)?;
    let container = path.and_then(|path| hierarchy.container(&path));
    Ok(container.map_or(Known::No, Known::Yes))
}

/// A user's name and when it was looked up.
#[derive(Debug)]
struct Name {
    at: BootTime,
    name: Known<Arc<str>>,
}

/// The names of users, as the system's directory tells them.
#[derive(Debug)]
pub(super) struct Users {
    clock: Clock,
    remembered: Mutex<HashMap<u32, Name>>,
    threads: Arc<Semaphore>,
}

impl Users {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            remembered: Mutex::default(),
            threads: Arc::new(Semaphore::new(NAME_THREADS)),
        }
    }

    pub(super) fn remembered(&self, uid: u32) -> Option<Known<Arc<str>>> {
        let remembered = lock(&self.remembered);
        let Name { at, name } = remembered.get(&uid)?;
        let fresh = self.clock.boot().since(*at) < NAME_AGE;
        fresh.then(|| name.clone())
    }

    /// The user's name, where the directory knows one.
    pub(super) async fn look_up(&self, uid: u32) -> Known<Arc<str>> {
        let looked_up = tokio::time::timeout(DEADLINE, async {
            let thread = Arc::clone(&self.threads).acquire_owned().await.ok()?;
            if let Some(name) = self.remembered(uid) {
                return Some(name);
            }
            let found = tokio::task::spawn_blocking(move || {
                let _thread = thread;
                match local_name(uid) {
                    Some(name) => Ok(Some(name)),
                    None => {
                        User::from_uid(Uid::from_raw(uid)).map(|user| user.map(|user| user.name))
                    }
                }
            });
            let found = found.await.ok()?.ok()?;
            let name = found.map_or(Known::No, |name| Known::Yes(Arc::from(name)));
            let at = self.clock.boot();
            remember(
                &self.remembered,
                uid,
                Name {
                    at,
                    name: name.clone(),
                },
            );
            Some(name)
        });
        looked_up.await.ok().flatten().unwrap_or(Known::No)
    }
}

/// The name of a user of this host itself. Name services, with the libraries that they bring into
/// memory, are asked for others only.
fn local_name(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    name_in(&passwd, uid)
}

/// `name:password:uid:…`, a user a line.
fn name_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A full memory is emptied: what is still in use comes back at the next look-up.
fn remember<K: Eq + Hash, V>(remembered: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut remembered = lock(remembered);
    if remembered.len() >= REMEMBERED {
        remembered.clear();
    }
    remembered.insert(key, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_the_host_are_found_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\n\nbroken\n+::::::\nweb:x:33:33::/:/bin/false\n";
        assert_eq!(name_in(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_in(passwd, 33).as_deref(), Some("web"));
        assert_eq!(name_in(passwd, 3), None);
        assert_eq!(local_name(0).as_deref(), Some("root"));
    }
}
