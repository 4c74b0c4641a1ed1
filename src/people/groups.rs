//! Which groups a name has: those of the groups file, and those of the system.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Group, User, getgrouplist};

use super::directory::{Member, NotMember, is_name};
use crate::clock::Clock;
use crate::lookups::{Bounds, Lookups};

/// How long the system is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// What it told is asked for again after this time; after the other where it failed.
const AGE: Duration = Duration::from_mins(1);
const FAILURE_AGE: Duration = Duration::from_secs(5);
/// No user's groups are more.
const MOST: usize = 65_536;
const BOUNDS: Bounds = Bounds {
    at_once: 4,
    open: 256,
    remembered: 4096,
};

/// Groups by the names of their members, of the groups file: `group: user user`, a line each.
#[derive(Debug, Default)]
pub(super) struct Groups(HashMap<Arc<str>, Vec<Arc<str>>>);

impl Groups {
    /// Reads the text as Apache reads an `AuthGroupFile`: a group's lines add up.
    pub(super) fn read(text: &str, wrong: &mut dyn FnMut(usize, String)) -> Self {
        let mut groups: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((group, members)) = line.split_once(':').filter(|(name, _)| is_name(name))
            else {
                wrong(number, "it is no `group: user user`".to_owned());
                continue;
            };
            let group: Arc<str> = Arc::from(group);
            for member in members.split_whitespace().filter(|name| is_name(name)) {
                let of = groups.entry(Arc::from(member)).or_default();
                if !of.contains(&group) {
                    of.push(Arc::clone(&group));
                }
            }
        }
        Self(groups)
    }

    /// This user's groups.
    pub(super) fn of(&self, name: &str) -> &[Arc<str>] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Who somebody is to the system, where it tells.
type Told = Result<Arc<Member>, NotMember>;

/// What the system's database tells, remembered for a minute. It may be a directory service that
/// hangs: then nobody knows which groups somebody has, and none is not the answer.
#[derive(Debug)]
pub(super) struct SystemGroups {
    told: Lookups<Arc<str>, Told>,
    ask: fn(&str) -> nix::Result<Member>,
}

impl SystemGroups {
    pub(super) fn new(clock: &Clock) -> Self {
        Self::asking(membership, clock)
    }

    /// The same of another database.
    pub(super) fn asking(ask: fn(&str) -> nix::Result<Member>, clock: &Clock) -> Self {
        Self {
            told: Lookups::new(clock.clone(), BOUNDS),
            ask,
        }
    }

    /// The user of this name, as the system spells it; whom it does not know has no groups there.
    pub(super) async fn of(&self, name: &Arc<str>) -> Told {
        let (ask, asked) = (self.ask, Arc::clone(name));
        let look = async move {
            match tokio::task::spawn_blocking(move || ask(&asked)).await {
                Ok(Ok(member)) => (Ok(Arc::new(member)), AGE),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the system does not tell a user's groups");
                    (Err(NotMember::NotReady), FAILURE_AGE)
                }
                Err(_panicked) => (Err(NotMember::NotReady), FAILURE_AGE),
            }
        };
        let told = self.told.get(Arc::clone(name), PATIENCE, look).await;
        told.unwrap_or(Err(NotMember::NotReady))
    }
}

fn membership(name: &str) -> nix::Result<Member> {
    let mut member = Member {
        name: Arc::from(name),
        groups: Vec::new(),
    };
    let Some(user) = User::from_name(name)? else {
        return Ok(member);
    };
    // A service that takes other spellings tells which one is the user's. One that adds to it, as
    // its domain, would make another principal.
    if user.name.to_lowercase() == name.to_lowercase() {
        member.name = Arc::from(user.name.as_str());
    }
    let Ok(spelled) = CString::new(user.name) else {
        return Ok(member);
    };
    for gid in getgrouplist(&spelled, user.gid)?.into_iter().take(MOST) {
        let group = Group::from_gid(gid)?.map(|group| Arc::from(group.name));
        member.groups.extend(group);
    }
    Ok(member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_the_members_of_all_its_lines() {
        let mut told = Vec::new();
        let text = "# groups\nops: ann bob\n\ndev:ann\nops: eve ann\nnonsense\n : x\nempty:\n";
        let groups = Groups::read(text, &mut |line, why| told.push((line, why)));
        let of = |name: &str| {
            groups
                .of(name)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(of("ann"), ["ops", "dev"]);
        assert_eq!(of("bob"), ["ops"]);
        assert_eq!(of("eve"), ["ops"]);
        assert_eq!(of("Ann"), Vec::<String>::new());
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[tokio::test]
    async fn the_system_tells_the_groups_of_its_users() {
        let system = SystemGroups::new(&Clock::System);
        let root = system.of(&Arc::from("root")).await.unwrap();
        assert!(root.groups.contains(&Arc::from("root")), "{root:?}");
        let nobody = system.of(&Arc::from("No such user")).await.unwrap();
        assert_eq!((&*nobody.name, nobody.groups.len()), ("No such user", 0));
    }

    #[tokio::test]
    async fn a_database_that_fails_is_not_one_without_groups() {
        let fails = |_: &str| Err(nix::errno::Errno::EIO);
        let system = SystemGroups::asking(fails, &Clock::System);
        assert_eq!(system.of(&Arc::from("ann")).await, Err(NotMember::NotReady));
    }
}
