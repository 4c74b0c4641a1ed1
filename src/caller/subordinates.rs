//! Uids that are a user's beside its own: those that `/etc/subuid` hands out for user namespaces.
//!
//! A user may run processes under any of its thousands, so what is bounded for each caller is
//! bounded for all of them together. They are no evidence of the user itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock::{BootTime, Clock};

/// Whether the file has changed is looked at no more often.
const AGE: Duration = Duration::from_secs(10);

/// Whose uids are whose.
#[derive(Debug)]
pub(super) struct Subordinates {
    clock: Clock,
    ranges: PathBuf,
    users: PathBuf,
    known: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    looked: Option<BootTime>,
    changed: Option<SystemTime>,
    ranges: Ranges,
}

/// The last uid and the owner of each range, by its first uid.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ranges(BTreeMap<u32, (u32, u32)>);

impl Subordinates {
    /// Those of this host.
    pub(super) fn new(clock: Clock) -> Self {
        Self::of(clock, Path::new("/etc/subuid"), Path::new("/etc/passwd"))
    }

    pub(super) fn of(clock: Clock, ranges: &Path, users: &Path) -> Self {
        Self {
            clock,
            ranges: ranges.to_owned(),
            users: users.to_owned(),
            known: Mutex::default(),
        }
    }

    /// Whose this uid is: its own, if nobody has it as a subordinate one.
    pub(super) fn owner(&self, uid: u32) -> u32 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.boot();
        let fresh = |looked: BootTime| now.since(looked) < AGE;
        if !known.looked.is_some_and(fresh) {
            known.looked = Some(now);
            self.read(&mut known);
        }
        known.ranges.owner(uid)
    }

    fn read(&self, known: &mut Read) {
        let changed = fs::metadata(&self.ranges).and_then(|file| file.modified());
        let changed = changed.ok();
        if changed != known.changed {
            let read = |path| fs::read_to_string(path).unwrap_or_default();
            known.ranges = Ranges::read(&read(&self.ranges), &read(&self.users));
            known.changed = changed;
        }
    }
}

impl Ranges {
    /// `owner:first:count`, a range a line, of which the owner is a name or a number. One whose
    /// name this host's own file does not know owns itself, as one.
    fn read(ranges: &str, users: &str) -> Self {
        let uids: BTreeMap<&str, u32> = users.lines().filter_map(user).collect();
        let range = |line: &str| {
            let mut fields = line.trim().split(':');
            let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
            let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
            let last = first.checked_add(count.checked_sub(1)?)?;
            let by_number = owner.parse().ok();
            let owner = uids.get(owner).copied().or(by_number).unwrap_or(first);
            Some((first, (last, owner)))
        };
        Self(ranges.lines().filter_map(range).collect())
    }

    fn owner(&self, uid: u32) -> u32 {
        match self.0.range(..=uid).next_back() {
            Some((_, (last, owner))) if uid <= *last => *owner,
            Some(_) | None => uid,
        }
    }
}

/// `name:password:uid:…`
fn user(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    let (name, _password, uid) = (fields.next()?, fields.next()?, fields.next()?);
    Some((name, uid.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_uid_of_a_range_is_its_owners() {
        let users = "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/:/bin/sh\n";
        let ranges = "ann:100000:65536\n2000:200000:10\n\n# no range\nbob:300000:65536\n\
                      x:1:\nx:4294967295:2\nx:7:0\n";
        let ranges = Ranges::read(ranges, users);
        for (uid, owner) in [
            (0, 0),
            (7, 7),
            (1000, 1000),
            (99_999, 99_999),
            (100_000, 1000),
            (165_535, 1000),
            (165_536, 165_536),
            (200_009, 2000),
            (200_010, 200_010),
            (300_000, 300_000),
            (365_535, 300_000),
            (u32::MAX, u32::MAX),
        ] {
            assert_eq!(ranges.owner(uid), owner, "{uid}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_the_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (ranges, users) = (folder.path().join("subuid"), folder.path().join("passwd"));
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
        let subordinates = Subordinates::of(clock, &ranges, &users);
        assert_eq!(subordinates.owner(100_000), 100_000);
        fs::write(&ranges, "1000:100000:65536\n").unwrap();
        assert_eq!(subordinates.owner(100_000), 100_000);
        tokio::time::advance(AGE).await;
        assert_eq!(subordinates.owner(100_000), 1000);
        fs::remove_file(&ranges).unwrap();
        tokio::time::advance(AGE).await;
        assert_eq!(subordinates.owner(100_000), 100_000);
    }
}
