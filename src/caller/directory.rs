//! What the system's database tells of users: names and groups, remembered for minutes.
//!
//! A directory service may hang, so it is asked on threads of its own, few at once, under a
//! deadline. What it does not tell in time is not known to whoever waited; what it says there is
//! not is remembered too.

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::subordinates::Subordinates;
use crate::clock::Clock;
use crate::grants::{Groups, Known};
use crate::lookups::{Bounds, Lookups};

/// How long a caller waits for what is not remembered.
const PATIENCE: Duration = Duration::from_secs(1);
/// What was told is asked for again after this time.
const AGE: Duration = Duration::from_mins(5);
/// A service that fails is asked again after this time.
const FAILURE_AGE: Duration = Duration::from_secs(5);
const BOUNDS: Bounds = Bounds {
    at_once: 4,
    open: 256,
    remembered: 4096,
};
/// No user's groups are more.
const MAX_GROUPS: usize = 65_536;

/// What one kind of question is answered, by uid.
type Answers<T> = Lookups<u32, Known<T>>;

/// A user's groups.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    /// The primary one.
    pub(super) gid: u32,
    /// All of them.
    pub(super) groups: Arc<Groups>,
}

/// The users of this host.
#[derive(Debug)]
pub(super) struct Users {
    pub(super) subordinates: Subordinates,
    local_names: Answers<Arc<str>>,
    names: Answers<Arc<str>>,
    memberships: Answers<Membership>,
}

impl Users {
    pub(super) fn new(clock: &Clock) -> Self {
        Self {
            subordinates: Subordinates::new(clock.clone()),
            local_names: Lookups::new(clock.clone(), BOUNDS),
            names: Lookups::new(clock.clone(), BOUNDS),
            memberships: Lookups::new(clock.clone(), BOUNDS),
        }
    }

    pub(super) fn remembered_name(&self, uid: u32) -> Option<Known<Arc<str>>> {
        match self.local_names.remembered(&uid)? {
            Known::Yes(name) => Some(Known::Yes(name)),
            Known::No | Known::NotYet => self.names.remembered(&uid),
        }
    }

    pub(super) fn remembered_membership(&self, uid: u32) -> Option<Known<Membership>> {
        self.memberships.remembered(&uid)
    }

    /// The user's name, where the database knows one. Name services, with the libraries that they
    /// bring into memory, are asked for those only whom this host's own file does not name.
    pub(super) async fn name(&self, uid: u32) -> Known<Arc<str>> {
        if !self.may_have(uid) {
            return Known::No;
        }
        match ask(&self.local_names, uid, local_name).await {
            Known::Yes(name) => Known::Yes(name),
            Known::No | Known::NotYet => ask(&self.names, uid, name).await,
        }
    }

    /// The user's groups, where the database knows the user.
    pub(super) async fn membership(&self, uid: u32) -> Known<Membership> {
        if !self.may_have(uid) {
            return Known::No;
        }
        ask(&self.memberships, uid, membership).await
    }

    /// Whether a uid may be one of the database's. A subordinate one is not, and its owner has
    /// thousands of them to have it asked about.
    fn may_have(&self, uid: u32) -> bool {
        self.subordinates.owner(uid) == uid
    }
}

async fn ask<T: Clone + Send + Sync + 'static>(
    answers: &Answers<T>,
    uid: u32,
    question: fn(u32) -> nix::Result<Option<T>>,
) -> Known<T> {
    let look = async move {
        match tokio::task::spawn_blocking(move || question(uid)).await {
            Ok(Ok(told)) => (Known::from(told), AGE),
            Ok(Err(_)) | Err(_) => (Known::No, FAILURE_AGE),
        }
    };
    answers.get(uid, PATIENCE, look).await.unwrap_or(Known::No)
}

fn name(uid: u32) -> nix::Result<Option<Arc<str>>> {
    let user = User::from_uid(Uid::from_raw(uid))?;
    Ok(user.map(|user| Arc::from(user.name)))
}

fn local_name(uid: u32) -> nix::Result<Option<Arc<str>>> {
    let passwd = std::fs::read_to_string("/etc/passwd")
        .map_err(|error| Errno::try_from(error).unwrap_or(Errno::EIO))?;
    Ok(name_in(&passwd, uid).map(Arc::from))
}

/// `name:password:uid:…`, a user a line.
fn name_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    })
}

fn membership(uid: u32) -> nix::Result<Option<Membership>> {
    let Some(user) = User::from_uid(Uid::from_raw(uid))? else {
        return Ok(None);
    };
    let Ok(name) = CString::new(user.name) else {
        return Ok(None);
    };
    let mut ids = getgrouplist(&name, user.gid)?;
    ids.sort_unstable_by_key(|id| id.as_raw());
    ids.dedup();
    ids.truncate(MAX_GROUPS);
    let mut names = Vec::new();
    for id in &ids {
        names.extend(group_name(*id)?);
    }
    Ok(Some(Membership {
        gid: user.gid.as_raw(),
        groups: Arc::new(Groups {
            ids: ids.into_iter().map(Gid::as_raw).collect(),
            names,
        }),
    }))
}

fn group_name(id: Gid) -> nix::Result<Option<Arc<str>>> {
    let group = Group::from_gid(id)?;
    Ok(group.map(|group| Arc::from(group.name)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    #[test]
    fn users_of_the_host_are_found_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\n\nbroken\n+::::::\nweb:x:33:33::/:/bin/false\n";
        assert_eq!(name_in(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_in(passwd, 33).as_deref(), Some("web"));
        assert_eq!(name_in(passwd, 3), None);
        assert_eq!(local_name(0).unwrap().as_deref(), Some("root"));
    }

    /// Whether the directory service of these tests hangs, for uid 1.
    static HANGS: Mutex<bool> = Mutex::new(true);
    static MENDED: Condvar = Condvar::new();

    #[tokio::test]
    async fn a_directory_that_hangs_holds_up_nobody_else_and_is_heard_when_it_speaks() {
        let hangs = |uid| {
            if uid == 1 {
                let hanging = HANGS.lock().unwrap();
                drop(MENDED.wait_while(hanging, |hangs| *hangs).unwrap());
            }
            Ok(Some(uid))
        };
        let answers = Answers::new(Clock::System, BOUNDS);
        let begun = Clock::System.boot();
        let others = async {
            assert_eq!(ask(&answers, 2, hangs).await, Known::Yes(2));
            assert_eq!(ask(&answers, 3, hangs).await, Known::Yes(3));
            Clock::System.boot().since(begun)
        };
        let (hung, waited) = tokio::join!(ask(&answers, 1, hangs), others);
        assert_eq!(hung, Known::No);
        assert!(waited < PATIENCE, "{waited:?}");
        *HANGS.lock().unwrap() = false;
        MENDED.notify_all();
        assert_eq!(ask(&answers, 1, hangs).await, Known::Yes(1));
    }

    #[tokio::test]
    async fn a_directory_that_fails_says_nothing() {
        let answers: Answers<u32> = Answers::new(Clock::System, BOUNDS);
        assert_eq!(ask(&answers, 1, |_| Err(Errno::EIO)).await, Known::No);
        assert_eq!(answers.remembered(&1), Some(Known::No));
        assert_eq!(ask(&answers, 2, |_| Ok(None)).await, Known::No);
    }

    #[test]
    fn roots_groups_are_those_of_the_database() {
        let root = membership(0).unwrap().unwrap();
        assert_eq!(root.gid, 0);
        assert!(root.groups.ids.contains(&0));
        assert!(root.groups.names.contains(&Arc::from("root")));
        assert!(membership(4_123_456_789).unwrap().is_none());
    }
}
