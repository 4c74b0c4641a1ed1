//! Where callers run, looked up once for each control group and remembered.
//!
//! Looking may take its time, so it is done on threads of its own, few at once, under a deadline;
//! what cannot be had in time is not known to that caller yet, and is there for the next.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::cgroup::{Hierarchy, NoPlaces, unified_path};
use super::forwarders::Forwarders;
use super::per_caller::PerCaller;
use super::place::{Located, Machine};
use super::process::PeerProcess;
use crate::clock::Clock;
use crate::grants::{ContainerFacts, ContainerPlace, HostPlace, Known, Place};
use crate::lookups::{Bounds, Lookups};

/// How long a caller waits for its place to be found.
const PATIENCE: Duration = Duration::from_secs(1);
/// A group's id is never given to another, so what was found stays true.
const FOR_EVER: Duration = Duration::MAX;
const BOUNDS: Bounds = Bounds {
    // Bounded below, for each user too.
    at_once: 4096,
    open: 4096,
    remembered: 4096,
};
/// Each look for a group walks through the hierarchy: so many do at once, one for each user.
const WALKING: usize = 2;
/// So many groups of one user are looked for or wait for it: each may make any number of them.
const OPEN_OF_EACH: usize = 256;
/// No more is kept of a path: users make groups as deep as the kernel lets them.
const MAX_PATH: usize = 1024;
/// So many threads look at processes at once.
const LOOKING: usize = 4;

/// What is known of the place of a caller.
#[derive(Clone, Debug)]
pub(super) struct Whereabouts {
    /// Where it is.
    pub(super) place: Known<Arc<Place>>,
    /// What the place itself tells of a container.
    pub(super) container: Option<Arc<ContainerFacts>>,
    /// Whether connections from there may be made for containers.
    pub(super) forwards: bool,
    /// Whether programs that forward could run among others there: users start those where they
    /// are.
    shared: bool,
    /// The path of the control group, or the beginning of a long one.
    pub(super) path: Option<Arc<[u8]>>,
}

impl Whereabouts {
    /// Of whom nothing can be told.
    pub(super) const UNKNOWN: Self = Self {
        place: Known::No,
        container: None,
        forwards: false,
        shared: false,
        path: None,
    };

    /// On the host itself, in no unit.
    pub(super) fn on_the_host() -> Self {
        Self::at(Place::Host(HostPlace::default()))
    }

    /// At this place, however that was told.
    pub(super) fn at(place: Place) -> Self {
        Self {
            place: Known::Yes(Arc::new(place)),
            ..Self::UNKNOWN
        }
    }

    fn new(located: Located, group: &[u8]) -> Self {
        let (kept, whole) = match group.get(..MAX_PATH) {
            Some(head) => (head, head.len() == group.len()),
            None => (group, true),
        };
        let path = Some(Arc::from(kept));
        match located {
            // Who else runs there could not be seen by half a path.
            Located::At {
                place: Place::Host(_),
                users: true,
                ..
            } if !whole => Self {
                path,
                ..Self::UNKNOWN
            },
            Located::At {
                place,
                machine,
                users,
            } => Self {
                shared: users && matches!(place, Place::Host(_)),
                container: machine.and_then(|machine| facts_of(machine, &place)),
                place: Known::Yes(Arc::new(place)),
                forwards: false,
                path,
            },
            Located::WithForwarders => Self {
                forwards: true,
                path,
                ..Self::UNKNOWN
            },
            Located::Outside => Self {
                path,
                ..Self::UNKNOWN
            },
        }
    }

    /// The same where a forwarder runs: then nothing is evidence of whoever connects from there.
    fn with_forwarder(&self) -> Self {
        Self {
            forwards: true,
            path: self.path.clone(),
            ..Self::UNKNOWN
        }
    }
}

/// What the name of a machine's group tells.
fn facts_of(machine: Machine, place: &Place) -> Option<Arc<ContainerFacts>> {
    let Place::Container(ContainerPlace { id, owner }) = place else {
        return None;
    };
    Some(Arc::new(ContainerFacts {
        id: id.clone(),
        owner: owner.unwrap_or(0),
        runtime: Arc::from(machine.runtime),
        name: Some(Arc::from(machine.name)),
        image: None,
        labels: BTreeMap::new(),
        pod: None,
    }))
}

/// What one user may have looked for.
#[derive(Debug)]
struct Walker {
    open: Arc<Semaphore>,
    turn: Semaphore,
}

/// The places of control groups, and who else runs in them.
#[derive(Debug)]
pub(super) struct Places {
    hierarchy: Arc<OnceLock<Option<Hierarchy>>>,
    groups: Lookups<u64, Arc<Whereabouts>>,
    walking: Arc<Semaphore>,
    walkers: PerCaller<Walker, u32>,
    forwarders: Arc<Forwarders>,
    looking: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            hierarchy: Arc::default(),
            groups: Lookups::new(clock.clone(), BOUNDS),
            walking: Arc::new(Semaphore::new(WALKING)),
            walkers: PerCaller::default(),
            forwarders: Arc::new(Forwarders::new(clock)),
            looking: Arc::new(Semaphore::new(LOOKING)),
        }
    }

    /// The place of the group of this id, where nobody has to look. Never waits.
    pub(super) fn remembered(&self, id: u64) -> Option<Arc<Whereabouts>> {
        let found = self.groups.remembered(&id)?;
        if !found.shared {
            return Some(found);
        }
        Some(told_apart(found, self.forwarders.remembered(id)?))
    }

    /// The place of the group of this id, in which this user made a socket; `None` where the look-up
    /// takes its time. It goes on all the same, and whoever asks next finds what it brought.
    pub(super) async fn look_up(&self, id: u64, user: u32) -> Option<Arc<Whereabouts>> {
        let found = match self.groups.remembered(&id) {
            Some(found) => found,
            None => self.groups.get(id, PATIENCE, self.walk(id, user)?).await?,
        };
        if !found.shared {
            return Some(found);
        }
        let forwards = match self.forwarders.remembered(id) {
            Some(forwards) => forwards,
            None => tokio::time::timeout(PATIENCE, self.has_forwarder(id, &found))
                .await
                .ok()
                .flatten()?,
        };
        Some(told_apart(found, forwards))
    }

    /// `None` where too much is looked for in this user's name already.
    fn walk(
        &self,
        id: u64,
        user: u32,
    ) -> Option<impl Future<Output = (Arc<Whereabouts>, Duration)> + Send + 'static> {
        let hierarchy = Arc::clone(&self.hierarchy);
        let walking = Arc::clone(&self.walking);
        let own = self.walkers.of(user, || Walker {
            open: Arc::new(Semaphore::new(OPEN_OF_EACH)),
            turn: Semaphore::new(1),
        });
        let open = Arc::clone(&own.open).try_acquire_owned().ok()?;
        Some(async move {
            let _open = open;
            let _own_turn = own.turn.acquire().await;
            let _turn = walking.acquire().await;
            let walked = tokio::task::spawn_blocking(move || {
                group(hierarchy.get_or_init(find).as_ref(), id)
            });
            match walked.await {
                Ok(Ok(found)) => (Arc::new(found), FOR_EVER),
                Ok(Err(_)) | Err(_) => (Arc::new(Whereabouts::UNKNOWN), Duration::ZERO),
            }
        })
    }

    /// Where the processes of a group cannot be seen it counts as having one.
    async fn has_forwarder(&self, id: u64, found: &Arc<Whereabouts>) -> Option<bool> {
        let look = Arc::clone(&self.looking).acquire_owned().await.ok()?;
        let hierarchy = Arc::clone(&self.hierarchy);
        let forwarders = Arc::clone(&self.forwarders);
        let found = Arc::clone(found);
        let looked = tokio::task::spawn_blocking(move || {
            let _look = look;
            let hierarchy = hierarchy.get_or_init(find).as_ref()?;
            others_in(&forwarders, hierarchy, id, &found).ok()
        });
        Some(looked.await.ok().flatten().unwrap_or(true))
    }

    /// The place of this peer of a unix socket. It connected itself, so nobody forwards for it.
    pub(super) async fn of_peer(&self, process: &Arc<PeerProcess>) -> Arc<Whereabouts> {
        let found = self.ask_of(process, |hierarchy, process| {
            Some(of_process(hierarchy?, process)?.0)
        });
        Arc::new(found.await.unwrap_or(Whereabouts::UNKNOWN))
    }

    /// The place that a connection of this process would come from.
    pub(super) async fn of_process(&self, process: &Arc<PeerProcess>) -> Arc<Whereabouts> {
        let forwarders = Arc::clone(&self.forwarders);
        let found = self.ask_of(process, move |hierarchy, process| {
            let hierarchy = hierarchy?;
            let (found, group) = of_process(hierarchy, process)?;
            let forwards = found.shared && others_in(&forwarders, hierarchy, group, &found).ok()?;
            Some(if forwards {
                found.with_forwarder()
            } else {
                found
            })
        });
        Arc::new(found.await.unwrap_or(Whereabouts::UNKNOWN))
    }

    /// The program that this peer of a unix socket runs.
    pub(super) async fn exe(&self, process: &Arc<PeerProcess>) -> Option<Arc<str>> {
        self.ask_of(process, |_, process| process.exe().ok()?).await
    }

    /// The places of all running containers whose id begins like this, or that machined knows by
    /// this name; `None` where that cannot be told.
    pub(super) async fn containers(&self, id: &str) -> Option<Vec<Whereabouts>> {
        let hierarchy = Arc::clone(&self.hierarchy);
        let id = id.to_owned();
        let walk = tokio::task::spawn_blocking(move || {
            containers(hierarchy.get_or_init(find).as_ref()?, &id).ok()
        });
        tokio::time::timeout(PATIENCE, walk).await.ok()?.ok()?
    }

    async fn ask_of<T: Send + 'static>(
        &self,
        process: &Arc<PeerProcess>,
        ask: impl FnOnce(Option<&Hierarchy>, &PeerProcess) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let asked = tokio::time::timeout(PATIENCE, async {
            let look = Arc::clone(&self.looking).acquire_owned().await.ok()?;
            let hierarchy = Arc::clone(&self.hierarchy);
            let process = Arc::clone(process);
            let asked = tokio::task::spawn_blocking(move || {
                let _look = look;
                ask(hierarchy.get_or_init(find).as_ref(), &process)
            });
            asked.await.ok().flatten()
        });
        asked.await.ok().flatten()
    }
}

/// The place of somebody in a group in which a forwarder runs, or not.
fn told_apart(found: Arc<Whereabouts>, forwards: bool) -> Arc<Whereabouts> {
    if forwards {
        Arc::new(found.with_forwarder())
    } else {
        found
    }
}

/// The place of a process and the id of its group, if it lives and stays there while it is looked
/// at.
fn of_process(hierarchy: &Hierarchy, process: &PeerProcess) -> Option<(Whereabouts, u64)> {
    let groups = process.groups().ok()??;
    let path = unified_path(&groups)?;
    let (located, group) = hierarchy.locate(&path, None).ok()??;
    let stayed = process.groups().ok()?? == groups;
    let found = Whereabouts::new(located, &path);
    let on_the_host = matches!(found.place.yes().map(AsRef::as_ref), Some(Place::Host(_)));
    let found = if on_the_host && hierarchy.is_contradicted(&groups) {
        Whereabouts {
            path: found.path,
            ..Whereabouts::UNKNOWN
        }
    } else {
        found
    };
    stayed.then_some((found, group))
}

fn find() -> Option<Hierarchy> {
    let found = Hierarchy::find();
    let unseen = |error: &NoPlaces| {
        tracing::warn!(
            %error,
            "nobody can be told to be outside containers: grants to users match only where they \
             say `container = \"any\"`"
        );
    };
    found.inspect_err(unseen).ok()
}

fn group(hierarchy: Option<&Hierarchy>, id: u64) -> io::Result<Whereabouts> {
    let Some(hierarchy) = hierarchy else {
        return Ok(Whereabouts::UNKNOWN);
    };
    let Some(path) = hierarchy.path(id)? else {
        return Ok(Whereabouts::UNKNOWN);
    };
    let located = hierarchy.locate(&path, Some(id))?;
    Ok(located.map_or(Whereabouts::UNKNOWN, |(located, _)| {
        Whereabouts::new(located, &path)
    }))
}

/// Each once, though it may have many groups.
fn containers(hierarchy: &Hierarchy, id: &str) -> io::Result<Vec<Whereabouts>> {
    let own_name = id.rsplit('/').next().unwrap_or(id);
    let mut found: Vec<Whereabouts> = Vec::new();
    for (located, path) in hierarchy.named(own_name)? {
        let Located::At { place, machine, .. } = &located else {
            continue;
        };
        let Place::Container(container) = place else {
            continue;
        };
        let meant = container.id.as_str().starts_with(id)
            || machine.as_ref().is_some_and(|machine| machine.name == id);
        let known = found
            .iter()
            .any(|it| it.place.yes().is_some_and(|it| **it == *place));
        if meant && !known {
            found.push(Whereabouts::new(located, &path));
        }
    }
    Ok(found)
}

/// Whether there are forwarders in this group, or processes that version 1 has in a container.
fn others_in(
    forwarders: &Forwarders,
    hierarchy: &Hierarchy,
    group: u64,
    found: &Whereabouts,
) -> io::Result<bool> {
    let processes = || match &found.path {
        Some(path) => hierarchy.processes(path),
        None => Ok(Vec::new()),
    };
    forwarders.look(group, processes, |pid| hierarchy.is_contained(pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::place::PlaceReader;

    fn at(path: &str) -> Whereabouts {
        let located = PlaceReader::default().locate(path.as_bytes(), None);
        Whereabouts::new(located, path.as_bytes())
    }

    #[test]
    fn of_a_long_path_little_is_kept_and_its_users_are_nowhere() {
        let deep = "/x".repeat(2000);
        let user = "/user.slice/user-1000.slice/user@1000.service";
        let near = at(&format!("{user}/app.slice/x.service"));
        assert!(near.place.yes().is_some() && near.shared);
        let far = at(&format!("{user}{deep}"));
        assert_eq!(far.place, Known::No);
        assert_eq!(far.path.unwrap().len(), MAX_PATH);
        let unit = at(&format!("/system.slice/x.service{deep}"));
        assert!(unit.place.yes().is_some());
        assert_eq!(unit.path.unwrap().len(), MAX_PATH);
    }
}
