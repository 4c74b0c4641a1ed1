//! From the id of a control group to its path, and to the unit or container that it is in.
//!
//! Only the unified hierarchy (cgroup2) is looked at, alone or beside version 1: the kernel's
//! socket look-up tells an id in that one. On a host that has version 1 only, or whose manager keeps
//! its units there, no place can be told, and grants to users match nobody unless they say
//! `container = "any"`. What version 1 tells against a place is in `legacy`.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::legacy;
use super::place::{Handed, Located, PlaceReader};

/// Of a group that is not below what is mounted here: whose it is cannot be seen.
const UNSEEN: Option<Handed> = Some(Handed {
    depth: 0,
    uid: 65_534,
});
/// Whose groups all are that were not handed on.
const ROOT: u32 = 0;
/// No walk looks at more groups of root's.
const MAX_GROUPS: usize = 200_000;
/// And at no more of each user.
const MAX_GROUPS_OF_EACH: usize = 20_000;

/// The unified hierarchy as this process sees it.
#[derive(Clone, Debug)]
pub(super) struct Hierarchy {
    pub(super) mount: PathBuf,
    /// The path of the group that is mounted there, without a slash at its end.
    root: Vec<u8>,
    reader: PlaceReader,
    /// Whether version 1 is there too.
    beside_version_1: bool,
}

/// Why no place can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlaces {
    /// Version 1 alone, or nothing.
    #[error("no unified control group hierarchy (cgroup2) is mounted")]
    NotMounted,
    /// As network plugins mount it for their own programs: everything is in its root.
    #[error("systemd keeps its units in control groups of version 1, not in the unified hierarchy")]
    Unused,
}

/// The control groups of a host on which places can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlGroups {
    /// The unified hierarchy alone.
    Unified,
    /// Version 1 too: a hybrid host.
    Hybrid,
}

impl ControlGroups {
    /// Those of this host, as this process sees them.
    pub fn find() -> Result<Self, NoPlaces> {
        let hierarchy = Hierarchy::find()?;
        Ok(if hierarchy.beside_version_1 {
            Self::Hybrid
        } else {
            Self::Unified
        })
    }
}

impl Hierarchy {
    /// Finds it, below `/proc` as it is usual.
    pub(super) fn find() -> Result<Self, NoPlaces> {
        let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read("/proc/self/cgroup").unwrap_or_default();
        let init = fs::read("/proc/1/cgroup").unwrap_or_default();
        Self::in_files(&mounts, &own, &init)
    }

    /// What these files tell: the mounts, and the groups of this process and of the first one.
    pub(super) fn in_files(mounts: &[u8], own: &[u8], init: &[u8]) -> Result<Self, NoPlaces> {
        let mut mounts = mounts.split(|byte| *byte == b'\n');
        let (mount, root) = mounts.find_map(mount_line).ok_or(NoPlaces::NotMounted)?;
        let own_path = unified_path(own).ok_or(NoPlaces::NotMounted)?;
        if legacy::has_units(own) || legacy::has_units(init) {
            return Err(NoPlaces::Unused);
        }
        let init_path = unified_path(init).unwrap_or_default();
        Ok(Self {
            mount,
            root,
            reader: PlaceReader::new(&own_path, &init_path),
            beside_version_1: legacy::is_there(own),
        })
    }

    /// Whether version 1 has the process with these groups in a container.
    pub(super) fn is_contradicted(&self, groups: &[u8]) -> bool {
        self.beside_version_1 && legacy::is_contained(groups, &self.reader)
    }

    /// The same of the process of this number; one that has ended is in none.
    pub(super) fn is_contained(&self, pid: u32) -> bool {
        let groups = || fs::read(format!("/proc/{pid}/cgroup"));
        self.beside_version_1 && groups().is_ok_and(|groups| self.is_contradicted(&groups))
    }

    /// Where the group of this path lies, and its id; `None` where it is gone or has another id
    /// than this. Nothing renames a group of this hierarchy, so while it is there so is what leads
    /// to it.
    pub(super) fn locate(
        &self,
        path: &[u8],
        id: Option<u64>,
    ) -> io::Result<Option<(Located, u64)>> {
        let Some(below) = path.strip_prefix(self.root.as_slice()) else {
            return Ok(Some((self.read(path, UNSEEN), 0)));
        };
        if below.starts_with(b"/..") {
            return Ok(Some((Located::Outside, 0)));
        }
        let mut depth = count(&self.root);
        let mut folder = self.mount.clone();
        let mut last = fs::metadata(&folder)?;
        let mut handed = handed(&last, depth);
        for name in below.split(|byte| *byte == b'/') {
            if name.is_empty() {
                continue;
            }
            folder.push(OsStr::from_bytes(name));
            depth += 1;
            last = match fs::symlink_metadata(&folder) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            handed = handed.or_else(|| self::handed(&last, depth));
        }
        if id.is_some_and(|id| id != last.ino()) {
            return Ok(None);
        }
        Ok(Some((self.read(path, handed), last.ino())))
    }

    /// What the path of a group tells.
    pub(super) fn read(&self, path: &[u8], handed: Option<Handed>) -> Located {
        // Where systemd makes groups, nothing is in the root; but kernels before 5.15 tell it of
        // every socket once `net_cls` is in use, which is of version 1.
        let is_root = count(path) == 0;
        if is_root && self.beside_version_1 && self.reader.has_manager() {
            return Located::Outside;
        }
        self.reader.locate(path, handed)
    }

    /// The processes in the group of this path, as far as they can be seen from here.
    pub(super) fn processes(&self, path: &[u8]) -> io::Result<Vec<u32>> {
        let listed = fs::read_to_string(self.folder(path).join("cgroup.procs"))?;
        Ok(listed
            .lines()
            .filter_map(|line| line.parse().ok())
            .filter(|pid| *pid != 0)
            .collect())
    }

    /// Where the group of this path lies, if it is below what is mounted here.
    fn folder(&self, path: &[u8]) -> PathBuf {
        let below = path.strip_prefix(self.root.as_slice()).unwrap_or(path);
        let below = below.strip_prefix(b"/").unwrap_or(below);
        self.mount.join(OsStr::from_bytes(below))
    }

    /// The path of the group with this id. The ids are the numbers of its folders.
    pub(super) fn path(&self, id: u64) -> io::Result<Option<Vec<u8>>> {
        if fs::metadata(&self.mount)?.ino() == id {
            return Ok(Some(self.name(&self.mount)));
        }
        let walked = self.walk(|entry| (entry.ino() == id).then(|| self.name(&entry.path())))?;
        match walked {
            Walked::Found(path) => Ok(Some(path)),
            Walked::ToTheEnd => Ok(None),
            Walked::InPart => Err(io::Error::other("not all control groups can be seen")),
        }
    }

    /// Where the groups lie whose own name has this text in it, with their paths.
    pub(super) fn named(&self, text: &str) -> io::Result<Vec<(Located, Vec<u8>)>> {
        let mut paths = Vec::new();
        let walked: Walked<()> = self.walk(|entry| {
            if String::from_utf8_lossy(entry.file_name().as_bytes()).contains(text) {
                paths.push(self.name(&entry.path()));
            }
            None
        })?;
        debug_assert!(!matches!(walked, Walked::Found(())), "it goes to its end");
        let mut found = Vec::new();
        for path in paths {
            // One that has gone meanwhile is none.
            if let Some((located, _)) = self.locate(&path, None)? {
                found.push((located, path));
            }
        }
        Ok(found)
    }

    /// A walk through the whole hierarchy, until something is found.
    fn walk<T>(&self, mut look: impl FnMut(&DirEntry) -> Option<T>) -> io::Result<Walked<T>> {
        let mut left = Left::default();
        left.push(fs::metadata(&self.mount)?.uid(), self.mount.clone());
        while let Some((owner, folder)) = left.next() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                // A group may go while it is walked through; what is in it goes with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                // What a user hides, it hides from nobody but itself.
                Err(_) if owner != ROOT => {
                    left.cut = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for entry in entries.filter_map(Result::ok).filter(is_folder) {
                if let Some(found) = look(&entry) {
                    return Ok(Walked::Found(found));
                }
                // What lies below a group that root has handed on is that user's.
                let owner = match owner {
                    ROOT => entry.metadata().map_or(ROOT, |group| group.uid()),
                    user => user,
                };
                left.push(owner, entry.path());
            }
        }
        Ok(if left.cut {
            Walked::InPart
        } else {
            Walked::ToTheEnd
        })
    }

    fn name(&self, folder: &Path) -> Vec<u8> {
        let below = folder.strip_prefix(&self.mount).unwrap_or(folder);
        [&self.root, b"/".as_slice(), below.as_os_str().as_bytes()].concat()
    }
}

/// The folders of the control group that this process is in, and of those above it, as far as they can
/// be seen.
pub fn own_control_groups() -> Vec<PathBuf> {
    let own = fs::read("/proc/self/cgroup").unwrap_or_default();
    let Some((hierarchy, path)) = Hierarchy::find().ok().zip(unified_path(&own)) else {
        return Vec::new();
    };
    let folder = hierarchy.folder(&path);
    let groups = folder.ancestors();
    let groups = groups.take_while(|group| group.starts_with(&hierarchy.mount));
    groups.map(Path::to_owned).collect()
}

/// How a walk ended.
enum Walked<T> {
    Found(T),
    ToTheEnd,
    /// Of some users not all groups could be seen.
    InPart,
}

/// The groups that a walk has yet to look into: root's first, level by level, and then in turn one of
/// each user, so that however many one makes no other's are hidden.
#[derive(Debug, Default)]
struct Left {
    of: BTreeMap<u32, VecDeque<PathBuf>>,
    seen: BTreeMap<u32, usize>,
    last: u32,
    /// Whether some were left out.
    cut: bool,
}

impl Left {
    fn push(&mut self, owner: u32, folder: PathBuf) {
        let seen = self.seen.entry(owner).or_default();
        let most = if owner == ROOT {
            MAX_GROUPS
        } else {
            MAX_GROUPS_OF_EACH
        };
        if *seen >= most {
            self.cut = true;
            return;
        }
        *seen += 1;
        self.of.entry(owner).or_default().push_back(folder);
    }

    fn next(&mut self) -> Option<(u32, PathBuf)> {
        let owners = || self.of.iter().filter(|(_, left)| !left.is_empty());
        let owners = || owners().map(|(owner, _)| *owner);
        let first = owners().next()?;
        let after = owners().find(|owner| *owner > self.last);
        let owner = after.filter(|_| first != ROOT).unwrap_or(first);
        self.last = owner;
        let folder = self.of.get_mut(&owner)?.pop_front()?;
        Some((owner, folder))
    }
}

/// A group so many components deep, if it is not root's any more.
fn handed(group: &Metadata, depth: usize) -> Option<Handed> {
    let uid = group.uid();
    (uid != 0).then_some(Handed { depth, uid })
}

/// How many components a path has.
fn count(path: &[u8]) -> usize {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
        .count()
}

fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// The mount point and the mounted group of one line of mountinfo, if it is of cgroup2:
/// `41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw`.
fn mount_line(line: &[u8]) -> Option<(PathBuf, Vec<u8>)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let root = unescaped(fields.nth(3)?);
    let mount = unescaped(fields.next()?);
    let mut after = fields.skip_while(|field| *field != b"-");
    if after.nth(1)? != b"cgroup2" {
        return None;
    }
    let root = root.strip_suffix(b"/").unwrap_or(&root).to_vec();
    let mount = PathBuf::from(OsString::from_vec(mount));
    Some((mount, root))
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let code = match (first, tail) {
            (b'\\', [a, b, c, ..]) => octal([*a, *b, *c]),
            _ => None,
        };
        plain.push(code.unwrap_or(*first));
        rest = match code {
            Some(_) => tail.get(3..).unwrap_or_default(),
            None => tail,
        };
    }
    plain
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let text = std::str::from_utf8(&digits).ok()?;
    u8::from_str_radix(text, 8).ok()
}

/// The path in the unified hierarchy, of the content of a `/proc/PID/cgroup`; `None` where there
/// is none, or where the group is gone. No group's name has a newline: the kernel refuses those.
pub(super) fn unified_path(content: &[u8]) -> Option<Vec<u8>> {
    let mut lines = content.split(|byte| *byte == b'\n');
    let path = lines.find_map(|line| line.strip_prefix(b"0::"))?;
    (!path.ends_with(b" (deleted)")).then(|| path.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unified_hierarchy_is_found_among_the_mounts() {
        let root = (PathBuf::from("/sys/fs/cgroup/unified"), Vec::new());
        for (line, expected) in [
            (
                "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
                Some(root.clone()),
            ),
            (
                "41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 master:2 - cgroup2 none rw",
                Some(root),
            ),
            (
                r"9 1 0:26 /docker/a /mnt/with\040space rw - cgroup2 cgroup rw,nsdelegate",
                Some((PathBuf::from("/mnt/with space"), b"/docker/a".to_vec())),
            ),
            (
                "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
                None,
            ),
            ("23 28 0:21 / /proc rw,nosuid - proc proc rw", None),
            ("", None),
            ("41 31 0:38 /", None),
        ] {
            assert_eq!(mount_line(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn the_unified_line_of_a_process_is_its_path() {
        let path = |content: &str| unified_path(content.as_bytes());
        let hybrid = "2:cpu:/docker/a\n1:name=systemd:/docker/a\n0::/docker/a\n";
        assert_eq!(path(hybrid), Some(b"/docker/a".to_vec()));
        assert_eq!(path("0::/\n"), Some(b"/".to_vec()));
        assert_eq!(path("0::/a b:0::/c\n"), Some(b"/a b:0::/c".to_vec()));
        assert_eq!(path("1:name=systemd:/docker/a\n"), None);
        assert_eq!(path("0::/docker/a (deleted)\n"), None);
        assert_eq!(path(""), None);
    }

    #[test]
    fn groups_of_users_are_looked_into_in_turn_after_all_of_roots() {
        let mut left = Left::default();
        for number in 0..MAX_GROUPS_OF_EACH + 5 {
            left.push(1000, PathBuf::from(format!("a{number}")));
        }
        left.push(1001, PathBuf::from("b0"));
        left.push(1001, PathBuf::from("b1"));
        left.push(ROOT, PathBuf::from("r0"));
        left.push(ROOT, PathBuf::from("r1"));
        let order: Vec<_> = std::iter::from_fn(|| left.next()).collect();
        let first: Vec<_> = order
            .iter()
            .take(7)
            .map(|(owner, folder)| (*owner, folder.to_str().unwrap()))
            .collect();
        let expected = [
            (ROOT, "r0"),
            (ROOT, "r1"),
            (1000, "a0"),
            (1001, "b0"),
            (1000, "a1"),
            (1001, "b1"),
            (1000, "a2"),
        ];
        assert_eq!(first, expected);
        assert_eq!(order.len(), MAX_GROUPS_OF_EACH + 4);
        assert!(left.cut);
    }

    #[test]
    fn the_own_groups_begin_with_that_which_lists_this_process() {
        let groups = own_control_groups();
        let hierarchy = Hierarchy::find().unwrap();
        assert_eq!(groups.last(), Some(&hierarchy.mount));
        let members = fs::read_to_string(groups[0].join("cgroup.procs")).unwrap();
        let own = std::process::id().to_string();
        assert!(members.lines().any(|member| member == own), "{groups:?}");
    }

    #[test]
    fn a_group_that_is_not_there_has_no_path() {
        let hierarchy = Hierarchy::find().unwrap();
        assert_eq!(hierarchy.path(u64::MAX).unwrap(), None);
        let own = fs::metadata(&hierarchy.mount).unwrap().ino();
        assert!(hierarchy.path(own).unwrap().unwrap().ends_with(b"/"));
    }
}
